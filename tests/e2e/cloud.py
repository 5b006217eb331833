"""A local cloud as an operator has it: every act is a run of the `byomesh` command in a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil

from byomesh.local.home import VARIABLE, Home
from shared import kube

BYOMESH = Path(sys.executable).with_name("byomesh")
CHARTS = Path(__file__).resolve().parents[1] / "charts"
PROJECT, LOCATION = "demo-project", "europe-west1"
PATIENCE = 180.0
"""Seconds for anything that must come true at all; a machine of two cores that builds something else is slow."""
_COMMAND_SECONDS = PATIENCE + 60
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended.

    Attributes:
        code: its exit status.
        out: its standard output.
        err: its standard error.
    """

    code: int
    out: str
    err: str


def environment(home: Path) -> dict[str, str]:
    """What a command sees: this machine's and the interpreter's own variables, and the cloud's home and charts."""
    kept = ("PATH", "HOME", "XDG_CACHE_HOME")
    begin = ("COVERAGE", "PYTHON", "LANG", "LC_")
    inherited = {name: value for name, value in os.environ.items() if name in kept or name.startswith(begin)}
    # What a killed daemon can't remove goes with its home.
    ours = {"COLUMNS": "300", VARIABLE: str(home), "TMPDIR": str(home), "BYOMESH_CHARTS": str(CHARTS)}
    # Google's clients would look for credentials at the address of a machine's metadata server, which is not loopback.
    return {**inherited, **ours, "NO_GCE_CHECK": "true"}


class Cloud:
    """One local cloud, up or not."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)

    def run(self, *arguments: str, **variables: str) -> Ran:
        """Run `byomesh ARGUMENTS` to its end, whatever that is, with other environment variables where given."""
        ran = subprocess.run(
            [str(BYOMESH), *arguments],
            env={**environment(self.home.folder), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def local(self, *arguments: str, code: int = 0) -> Ran:
        """Run `byomesh local ARGUMENTS`, which must end with `code`."""
        ran = self.run("local", *arguments)
        assert ran.code == code, f"byomesh local {' '.join(arguments)} ended with {ran.code}: {ran.out}{ran.err}"
        return ran

    def json(self, *arguments: str, code: int = 0) -> Any:
        """What `byomesh local ARGUMENTS -o json` prints."""
        return json.loads(self.local(*arguments, "-o", "json", code=code).out)

    @property
    def policy(self) -> Path:
        """The file of its policy, where it is up with one."""
        return self.home.folder / "policy.yaml"

    def up(self, *options: str) -> None:
        """Start it."""
        self.local("up", *options)

    def create(self, name: str, *options: str, operation_seconds: float = 0.0) -> str:
        """Create a cluster; returns its full resource name."""
        seconds = ("--operation-seconds", str(operation_seconds))
        return str(self.json("create-cluster", name, *seconds, *options)["cluster"])

    def delete(self, *names: str) -> None:
        """Delete clusters by their full names, side by side, and wait until GKE no longer knows them."""
        for name in names:
            self.until(functools.partial(self._begin_deletion, name), f"GKE to begin with the deletion of {name}")
        self.until(lambda: not {*names} & {one["name"] for one in self.clusters()}, f"{names} to be gone")

    def _begin_deletion(self, name: str) -> bool:
        """Whether it is being deleted or gone; not where another operation runs on it."""
        ran = self.run("local", "delete-cluster", name)
        assert ran.code == 0 or "FAILED_PRECONDITION" in ran.err, ran.err
        return ran.code == 0

    def clusters(self) -> list[dict[str, Any]]:
        """The clusters that GKE knows."""
        found: list[dict[str, Any]] = self.json("status")["clusters"]
        return found

    def cluster(self, name: str) -> dict[str, Any]:
        """One cluster as GKE knows it, by its full name."""
        return next(one for one in self.clusters() if one["name"] == name)

    def ready(self, name: str) -> dict[str, Any]:
        """Wait until a cluster's mesh is Ready; its status."""
        ran = self.run("local", "wait", name, "--for", "ready", "--timeout", str(PATIENCE), "-o", "json")
        assert ran.code == 0, f"{name} ended with {ran.code}: {ran.out}{ran.err}"
        status: dict[str, Any] = json.loads(ran.out)
        return status

    def statuses(self, name: str = "", **wanted: object) -> list[dict[str, Any]]:
        """The statuses that were published, of one cluster or all, that have the `wanted` fields; oldest first."""
        said = self.json("statuses", *(("--cluster", name) if name else ()))
        return [one for one in said if all(one[field] == value for field, value in wanted.items())]

    def events(self, name: str = "", function: str = "", **wanted: object) -> list[dict[str, Any]]:
        """The deliveries, of one cluster or all, to one function or all, that have the `wanted` fields."""
        options = (*(("--cluster", name) if name else ()), *(("--function", function) if function else ()))
        delivered = self.json("events", *options)
        return [one for one in delivered if all(one[field] == value for field, value in wanted.items())]

    def publish(self, topic: str, message: object) -> str:
        """Publish a message, text as it is and anything else as JSON; returns its id."""
        text = message if isinstance(message, str) else json.dumps(message)
        return str(self.json("publish", topic, "--message", text)["message_id"])

    def function(self, name: str) -> psutil.Process:
        """The process of a function: gunicorn's master; its child is the worker."""
        found = next(one for one in self.json("status")["functions"] if one["name"] == name)
        return psutil.Process(found["pid"])

    def daemon(self) -> psutil.Process:
        """The process that everything else of this cloud descends from."""
        contact = self.home.contact()
        assert contact is not None, "no daemon is up"
        return psutil.Process(contact.pid)

    @contextlib.contextmanager
    def kube(self, name: str) -> Iterator[kube.Kube]:
        """A cluster's API server, as its administrator."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "kubeconfig"
            self.local("kubeconfig", name, "--file", str(file))
            with kube.from_kubeconfig(file) as api:
                yield api

    def revisions(self, name: str) -> dict[tuple[str, int], str]:
        """What `helm history` would show of every release: the status by release and revision."""
        with self.kube(name) as api:
            found = list(api.list_items("/api/v1/secrets", field_selector="type=helm.sh/release.v1"))
        labels = [one["metadata"]["labels"] for one in found]
        return {(one["name"], int(one["version"])): one["status"] for one in labels}

    def until(self, true: Callable[[], _T], what: str, *, seconds: float = PATIENCE) -> _T:
        """Ask again and again until the answer is truthy, and return it."""
        deadline = time.monotonic() + seconds
        while not (answer := true()):
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
            time.sleep(0.5)
        return answer

    def report(self) -> dict[str, str]:
        """What happened in it, for a failed test: the newest deliveries and the ends of the logs; when down, too."""
        found = {}
        for file in [self.home.journal, *sorted(self.home.logs.glob("*.log"))]:
            if file.exists():
                lines = file.read_text(errors="replace").splitlines()[-60:]
                found[f"{file.name} (its last {len(lines)} lines)"] = "\n".join(line[:600] for line in lines)
        return found


INSTALLED_ONCE = {("linkerd-crds", 1): "deployed", ("linkerd-control-plane", 1): "deployed"}
"""`Cloud.revisions` of a cluster on which each chart was installed and never upgraded."""


@contextlib.contextmanager
def cloud() -> Iterator[Cloud]:
    """A home for a local cloud, which is brought down in the end, however that comes."""
    with tempfile.TemporaryDirectory(prefix="byomesh-e2e-") as folder:
        made = Cloud(Path(folder))
        try:
            yield made
        finally:
            _bring_down(made)


def _bring_down(made: Cloud) -> None:
    contact = made.home.contact()
    if contact is None:
        return
    tree = processes(psutil.Process(contact.pid))
    try:
        made.local("down")
    finally:
        for process in alive(tree):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)


def processes(root: psutil.Process) -> list[psutil.Process]:
    """A process and all that descend from it at this moment; empty where it has gone."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def alive(those: list[psutil.Process]) -> list[psutil.Process]:
    """Which of them still run; a zombie has ended and only waits to be noticed."""

    def runs(process: psutil.Process) -> bool:
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return [process for process in those if runs(process)]
