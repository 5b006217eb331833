from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from shared.errors import Temporary
from shared.mesh.observe import from_objects, observe
from shared.mesh.observe.recorded import RecordedCluster
from shared.mesh.snapshot import Cni, MeshSnapshot, OpaqueFold, Overrides
from tests.unit.cluster_objects import NETWORKS, State, objects

Object = dict[str, Any]
_RBAC = "rbac.authorization.k8s.io/v1"


class _Counting:
    """A door that counts requests, one for each page."""

    def __init__(self, found: list[Object]) -> None:
        self._cluster = RecordedCluster(found)
        self.requests: list[str] = []

    def get_raw(self, path: str) -> bytes | None:
        self.requests.append(path)
        return self._cluster.get_raw(path)

    def list_raw(
        self, path: str, *, label_selector: str = "", field_selector: str = "", limit: int = 500
    ) -> Iterator[bytes]:
        for page in self._cluster.list_raw(
            path, label_selector=label_selector, field_selector=field_selector, limit=limit
        ):
            self.requests.append(path)
            yield page


def test_asks_no_more_than_sixty_times_of_a_large_cluster() -> None:
    pods = tuple({"namespace": "shop", "name": f"p{number:04}", "ip": "10.9.9.9"} for number in range(4_997))
    services = tuple({"namespace": "shop", "name": f"s{number:04}", "ip": "34.118.224.9"} for number in range(997))
    door = _Counting(objects(State(pods=pods, services=services)))
    snapshot = observe(door)
    assert (snapshot.pods.total, snapshot.services.total) == (5_000, 1_000)
    assert door.requests.count("/api/v1/pods") == 10
    assert door.requests.count("/api/v1/services") == 2
    assert len(door.requests) <= 60


def test_asks_for_secrets_and_crds_by_name_only() -> None:
    door = _Counting(objects())
    observe(door)
    assert not [path for path in door.requests if path.endswith(("/secrets", "/customresourcedefinitions"))]
    asked = {path.rpartition("/")[2] for path in door.requests if "/secrets/" in path}
    assert asked == {
        "linkerd-config-overrides",
        "linkerd-identity-issuer",
        "linkerd-policy-validator-k8s-tls",
        "linkerd-proxy-injector-k8s-tls",
        "linkerd-sp-validator-k8s-tls",
    }


def test_an_empty_cluster_has_an_empty_snapshot() -> None:
    assert from_objects([]) == MeshSnapshot(opaque_ports=OpaqueFold())


def test_another_namespace_is_looked_at() -> None:
    assert from_objects(objects(), namespace="elsewhere").config is None


def test_what_a_healthy_cluster_holds() -> None:
    snapshot = from_objects(objects())
    assert snapshot.config is not None
    assert snapshot.config.networks == NETWORKS
    assert snapshot.config.uid == "uid-of-linkerd-config"
    assert [found.name for found in snapshot.namespaces] == ["default", "kube-system", "linkerd"]
    assert [found.name for found in snapshot.mutating_webhooks] == ["linkerd-proxy-injector-webhook-config"]
    assert len(snapshot.validating_webhooks) == 2
    assert [found.name for found in snapshot.cluster_roles] == [
        "linkerd-linkerd-identity",
        "linkerd-linkerd-proxy-injector",
    ]
    assert len(snapshot.crds) == 11
    assert set(snapshot.credentials["linkerd-identity-issuer"].keys) == {"key.pem"}
    assert set(snapshot.credentials["linkerd-sp-validator-k8s-tls"].certificates) == {"tls.crt"}
    assert snapshot.proxies.total == 3
    assert snapshot.overrides is None
    assert snapshot.cni is None


def _object(api: str, kind: str, name: str, namespace: str = "", **fields: Any) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def test_roles_of_others_and_of_the_cni_plugin_are_left_out() -> None:
    labels = {"linkerd.io/control-plane-ns": "linkerd", "linkerd.io/cni-resource": "true"}
    found = [_object(_RBAC, "ClusterRole", "cni", metadata={"labels": labels}), _object(_RBAC, "ClusterRole", "other")]
    assert from_objects(found).cluster_roles == ()


def test_the_old_secret_is_found_where_the_new_one_is_missing() -> None:
    old = _object("v1", "Secret", "linkerd-proxy-injector-tls", "linkerd", data={"crt.pem": "", "key.pem": ""})
    found = objects(State(without=("Secret/linkerd-proxy-injector-k8s-tls",)))
    assert "linkerd-proxy-injector-tls" in from_objects([*found, old]).credentials
    assert "linkerd-proxy-injector-tls" not in from_objects([*objects(), old]).credentials


def test_the_overrides_of_a_cli_installation() -> None:
    text = base64.b64encode(b"clusterNetworks: 10.0.0.0/8\n").decode()
    data = {"linkerd-config-overrides": text}
    metadata = {"resourceVersion": "5"}
    secret = _object("v1", "Secret", "linkerd-config-overrides", "linkerd", data=data, metadata=metadata)
    assert from_objects([secret]).overrides == Overrides("5", "10.0.0.0/8")


_CNI = [
    _object("v1", "ConfigMap", "linkerd-cni-config", "linkerd-cni"),
    _object(_RBAC, "ClusterRole", "linkerd-cni"),
    _object(_RBAC, "ClusterRoleBinding", "linkerd-cni"),
    _object("v1", "ServiceAccount", "linkerd-cni", "linkerd-cni"),
    _object(
        "apps/v1",
        "DaemonSet",
        "linkerd-cni",
        "linkerd-cni",
        status={"desiredNumberScheduled": 3, "numberReady": 2},
    ),
]


def test_the_cni_plugin_is_looked_for_where_it_is_used() -> None:
    used = objects(State(values={"cniEnabled": True}))
    assert from_objects([*used, *_CNI]).cni == Cni(
        config=True, cluster_role=True, cluster_role_binding=True, service_account=True, scheduled=3, ready=2
    )
    assert from_objects(used).cni == Cni()
    assert from_objects([*objects(), *_CNI]).cni is None


class _Answering(RecordedCluster):
    def __init__(self, answers: Mapping[str, bytes]) -> None:
        super().__init__([])
        self._answers = answers

    def get_raw(self, path: str) -> bytes | None:
        return self._answers.get(path)

    def list_raw(self, path: str, **_: Any) -> Iterator[bytes]:
        yield self._answers.get(path, b'{"items": []}')


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/api/v1/namespaces/linkerd/configmaps/linkerd-config", b"<html>"),
        ("/api/v1/namespaces/linkerd/secrets/linkerd-identity-issuer", b'{"metadata": {"name": "x"}, "data": 1}'),
        ("/api/v1/pods", b'{"items": [{}]}'),
        ("/api/v1/nodes", b'{"items": [{"metadata": {}}]}'),
    ],
)
def test_an_answer_that_is_not_kubernetes_s_is_a_passing_fault_with_its_path(path: str, answer: bytes) -> None:
    with pytest.raises(Temporary) as caught:
        observe(_Answering({path: answer}))
    assert caught.value.reason == "UnreadableAnswer"
    assert path in str(caught.value)


def test_recorded_objects_come_in_the_order_of_their_storage_keys_and_in_pages() -> None:
    names = [("b", "a"), ("a", "b"), ("a-b", "c")]
    cluster = RecordedCluster([_object("v1", "Pod", name, namespace) for namespace, name in names])
    pages = [msgspec.json.decode(page)["items"] for page in cluster.list_raw("/api/v1/pods", limit=2)]
    assert [[item["metadata"]["namespace"] for item in page] for page in pages] == [["a-b", "a"], ["b"]]


@pytest.mark.parametrize("selector", [{"label_selector": "a=b"}, {"field_selector": "metadata.name=x"}])
def test_recorded_objects_cannot_be_selected_by_value(selector: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="selected"):
        next(RecordedCluster([]).list_raw("/api/v1/pods", **selector))  # type: ignore[arg-type]
