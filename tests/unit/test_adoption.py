"""A mesh of others is taken over without that anything of it changes, or it is refused before anything is written."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml

from shared.errors import Refused
from shared.mesh import adoption, apply, lease
from shared.mesh.adoption import Owned
from shared.mesh.engine import Mesh
from shared.mesh.lease import Lease
from shared.mesh.linkerd import adopting
from shared.mesh.plan import Kind, Plan, RunHelm, WriteObject
from shared.mesh.profile import load_profile
from shared.mesh.releases import newest
from shared.model import MeshSettings
from tests.unit.doors import SETTINGS, MemoryHelm, MemoryStore, autopilot, clock, release_secret
from tests.unit.memory_kube import MemoryKube

Json = dict[str, Any]
PROFILE = load_profile("linkerd")
LINKERD = "/api/v1/namespaces/linkerd"
CONFIG = f"{LINKERD}/configmaps/linkerd-config"
OVERRIDES = f"{LINKERD}/secrets/linkerd-config-overrides"
NAMES = ["linkerd-crds", "linkerd-control-plane"]
THEIRS: Json = {
    "controllerLogLevel": "debug",
    "identityTrustAnchorsPEM": "their root",
    "identity": {"issuer": {"tls": {"keyPEM": "their key"}}},
    "proxy": {"logLevel": "trace", "image": {"version": "edge-26.6.3"}},
    "proxyInjector": {"caBundle": "theirs", "keyPEM": "their key"},
    "linkerdVersion": "edge-26.6.3",
}
KEPT: Json = {"controllerLogLevel": "debug", "proxy": {"logLevel": "trace"}}


def live(manager: str = "kubectl-client-side-apply", **marks: str) -> Json:
    fields = [{"manager": manager}]
    return {"kind": "ConfigMap", "metadata": {"name": "c", "annotations": marks, "managedFields": fields}}


def owned_by(release: str, namespace: str) -> Json:
    return live("helm", **{"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace})


def found(*objects: Json, running: str = "edge-1", chart: str = "edge-1") -> str:
    return "; ".join(adoption.obstacles(objects, NAMES, "linkerd", running, chart))


@pytest.mark.parametrize(
    "one", [live(), live("linkerd"), live("kubectl-edit"), owned_by("linkerd-crds", "linkerd"), {}]
)
def test_what_was_applied_once_may_be_taken_over(one: Json) -> None:
    assert found(one) == ""


def test_another_version_comes_afterwards() -> None:
    assert found(chart="edge-2").startswith(
        "edge-1 runs and the charts at hand are of edge-2: put the charts of edge-1"
    )
    assert found(running="", chart="edge-2") == ""


@pytest.mark.parametrize(("release", "namespace"), [("linkerd", "linkerd"), ("linkerd-crds", "default")])
def test_a_release_of_another_name_is_refused_with_what_to_do(release: str, namespace: str) -> None:
    words = found(owned_by(release, namespace), owned_by(release, namespace))
    assert words.startswith(
        f"it belongs to another Helm release, {release} in {namespace} (of ConfigMap c): Helm can't rename"
    )


@pytest.mark.parametrize(
    "one",
    [live("argocd-controller"), live("kustomize-controller"), live(**{"argocd.argoproj.io/tracking-id": "x"})],
)
def test_who_applies_it_again_and_again_must_let_go_first(one: Json) -> None:
    assert "it is still applied by " in found(one)
    assert "take the mesh out of what that applies, unpruned" in found(one)


def test_many_are_named_by_the_first() -> None:
    objects = [{**live("argocd-controller"), "kind": f"K{number}"} for number in range(5)]
    assert "(of K0 c), argocd-controller (of K1 c), argocd-controller (of K2 c) and 2 more" in found(*objects)


def test_values_are_left_out_by_path() -> None:
    values = {"a": {"b": 1, "c": 2}, "d": {"e": 3}, "f": 4}
    assert adoption.without(values, ["a.b", "d.e", "f.g", "h.i", "x"]) == {"a": {"c": 2}, "f": 4}
    assert values["d"] == {"e": 3}


def test_kept_values_are_read_back_and_what_somebody_mangled_is_left_out() -> None:
    written = adoption.to_write(Owned(version="edge-1", values={"r": KEPT}))
    assert adoption.kept_values(written) == {"r": KEPT}
    assert adoption.kept_values({"data": {"r": "{", "s": "[]"}}) == {}
    assert adoption.kept_values(None) == {}


def cli(kube: MemoryKube) -> None:
    """As the CLI leaves a cluster."""
    text = yaml.safe_dump(THEIRS).encode()
    kube.put(OVERRIDES, {"data": {"linkerd-config-overrides": base64.b64encode(text).decode()}})


def helm(kube: MemoryKube) -> None:
    """As Helm leaves a cluster."""
    for name in NAMES:
        chart = {"name": name, "version": "2026.6.3", "appVersion": "edge-26.6.3"}
        values = THEIRS if name == NAMES[1] else {"installGatewayAPI": False}
        record = release_secret(name, 1, "deployed", chart=chart, values=values, manifest="")
        kube.put(f"{LINKERD}/secrets/{record['metadata']['name']}", record)


@pytest.mark.parametrize("install", [cli, helm])
def test_the_owners_values_are_read_without_certificates_and_versions(install: Any) -> None:
    kube = there(install)
    releases = newest(list(kube.list_items(f"{LINKERD}/secrets", field_selector="type=helm.sh/release.v1")))
    owned = adopting.owned(kube, "linkerd", releases)
    assert owned.version == "edge-26.6.3"
    assert owned.values[NAMES[1]] == KEPT
    assert "their key" not in f"{owned}"


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_overrides_that_are_no_values_are_none(text: str) -> None:
    data = {"linkerd-config-overrides": base64.b64encode(text.encode()).decode()}
    assert adopting.owned(MemoryKube({OVERRIDES: {"data": data}}), "linkerd", {}) == Owned(version="", values={})
    bad = {"linkerd-config-overrides": "%"}
    assert adopting.owned(MemoryKube({OVERRIDES: {"data": bad}}), "linkerd", {}).values == {}


def there(install: Any, version: str = "edge-26.6.3") -> MemoryKube:
    kube = MemoryKube({LINKERD: {"metadata": {"labels": {"team": "mesh"}}}})
    fields = [{"manager": "kubectl-client-side-apply"}]
    kube.put(CONFIG, {"metadata": {"managedFields": fields}, "data": {"values": f"linkerdVersion: {version}\n"}})
    install(kube)
    return kube


class World:
    """A cluster with a mesh of others."""

    def __init__(self, kube: MemoryKube) -> None:
        self.kube = kube
        self.helm = MemoryHelm(kube)
        self.store = MemoryStore()

    def mesh(self, *, adopt: bool = True) -> Mesh:
        wish = MeshSettings(adopt=adopt)
        return Mesh(PROFILE, autopilot(), self.kube, self.helm, SETTINGS, self.store, clock, wish)

    def bring_about(self, *, steps: int | None = None) -> Plan:
        mesh = self.mesh()
        plan = mesh.plan()
        cut_off = Plan(kind=plan.kind, steps=plan.steps[:steps])
        taken = lease.take(self.kube, "test", 300, clock)
        assert isinstance(taken, Lease)
        with taken:
            apply.carry_out(cut_off, self.kube, self.helm, mesh.desired.ours, taken)
        return plan

    def values(self) -> Json:
        records = list(self.kube.list_items(f"{LINKERD}/secrets", field_selector="type=helm.sh/release.v1"))
        return newest(records)[NAMES[1]].values


@pytest.mark.parametrize("install", [cli, helm])
def test_it_is_taken_over_where_the_policy_says_so(install: Any) -> None:
    world = World(there(install))
    assert world.mesh(adopt=False).plan().kind is Kind.REFUSE
    assert world.kube.writes == []
    plan = world.bring_about()
    assert isinstance(plan.steps[0], WriteObject)
    assert world.helm.taken_over == (NAMES if install is cli else [])
    kept = json.loads(world.kube.objects[adoption.PATH]["data"][NAMES[1]])
    assert kept == KEPT
    values = world.values()
    assert (values["controllerLogLevel"], values["proxy"]["logLevel"]) == ("debug", "trace")
    assert values["identity"] == {"issuer": {"scheme": "kubernetes.io/tls"}}
    assert world.mesh().plan().kind is Kind.NOTHING
    world.kube.objects.pop(adoption.PATH)
    assert "controllerLogLevel" in world.mesh().plan().reason


@pytest.mark.parametrize("steps", range(1, 9))
def test_a_take_over_that_was_cut_off_is_ended_by_the_next(steps: int) -> None:
    world = World(there(cli))
    first = world.bring_about(steps=steps)
    if not any(isinstance(step, RunHelm) for step in first.steps[steps:]):
        return
    world.bring_about()
    assert set(world.helm.taken_over) == set(NAMES)
    assert world.values()["controllerLogLevel"] == "debug"
    assert world.mesh().plan().kind is Kind.NOTHING


def test_what_cannot_be_taken_over_is_refused_before_anything_is_written() -> None:
    world = World(there(cli, version="edge-26.8.9"))
    with pytest.raises(Refused, match=r"edge-26\.8\.9 runs and the charts at hand are of edge-26\.6\.3") as raised:
        world.mesh().plan()
    assert raised.value.reason == "AdoptionRefused"
    assert world.kube.writes == []


def test_a_secret_that_cert_manager_renews_is_named() -> None:
    world = World(there(cli))
    marks = {"cert-manager.io/certificate-name": "linkerd-identity-issuer"}
    world.kube.put(f"{LINKERD}/secrets/linkerd-identity-issuer", {"metadata": {"annotations": marks}})
    with pytest.raises(Refused, match=r"still applied by cert-manager\.io/certificate-name"):
        world.mesh().plan()


def test_fields_that_others_hold_are_refused_before_anything_is_written() -> None:
    world = World(there(helm))
    world.kube.held = lambda path: (("kubectl-edit", ".metadata.labels.x"),) if path == CONFIG else ()
    with pytest.raises(Refused) as raised:
        world.mesh().plan()
    assert raised.value.reason == "FieldsHeldByOthers"
    assert world.kube.writes == []


def test_a_mesh_of_ours_whose_record_is_lost_is_not_taken_over() -> None:
    kube = there(cli)
    kube.put(LINKERD, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "byomesh"}}})
    kube.put(CONFIG, {"metadata": {"annotations": {"meta.helm.sh/release-name": NAMES[1]}}})
    world = World(kube)
    world.bring_about()
    assert world.helm.taken_over == []


def test_a_mesh_that_its_owner_handed_over_by_the_label_is_taken_over() -> None:
    kube = there(cli)
    kube.put(LINKERD, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "byomesh"}}})
    world = World(kube)
    world.bring_about()
    assert world.helm.taken_over == NAMES
    assert world.values()["controllerLogLevel"] == "debug"
    assert world.mesh().plan().kind is Kind.NOTHING
