"""Clusters of several projects, whose audit entries come through aggregated sinks; the policy is in a bucket."""

from __future__ import annotations

from tests.e2e.cloud import LOCATION, Cloud
from tests.e2e.conftest import built_in_policy

SHOP, PAY = (f"projects/{project}/locations/{LOCATION}/clusters/main" for project in ("shop-prod", "pay-prod"))


def test_clusters_of_several_projects_get_what_a_policy_in_a_bucket_says(down_cloud: Cloud) -> None:
    cloud = down_cloud
    cloud.up("--pace", "20", "--scope", "organization", "--policy", "gs://rules/teams/policy.yaml")
    cloud.policy.write_text("schema: 1\nrules: [{name: one, mesh: linkered}]\n")
    assert "there is no mesh 'linkered'" in cloud.local("policy", str(cloud.policy), code=1).err
    cloud.local("policy", str(cloud.policy), "--force")
    assert cloud.create("main", "--project", "shop-prod") == SHOP
    cloud.until(lambda: _refused(cloud, SHOP), "a delivery that is refused for the broken policy")
    assert cloud.statuses(SHOP) == []

    cloud.policy.write_text(built_in_policy())
    cloud.local("policy", str(cloud.policy))
    assert cloud.ready(SHOP)["phase"] == "Ready"
    assert cloud.events(SHOP, "enable_net_admin", kind="eventarc") == []

    cloud.policy.write_text("schema: 1\nrules: [{name: pay, match: {projects: pay-*}, mesh: none}]\n")
    cloud.local("policy", str(cloud.policy))
    assert cloud.create("main", "--project", "pay-prod") == PAY
    cloud.until(lambda: _heard(cloud, PAY), "the creation's delivery")
    assert cloud.cluster(SHOP)["net_admin"]
    assert not cloud.cluster(PAY)["net_admin"]


def _refused(cloud: Cloud, name: str) -> bool:
    return any(one["error"] is not None for one in cloud.events(name, "enable_net_admin"))


def _heard(cloud: Cloud, name: str) -> bool:
    return any(one["error"] is None for one in cloud.events(name, "enable_net_admin"))
