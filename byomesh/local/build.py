"""Builds, once a machine, the programs that the local cloud is made of, and keeps them in the user's cache folder.

The sources are Go modules, pinned in binaries/go.mod and checked against binaries/go.sum. A build takes about five
minutes on two cores; one that was interrupted goes on where it stopped. `python -m byomesh.local.build` shows progress.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from byomesh.local.toolchain import BuildError, cache_folder, file_lock, find_go

__all__ = ["Binaries", "BuildError", "Progress", "built_binaries", "ensure_binaries"]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much (0 where that isn't known yet)."""

_SOURCES = Path(__file__).parent / "binaries"
# The largest first: two are linked at a time, and a large one begun last would leave a core idle.
_PACKAGES = {
    "kube_apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube_controller_manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "helm": "helm.sh/helm/v4/cmd/helm",
    "kube_scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
    "etcd": "go.etcd.io/etcd/server/v3",
    "pubsub": "./pubsub",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Binaries:
    """Where the built programs are; every path is absolute and executable."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kwok: Path
    helm: Path
    pubsub: Path


def ensure_binaries(progress: Progress | None = None) -> Binaries:
    """The programs of the local cloud, built first if this machine doesn't have them yet.

    Blocks, for minutes when they have to be built; safe to call from several processes at once, of which one builds.
    `progress` may be called from other threads.

    Raises:
        BuildError: there is no Go that is new enough and none could be installed, or the build failed.
    """
    tell = progress or (lambda _what, _done, _total: None)
    folder = cache_folder() / "binaries" / _content_hash()
    if _missing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / ".lock", waiting=lambda: tell("waiting for another run's build", 0, 0)):
            if missing := _missing(folder):
                _build(folder, missing, tell)
    return Binaries(**{field: folder / _file_name(field) for field in _PACKAGES})


def built_binaries() -> Binaries | None:
    """The programs of the local cloud where this machine has them all; nothing is built."""
    folder = cache_folder() / "binaries" / _content_hash()
    return None if _missing(folder) else Binaries(**{field: folder / _file_name(field) for field in _PACKAGES})


def module_version(module: str) -> str:
    """The version that binaries/go.mod pins for a module, with its leading v: v1.36.3.

    Raises:
        BuildError: go.mod doesn't require that module.
    """
    found = re.search(rf"^\t{re.escape(module)} (v\S+)", (_SOURCES / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise BuildError(f"{_SOURCES / 'go.mod'} does not require {module}; restore that file from version control.")
    return found[1]


def _file_name(field: str) -> str:
    return field.replace("_", "-")


def _missing(folder: Path) -> list[str]:
    return [field for field in _PACKAGES if not os.access(folder / _file_name(field), os.X_OK)]


def _linker_flags() -> str:
    """Versions as the released programs have them: Helm asks the server's, and refuses v0.0.0."""
    version = module_version("k8s.io/kubernetes")
    major, minor, _patch = version.removeprefix("v").split(".", 2)
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    settings = {
        f"{package}.{name}": value
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for name, value in values.items()
    }
    settings["helm.sh/helm/v4/internal/version.version"] = module_version("helm.sh/helm/v4")
    return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in settings.items())])


def _platform() -> tuple[str, str]:
    machine = platform.machine().lower()
    return sys.platform, {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _content_hash() -> str:
    digest = hashlib.sha256(" ".join([_linker_flags(), *_platform()]).encode())
    for path in sorted(
        path for path in _SOURCES.rglob("*") if path.name in ("go.mod", "go.sum") or path.suffix == ".go"
    ):
        digest.update(f"\0{path.relative_to(_SOURCES).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(folder: Path, missing: list[str], tell: Progress) -> None:
    needed = re.search(r"^go (\d+)\.(\d+)", (_SOURCES / "go.mod").read_text(), re.MULTILINE)
    if needed is None:
        raise BuildError(f"{_SOURCES / 'go.mod'} names no Go version; restore that file from version control.")
    go = _Go(find_go((int(needed[1]), int(needed[2])), lambda: tell("installing Go", 0, 0)))
    packages = {field: _PACKAGES[field] for field in missing}
    for left_by_a_killed_run in folder.glob(".link-*"):
        shutil.rmtree(left_by_a_killed_run, ignore_errors=True)
    tell("reading the sources", 0, 0)
    go.compile(go.dependencies(list(packages.values()), tell), tell)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".link-") as scratch, ThreadPoolExecutor(2) as pool:
        links = {
            pool.submit(go.link, package, Path(scratch) / field, folder / _file_name(field)): field
            for field, package in packages.items()
        }
        for done, link in enumerate(as_completed(links), start=1):
            link.result()
            tell(_file_name(links[link]), done, len(links))


class _Go:
    """The go command, as every step of the build runs it."""

    def __init__(self, go: Path) -> None:
        self._go = go
        operating_system, architecture = _platform()
        self._environment = os.environ | {
            "CGO_ENABLED": "0",
            "GOARCH": architecture,
            "GOFLAGS": "-mod=readonly -trimpath",
            "GOOS": operating_system,
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            # Where HOME is unset, go would find no place for its caches.
            "HOME": str(Path.home()),
        }

    def dependencies(self, packages: list[str], tell: Progress) -> list[str]:
        """All packages that the programs import, their own `main` left out; fetches the modules that are missing."""
        fetched = 0

        def count(line: str) -> None:
            nonlocal fetched
            if line.startswith("go: downloading"):
                fetched += 1
                tell("fetching modules", fetched, 0)

        listing = '{{if ne .Name "main"}}{{.ImportPath}}{{end}}'
        return "".join(self._run(["list", "-deps", "-f", listing, *packages], count)).split()

    def compile(self, dependencies: list[str], tell: Progress) -> None:
        """Fills go's build cache, with all cores busy; says so a package at a time."""
        compiled = 0

        def count(line: str) -> None:
            nonlocal compiled
            if not line.startswith("go: "):
                compiled += 1
                tell("compiling", min(compiled, len(dependencies)), len(dependencies))

        self._run(["build", "-v", *dependencies], count)

    def link(self, package: str, scratch: Path, target: Path) -> None:
        """Makes one program; `target` appears whole or not at all."""
        self._run(["build", "-ldflags", _linker_flags(), "-o", str(scratch), package], lambda _line: None)
        scratch.replace(target)

    def _run(self, arguments: list[str], each_line: Callable[[str], None]) -> Iterator[str]:
        """Runs go; hands each line of its standard error to `each_line`, and returns the lines of its output."""
        with subprocess.Popen(
            [self._go, *arguments],
            cwd=_SOURCES,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            errors: list[str] = []
            reader = threading.Thread(target=_read_lines, args=(process.stderr, errors, each_line))
            reader.start()
            output = process.stdout.readlines() if process.stdout else []
            reader.join()
        if process.returncode:
            shown = "".join(errors[-20:]).strip()
            raise BuildError(
                f"`go {' '.join(arguments[:2])} …` in {_SOURCES} ended with status {process.returncode}:\n{shown}\n"
                "If a module could not be fetched, check GOPROXY and the network. Then run "
                "`python -m byomesh.local.build` again: it goes on where it stopped.",
            )
        return iter(output)


def _read_lines(stream: Iterator[str] | None, kept: list[str], each_line: Callable[[str], None]) -> None:
    for line in stream or ():
        kept.append(line)
        each_line(line)


if __name__ == "__main__":
    from byomesh.local.build_display import main

    main()
