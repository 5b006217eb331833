"""What would mend a mesh of others: found, shown as a dry run, carried out, and what is left alone."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml

from shared.errors import Permanent, Temporary
from shared.kube import Conflict
from shared.mesh import mending
from shared.mesh.drift import ObjectName, owned_by_helm
from shared.mesh.linkerd.networks import DEFAULT_NETWORKS
from shared.mesh.mending import Mending, ObservedRanges
from shared.mesh.profile import load_profile
from shared.mesh.releases import decode_release
from shared.model import Repair
from tests.unit.doors import NOW, release_secret
from tests.unit.memory_kube import Json, MemoryKube

PROFILE = load_profile("linkerd")
LINKERD = "/api/v1/namespaces/linkerd"
CONFIG = f"{LINKERD}/configmaps/linkerd-config"
EXTRA = f"{LINKERD}/configmaps/extra"
OVERRIDES = f"{LINKERD}/secrets/linkerd-config-overrides"
RELEASE = f"{LINKERD}/secrets/sh.helm.release.v1.linkerd-control-plane.v1"
RANGES = ObservedRanges(("10.4.0.0/24",), ("34.118.224.0/20",))
NETWORKS = f"{DEFAULT_NETWORKS},34.118.224.0/20"


def config(networks: str) -> Json:
    values = yaml.safe_dump({"clusterNetworks": networks, "linkerdVersion": "edge-26.6.3"}, width=10_000)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "linkerd-config", "namespace": "linkerd"},
        "data": {"values": values},
    }


def extra(**data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra"}, "data": data}


def overrides(text: str, **metadata: Any) -> Json:
    data = {"linkerd-config-overrides": base64.b64encode(text.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def owned(obj: Json) -> Json:
    return owned_by_helm(obj, "linkerd-control-plane", "linkerd", namespaced=True)


def record(*objects: Json, status: str = "deployed") -> Json:
    manifest = yaml.safe_dump_all(objects)
    return release_secret("linkerd-control-plane", 1, status, chart={}, values={}, manifest=manifest)


@pytest.fixture
def kube() -> MemoryKube:
    """A mesh of two objects, as its release has them: with the chart's networks, which lack the Services."""
    found = MemoryKube({LINKERD: {}, RELEASE: record(config(DEFAULT_NETWORKS), extra(a="1"))})
    for one in (config(DEFAULT_NETWORKS), extra(a="1")):
        wished = owned(one)
        found.apply(found.path_of(wished), wished, field_manager="helm", force=False)
    found.put("/api/v1/namespaces/default/services/kubernetes", {"spec": {"clusterIP": "34.118.224.1"}})
    found.writes.clear()
    return found


@pytest.fixture
def by_hand(kube: MemoryKube) -> MemoryKube:
    """The same mesh, of which Helm knows nothing."""
    kube.objects.pop(RELEASE)
    return kube


def find(kube: MemoryKube) -> Mending:
    found = mending.find(kube, PROFILE, RANGES, NOW, None)
    assert kube.writes == []
    return found


def mended(kube: MemoryKube) -> None:
    """The cluster with the right networks, written by somebody and held by nobody."""
    kube.put(CONFIG, {**kube.objects[CONFIG], "data": config(NETWORKS)["data"]})
    kube.put(RELEASE, record(config(NETWORKS), extra(a="1")))


# Ranges ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("serves_cidrs", [True, False])
def test_the_ranges_are_the_nodes_and_the_service_cidrs_of_clusters_that_have_them(serves_cidrs: bool) -> None:
    kube = MemoryKube()
    for name, cidrs in {"a": ["10.4.0.0/24", "fd01::/64"], "b": ["10.4.1.0/24", "10.4.0.0/24"], "c": None}.items():
        kube.put(f"/api/v1/nodes/{name}", {"spec": {"podCIDRs": cidrs}})
    kube.put("/api/v1/nodes/d", {})
    group = "/apis/networking.k8s.io/v1"
    others = [{"name": "ingresses", "kind": "Ingress", "namespaced": True}]
    if serves_cidrs:
        others.append({"name": "servicecidrs", "kind": "ServiceCIDR", "namespaced": False})
        items = [{"spec": {"cidrs": ["34.118.224.0/20", "fd02::/108"]}}, {"spec": {"cidrs": ["34.118.224.0/20"]}}]
        kube.answers["GET", f"{group}/servicecidrs"] = (200, {"metadata": {}, "items": items})
    kube.answers["GET", group] = (200, {"resources": others})
    found = mending.observed_ranges(kube)
    assert found.pod_ranges == ("10.4.0.0/24", "fd01::/64", "10.4.1.0/24")
    assert found.service_ranges == (("34.118.224.0/20", "fd02::/108") if serves_cidrs else ())


def test_a_cluster_without_the_group_tells_no_service_range() -> None:
    assert mending.observed_ranges(MemoryKube()) == ObservedRanges((), ())


# Finding --------------------------------------------------------------------------------------------------------------


def test_no_mesh_needs_no_mending() -> None:
    found = find(MemoryKube())
    assert (found.empty, found.reapply, found.left_alone) == (True, (), ())
    assert not found.seen.report.healthy


@pytest.mark.parametrize("live", ["10.0.0.0/8", DEFAULT_NETWORKS])
def test_the_networks_of_a_release_are_mended_in_its_values_and_applied_as_helms(kube: MemoryKube, live: str) -> None:
    kube.put(CONFIG, {**kube.objects[CONFIG], "data": config(live)["data"]})
    found = find(kube)
    assert found.seen.repairs == ()
    (made,) = found.remember
    assert (made.release.revision, made.release.values, made.present) == (2, {"clusterNetworks": NETWORKS}, None)
    (step,) = found.reapply
    assert (str(step.drift.object), step.force) == ("ConfigMap linkerd/linkerd-config", False)
    assert (found.left_alone, found.empty) == ((), False)


def test_the_networks_of_a_config_that_somebody_edited_are_patched_alone(kube: MemoryKube) -> None:
    kube.held = lambda path: [("kubectl-edit", ".data.values")] if path == CONFIG else []
    found = find(kube)
    assert [one.path for one in found.seen.repairs] == [CONFIG]
    assert (len(found.remember), found.reapply, found.left_alone) == (1, (), ())


def test_the_networks_of_a_mesh_without_helm_are_patched(by_hand: MemoryKube) -> None:
    found = find(by_hand)
    assert [one.path for one in found.seen.repairs] == [CONFIG]
    assert (found.remember, found.reapply, found.left_alone) == ((), (), ())


def test_drift_that_nobody_holds_and_what_is_missing_are_applied_again(kube: MemoryKube) -> None:
    mended(kube)
    assert find(kube).empty
    kube.put(EXTRA, {**kube.objects[EXTRA], "data": {"a": "2"}})
    (step,) = find(kube).reapply
    assert (step.drift.object, step.drift.paths) == (ObjectName("ConfigMap", "linkerd", "extra"), ("data.a",))
    assert not step.force
    kube.objects.pop(EXTRA)
    (step,) = find(kube).reapply
    assert step.drift.paths == ("(missing)",)


def test_a_field_that_others_hold_is_left_alone(kube: MemoryKube) -> None:
    mended(kube)
    kube.put(EXTRA, {**kube.objects[EXTRA], "data": {"a": "2"}})
    kube.held = lambda path: [("kubectl-edit", ".data.a")] if path == EXTRA else []
    found = find(kube)
    assert (found.reapply, found.empty) == ((), True)
    (drift,) = found.left_alone
    assert (drift.object.name, drift.owners) == ("extra", (("kubectl-edit", ".data.a"),))


def test_what_an_earlier_repair_holds_is_given_to_helm(kube: MemoryKube) -> None:
    kube.put(CONFIG, {**kube.objects[CONFIG], "data": config(f"{NETWORKS},203.0.113.0/24")["data"]})
    kube.held = lambda path: [("byomesh", ".data.values")] if path == CONFIG else []
    found = find(kube)
    (made,) = found.remember
    assert made.wished == f"{NETWORKS},203.0.113.0/24"
    assert found.reapply == ()
    kube.put(CONFIG, {**kube.objects[CONFIG], "metadata": {"annotations": {}}})
    (step,) = find(kube).reapply
    assert step.force


@pytest.mark.parametrize("status", ["pending-upgrade", "failed", "uninstalling"])
def test_a_release_that_is_not_deployed_is_nothing_to_apply_again(kube: MemoryKube, status: str) -> None:
    mended(kube)
    kube.objects.pop(EXTRA)
    kube.put(RELEASE, record(extra(a="1"), status=status))
    assert find(kube).empty


def test_a_release_that_cannot_be_read_is_told(kube: MemoryKube) -> None:
    kube.put(RELEASE, {**kube.objects[RELEASE], "data": {"release": "AAAA"}})
    with pytest.raises(Permanent, match="UnreadableRelease"):
        find(kube)


# Showing and doing ----------------------------------------------------------------------------------------------------


def test_changes_are_what_dry_runs_answer(kube: MemoryKube) -> None:
    kube.objects.pop(EXTRA)
    found = find(kube)
    values, network, missing = mending.changes(kube, found)
    assert kube.writes == []
    assert (values.what, values.repair, values.before, values.after) == (
        "Helm release linkerd-control-plane: clusterNetworks in its values, as revision 2",
        Repair.HELM_VALUES,
        {},
        {"clusterNetworks": NETWORKS},
    )
    assert network.what == "ConfigMap linkerd/linkerd-config of release linkerd-control-plane"
    assert yaml.safe_load(network.before["data"]["values"])["clusterNetworks"] == DEFAULT_NETWORKS
    assert yaml.safe_load(network.after["data"]["values"])["clusterNetworks"] == NETWORKS
    assert (
        set(network.before["metadata"])
        == set(network.after["metadata"])
        == {
            "name",
            "namespace",
            "labels",
            "annotations",
        }
    )
    assert missing.what == "ConfigMap linkerd/extra of release linkerd-control-plane"
    assert missing.before == {}
    assert missing.after["data"] == {"a": "1"}


def test_status_is_no_change(by_hand: MemoryKube) -> None:
    kube = by_hand
    kube.put(CONFIG, {**kube.objects[CONFIG], "status": {"seen": 1}})
    (change,) = mending.changes(kube, find(kube))
    assert "status" not in {*change.before, *change.after}


def test_no_secrets_contents_are_shown(by_hand: MemoryKube) -> None:
    kube = by_hand
    values = "enableH2Upgrade: true\nidentity: the-key\n"
    last = json.dumps(overrides(values))
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": last, "kept": "yes"}
    kube.put(OVERRIDES, overrides(values, annotations=annotations))
    _, change = mending.changes(kube, find(kube))
    assert change.what.startswith("Secret linkerd-config-overrides")
    added = len(f"clusterNetworks: {NETWORKS}\n")
    assert change.before["data"] == {"linkerd-config-overrides": f"({len(values)} bytes)"}
    assert change.after["data"] == {"linkerd-config-overrides": f"({len(values) + added} bytes)"}
    assert change.before["metadata"]["annotations"] == change.after["metadata"]["annotations"] == {"kept": "yes"}


def test_a_secret_without_contents_has_none(by_hand: MemoryKube) -> None:
    kube = by_hand
    kube.put(OVERRIDES, {"apiVersion": "v1", "kind": "Secret"})
    _, change = mending.changes(kube, find(kube))
    assert change.before["data"] == {}


def test_carrying_out_writes_each_once_and_then_there_is_nothing(kube: MemoryKube) -> None:
    kube.objects.pop(EXTRA)
    mending.carry_out(kube, find(kube))
    second = f"{RELEASE.removesuffix('1')}2"
    assert kube.writes == [f"POST {second}", f"PATCH {RELEASE}", f"PATCH {CONFIG}", f"PATCH {EXTRA}"]
    for path in (CONFIG, EXTRA):
        assert kube.objects[path]["metadata"]["managedFields"] == [{"manager": "helm"}]
    assert yaml.safe_load(kube.objects[CONFIG]["data"]["values"])["clusterNetworks"] == NETWORKS
    releases = {path: decode_release(kube.objects[path]) for path in (RELEASE, second)}
    assert [one.status for one in releases.values()] == ["superseded", "deployed"]
    assert [kube.objects[path]["metadata"]["labels"]["status"] for path in releases] == ["superseded", "deployed"]
    kube.writes.clear()
    mending.carry_out(kube, find(kube))
    assert kube.writes == []


def test_a_repair_that_was_killed_between_two_writes_is_finished(kube: MemoryKube) -> None:
    begun = find(kube)
    kube.answers["PATCH", CONFIG] = (500, {})
    with pytest.raises(Temporary):
        mending.carry_out(kube, begun)
    del kube.answers["PATCH", CONFIG]
    kube.writes.clear()
    found = find(kube)
    assert found.remember == ()
    mending.carry_out(kube, found)
    assert kube.writes == [f"PATCH {CONFIG}"]
    kube.writes.clear()
    assert find(kube).empty


def test_what_changed_since_it_was_looked_at_is_not_overwritten(by_hand: MemoryKube) -> None:
    kube = by_hand
    found = find(kube)
    kube.put(CONFIG, config("10.0.0.0/8"))
    with pytest.raises(Conflict):
        mending.carry_out(kube, found)
    assert kube.writes == []
