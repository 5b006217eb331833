"""An upgrade is taken back, release by release, wherever a worker was killed before."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml

from shared.errors import Refused
from shared.mesh import lease, rollback
from shared.mesh.lease import Lease
from shared.mesh.upgrade import Previous
from tests.unit.doors import MemoryHelm, clock, release_secret
from tests.unit.memory_kube import MemoryKube
from tests.unit.test_upgrade import UNDER_WAY

SECRETS = "/api/v1/namespaces/linkerd/secrets"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/servers.x"
CONFIG = "/api/v1/namespaces/linkerd/configmaps/config"
UPGRADE = msgspec.structs.replace(
    UNDER_WAY, previous=(Previous("crds", "linkerd", 1), Previous("control", "linkerd", 1)), cause="pods denied"
)
Json = dict[str, Any]


def definition(*versions: str) -> Json:
    found = [{"name": one, "served": True} for one in versions]
    kind, metadata = "CustomResourceDefinition", {"name": "servers.x"}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": {"versions": found}}


def config(text: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}, "data": {"says": text}}


class World:
    """A cluster in the middle of an upgrade."""

    def __init__(self) -> None:
        self.kube = MemoryKube({"/api/v1/namespaces/linkerd": {}})
        self.helm = MemoryHelm(self.kube)
        self.put("crds", 1, "superseded", definition("v1"))
        self.put("control", 1, "superseded", config("old"))
        self.put("crds", 2, "deployed", definition("v1"))
        self.put("control", 2, "deployed", config("new"))

    def put(self, name: str, revision: int, status: str, *manifest: Json) -> None:
        """A revision; the chart's version is the revision's number."""
        chart = {"name": name, "version": f"{revision}.0.0", "appVersion": f"edge-{revision}"}
        text = yaml.safe_dump_all(manifest)
        record = release_secret(name, revision, status, chart=chart, values={}, manifest=text)
        self.kube.put(f"{SECRETS}/{record['metadata']['name']}", record)

    def roll_back(self, *ours: tuple[str, str, str]) -> tuple[str, ...]:
        taken = lease.take(self.kube, "test", 300, clock)
        assert isinstance(taken, Lease)
        with taken:
            return rollback.roll_back(UPGRADE, self.kube, self.helm, ours, taken)


@pytest.fixture
def world() -> World:
    return World()


def test_the_control_plane_goes_back_first_and_then_the_definitions(world: World) -> None:
    assert world.roll_back() == ()
    assert world.helm.rollbacks == [("control", 1, False), ("crds", 1, False)]
    assert world.kube.objects[CONFIG]["data"] == {"says": "old"}


def test_what_is_back_already_is_left_alone(world: World) -> None:
    world.roll_back()
    world.helm.rollbacks.clear()
    assert world.roll_back() == ()
    assert world.helm.rollbacks == []


@pytest.mark.parametrize("status", ["pending-upgrade", "pending-rollback", "uninstalling"])
def test_an_unfinished_revision_is_forgotten_and_gone_back_from(world: World, status: str) -> None:
    world.put("control", 3, status, config("unfinished"))
    world.roll_back()
    assert f"DELETE {SECRETS}/sh.helm.release.v1.control.v3" in world.kube.writes
    assert world.helm.rollbacks[0] == ("control", 1, False)


def test_a_revision_that_failed_is_gone_back_from_though_it_has_the_old_chart(world: World) -> None:
    world.put("control", 2, "failed", config("old"))
    world.roll_back()
    assert world.helm.rollbacks[0] == ("control", 1, False)


def test_a_release_that_is_gone_is_passed_over(world: World) -> None:
    for revision in (1, 2):
        world.kube.delete(f"{SECRETS}/sh.helm.release.v1.control.v{revision}")
    world.roll_back()
    assert world.helm.rollbacks == [("crds", 1, False)]


def test_definitions_stay_where_going_back_would_lose_something(world: World) -> None:
    world.put("crds", 2, "deployed", definition("v1", "v2"))
    assert world.roll_back() == ("release crds stays, for going back would lose servers.x v2, which clients may use",)
    assert world.helm.rollbacks == [("control", 1, False)]


def test_definitions_stay_where_objects_are_stored_in_a_version_that_is_new(world: World) -> None:
    world.kube.put(CRD, {"status": {"storedVersions": ["v1", "v2"]}})
    assert world.roll_back() == (
        "release crds stays, for going back would lose servers.x v2, in which objects may be stored",
    )


def test_a_revision_that_helm_no_longer_has_is_told(world: World) -> None:
    world.kube.delete(f"{SECRETS}/sh.helm.release.v1.control.v1")
    with pytest.raises(Refused, match="the release control has no revision 1 any more") as raised:
        world.roll_back()
    assert raised.value.reason == "RevisionMissing"


def test_fields_of_others_are_taken_back_only_where_they_are_ours(world: World) -> None:
    world.kube.put(CONFIG, config("edited"))
    world.kube.held = lambda path: (("argocd", ".data.says"),) if path == CONFIG else ()
    with pytest.raises(Refused) as raised:
        world.roll_back()
    assert raised.value.reason == "FieldsHeldByOthers"
    assert world.helm.rollbacks == []
    world.roll_back(("ConfigMap", "config", "data"))
    assert world.helm.rollbacks[0] == ("control", 1, True)


def test_what_people_edited_is_taken_back_and_told(world: World) -> None:
    world.kube.put(CONFIG, config("edited"))
    world.kube.held = lambda path: (("kubectl-edit", ".data.says"),) if path == CONFIG else ()
    (told,) = world.roll_back()
    assert told.startswith("taken back: ConfigMap ")
    assert told.endswith(" at .data.says, held by kubectl-edit")
    assert world.helm.rollbacks[0] == ("control", 1, True)
