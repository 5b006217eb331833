"""What is removed of a mesh, what keeps it from that, and what stays."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from shared.mesh import lease, uninstall
from shared.mesh.lease import Lease
from shared.mesh.profile import load_profile
from shared.mesh.uninstall import DeleteObject, Removal, RemoveNamespace, Uninstall
from tests.unit.doors import MemoryHelm, clock, release_secret
from tests.unit.memory_kube import MemoryKube

Json = dict[str, Any]
PROFILE = load_profile("linkerd")
OURS = {"app.kubernetes.io/managed-by": "byomesh"}
LINKERD, VIZ, SYSTEM = (f"/api/v1/namespaces/{name}" for name in ("linkerd", "linkerd-viz", "byomesh-system"))
ISSUER = f"{LINKERD}/secrets/linkerd-identity-issuer"
STATUS = f"{SYSTEM}/configmaps/byomesh-status"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/byomesh-system/leases/byomesh"
SERVERS = "/apis/policy.linkerd.io/v1beta3"
WEB = "/api/v1/namespaces/shop/pods/web-abc-1"
CLASS = "/apis/scheduling.k8s.io/v1/priorityclasses/mesh"
WHOLE = (
    Uninstall("linkerd-viz", "linkerd-viz"),
    RemoveNamespace("linkerd-viz", ("linkerd-viz",)),
    Uninstall("linkerd-control-plane", "linkerd"),
    Uninstall("linkerd-crds", "linkerd"),
    DeleteObject(ISSUER),
    RemoveNamespace("linkerd", ("linkerd-crds", "linkerd-control-plane")),
    DeleteObject(STATUS),
    DeleteObject(CLASS),
    RemoveNamespace("byomesh-system", ()),
)


def definition(plural: str = "servers", **annotations: str) -> Json:
    versions = [{"name": "v1beta2"}, {"name": "v1beta3", "storage": True}]
    metadata: Json = {"name": f"{plural}.policy.linkerd.io", "annotations": annotations}
    spec = {"group": "policy.linkerd.io", "names": {"plural": plural}, "versions": versions}
    return {"apiVersion": "x/v1", "kind": "CustomResourceDefinition", "metadata": metadata, "spec": spec}


class Cluster(MemoryKube):
    """One with a mesh and viz on it, installed by byomesh."""

    def __init__(self) -> None:
        super().__init__()
        for path in (LINKERD, VIZ, SYSTEM):
            self.put(path, {"metadata": {"labels": OURS}})
        self.release("linkerd-crds", LINKERD, definition())
        self.release("linkerd-control-plane", LINKERD)
        self.release("linkerd-viz", VIZ)
        self.put(f"{LINKERD}/configmaps/linkerd-config", self.of_release("linkerd-control-plane"))
        self.put(ISSUER, {"metadata": {"labels": OURS}, "type": "kubernetes.io/tls"})
        self.put(STATUS, {"metadata": {"labels": OURS}})
        self.put(LEASE, {"spec": {}})
        self.put(CLASS, {"metadata": {"labels": OURS}})
        self.put("/apis/scheduling.k8s.io/v1/priorityclasses/others", {})

    @staticmethod
    def of_release(name: str) -> Json:
        return {
            "metadata": {"annotations": {"meta.helm.sh/release-name": name}, "managedFields": [{"manager": "helm"}]}
        }

    def release(self, name: str, namespace: str, *manifest: Json) -> None:
        chart = {"name": name, "version": "1.0.0"}
        text = yaml.safe_dump_all(manifest)
        record = release_secret(name, 1, "deployed", chart=chart, values={}, manifest=text)
        self.put(f"{namespace}/secrets/{record['metadata']['name']}", record)

    def server(self, namespace: str, release: str = "") -> None:
        path = f"{SERVERS}/namespaces/{namespace}/servers/s"
        self.put(path, self.of_release(release) if release else {})

    def _read(self, path: str, query: dict[str, str]) -> tuple[int, Json]:
        if path in (f"{SERVERS}/servers", "/apis/scheduling.k8s.io/v1/priorityclasses"):
            found = [obj for name, obj in self.objects.items() if name.startswith(path.rpartition("/")[0] + "/")]
            wanted = [one for one in found if not query.get("labelSelector") or one["metadata"].get("labels") == OURS]
            return 200, {"metadata": {}, "items": wanted}
        return super()._read(path, query)

    def decide(self, **options: bool) -> Removal:
        return uninstall.decide(uninstall.find(self, PROFILE), **options)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def pod(label: str = "linkerd", owner: Json | None = None, phase: str = "Running") -> Json:
    labels = {"linkerd.io/control-plane-ns": label, "pod-template-hash": "abc"}
    owners = [{**owner, "controller": True}] if owner else []
    return {"metadata": {"labels": labels, "ownerReferences": owners}, "status": {"phase": phase}}


def test_all_of_it_is_removed_extensions_first_and_the_lease_last(cluster: Cluster) -> None:
    assert cluster.decide() == Removal(steps=WHOLE)
    assert [str(one) for one in WHOLE[:2]] == [
        "Helm release linkerd-viz in linkerd-viz",
        "namespace linkerd-viz",
    ]
    assert str(WHOLE[4]) == "secrets linkerd/linkerd-identity-issuer"
    assert str(WHOLE[7]) == "priorityclasses mesh"


def test_where_nothing_is_there_nothing_is_to_do() -> None:
    assert uninstall.decide(uninstall.find(MemoryKube(), PROFILE)) == Removal()


def test_a_mesh_of_others_is_refused_with_its_managers_named(cluster: Cluster) -> None:
    cluster.put(LINKERD, {})
    assert cluster.decide().refused == "byomesh didn't install the mesh in the namespace linkerd (of helm)"
    cluster.delete(f"{LINKERD}/configmaps/linkerd-config")
    assert "(of helm, release linkerd-control-plane, helm, release linkerd-crds)" in cluster.decide().refused


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ({"kind": "ReplicaSet", "name": "web-abc"}, "shop/web"),
        ({"kind": "StatefulSet", "name": "db-abc"}, "shop/db-abc"),
        (None, "shop/web-abc-1"),
    ],
)
def test_meshed_workloads_are_named_and_refused_without_force(cluster: Cluster, owner: Json | None, name: str) -> None:
    cluster.put(WEB, pod(owner=owner))
    refused = cluster.decide()
    assert (refused.meshed, refused.steps) == ((name,), ())
    assert refused.refused.startswith("1 workloads still run with the mesh's proxy")
    forced = cluster.decide(force=True)
    assert (forced.refused, forced.meshed, forced.steps) == ("", (name,), WHOLE)


@pytest.mark.parametrize("case", [pod(label="other"), pod(phase="Succeeded"), pod(phase="Failed"), {}])
def test_other_pods_are_in_nobodys_way(cluster: Cluster, case: Json) -> None:
    cluster.put(WEB, case)
    for path in (LINKERD, VIZ):
        cluster.put(f"{path}/pods/own", {**pod(owner={"kind": "ReplicaSet", "name": "own-abc"})})
    assert cluster.decide() == Removal(steps=WHOLE)


def test_definitions_stay_while_there_are_objects_of_users(cluster: Cluster) -> None:
    cluster.server("shop")
    cluster.server("linkerd-viz", "linkerd-viz")
    kept = cluster.decide()
    without = [one for one in WHOLE if one not in (WHOLE[3], WHOLE[5])]
    assert list(kept.steps) == without
    (words,) = kept.kept
    assert "(1 servers.policy.linkerd.io); --with-crds removes all of it" in words
    assert kept.objects == {}
    whole = cluster.decide(with_crds=True)
    assert (whole.steps, whole.kept, whole.objects) == (WHOLE, (), {"servers.policy.linkerd.io": 1})


def test_definitions_that_helm_keeps_anyway_are_not_counted(cluster: Cluster) -> None:
    cluster.release("linkerd-crds", LINKERD, definition(**{"helm.sh/resource-policy": "keep"}))
    cluster.server("shop")
    assert cluster.decide() == Removal(steps=WHOLE)


def test_a_namespace_with_things_of_others_stays_and_they_are_named(cluster: Cluster) -> None:
    for number in range(7):
        cluster.put(f"{LINKERD}/configmaps/mine-{number}", {})
    cluster.put(f"{SYSTEM}/configmaps/theirs", {})
    found = cluster.decide()
    assert [one for one in WHOLE if one not in found.steps] == [WHOLE[5], WHOLE[8]]
    assert found.kept == (
        (
            "the namespace linkerd, for it holds objects of others: ConfigMap linkerd/mine-0, "
            "ConfigMap linkerd/mine-1, ConfigMap linkerd/mine-2, ConfigMap linkerd/mine-3, "
            "ConfigMap linkerd/mine-4 and 2 more"
        ),
        "the namespace byomesh-system, for it holds objects of others: ConfigMap byomesh-system/theirs",
    )


def test_an_extension_of_others_stays_and_is_named(cluster: Cluster) -> None:
    cluster.put(VIZ, {})
    found = cluster.decide()
    assert found.steps == WHOLE[2:]
    assert found.kept == ("linkerd-viz in the namespace linkerd-viz: byomesh didn't install it",)


def take(cluster: Cluster) -> Lease:
    taken = lease.take(cluster, "test", 300, clock)
    assert isinstance(taken, Lease)
    return taken


def test_it_is_done_in_order_and_what_came_meanwhile_keeps_a_namespace(cluster: Cluster) -> None:
    removal = cluster.decide()
    cluster.put(f"{VIZ}/configmaps/late", {})
    told: list[object] = []
    helm = MemoryHelm(cluster)
    with take(cluster) as held:
        uninstall.carry_out(removal, cluster, helm, held, told.append)
    assert told == list(WHOLE)
    assert [name for name, _ in helm.removed] == ["linkerd-viz", "linkerd-control-plane", "linkerd-crds"]
    assert uninstall.remaining(removal, cluster) == ("linkerd-viz",)
    left = {path for path in cluster.objects if "/namespaces/linkerd/" in path}
    assert left == set()
    assert CLASS not in cluster.objects
    assert LEASE in cluster.objects, "others are kept out until its namespace goes"
