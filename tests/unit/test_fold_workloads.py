"""Workloads whose pods stand out: outdated, unmeshed, without requests."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from shared.mesh.fold import Current, Folding, Injection
from shared.mesh.observe import from_objects
from shared.mesh.snapshot import WORKLOADS, LabelSelector, Named, Requirement, Webhooks, Workload, Workloads
from tests.unit.cluster_objects import NETWORKS, State, objects, pod_of

Object = dict[str, Any]
_CURRENT = Current(networks=NETWORKS, trust_roots="anchors", version="edge-26.8.3")


def _pod(name: str, *, namespace: str = "shop", owner: Object | None = None, **changes: Any) -> Object:
    metadata: Object = {"name": name, "namespace": namespace, **changes.pop("metadata", {})}
    if owner is not None:
        metadata["ownerReferences"] = [{"controller": True, **owner}]
    spec = {"containers": [{"name": "app", **changes.pop("container", {})}], **changes.pop("spec", {})}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running", **changes.pop("status", {})}}


def _proxied(name: str, *, version: str = "edge-26.8.3", networks: str = NETWORKS, **changes: Any) -> Object:
    env = {
        "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS": networks,
        "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS": changes.pop("anchors", "anchors\n"),
    }
    asked = {"requests": {"cpu": "1", "memory": "1Gi"}}
    proxy = {
        "name": "linkerd-proxy",
        "image": f"cr.l5d.io/linkerd/proxy:{version}",
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "resources": asked,
    }
    changes.setdefault("container", {"resources": asked})
    pod = _pod(name, **changes)
    pod["metadata"].setdefault("labels", {})["linkerd.io/control-plane-ns"] = "linkerd"
    pod["spec"]["initContainers"] = [proxy]
    return pod


def _folded(*pods: Object, injection: Injection | None = None) -> Folding:
    folding = Folding(None, current=_CURRENT, injection=injection)
    folding.add_pods(msgspec.json.encode({"items": list(pods)}))
    return folding


_OF_DEPLOYMENT: Object = {
    "owner": {"kind": "ReplicaSet", "name": "web-7d9f"},
    "metadata": {"labels": {"pod-template-hash": "7d9f"}},
}


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, None),
        ({"version": "edge-26.6.3"}, ("version",)),
        ({"networks": "10.0.0.0/8"}, ("clusterNetworks",)),
        ({"networks": ",".join(reversed(NETWORKS.split(",")))}, None),
        ({"anchors": "old"}, ("trust anchors",)),
        (
            {"version": "edge-26.6.3", "networks": "", "anchors": "old"},
            ("version", "clusterNetworks", "trust anchors"),
        ),
        ({"version": "x", "status": {"phase": "Succeeded"}}, None),
        ({"version": "x", "metadata": {"deletionTimestamp": "2026-11-23T12:00:00Z"}}, None),
        ({"version": "x", "namespace": "linkerd"}, None),
        ({"version": "own", "metadata": {"annotations": {"config.linkerd.io/proxy-version": "own"}}}, None),
    ],
)
def test_in_what_a_running_proxy_is_outdated(changes: Object, reasons: tuple[str, ...] | None) -> None:
    found = _folded(_proxied("p", **changes)).outdated
    expected = () if reasons is None else (Workload("Pod", "shop", "p", reasons),)
    assert found == Workloads(expected)


@pytest.mark.parametrize(
    ("changes", "owner"),
    [
        (_OF_DEPLOYMENT, ("Deployment", "web")),
        ({"owner": {"kind": "ReplicaSet", "name": "bare"}}, ("ReplicaSet", "bare")),
        ({"owner": {"kind": "StatefulSet", "name": "db"}}, ("StatefulSet", "db")),
        ({"owner": {"kind": "Node", "name": "n", "controller": False}}, ("Pod", "p")),
        ({}, ("Pod", "p")),
    ],
)
def test_the_workload_that_a_restart_would_be_of(changes: Object, owner: tuple[str, str]) -> None:
    (found,) = _folded(_proxied("p", version="old", **changes)).outdated.first
    assert (found.kind, found.name) == owner


def test_pods_of_one_workload_are_one_entry_with_all_reasons() -> None:
    pods = [_proxied(f"w{number}", version="old", **_OF_DEPLOYMENT) for number in range(3)]
    found = _folded(*pods, _proxied("w9", anchors="old", **_OF_DEPLOYMENT)).outdated
    assert found == Workloads((Workload("Deployment", "shop", "web", ("version", "trust anchors"), 4),))
    assert found.pods == 4


def test_workloads_are_kept_by_name_up_to_a_bound() -> None:
    found = _folded(*(_proxied(f"p{number:04}", version="old") for number in range(WORKLOADS + 20))).outdated
    assert (len(found.first), found.other_pods, found.pods) == (WORKLOADS, 20, WORKLOADS + 20)


_NAMESPACES = (
    Named("plain"),
    Named("meshed", annotations={"linkerd.io/inject": "enabled"}),
    Named("off", annotations={"linkerd.io/inject": "disabled"}),
    Named("odd", annotations={"linkerd.io/inject": "yes"}),
    Named("kube-system"),
    Named("linkerd", annotations={"linkerd.io/inject": "enabled"}),
)
_SELECTORS = Webhooks(
    "linkerd-proxy-injector-webhook-config",
    ("",),
    namespace_selectors=(
        LabelSelector(match_expressions=(Requirement("kubernetes.io/metadata.name", "NotIn", ("kube-system",)),)),
    ),
    object_selectors=(
        LabelSelector(match_expressions=(Requirement("linkerd.io/control-plane-component", "DoesNotExist"),)),
    ),
)


@pytest.mark.parametrize(
    ("namespace", "own", "where"),
    [
        ("meshed", "", "namespace"),
        ("meshed", "ingress", "namespace"),
        ("meshed", "disabled", ""),
        ("plain", "", ""),
        ("plain", "enabled", "pod"),
        ("off", "enabled", "pod"),
        ("off", "", ""),
        ("odd", "enabled", ""),
        ("plain", "yes", ""),
        ("kube-system", "enabled", ""),
        ("linkerd", "enabled", ""),
        ("unknown", "enabled", ""),
    ],
)
def test_where_the_wish_for_a_proxy_is_written(namespace: str, own: str, where: str) -> None:
    annotations = {"linkerd.io/inject": own} if own else {}
    assert Injection(_NAMESPACES, _SELECTORS, "linkerd").wanted(namespace, {}, annotations) == where


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (LabelSelector(), True),
        (LabelSelector(match_labels={"a": "1"}), True),
        (LabelSelector(match_labels={"a": "2"}), False),
        (LabelSelector(match_expressions=(Requirement("a", "In", ("1", "2")),)), True),
        (LabelSelector(match_expressions=(Requirement("b", "In", ("1",)),)), False),
        (LabelSelector(match_expressions=(Requirement("b", "NotIn", ("1",)),)), True),
        (LabelSelector(match_expressions=(Requirement("a", "NotIn", ("1",)),)), False),
        (LabelSelector(match_expressions=(Requirement("a", "Exists"),)), True),
        (LabelSelector(match_expressions=(Requirement("b", "Exists"),)), False),
        (LabelSelector(match_expressions=(Requirement("a", "DoesNotExist"),)), False),
    ],
)
def test_objects_that_the_webhook_does_not_select_are_left_alone(selector: LabelSelector, selected: bool) -> None:
    webhook = Webhooks("x", ("",), namespace_selectors=(LabelSelector(),), object_selectors=(selector,))
    found = Injection(_NAMESPACES, webhook, "linkerd").wanted("meshed", {"a": "1"}, {})
    assert found == ("namespace" if selected else "")


def test_running_pods_without_the_proxy_they_should_have() -> None:
    injection = Injection(_NAMESPACES, None, "linkerd")
    wished: Object = {"metadata": {"annotations": {"linkerd.io/inject": "enabled"}}}
    found = _folded(
        _pod("a", namespace="meshed"),
        _pod("b", **wished),
        _pod("b", namespace="plain", **wished),
        _pod("done", namespace="meshed", status={"phase": "Succeeded"}),
        _pod("ending", namespace="meshed", metadata={"deletionTimestamp": "2026-11-23T12:00:00Z"}),
        _pod("host", namespace="meshed", spec={"hostNetwork": True}),
        _proxied("meshed", namespace="meshed"),
        injection=injection,
    ).unmeshed
    assert found.first == (Workload("Pod", "meshed", "a", ("namespace",)), Workload("Pod", "plain", "b", ("pod",)))


def test_without_knowing_the_injector_nothing_is_unmeshed() -> None:
    assert _folded(_pod("a", metadata={"annotations": {"linkerd.io/inject": "enabled"}})).unmeshed == Workloads()


@pytest.mark.parametrize(
    ("resources", "adjusted", "reasons"),
    [
        ({"requests": {"cpu": "1", "memory": "1"}}, None, None),
        ({"requests": {"cpu": 1}}, None, ("app: memory",)),
        ({}, None, ("app: cpu, memory",)),
        ({"requests": {"cpu": "1", "memory": "1"}}, [{"name": "app"}], ("app: cpu, memory",)),
        ({"requests": {"cpu": "1", "memory": "1"}}, [{"name": "app", "limits": {"cpu": "1"}}], ("app: memory",)),
        ({"requests": {"cpu": "1", "memory": "1"}}, "no list", None),
    ],
)
def test_containers_whose_author_asked_for_nothing(
    resources: Object, adjusted: Any, reasons: tuple[str, ...] | None
) -> None:
    annotations = {} if adjusted is None else {"autopilot.gke.io/resource-adjustment": _adjustment(adjusted)}
    pod = _proxied("p", container={"resources": resources}, metadata={"annotations": annotations})
    expected = () if reasons is None else (Workload("Pod", "shop", "p", reasons),)
    assert _folded(pod).unrequested == Workloads(expected)


def _adjustment(containers: Any) -> str:
    return json.dumps({"input": {"containers": containers}, "output": {}, "modified": True})


def test_the_control_plane_s_own_pods_are_asked_for_requests_too() -> None:
    found = _folded(pod_of("identity", State())).unrequested
    assert found.first[0].namespace == "linkerd"
    assert found.first[0].reasons == (
        "linkerd-init: cpu, memory",
        "linkerd-proxy: cpu, memory",
        "identity: cpu, memory",
    )


@pytest.mark.parametrize(
    ("values", "version"),
    [
        ({}, "edge-26.8.3"),
        ({"proxy": {"image": {"version": "own"}}}, "own"),
        ({"proxy": "odd"}, "edge-26.8.3"),
        ({"proxy": {"image": ""}}, "edge-26.8.3"),
    ],
)
def test_the_version_that_a_new_proxy_would_have(values: Object, version: str) -> None:
    old = _proxied("p", version="edge-26.8.3", anchors="", networks=NETWORKS)
    reasons = [one.reasons for one in from_objects(_with(objects(State(values=values)), old)).outdated.first]
    assert ("version" in reasons[0]) == (version != "edge-26.8.3")


def _with(found: list[Object], pod: Object) -> list[Object]:
    return [*found, {"apiVersion": "v1", "kind": "Pod", **pod}]
