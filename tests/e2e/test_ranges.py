"""Three clusters at once, two with ranges that Linkerd's chart doesn't know: each gets its own ranges, everywhere."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import yaml

from tests.e2e.cloud import INSTALLED_ONCE, Cloud

CHART_DEFAULT = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8"
CAST = {
    "gke-default": (),
    "benchmark-pods": ("--pods-cidr", "198.18.0.0/16"),
    "other-services": ("--pods-cidr", "240.10.0.0/16", "--services-cidr", "34.118.240.0/20"),
}
PROXY_VARIABLES = ("LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS", "LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS")
DEPLOYMENTS = {"linkerd-destination", "linkerd-identity", "linkerd-proxy-injector"}


class Seen(msgspec.Struct, frozen=True):
    """What one cluster holds.

    Attributes:
        values: clusterNetworks in linkerd-config.
        argument: the policy controller's --cluster-networks.
        proxies: the value of each variable of each control-plane proxy, by Deployment and variable.
        addresses: every pod's and Service's address.
    """

    values: str
    argument: str
    proxies: dict[tuple[str, str], str]
    addresses: list[str]


@pytest.fixture(scope="module")
def cast(shared_cloud: Cloud) -> Iterator[Cloud]:
    names = [shared_cloud.create(name, *options) for name, options in CAST.items()]
    yield shared_cloud
    shared_cloud.delete(*names)


def containers(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    spec = deployment["spec"]["template"]["spec"]
    return [*spec["containers"], *spec.get("initContainers", [])]


def look(cloud: Cloud, name: str) -> Seen:
    with cloud.kube(name) as api:
        config = api.get("/api/v1/namespaces/linkerd/configmaps/linkerd-config")
        assert config is not None
        deployments = list(api.list_items("/apis/apps/v1/namespaces/linkerd/deployments"))
        pods, services = (list(api.list_items(f"/api/v1/{kind}")) for kind in ("pods", "services"))
    (argument,) = [
        argument.partition("=")[2]
        for deployment in deployments
        for container in containers(deployment)
        for argument in container.get("args", [])
        if argument.startswith("--cluster-networks=")
    ]
    proxies = {
        (deployment["metadata"]["name"], variable["name"]): variable["value"]
        for deployment in deployments
        for container in containers(deployment)
        for variable in container.get("env", [])
        if variable["name"] in PROXY_VARIABLES
    }
    addresses = [
        *(pod["status"]["podIP"] for pod in pods if pod["status"].get("podIP")),
        *(service["spec"]["clusterIP"] for service in services if service["spec"]["clusterIP"] != "None"),
    ]
    return Seen(yaml.safe_load(config["data"]["values"])["clusterNetworks"], argument, proxies, addresses)


@pytest.mark.parametrize("name", CAST)
def test_the_ranges_are_in_every_place_from_the_first_install(cast: Cloud, name: str) -> None:
    status = cast.ready(name)
    assert (status["checks"]["failed"], status["repaired"]) == (0, [])
    assert cast.revisions(name) == INSTALLED_ONCE
    known = next(one for one in cast.clusters() if one["name"].endswith(f"/{name}"))
    seen = look(cast, name)
    members = seen.values.split(",")
    assert known["services_cidr"] in members
    assert {*CHART_DEFAULT.split(",")} <= {*members}
    networks = [ipaddress.ip_network(member) for member in members]
    pods = ipaddress.ip_network(known["pods_cidr"])
    assert any(pods.version == one.version and pods.subnet_of(one) for one in networks)  # type: ignore[arg-type]
    assert seen.argument == seen.values
    assert seen.proxies == {(one, variable): seen.values for one in DEPLOYMENTS for variable in PROXY_VARIABLES}
    for address in seen.addresses:
        assert any(ipaddress.ip_address(address) in network for network in networks), address
    assert any(ipaddress.ip_address(address) in pods for address in seen.addresses)


def test_each_cluster_has_only_its_own_ranges(cast: Cloud) -> None:
    for name in CAST:
        cast.ready(name)
    assert "198.18.0.0/16" in look(cast, "benchmark-pods").values
    assert "198.18.0.0/16" not in look(cast, "gke-default").values
    other = look(cast, "other-services").values.split(",")
    assert {"240.10.0.0/16", "34.118.240.0/20"} <= {*other}
    assert "34.118.224.0/20" not in other
