"""What a cluster lost of its releases, found by reading."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from shared.mesh.drift import Drift, ObjectName
from shared.mesh.loss import find_loss, lost_paths
from shared.mesh.profile import load_profile
from shared.mesh.quantity import same_quantity
from shared.model import Repair
from tests.unit.doors import release_secret
from tests.unit.memory_kube import Json, MemoryKube

PROFILE = load_profile("linkerd")
LINKERD = "/api/v1/namespaces/linkerd"
HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
CONFIG: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
HOOK: Json = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingWebhookConfiguration",
    "metadata": {"name": "h"},
    "webhooks": [{"name": "w", "namespaceSelector": {"matchLabels": {"a": "b"}}, "timeoutSeconds": 10}],
}
SERVER: Json = {"apiVersion": "policy.linkerd.io/v1", "kind": "Server", "metadata": {"name": "s"}}


def record(name: str, *objects: Json, status: str = "deployed") -> Json:
    return release_secret(name, 1, status, chart={}, values={}, manifest=yaml.safe_dump_all(objects))


@pytest.fixture
def kube() -> MemoryKube:
    found = MemoryKube({LINKERD: {}})
    for name, objects in (("linkerd-crds", ()), ("linkerd-control-plane", (CONFIG, HOOK))):
        secret = record(name, *objects)
        found.put(f"{LINKERD}/secrets/{secret['metadata']['name']}", secret)
    found.put(f"{LINKERD}/configmaps/c", {**CONFIG, "data": {"a": "1", "more": "2"}})
    found.put(f"{HOOKS}/h", HOOK)
    return found


def test_a_cluster_that_has_it_all_lost_nothing_whatever_else_is_there(kube: MemoryKube) -> None:
    assert find_loss(kube, PROFILE) == ((), ())
    assert kube.writes == []


def test_what_is_gone_or_otherwise_is_found_and_what_the_platform_owns_is_not(kube: MemoryKube) -> None:
    changed: Any = [{**HOOK["webhooks"][0], "namespaceSelector": {}, "timeoutSeconds": 5}]
    kube.put(f"{HOOKS}/h", {**HOOK, "webhooks": changed})
    kube.objects.pop(f"{LINKERD}/configmaps/c")
    assert find_loss(kube, PROFILE)[0] == (
        Drift(ObjectName("ConfigMap", "", "c"), ("(missing)",)),
        Drift(ObjectName("MutatingWebhookConfiguration", "", "h"), ("webhooks.w.timeoutSeconds",)),
    )


def test_an_object_whose_kind_is_gone_is_missing(kube: MemoryKube) -> None:
    secret = record("linkerd-crds", SERVER)
    kube.put(f"{LINKERD}/secrets/{secret['metadata']['name']}", secret)
    assert find_loss(kube, PROFILE)[0] == (Drift(ObjectName("Server", "", "s"), ("(missing)",)),)


@pytest.mark.parametrize("status", ["failed", "pending-upgrade", "uninstalling"])
def test_a_release_that_is_not_deployed_is_reapplied(kube: MemoryKube, status: str) -> None:
    secret = record("linkerd-control-plane", CONFIG, status=status)
    kube.put(f"{LINKERD}/secrets/{secret['metadata']['name']}", secret)
    kube.objects.pop(f"{LINKERD}/configmaps/c")
    assert find_loss(kube, PROFILE) == ((), (Repair.RELEASE_REAPPLIED,))


@pytest.mark.parametrize(
    ("wished", "live"),
    [
        ({"a": None, "b": [], "c": {}}, {"a": 1, "b": [1], "c": {"d": 1}}),
        ({"value": ""}, {}),
        ({"optional": False}, {}),
        ({"cpu": "1000m", "memory": "1024Mi"}, {"cpu": "1", "memory": "1Gi"}),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "B"}, {"name": "A", "value": "1", "x": 1}]}),
        ({"ports": [80]}, {"ports": [80]}),
        ({"status": {"ready": True}}, {}),
    ],
)
def test_what_the_api_server_writes_otherwise_is_no_loss(wished: Json, live: Json) -> None:
    assert lost_paths(wished, live) == ()


@pytest.mark.parametrize(
    ("wished", "live", "paths"),
    [
        ({"data": {"a": "1"}}, {"data": {"a": "2"}}, ("data.a",)),
        ({"spec": {"replicas": 1}}, {"spec": {"replicas": 0}}, ("spec.replicas",)),
        ({"rules": [{"verbs": ["get", "list"]}]}, {"rules": [{"verbs": ["get"]}]}, ("rules.0.verbs",)),
        ({"c": [{"name": "x", "image": "a"}]}, {"c": [{"name": "x", "image": "b"}]}, ("c.x.image",)),
        ({"c": [{"name": "x"}]}, {"c": [{"name": "y"}]}, ("c.x",)),
        ({"a": "text"}, {"a": "other"}, ("a",)),
        ({"a": "1"}, {}, ("a",)),
    ],
)
def test_what_is_otherwise_is_a_loss(wished: Json, live: Json, paths: tuple[str, ...]) -> None:
    assert lost_paths(wished, live) == paths


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0.5", "500m", True),
        ("1e3", "1k", True),
        (1, "1", True),
        ("128Mi", "134217728", True),
        ("1Gi", "1G", False),
        ("1.2.3", "1.2.3.4", False),
        ("1q", "1q", False),
        (True, "1", False),
        (None, None, False),
    ],
)
def test_quantities(one: Any, other: Any, same: bool) -> None:
    assert same_quantity(one, other) is same
