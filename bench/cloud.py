"""A local cloud for a benchmark: a daemon in a home of its own, and what is asked of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psutil

from bench.figures import BenchError
from byomesh.local.client import Client, start, stop
from byomesh.local.home import Home

PROJECT, LOCATION = "demo-project", "europe-west1"
SERVICES_CIDR = "34.118.224.0/20"
"""GKE's own range of Services, which the chart's default clusterNetworks leave out."""
_PACE = 100
_SECONDS = 180.0
_POLL = 0.02
_LONG_POLL = 10.0

Event = dict[str, Any]
Status = dict[str, Any]
Say = Callable[[str], None]
_T = TypeVar("_T")


class Cloud:
    """A local cloud that is up.

    Attributes:
        folder: for the benchmark's own files; gone with the cloud.
    """

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self.folder = folder

    def create_cluster(self, name: str, *, off: bool = False) -> str:
        """Have an Autopilot cluster made whose operations and nodes take no time; its full name.

        Args:
            name: its own name.
            off: whether it is opted out, and allows NET_ADMIN from the start.
        """
        body = {
            "name": name,
            "project": PROJECT,
            "location": LOCATION,
            "operation_seconds": 0.0,
            "node_seconds": 0.0,
            "services_cidr": SERVICES_CIDR,
            "allow_net_admin": off,
            "labels": {"byomesh": "off"} if off else {},
        }
        return str(self._client.call("POST", "/clusters", body)["cluster"])

    def await_creation(self, cluster: str) -> Event:
        """The journal's record of a creation's last entry, once it was accepted.

        Raises:
            BenchError: it never was.
        """
        return until(lambda: creation(self.events(cluster)), f"the creation of {cluster}")

    def await_ready(self, cluster: str) -> Status:
        """The first status that says Ready, once the answer of the delivery that said so is in the journal.

        Raises:
            BenchError: the cluster ended in another phase, or in none.
        """
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            query = {"cluster": cluster, "seconds": str(_LONG_POLL)}
            status: Status | None = self._client.call("GET", "/wait", query=query)["status"]
            if status is not None and status["phase"] == "Ready":
                self.await_answer(cluster, status)
                return status
            if status is not None and status["phase"] in ("Refused", "Failed", "Stuck"):
                raise BenchError(f"{cluster} is {status['phase']}: {status['message']}")
        refused = [f"{one['target']}: {one['error']}" for one in self.events(cluster) if one["error"]]
        raise BenchError(f"{cluster} wasn't Ready within {_SECONDS:.0f} s; refused deliveries: {refused or 'none'}")

    def await_rerun(self, cluster: str, topic: str) -> Status:
        """Ask for what is there already, and return the status that says Ready again.

        Raises:
            BenchError: none did.
        """
        data = json.dumps({"cluster": cluster, "mesh": "linkerd"})
        request = self._client.call("POST", "/publish", {"topic": topic, "data": data})["message_id"]

        def ended() -> Status | None:
            told = (one for one in self.statuses(cluster) if one["request_id"] == request)
            return next((one for one in told if one["phase"] == "Ready"), None)

        status = until(ended, f"the rerun {request}")
        self.await_answer(cluster, status)
        return status

    def await_answer(self, cluster: str, status: Status) -> None:
        """Wait until the delivery during which a status was published has been answered."""

        def answered() -> bool:
            return any(spans(event, status["time"]) for event in self.events(cluster))

        until(answered, f"the answer of the function that said {status['phase']}")

    def delete_cluster(self, cluster: str) -> None:
        """Have a cluster deleted, and wait until nothing of it runs."""
        self._client.call("DELETE", "/clusters", query={"cluster": cluster})
        until(lambda: cluster not in self._clusters(), f"the end of {cluster}")

    def events(self, cluster: str) -> list[Event]:
        """What was delivered about a cluster, oldest first."""
        found: list[Event] = self._client.call("GET", "/events", query={"cluster": cluster})["events"]
        return found

    def statuses(self, cluster: str) -> list[Status]:
        """What was said about a cluster, oldest first."""
        found: list[Status] = self._client.call("GET", "/statuses", query={"cluster": cluster})["statuses"]
        return found

    def kubeconfig(self, cluster: str) -> Path:
        """A new file with an administrator's kubeconfig."""
        answer = self._client.call("GET", "/kubeconfig", query={"cluster": cluster})
        file = self.folder / f"{cluster.rpartition('/')[2]}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(answer["kubeconfig"], encoding="utf-8")
        return file

    def functions(self) -> dict[str, psutil.Process]:
        """The process of each function."""
        return {one["name"]: psutil.Process(one["pid"]) for one in self._client.call("GET", "/status")["functions"]}

    def populate(self, population: dict[str, Any]) -> dict[str, Any]:
        """Have stand-in clusters made (`byomesh.local.gke.population.Population`); when the first was told of, too."""
        return self._client.call("POST", "/population", population, seconds=_SECONDS)

    def clusters(self) -> list[dict[str, Any]]:
        """Every cluster as GKE has it."""
        found: list[dict[str, Any]] = self._client.call("GET", "/status")["clusters"]
        return found

    def deliveries_to(self, function: str) -> list[Event]:
        """What was delivered to a function, oldest first."""
        found: list[Event] = self._client.call("GET", "/events", query={"function": function})["events"]
        return found

    def delivered(self) -> list[Event]:
        """Everything that was delivered, oldest first."""
        found: list[Event] = self._client.call("GET", "/events")["events"]
        return found

    def said(self) -> list[Status]:
        """Every status, oldest first."""
        found: list[Status] = self._client.call("GET", "/statuses")["statuses"]
        return found

    def dead_letters(self) -> list[dict[str, Any]]:
        """What was given up."""
        found: list[dict[str, Any]] = self._client.call("GET", "/dead-letters")["dead_letters"]
        return found

    def pubsub(self) -> str:
        """host:port of Pub/Sub's gRPC API."""
        return str(self._client.call("GET", "/status")["pubsub"])

    def daemon(self) -> psutil.Process:
        """The process of the local cloud itself."""
        return psutil.Process(self._client.pid)

    def _clusters(self) -> set[str]:
        return {one["name"] for one in self.clusters()}


@contextlib.contextmanager
def local_cloud(
    charts: Path, say: Say, pace: int = _PACE, settings: Mapping[str, str] | None = None
) -> Iterator[Cloud]:
    """A local cloud at a hundred times Google's pace, or another; stopped and its folder gone at the block's end.

    Raises:
        LocalCloudError: it didn't start.
    """
    with tempfile.TemporaryDirectory(prefix="byomesh-bench-") as name:
        home = Home(Path(name) / "cloud")
        own = Path(name) / "own"
        own.mkdir()
        arguments = ["--project", PROJECT, "--pace", str(pace), "--charts", str(charts)]
        arguments += [part for pair in (settings or {}).items() for part in ("--setting", "=".join(pair))]
        try:
            yield Cloud(start(home, arguments, lambda step: say(f"starting the local cloud: {step}")), own)
        finally:
            stop(home)


def spans(event: Event, time: str) -> bool:
    """Whether a time lies between the beginning of a delivery and its answer."""
    begin = dt.datetime.fromisoformat(event["time"])
    return begin <= dt.datetime.fromisoformat(time) <= begin + dt.timedelta(seconds=event["seconds"])


def creation(events: list[Event]) -> Event | None:
    """The accepted delivery of a creation's last entry among a cluster's deliveries; None where there is none."""
    return next(
        (
            one
            for one in events
            if one["kind"] == "eventarc" and one["error"] is None and one["line"].endswith(": last entry")
        ),
        None,
    )


def until(look: Callable[[], _T | None], what: str, seconds: float = _SECONDS) -> _T:
    """What `look` finds, once it finds something.

    Raises:
        BenchError: it didn't in time.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise BenchError(f"waited {seconds:.0f} s for {what}")
        time.sleep(_POLL)
    return found
