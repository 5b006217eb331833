"""An operator's policy: one cluster, and a file that changes under running functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.cloud import LOCATION, PROJECT, Cloud

RULE = """\
schema: 1
rules:
  - name: one-cluster
    match: {{names: governed, autopilot: true}}
    {keys}
"""
NAME = f"projects/{PROJECT}/locations/{LOCATION}/clusters/governed"
BEGIN = {"cluster": NAME, "mesh": "linkerd", "reason": "created"}
"""Begins with enabling, as a cluster's creation does."""
LEAST = {"cluster": NAME, "mesh": "linkerd"}


@pytest.fixture
def rule(shared_cloud: Cloud) -> Iterator[Callable[[str], None]]:
    """Write a policy whose only rule is for the cluster and has these keys; the built-in one is put back at the end."""
    before = shared_cloud.policy.read_text()

    def write(keys: str) -> None:
        shared_cloud.policy.write_text(RULE.format(keys=keys))

    yield write
    shared_cloud.policy.write_text(before)
    shared_cloud.delete(NAME)


def told(cloud: Cloud, reason: str) -> dict[str, Any]:
    """The newest status of the cluster, once its reason is this one."""

    def newest() -> dict[str, Any] | None:
        said = cloud.statuses(NAME)
        return said[-1] if said and said[-1]["reason"] == reason else None

    return cloud.until(lambda: newest() or {}, f"a status {reason}")


def refused(cloud: Cloud) -> list[dict[str, Any]]:
    """The deliveries of the cluster's creation that were refused."""
    found = cloud.events(NAME, "enable_net_admin", kind="eventarc")
    return [one for one in found if one["error"] is not None]


def test_a_policy_is_followed_as_it_changes_and_a_broken_one_loses_nothing(
    shared_cloud: Cloud, rule: Callable[[str], None]
) -> None:
    cloud = shared_cloud
    cloud.policy.write_text("schema: 1\nrules: [{name: one-cluster, mesh: linkered}]\n")
    assert cloud.create("governed") == NAME
    cloud.until(lambda: refused(cloud), "a delivery to be refused, because the policy is broken")
    assert cloud.statuses(NAME) == []

    # Corrected: what was refused comes again, and is only reported on.
    rule("mesh: linkerd\n    mode: audit")
    status = told(cloud, "AuditOnly")
    assert status["phase"] == "Refused"
    assert "enforced, it would turn on allow-net-admin and queue linkerd" in status["message"]
    assert cloud.cluster(NAME)["net_admin"] is False

    rule("mesh: linkerd\n    netAdmin: forbidden")
    cloud.publish("cluster-events", BEGIN)
    assert "which the rule one-cluster forbids" in told(cloud, "NetAdminForbidden")["message"]

    rule("mesh: linkerd\n    netAdmin: leave")
    cloud.publish("cluster-events", BEGIN)
    assert "--workload-policies=allow-net-admin" in told(cloud, "NetAdminNotAllowed")["message"]
    assert cloud.cluster(NAME)["net_admin"] is False

    rule("mesh: none\n    reason: governed is no place for a mesh")
    cloud.publish("mesh-install", LEAST)
    assert "governed is no place for a mesh" in told(cloud, "OptedOut")["message"]
    assert cloud.revisions(NAME) == {}

    rule("mesh: linkerd\n    values: {linkerd-control-plane: {controllerLogLevel: debug}}")
    explained = json.loads(cloud.run("policy", "explain", NAME, "-o", "json", **cloud.json("env")).out)
    assert explained["decision"]["rule"] == "one-cluster"
    assert [one["holds"] for one in explained["rules"][1]["conditions"]] == [True, True]
    cloud.publish("cluster-events", BEGIN)
    cloud.ready(NAME)
    with cloud.kube(NAME) as api:
        config = api.get("/api/v1/namespaces/linkerd/configmaps/linkerd-config")
    assert config is not None
    assert "controllerLogLevel: debug" in config["data"]["values"]
