"""What a hundred stuck clusters cost the healthy ones: from a creation's last entry to Ready, with and without them."""

from __future__ import annotations

import collections
import datetime as dt
import functools
import statistics
import time
from pathlib import Path
from typing import Any

from bench.cloud import PROJECT, Cloud, Say, local_cloud, until
from bench.creations import cpu_seconds
from bench.figures import BenchError, Breakdown, Comparison, Report

STUCK: dict[str, dict[str, Any]] = {
    "unready": {"clusters": 40, "behind": "never-ready"},
    "broken": {"clusters": 15, "behind": "unavailable"},
    "silent": {"clusters": 15, "behind": "silent"},
    "slow": {"clusters": 5, "behind": "slow"},
    "nobody": {"clusters": 10},
    "busy": {"clusters": 10, "busy": True},
    "endless": {"clusters": 5, "behind": "kubernetes", "operation_seconds": 1e6},
}
"""The stuck clusters, by the beginning of their names."""
_HUNDRED: int = sum(kind["clusters"] for kind in STUCK.values())
_WAITS = {
    **dict.fromkeys(STUCK, ("ApiServerUnavailable", "ClusterBusy", "OperationRunning")),
    "unready": ("PodsNotReady",),
}
"""Reasons of the statuses of who waits."""
HEALTHY = 15
BETWEEN = 3.0
"""Seconds between two creations of healthy clusters."""
_PACE = 1
_LOOK = 1.0
"""Seconds between two looks at all statuses, which cost the local cloud time."""
_LIMIT = 120
_SETTINGS = {
    "BYOMESH_READINESS_STEP": "0.5",
    "BYOMESH_READINESS_LIMIT": str(_LIMIT),
    "BYOMESH_OPERATION_STEP": "0.5",
    "BYOMESH_OPERATION_LIMIT": str(_LIMIT),
    "BYOMESH_CLUSTER_PATIENCE": "20",
}
"""Half an hour of waits in a minute: thirty times the looks in the same time, and thirty times their load.

The limit stands for an hour, so that all still wait while the healthy ones come."""


def measure(charts: Path, rounds: int, say: Say) -> Report:
    """Healthy clusters alone, and healthy clusters beside the stuck ones, each on a cloud of its own.

    Raises:
        BenchError: a healthy cluster didn't become Ready, a stuck one is not Stuck, or something was given up.
    """
    alone: list[list[float]] = []
    beside: list[list[float]] = []
    spent: dict[str, float] = {}
    for number in range(1, rounds + 1):
        say(f"isolation, round {number} of {rounds}: healthy clusters alone")
        with local_cloud(charts, say, pace=_PACE, settings=_SETTINGS) as cloud:
            alone.append(_seconds_to_ready(cloud))
        say(f"isolation, round {number} of {rounds}: beside a hundred stuck ones")
        with local_cloud(charts, say, pace=_PACE, settings=_SETTINGS) as cloud:
            stuck = [_populated(cloud, prefix, kind)[0] for prefix, kind in STUCK.items()]
            until(functools.partial(_all_wait, cloud, stuck), "each stuck cluster to wait")
            beside.append(_seconds_to_ready(cloud))
            until(functools.partial(_stuck, cloud, stuck), "the end of all waiting")
            _check_deliveries(cloud)
            spent = cpu_seconds(cloud)
    comparisons = tuple(
        Comparison(
            what=f"last entry to Ready beside {_HUNDRED} stuck clusters, {name}",
            against="the same without them",
            unit="s",
            ours=tuple(figure(one) for one in beside),
            theirs=tuple(figure(one) for one in alone),
        )
        for name, figure in (("median", statistics.median), ("slowest", max))
    )
    breakdown = Breakdown(what="seconds of processor time beside the stuck ones, by process", unit="s", parts=spent)
    return Report(comparisons, (breakdown,))


def _populated(cloud: Cloud, prefix: str, kind: dict[str, Any]) -> tuple[str, dt.datetime]:
    """Clusters whose creation is told; the beginning of their names, and when the first was told of."""
    asked = {"project": PROJECT, "prefix": prefix, "envelope": "eventarc", "operation_seconds": 0.2, **kind}
    return prefix, dt.datetime.fromisoformat(cloud.populate(asked)["told"])


def _seconds_to_ready(cloud: Cloud) -> list[float]:
    """Seconds of each healthy cluster, one created after the other; the very first isn't counted."""
    told: dict[str, dt.datetime] = {}
    for number in range(HEALTHY + 1):
        prefix, when = _populated(cloud, f"healthy{number}", {"clusters": 1, "behind": "kubernetes"})
        told[prefix] = when
        time.sleep(BETWEEN)
    ready = until(lambda: _ready(cloud, [*told]), "the healthy clusters to be Ready")
    return [(ready[prefix] - when).total_seconds() for prefix, when in [*told.items()][1:]]


def _ready(cloud: Cloud, prefixes: list[str]) -> dict[str, dt.datetime] | None:
    """When each was first said to be Ready; None until all were."""
    time.sleep(_LOOK)
    found: dict[str, dt.datetime] = {}
    for status in cloud.said():
        prefix = _prefix(status["cluster"])
        if status["phase"] == "Ready" and prefix not in found:
            found[prefix] = dt.datetime.fromisoformat(status["time"])
    return found if set(prefixes) <= set(found) else None


def _all_wait(cloud: Cloud, prefixes: list[str]) -> bool:
    """Whether each stuck cluster has come to what it waits for: installing forty meshes is no waiting."""
    time.sleep(_LOOK)
    waiting = [name for name, status in _newest(cloud).items() if status["reason"] in _WAITS.get(_prefix(name), ())]
    return len([name for name in waiting if _prefix(name) in prefixes]) == _HUNDRED


def _stuck(cloud: Cloud, prefixes: list[str]) -> bool:
    time.sleep(_LOOK)
    phases = collections.Counter(
        status["phase"] for name, status in _newest(cloud).items() if _prefix(name) in prefixes
    )
    return dict(phases) == {"Stuck": _HUNDRED}


def _newest(cloud: Cloud) -> dict[str, dict[str, Any]]:
    return {status["cluster"]: status for status in cloud.said() if status["cluster"]}


def _check_deliveries(cloud: Cloud) -> None:
    refused = [one for one in cloud.delivered() if one["error"]]
    if refused or cloud.dead_letters():
        raise BenchError(f"{len(refused)} deliveries were refused, {len(cloud.dead_letters())} given up")


def _prefix(cluster: str | None) -> str:
    return (cluster or "").rpartition("/")[2].rpartition("-")[0]
