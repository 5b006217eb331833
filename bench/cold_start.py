"""Each function from its process's start to its first handled event, and its memory then, against two others.

The others are started in the same way, with the same environment and the same event: one that loads the same client
libraries and does nothing, and one that loads nothing at all.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import http.client
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from bench import imports
from bench.cloud import LOCATION, PROJECT, Cloud, Say
from bench.figures import BenchError, Breakdown, Comparison, Report
from byomesh.local.eventarc import event_headers
from byomesh.local.functions import free_port
from byomesh.local.gke import audit
from byomesh.local.processes import Process
from byomesh.local.pubsub.message import Message, push_body
from shared.model import ClusterRef, InstallRequest, VerifyRequest, encode

GOAL = 1.2
_GONE = ClusterRef(PROJECT, LOCATION, "gone")
_POLL = 0.002
_SECONDS = 60.0
_MIB = 1 << 20
_MEASURES = (
    ("start to first event", "s", "seconds"),
    ("processor time of it", "s", "processor"),
    ("memory then", "MiB", "mib"),
)
"""What a start is measured by: words, unit, field of `Start`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Posted:
    """An event as it comes to a function."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Launch:
    """How a function is started, but for its port."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """One start, up to the answer to the first event.

    Attributes:
        seconds: since the process's start.
        processor: seconds of processor time; what others do on the machine hardly disturbs them.
        mib: memory at that moment.
    """

    seconds: float
    processor: float
    mib: float


def events() -> dict[str, Posted]:
    """For each function an event about a cluster that doesn't exist: read from GKE, told as a status, and done."""
    now = dt.datetime.now(dt.UTC)
    call = audit.Audited(_GONE, "CreateCluster", "v1", "operator@example.com", "bench", "127.0.0.1", {})
    entry = audit.last(call, audit.AuditedOperation("operation-1-bench", "CREATE_CLUSTER", now), now)
    requests = {
        "install_mesh": ("mesh-install", InstallRequest(cluster=_GONE, mesh="linkerd", request_id="bench")),
        "verify_mesh": ("mesh-verify", VerifyRequest(cluster=_GONE, mesh="linkerd", request_id="bench")),
    }
    found = {"enable_net_admin": Posted("/", event_headers(entry), json.dumps(entry).encode())}
    for function, (topic, request) in requests.items():
        message = Message(id="1", data=encode(request), attributes={"cluster": str(_GONE)}, published=now)
        subscription = f"projects/{PROJECT}/subscriptions/{topic}"
        found[function] = Posted(
            f"/projects/{PROJECT}/topics/{topic}",
            {"Content-Type": "application/json"},
            push_body(message, subscription=subscription, delivery_attempt=1),
        )
    return found


def replaced(arguments: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """A command line with other values behind some of its options."""
    pairs = zip(["", *arguments], arguments, strict=False)
    return tuple(values.get(before, one) for before, one in pairs)


def warm(environment: Mapping[str, str], bytecode: Path) -> dict[str, str]:
    """An environment in which Python keeps what it has compiled, as a deployed function's image does."""
    kept = {key: value for key, value in environment.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(bytecode)}


def measure(cloud: Cloud, rounds: int, say: Say) -> Report:
    """All functions and what each is held against, alternating, after a round that only fills the caches.

    Raises:
        BenchError: one didn't start, or didn't handle its event.
    """
    posted, families = events(), _families(cloud)
    found: dict[str, list[Start]] = {one.name: [] for family in families.values() for one in family}
    for number in range(rounds + 1):
        where = f"functions, round {number} of {rounds}" if number else "functions, filling caches"
        for function, family in families.items():
            for launch in family:
                say(f"{where}: {launch.name}")
                start = first_event(launch, posted[function], cloud.folder)
                if number:
                    found[launch.name].append(start)
    comparisons = [
        comparison
        for function, family in families.items()
        for comparison in _compare(function, [found[launch.name] for launch in family])
    ]
    return Report(tuple(comparisons), (_memory(cloud),))


def _families(cloud: Cloud) -> dict[str, list[Launch]]:
    """By function: itself, the one that loads the same libraries, and the one that loads nothing."""
    families = {}
    for name, process in cloud.functions().items():
        arguments, environment = process.cmdline(), warm(process.environ(), cloud.folder / "bytecode")
        clients = imports.of_function(Path(arguments[arguments.index("--source") + 1]), environment)
        families[name] = [Launch(name, tuple(arguments), environment)]
        for kind, statements in (("libraries", clients), ("hello", [])):
            source = cloud.folder / f"{name}-{kind}" / "main.py"
            source.parent.mkdir()
            source.write_text(imports.baseline(name, statements), encoding="utf-8")
            other = replaced(arguments, {"--source": str(source)})
            families[name].append(Launch(f"{name}-{kind}", other, environment))
    return families


def _compare(function: str, found: Sequence[Sequence[Start]]) -> list[Comparison]:
    ours, libraries, hello = found
    comparisons = []
    for against, other, goal in (
        ("its client libraries alone", libraries, GOAL),
        ("hello-world", hello, None),
    ):
        for what, unit, field in _MEASURES:
            comparisons.append(
                Comparison(
                    what=f"{function}: {what}",
                    against=against,
                    unit=unit,
                    ours=tuple(getattr(one, field) for one in ours),
                    theirs=tuple(getattr(one, field) for one in other),
                    goal=goal,
                )
            )
    return comparisons


def first_event(launch: Launch, posted: Posted, logs: Path) -> Start:
    """Start a function, send it its first event as soon as it listens, measure, and stop it.

    Raises:
        BenchError: it ended, didn't listen within a minute, or answered another status than 200.
    """
    port = free_port()
    arguments = replaced(launch.arguments, {"--port": str(port)})
    began = time.perf_counter()
    process = Process.start(launch.name, arguments, logs=logs, environment=launch.environment)
    try:
        while (status := _post(port, posted)) is None:
            process.check()
            if time.perf_counter() - began > _SECONDS:
                raise BenchError(f"{launch.name} didn't listen within {_SECONDS:.0f} s:\n{process.tail()}")
            time.sleep(_POLL)
        seconds = time.perf_counter() - began
        if status != http.client.OK:
            raise BenchError(f"{launch.name} answered its first event with {status}:\n{process.tail()}")
        running = psutil.Process(process.pid)
        return Start(seconds, tree_processor(running), tree_mib(running))
    finally:
        asyncio.run(process.stop())


def _post(port: int, posted: Posted) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("POST", posted.path, posted.body, dict(posted.headers))
        return connection.getresponse().status
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()


def tree_processor(process: psutil.Process) -> float:
    """Seconds of processor time that a process and all its children have used."""
    times = [one.cpu_times() for one in [process, *process.children(recursive=True)]]
    return float(sum(one.user + one.system for one in times))


def tree_mib(process: psutil.Process) -> float:
    """The proportional set size of a process and all its children: what is shared counts by its share."""
    return float(sum(one.memory_full_info().pss for one in [process, *process.children(recursive=True)])) / _MIB


def _memory(cloud: Cloud) -> Breakdown:
    parts = {name: tree_mib(process) for name, process in cloud.functions().items()}
    return Breakdown(what="the local cloud's own functions at the end, in memory", unit="MiB", parts=parts)
