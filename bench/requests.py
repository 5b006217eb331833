"""How many requests each function sends for one installation, and for a rerun on a healthy cluster, and to whom."""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from bench import hops
from bench.cloud import Cloud, Say, local_cloud
from bench.figures import SHARE, Breakdown, Report
from bench.hops import Delivery

TRACER = Path(__file__).parent / "tracer"
"""A folder for PYTHONPATH; its sitecustomize notes requests."""
_KUBE = re.compile(
    r"[^/]+/(?:api|apis/[^/?]+)/[^/?]+(?:/namespaces/[^/?]+(?=/[^/?]))?"
    r"/(?P<plural>[^/?]+)(?P<name>/[^?]+)?(?:\?(?P<query>.*))?"
)
_HERE = "127.0.0.1:"
_VERBS = {"POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}

Note = Mapping[str, Any]


def measure(charts: Path, say: Say) -> Report:
    """Install on one cluster, then ask for the same again; both on a cloud of their own, whose functions are traced.

    Raises:
        BenchError: the cluster didn't become Ready.
    """
    with traced(), local_cloud(charts, say) as cloud:
        say("requests: one installation")
        cluster = cloud.create_cluster("requests")
        cloud.await_creation(cluster)
        cloud.await_ready(cluster)
        installed = cloud.events(cluster)
        say("requests: a rerun")
        cloud.await_rerun(cluster, "mesh-install")
        rerun = [Delivery.of(one) for one in cloud.events(cluster)[len(installed) :]]
        notes = read(cloud)
    return Report(
        breakdowns=(
            *_breakdowns("an installation", hops.deliveries(installed), notes),
            *_breakdowns("a rerun that finds nothing to do", rerun, notes),
        )
    )


@contextlib.contextmanager
def traced() -> Iterator[None]:
    """What is started inside notes its requests; the local cloud hands PYTHON… on to the functions."""
    with mock.patch.dict(os.environ, {"PYTHONPATH": str(TRACER)}):
        yield


def read(cloud: Cloud) -> dict[str, list[Note]]:
    """What each function's process has noted: whole lines, since it may be at work on its next one."""
    files = {name: Path(one.environ()["TMPDIR"]) / "requests.jsonl" for name, one in cloud.functions().items()}
    texts = {name: file.read_text() if file.exists() else "" for name, file in files.items()}
    return {
        name: [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        for name, text in texts.items()
    }


def _breakdowns(what: str, deliveries: Iterable[Delivery], notes: Mapping[str, Iterable[Note]]) -> list[Breakdown]:
    numbers, seconds = counted(deliveries, notes)
    return [
        Breakdown(what=f"requests of {what}", unit="requests", parts=numbers),
        Breakdown(
            what=f"seconds that these took, added up, though some run side by side ({what})", unit="s", parts=seconds
        ),
    ]


def counted(
    deliveries: Iterable[Delivery], notes: Mapping[str, Iterable[Note]]
) -> tuple[dict[str, float], dict[str, float]]:
    """How many requests were sent in the time of these deliveries, and their seconds: by function, and by request."""
    numbers: collections.Counter[tuple[str, str]] = collections.Counter()
    seconds: collections.defaultdict[tuple[str, str], float] = collections.defaultdict(float)
    for delivery in deliveries:
        for note in notes.get(delivery.target, ()):
            if delivery.begin <= dt.datetime.fromtimestamp(note["time"], dt.UTC) <= delivery.end:
                key = (delivery.target, request_name(note))
                numbers[key] += 1
                seconds[key] += note["seconds"]
    return _tree(numbers), _tree(seconds)


def _tree(figures: Mapping[tuple[str, str], float]) -> dict[str, float]:
    tree: dict[str, float] = {}
    for function in dict.fromkeys(function for function, _ in figures):
        inner = {request: figure for (one, request), figure in figures.items() if one == function}
        tree[function] = sum(inner.values())
        tree |= {f"{function}{SHARE}{request}": figure for request, figure in sorted(inner.items())}
    return tree


def request_name(note: Note) -> str:
    """A request in words: `ClusterManager GetCluster`, `cluster list secrets`, `cluster patch pods, dry run`."""
    target: str = note["target"]
    if note["kind"] == "grpc":
        return f"{target} {note['method']}"
    matched = _KUBE.fullmatch(target)
    if matched is None:
        return _other(target)
    read = "get" if matched["name"] else "list"
    dry = ", dry run" if "dryRun" in (matched["query"] or "") else ""
    return f"cluster {_VERBS.get(note['method'], read)} {matched['plural']}{dry}"


def _other(target: str) -> str:
    """What is no cluster's object: a path on this machine, or another host by name, of which there should be none."""
    host, _, path = target.partition("?")[0].partition("/")
    if not host.startswith(_HERE):
        return f"{host} …/{path.rpartition('/')[2]}"
    return "cluster discovery" if path.startswith("api") else f"/{path}"
