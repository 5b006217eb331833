"""A hundred clusters, stuck in every way there is for what stands for half an hour, and healthy ones among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cloud import LOCATION, PROJECT, Cloud, cloud

LIMIT = 36
"""Seconds after which a cluster is Stuck here; half an hour, or an hour, in production."""
SETTINGS = {
    "BYOMESH_READINESS_STEP": "4",
    "BYOMESH_READINESS_LIMIT": str(LIMIT),
    "BYOMESH_OPERATION_STEP": "4",
    "BYOMESH_OPERATION_LIMIT": str(LIMIT),
    "BYOMESH_CLUSTER_PATIENCE": "20",
}
NEVER = "100000"
STUCK: dict[str, tuple[int, tuple[str, ...], str]] = {
    "unready": (24, ("--behind", "never-ready"), "PodsNotReady"),
    "broken": (20, ("--behind", "unavailable"), "ApiServerUnavailable"),
    "silent": (16, ("--behind", "silent"), "ApiServerUnavailable"),
    "slow": (4, ("--behind", "slow"), "ApiServerUnavailable"),
    "nobody": (26, ("--behind", "nothing"), "ApiServerUnavailable"),
    "busy": (6, ("--busy",), "ClusterBusy"),
    "endless": (4, ("--behind", "kubernetes", "--operation-seconds", NEVER), "OperationRunning"),
}
"""How many of each kind, by the beginning of their names: how they are made, and why they are Stuck."""


@pytest.fixture
def fast_cloud() -> Iterator[Cloud]:
    """A local cloud in which half an hour of waits passes in less than a minute."""
    with cloud() as made:
        made.up("--pace", "4", *(part for pair in SETTINGS.items() for part in ("--setting", "=".join(pair))))
        yield made


def populated(made: Cloud, prefix: str, count: int, *options: str) -> list[str]:
    """Clusters that are there at once, with their creation told; their full names."""
    seconds = () if "--operation-seconds" in options else ("--operation-seconds", "0.5")
    made.local("populate", "-n", str(count), "--prefix", prefix, "--events", *seconds, *options)
    parent = f"projects/{PROJECT}/locations/{LOCATION}/clusters"
    return [f"{parent}/{prefix}-{number:05}" for number in range(1, count + 1)]


def newest(made: Cloud) -> dict[str, dict[str, Any]]:
    """The newest status of each cluster that there was one of."""
    return {one["name"]: one["mesh"] for one in made.clusters() if one["mesh"]}


def test_a_hundred_stuck_clusters_refuse_no_delivery_and_keep_nobody_from_his_mesh(fast_cloud: Cloud) -> None:
    stuck: dict[str, str] = {}
    for prefix, (count, options, reason) in STUCK.items():
        stuck |= dict.fromkeys(populated(fast_cloud, prefix, count, *options), reason)
    assert len(stuck) == 100
    fast_cloud.until(lambda: {*stuck} <= {*newest(fast_cloud)}, "a word on each stuck cluster")

    healthy = [*populated(fast_cloud, "healthy", 5, "--behind", "kubernetes"), fast_cloud.create("real")]
    for name in healthy:
        assert fast_cloud.ready(name)["phase"] == "Ready"

    def ended() -> bool:
        said = newest(fast_cloud)
        return all(said[name]["phase"] == "Stuck" for name in stuck)

    fast_cloud.until(ended, "the end of all waiting")
    said = newest(fast_cloud)
    assert {name: said[name]["reason"] for name in stuck} == stuck
    for name in stuck:
        assert said[name]["message"].endswith(f"longer than the {LIMIT} s allowed"), said[name]
    assert {said[name]["phase"] for name in healthy} == {"Ready"}
    # Nothing was refused, so no subscription was slowed down, and nothing was given up.
    assert [one for one in fast_cloud.events() if one["error"] is not None] == []
    assert fast_cloud.json("events", "--dead-letters") == []
