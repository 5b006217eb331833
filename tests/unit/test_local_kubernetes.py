"""What a local cluster's settings lead to, without any of its programs."""

from __future__ import annotations

import base64
import ipaddress
from pathlib import Path
from typing import Any

import pytest
import yaml

from byomesh.local.authority import Issued
from byomesh.local.build import Binaries, module_version
from byomesh.local.kubernetes import ClusterSettings, Webhook, command_lines, files
from byomesh.local.kubernetes.nodes import node_object


@pytest.mark.parametrize(
    ("pods", "mask", "pods_a_node"),
    [
        ("10.0.0.0/8", 24, 110),
        ("10.4.0.0/14", 24, 110),
        ("10.4.0.0/22", 24, 110),
        ("10.4.0.0/24", 26, 32),
        ("10.4.0.0/28", 30, 2),
    ],
)
def test_node_ranges_are_cut_from_the_pods(pods: str, mask: int, pods_a_node: int) -> None:
    settings = ClusterSettings(pods_cidr=pods)
    assert (settings.node_mask, settings.pods_a_node) == (mask, pods_a_node)


@pytest.mark.parametrize(
    ("pods", "services", "nodes"),
    [
        ("10.4.0.0/14", "34.118.224.0/20", "10.128.0.0/20"),
        ("10.128.0.0/14", "34.118.224.0/20", "10.132.0.0/20"),
        ("10.0.0.0/8", "34.118.224.0/20", "172.16.0.0/20"),
        ("10.0.0.0/8", "172.16.0.0/16", "192.168.0.0/20"),
    ],
)
def test_nodes_are_beside_pods_and_services(pods: str, services: str, nodes: str) -> None:
    assert str(ClusterSettings(pods_cidr=pods, services_cidr=services).nodes) == nodes


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pods_cidr": "10.0.0.0/7"}, "10.0.0.0/7"),
        ({"pods_cidr": "10.0.0.1/8"}, "host bits set"),
        ({"pods_cidr": "10.0.0.0/29"}, "pods_cidr must be between /8 and /28, not 10.0.0.0/29"),
        ({"services_cidr": "10.96.0.0/11"}, "services_cidr must be between /12 and /28, not 10.96.0.0/11"),
        ({"services_cidr": "fd00::/112"}, "services_cidr must be an IPv4 range such as .*, not 'fd00::/112'"),
        ({"pods_cidr": "10.0.0.0/8", "services_cidr": "10.96.0.0/20"}, "overlap"),
        ({"pod_seconds": -1.0}, "pod_seconds must not be negative"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ClusterSettings(**settings)


def test_a_kubeconfig_has_everything_in_it() -> None:
    config = yaml.safe_load(files.kubeconfig("one", "https://127.0.0.1:1", b"CA", Issued(b"CERTIFICATE", b"KEY")))
    assert config["current-context"] == "one"
    cluster = config["clusters"][0]["cluster"]
    assert cluster["server"] == "https://127.0.0.1:1"
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"CA"
    user = config["users"][0]["user"]
    assert base64.b64decode(user["client-certificate-data"]) == b"CERTIFICATE"
    assert base64.b64decode(user["client-key-data"]) == b"KEY"


def test_pods_wait_only_where_told_to() -> None:
    at_once = {stage["metadata"]["name"]: stage["spec"] for stage in yaml.safe_load_all(files.kwok_config(0))}
    assert [name for name, spec in at_once.items() if "delay" in spec] == []
    slow = {stage["metadata"]["name"]: stage["spec"] for stage in yaml.safe_load_all(files.kwok_config(1.5))}
    assert slow["pod-running"]["delay"] == {"durationMilliseconds": 1500}
    assert slow.keys() == at_once.keys() == {"node-ready", "pod-deleted", "pod-of-job-completed", "pod-running"}


def test_both_kinds_of_egress_go_through_the_proxy() -> None:
    selections = yaml.safe_load(files.egress_selector(Path("/short/network.sock")))["egressSelections"]
    assert {selection["name"] for selection in selections} == {"cluster", "controlplane"}
    assert {selection["connection"]["transport"]["uds"]["udsName"] for selection in selections} == {
        "/short/network.sock",
    }


def authorizers(settings: ClusterSettings) -> list[str]:
    """Whom the API server asks, in order."""
    config = yaml.safe_load(files.authorization_config(Path("/folder"), settings))
    return [one["name"] for one in config["authorizers"]]


def test_an_authorizer_is_asked_only_on_its_conditions() -> None:
    managed = Webhook("https://127.0.0.1:1/managed", b"CA", ("has(request.resourceAttributes)",))
    config = yaml.safe_load(files.authorization_config(Path("/folder"), ClusterSettings(managed=managed)))
    webhook = config["authorizers"][0]["webhook"]
    assert webhook["connectionInfo"]["kubeConfigFile"] == "/folder/managed.kubeconfig"
    assert webhook["matchConditions"] == [{"expression": "has(request.resourceAttributes)"}]


def test_webhooks_are_asked_only_where_there_are_some() -> None:
    layout = command_lines.Layout(Path("/folder"), Path("/short"), 1234)
    plain = command_lines.kube_apiserver(_binaries(), layout, ClusterSettings())
    assert "--authorization-config=/folder/authorization.yaml" in plain
    assert authorizers(ClusterSettings()) == ["node", "rbac"]
    assert [flag for flag in plain if "webhook" in str(flag)] == []
    webhook = Webhook("https://127.0.0.1:1/token", b"CA")
    settings = ClusterSettings(authentication=webhook, authorization=webhook, managed=webhook)
    asking = command_lines.kube_apiserver(_binaries(), layout, settings)
    assert authorizers(settings) == ["managed", "node", "rbac", "authorization"]
    assert "--authentication-token-webhook-config-file=/folder/authentication.kubeconfig" in asking


def test_nodes_have_addresses_of_their_own() -> None:
    settings = ClusterSettings()
    first, second = (
        node_object(name, index, settings, zone="europe-west4-b", project="p", labels={"mine": "too"})
        for index, name in enumerate(("one", "two"))
    )
    addresses = [node["status"]["addresses"][0]["address"] for node in (first, second)]
    assert addresses == ["10.128.0.10", "10.128.0.11"]
    assert all(ipaddress.ip_address(address) not in settings.pods for address in addresses)
    assert first["spec"]["providerID"] == "gce://p/europe-west4-b/one"
    labels = first["metadata"]["labels"]
    assert (labels["topology.kubernetes.io/region"], labels["mine"]) == ("europe-west4", "too")


def test_the_versions_are_those_of_go_mod() -> None:
    assert module_version("k8s.io/kubernetes") == "v1.36.3"
    assert module_version("helm.sh/helm/v4") == "v4.3.1"
    with pytest.raises(Exception, match=r"does not require example\.com/none"):
        module_version("example.com/none")


def _binaries() -> Binaries:
    return Binaries(*(Path(f"/bin/{index}") for index in range(7)))
