from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from shared.mesh.fold import Current, Folding
from shared.mesh.linkerd import networks
from shared.mesh.observe import from_objects
from shared.mesh.snapshot import (
    SHOWN,
    Condition,
    Container,
    CronJob,
    HeldNetworks,
    MeshedPod,
    Node,
    ReplicaSet,
    Uncovered,
    Workload,
    Workloads,
)
from tests.unit.cluster_objects import NETWORKS, State, objects, pod_of

Object = dict[str, Any]


def _page(items: list[Object]) -> bytes:
    return msgspec.json.encode({"kind": "List", "metadata": {"continue": ""}, "items": items})


def _pod(name: str, ip: str, namespace: str = "shop", **spec: Any) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"metadata": metadata, "spec": {"containers": [], **spec}, "status": {"podIP": ip} if ip else {}}


def _meshed(name: str, namespace: str = "shop", *, labels: Object | None = None, **changes: Any) -> Object:
    """An application's pod with a proxy; `env` adds to the proxy's variables."""
    pod = copy.deepcopy(pod_of("identity", State(proxy_version=changes.pop("version", "edge-26.8.3"))))
    env = changes.pop("env", {})
    proxy = pod["spec"]["initContainers"][1]
    proxy["env"] = [one for one in proxy["env"] if one["name"] not in env]
    proxy["env"] += [{"name": key, "value": value} for key, value in env.items()]
    pod["metadata"] |= {"name": name, "namespace": namespace}
    pod["metadata"]["labels"] = {"linkerd.io/control-plane-ns": "linkerd", **(labels or {})}
    pod["status"] |= changes
    return pod


def _folded(*pods: Object, **known: Any) -> Folding:
    folding = Folding(networks.parse(NETWORKS), **known)
    folding.add_pods(_page(list(pods)))
    return folding


def test_counts_pods_over_pages_and_names_the_first_hundred() -> None:
    folding = Folding(networks.parse("10.0.0.0/8"))
    for start in (0, 80, 160):
        folding.add_pods(_page([_pod(f"p{number:03}", f"203.0.113.{number}") for number in range(start, start + 80)]))
    found = folding.pods
    assert (found.total, found.judged, found.uncovered, len(found.first)) == (240, 240, 240, SHOWN)
    assert found.first[0] == Uncovered("shop", "p000", "203.0.113.0")
    assert found.first[-1].name == "p099"


def test_pods_on_the_host_s_network_or_without_address_are_counted_and_not_judged() -> None:
    found = _folded(
        _pod("host", "203.0.113.1", hostNetwork=True),
        _pod("pending", ""),
        _pod("open", "203.0.113.2", hostNetwork=False),
        _pod("inside", "10.0.0.1"),
    ).pods
    assert (found.total, found.judged, found.uncovered) == (4, 2, 1)
    assert found.first == (Uncovered("shop", "open", "203.0.113.2"),)


def test_what_is_no_address_is_uncovered() -> None:
    assert _folded(_pod("odd", "10.0.0.300")).pods.uncovered == 1


def test_without_networks_nothing_is_judged_uncovered() -> None:
    folding = Folding(None)
    folding.add_pods(_page([_pod("p", "203.0.113.1")]))
    assert (folding.pods.judged, folding.pods.uncovered) == (1, 0)


def test_services_without_a_cluster_ip_are_not_judged() -> None:
    folding = Folding(networks.parse("10.0.0.0/8"))
    items: list[Object] = [
        {"metadata": {"name": name, "namespace": "x"}, "spec": spec}
        for name, spec in {
            "headless": {"clusterIP": "None"},
            "external": {"type": "ExternalName"},
            "in": {"clusterIP": "10.0.0.1"},
            "out": {"clusterIP": "34.118.224.1", "clusterIPs": ["34.118.224.1", "10.0.0.2"]},
        }.items()
    ]
    folding.add_services(_page(items))
    found = folding.services
    assert (found.total, found.judged, found.uncovered) == (4, 2, 1)
    assert found.first == (Uncovered("x", "out", "34.118.224.1"),)


def test_service_labels_and_annotations_in_the_wrong_place() -> None:
    folding = Folding(None)
    labels = {"linkerd.io/inject": "enabled", "config.linkerd.io/opaque-ports": "25", "app": "x"}
    annotations = {"mirror.linkerd.io/exported": "true", "config.linkerd.io/opaque-ports": "25"}
    folding.add_services(_page([{"metadata": {"name": "s", "namespace": "x", "labels": labels}}]))
    folding.add_services(_page([{"metadata": {"name": "t", "namespace": "x", "annotations": annotations}}]))
    found = folding.service_metadata
    assert found.mislabelled.count == found.misannotated.count == 1
    assert found.mislabelled.first[0].why == "config.linkerd.io/opaque-ports\n\t\tlinkerd.io/inject"
    assert found.misannotated.first == (MeshedPod("x", "t", "mirror.linkerd.io/exported"),)


def test_an_empty_list_may_be_null() -> None:
    folding = Folding(None)
    folding.add_pods(b'{"items": null}')
    assert folding.pods.total == 0


@pytest.mark.parametrize("page", [b"[]", b'{"items": [{}]}', b'{"items": [{"metadata": {"name": 7}}]}', b"{"])
def test_what_is_no_page_is_an_error(page: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        Folding(None).add_pods(page)


def test_proxies_by_version_and_what_stands_out() -> None:
    stale = {"LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS": "10.0.0.0/8"}
    folding = _folded(
        _meshed("a"),
        _meshed("b", version="edge-26.6.3", env=stale),
        _meshed("c", labels={"config.linkerd.io/x": "y", "config.alpha.linkerd.io/x": "y"}),
        _meshed("d", phase="Succeeded", reason="Completed", env=stale, containerStatuses=[], initContainerStatuses=[]),
        pod_of("identity", State()),
        _pod("plain", "10.0.0.1"),
        current=Current(networks=NETWORKS, version="edge-26.8.3"),
    )
    found = folding.proxies
    assert found.total == 5
    assert [(version.version, version.pods.count) for version in found.versions] == [
        ("edge-26.8.3", 3),
        ("edge-26.6.3", 1),
    ]
    assert folding.outdated.first == (
        Workload("ReplicaSet", "shop", "linkerd-identity-5dc89bd97c", ("version", "clusterNetworks")),
    )
    assert [pod.name for pod in found.mislabelled.first] == ["c"]
    assert found.mislabelled.first[0].why == "config.alpha.linkerd.io/x\n\t\tconfig.linkerd.io/x"
    assert found.failing.count == 0
    assert [pod.name for pod in folding.mesh_pods] == ["linkerd-identity-5dc89bd97c-x2x2x"]


def test_proxies_without_a_known_value_are_not_outdated() -> None:
    assert _folded(_meshed("a")).outdated == Workloads()


def test_proxies_of_another_control_plane_count_only_for_trust() -> None:
    theirs = {"linkerd.io/control-plane-ns": "elsewhere"}
    anchors = {"LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS": "old"}
    folding = _folded(_meshed("a", labels=theirs, env=anchors), current=Current(networks="x", trust_roots="new"))
    assert (folding.proxies.total, folding.outdated.pods, folding.proxies.distrusting.count) == (0, 0, 1)


def test_trust_bundles_are_compared_without_the_space_around_them() -> None:
    old, new = ({"LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS": text} for text in ("old", "\nnew\n\n"))
    found = _folded(
        _meshed("a", env=old),
        _meshed("b", env=new),
        _meshed("own", "linkerd", env=old),
        current=Current(trust_roots="new\n"),
    ).proxies
    assert [pod.name for pod in found.distrusting.first] == ["a"]


def test_failing_proxies_in_the_cli_s_words() -> None:
    pending: Object = {"phase": "Pending", "containerStatuses": [], "initContainerStatuses": []}
    without: Object = {"initContainerStatuses": [], "phase": "Running"}
    found = _folded(_meshed("a"), _meshed("b", **pending), _meshed("c", **without)).proxies.failing
    assert [pod.why for pod in found.first] == [
        'pod "b" status is Pending',
        'container "linkerd-proxy" in pod "c" is not ready',
    ]


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("cr.l5d.io/linkerd/proxy:edge-26.8.3", "edge-26.8.3"),
        ("localhost:5000/proxy@sha256:ab", ""),
        ("proxy", "proxy"),
    ],
)
def test_the_proxy_s_version_is_its_image_s_tag(image: str, version: str) -> None:
    pod = pod_of("identity", State())
    pod["spec"]["initContainers"][1]["image"] = image
    assert _folded(pod).mesh_pods[0].proxy_version == version


def test_a_control_plane_pod_as_it_is_kept() -> None:
    (pod,) = _folded(pod_of("destination", State(unready={"destination": ("destination",)}))).mesh_pods
    assert pod.labels["linkerd.io/control-plane-component"] == "destination"
    assert pod.containers == (Container("destination", ready=False),)
    assert pod.conditions == (Condition("Ready", "True"),)
    assert (pod.phase, pod.status, pod.proxy_ready) == ("Running", "Running", True)


def test_the_namespace_s_objects() -> None:
    state = State(pod_cidrs=("10.64.0.0/24", ""), replica_failure="no")
    snapshot = from_objects(objects(state))
    assert snapshot.nodes == (Node("node-0", "10.64.0.0/24", "containerd://2.1.4"), Node("node-1", "", state.runtime))
    assert snapshot.cron_jobs == (CronJob("linkerd-heartbeat", "1 2 * * *"),)
    assert snapshot.replica_sets[0] == ReplicaSet(
        name="linkerd-destination-5dc89bd97c",
        wanted=1,
        ready=1,
        conditions=(Condition("ReplicaFailure", "True", "FailedCreate", "no"),),
    )
    destination = snapshot.deployments[0]
    assert (destination.name, destination.wanted, destination.available) == ("linkerd-destination", 1, 1)
    assert (destination.generation, destination.observed_generation) == (2, 2)
    assert destination.networks == (
        HeldNetworks("linkerd-proxy", True, "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS", NETWORKS),
        HeldNetworks("linkerd-proxy", True, "LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS", NETWORKS),
        HeldNetworks("policy", False, "--cluster-networks", NETWORKS),
    )


def test_no_private_key_gets_into_a_snapshot() -> None:
    everything = objects()
    snapshot = from_objects(everything)
    shown = repr(snapshot)
    secrets = [one["data"] for one in everything if one["kind"] == "Secret"]
    assert len(secrets) == 4
    assert "PRIVATE" not in shown
    assert "never shown" not in shown
    assert all(data[key] not in shown for data in secrets for key in data if "key" in key)
    assert snapshot.config is not None
    assert snapshot.config.values is not None
    assert snapshot.config.values["identity"]["issuer"]["tls"] == {"crtPEM": "shown"}


def test_reads_a_folding_s_pages_lazily() -> None:
    """Pages are let go of: a generator that makes each page when asked is enough."""

    def pages() -> Iterator[bytes]:
        for number in range(3):
            yield _page([_pod(f"p{number}", "10.0.0.1")])

    folding = Folding(networks.parse("10.0.0.0/8"))
    for page in pages():
        folding.add_pods(page)
    assert folding.pods.total == 3
