"""From a creation's event to Ready, against the same charts installed by hand on an equal cluster."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from bench import by_hand, hops
from bench.cloud import Cloud, Say
from bench.figures import Breakdown, Comparison, Report
from byomesh.local.build import ensure_binaries
from shared.mesh.profile import load_profile

GOAL = 1.0
"""No slower than by hand."""


def measure(cloud: Cloud, charts: Path, rounds: int, say: Say) -> Report:
    """Ours and by hand, one after the other in every round, each on a cluster that has just been made and is alone.

    Raises:
        BenchError: a cluster didn't become Ready, or Helm failed.
    """
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    totals: list[float] = []
    for number in range(1, rounds + 1):
        say(f"install, round {number} of {rounds}: by the functions")
        total, parts = _by_functions(cloud, f"ours-{number}")
        totals.append(total)
        ours.append(parts)
        say(f"install, round {number} of {rounds}: by hand")
        theirs.append(_by_hand(cloud, charts, f"by-hand-{number}"))
    comparison = Comparison(
        what="creation event to Ready",
        against="the same charts by helm upgrade --install --wait",
        unit="s",
        ours=tuple(totals),
        theirs=tuple(sum(one.values()) for one in theirs),
        goal=GOAL,
    )
    return Report(
        (comparison,),
        (
            Breakdown.of("creation event to Ready, by hop", "s", ours),
            Breakdown.of("by hand", "s", theirs),
        ),
    )


def _by_functions(cloud: Cloud, name: str) -> tuple[float, dict[str, float]]:
    cluster = cloud.create_cluster(name)
    cloud.await_creation(cluster)
    cloud.await_ready(cluster)
    events, statuses = cloud.events(cluster), cloud.statuses(cluster)
    cloud.delete_cluster(cluster)
    return hops.total(events, statuses), hops.hops(events, statuses)


def _by_hand(cloud: Cloud, charts: Path, name: str) -> dict[str, float]:
    profile = load_profile("linkerd")
    # Before the clock starts: a person has certificates at hand.
    values = by_hand.values_by_release(profile, dt.datetime.now(dt.UTC))
    cluster = cloud.create_cluster(name, off=True)
    cloud.await_creation(cluster)
    seconds = by_hand.install(ensure_binaries().helm, profile, charts, values, cloud.kubeconfig(cluster))
    cloud.delete_cluster(cluster)
    return seconds
