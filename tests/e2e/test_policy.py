"""Which clusters get a mesh, and how: each of the cast is created at once, as an organisation would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cloud import INSTALLED_ONCE, LOCATION, PROJECT, Cloud

LOCKED = "locked-project"
CAST = {
    "flagged": ("--allow-net-admin",),
    "plain-standard": ("--standard",),
    "asking-standard": ("--standard", "--label", "mesh=linkerd"),
    "opted-out": ("--label", "byomesh=off"),
    "zonal-beta": ("--location", "europe-west1-b", "--api-version", "v1beta1"),
    "denied": ("--project", LOCKED),
}


@pytest.fixture(scope="module")
def cast(shared_cloud: Cloud) -> Iterator[Cloud]:
    shared_cloud.local("deny-net-admin", LOCKED)
    names = [shared_cloud.create(name, *options) for name, options in CAST.items()]
    yield shared_cloud
    shared_cloud.local("deny-net-admin", LOCKED, "--undo")
    shared_cloud.delete(*names)


def updates(cloud: Cloud, name: str) -> list[str]:
    """The words of every status in which an UpdateCluster was begun."""
    return [one["message"] for one in cloud.statuses(name) if one["phase"] == "Enabling"]


def last_entry_taken(cloud: Cloud, name: str) -> bool:
    return bool(
        [one for one in cloud.events(name, "enable_net_admin", error=None) if one["line"].endswith("last entry")]
    )


def test_a_cluster_created_with_the_flag_is_not_updated(cast: Cloud) -> None:
    status = cast.ready("flagged")
    assert status["net_admin"] is True
    assert updates(cast, "flagged") == []
    assert cast.revisions("flagged") == INSTALLED_ONCE


def test_a_standard_cluster_that_asks_for_it_gets_the_mesh(cast: Cloud) -> None:
    status = cast.ready("asking-standard")
    assert status["net_admin"] is None
    assert updates(cast, "asking-standard") == []
    assert cast.revisions("asking-standard") == INSTALLED_ONCE


def test_a_zonal_cluster_of_the_beta_api_gets_net_admin_and_the_mesh(cast: Cloud) -> None:
    status = cast.ready("zonal-beta")
    assert status["cluster"] == f"projects/{PROJECT}/locations/europe-west1-b/clusters/zonal-beta"
    assert len(updates(cast, "zonal-beta")) == 1
    assert cast.revisions("zonal-beta") == INSTALLED_ONCE
    methods = {one["what"] for one in cast.events("zonal-beta", "enable_net_admin")}
    assert methods == {"google.container.v1beta1.ClusterManager.CreateCluster"}


@pytest.mark.parametrize("name", ["plain-standard", "opted-out"])
def test_who_wants_no_mesh_is_left_alone(cast: Cloud, name: str) -> None:
    cast.until(lambda: last_entry_taken(cast, name), f"the last entry of {name}")
    assert cast.statuses(name) == []
    assert {one["target"] for one in cast.events(name)} == {"enable_net_admin"}
    assert cast.revisions(name) == {}


def test_a_denial_by_the_organisation_is_refused_in_its_words(cast: Cloud) -> None:
    ran = cast.run("local", "wait", "denied", "--timeout", "120")
    assert ran.code == 1
    assert "customConstraints/custom.denyAllowNetAdmin" in ran.out
    assert "NET_ADMIN must stay disabled on Autopilot clusters." in ran.out
    (status,) = cast.statuses("denied")
    assert (status["phase"], status["mesh"]) == ("Refused", "")
    assert all(one["error"] is None for one in cast.events("denied"))
    assert cast.revisions("denied") == {}


def test_a_rejected_creation_is_ignored(shared_cloud: Cloud) -> None:
    ran = shared_cloud.local("create-cluster", "Not_A_Name", code=1)
    assert ran.err.startswith("error: INVALID_ARGUMENT: Invalid value for field")
    name = f"projects/{PROJECT}/locations/{LOCATION}/clusters/Not_A_Name"

    def arrived() -> list[dict[str, Any]]:
        return [one for one in shared_cloud.events(function="enable_net_admin") if one["cluster"] == name]

    (event,) = shared_cloud.until(arrived, "the entry of the rejected call")
    assert "rejected" in event["line"]
    assert event["error"] is None
    assert [one for one in shared_cloud.statuses() if one["cluster"] == name] == []
    assert [one for one in shared_cloud.clusters() if one["name"] == name] == []
