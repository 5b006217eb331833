"""The fleet paused and resumed, clusters asked for again, and a limit of one cluster at once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cloud import LOCATION, PROJECT, Cloud

ONE_AT_ONCE = """\
schema: 1
limits: {clustersAtOnce: 1}
rules: [{name: all, mesh: linkerd}]
"""
PAUSED = """\
paused: [{reason: the quarter ends, match: {names: late}}]
"""


@pytest.fixture
def fleet(shared_cloud: Cloud) -> Iterator[list[str]]:
    """Names of clusters that are deleted at the end; the policy is put back, and the fleet goes on."""
    before = shared_cloud.policy.read_text()
    made: list[str] = []
    yield made
    shared_cloud.run("resume", **shared_cloud.json("env"))
    shared_cloud.policy.write_text(before)
    shared_cloud.delete(*made)


def operator(cloud: Cloud, *arguments: str) -> Any:
    """What a command of the operator's prints as JSON."""
    ran = cloud.run(*arguments, "-o", "json", **cloud.json("env"))
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def reasons(cloud: Cloud, name: str) -> list[str]:
    return [one["reason"] for one in cloud.statuses(name)]


def test_a_paused_fleet_waits_and_goes_on_and_a_rerun_by_the_least_writes_nothing(
    shared_cloud: Cloud, fleet: list[str]
) -> None:
    cloud = shared_cloud
    assert all(one["paused"] for one in operator(cloud, "pause"))
    name = cloud.create("waiting", "--label", "team=shop")
    fleet.append(name)
    cloud.until(lambda: "Paused" in reasons(cloud, name), "the cluster to wait for the fleet")
    assert cloud.cluster(name)["net_admin"] is False
    assert not any(one["paused"] for one in operator(cloud, "resume"))
    cloud.ready(name)
    assert "Stuck" not in reasons(cloud, name)

    before, said = cloud.revisions(name), len(cloud.statuses(name))
    dry = operator(cloud, "rerun", "--selector", "team=shop", "--project", PROJECT, "--dry-run")
    assert [(one["cluster"], one["published"]) for one in dry] == [(name, False)]
    assert len(cloud.statuses(name)) == said
    cloud.publish("mesh-install", {"cluster": name})
    cloud.until(lambda: len(cloud.statuses(name, phase="Ready")) > 1, "the rerun to end")
    (followed,) = operator(cloud, "rerun", name, "--wait")
    assert followed["phase"] == "Ready"
    assert cloud.revisions(name) == before


def test_of_three_clusters_one_is_worked_on_at_once_and_all_get_their_mesh(
    shared_cloud: Cloud, fleet: list[str]
) -> None:
    cloud = shared_cloud
    cloud.policy.write_text(ONE_AT_ONCE + PAUSED)
    fleet += [cloud.create(short) for short in ("first", "second", "late")]
    late = f"projects/{PROJECT}/locations/{LOCATION}/clusters/late"
    cloud.until(lambda: "Paused" in reasons(cloud, late), "the cluster to wait for its pause")
    cloud.policy.write_text(ONE_AT_ONCE)
    for name in fleet:
        cloud.ready(name)
    spans = sorted(_worked(cloud, name) for name in fleet)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans)), spans


def _worked(cloud: Cloud, name: str) -> tuple[str, str]:
    """When the mesh was said to be installed, and to be ready; work lies between these at least."""
    said = cloud.statuses(name)
    begun = next(one["time"] for one in said if one["reason"] == "Verifying")
    return begun, next(one["time"] for one in said if one["phase"] == "Ready")
