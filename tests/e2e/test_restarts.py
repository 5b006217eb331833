"""Meshed workloads that run with old clusterNetworks: listed by a verification, restarted where somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from byomesh.demo.inventory import changes, resource_versions
from shared.kube import Kube
from shared.mesh.rollouts import RESTARTED_FOR
from tests.e2e.breakages import CONFIG, EDITOR
from tests.e2e.cloud import Cloud
from tests.e2e.test_repairs import quiet, verified

SHOP = "/api/v1/namespaces/shop"
APPS = "/apis/apps/v1/namespaces/shop"
VARIABLE = "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS"
EXTRA = "203.0.113.0/24"
NAMES = ("emoji", "voting", "web", "vote-bot")


def template(name: str) -> dict[str, Any]:
    container = {"name": "app", "image": "registry.k8s.io/pause:3.10", "resources": {"requests": {"cpu": "10m"}}}
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}


def workload(name: str, kind: str = "Deployment") -> dict[str, Any]:
    spec: dict[str, Any] = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template(name)}
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


@pytest.fixture(scope="module")
def shop(shared_cloud: Cloud) -> Iterator[tuple[Cloud, str]]:
    """A cluster with a mesh, and meshed workloads of each sort."""
    name = shared_cloud.create("restarts", "--allow-net-admin")
    shared_cloud.ready(name)
    with shared_cloud.kube(name) as api:
        annotations = {"linkerd.io/inject": "enabled"}
        api.create("/api/v1/namespaces", {"metadata": {"name": "shop", "annotations": annotations}})
        shared_cloud.until(lambda: api.get(f"{SHOP}/serviceaccounts/default"), "the namespace's ServiceAccount")
        for one in NAMES:
            api.create(f"{APPS}/deployments", workload(one))
        api.create(f"{APPS}/statefulsets", workload("store", "StatefulSet"))
        api.create(
            f"{SHOP}/pods", {"apiVersion": "v1", "kind": "Pod", **template("bare"), "metadata": {"name": "bare"}}
        )
        shared_cloud.until(lambda: len(given(api)) == len(NAMES) + 2, "the pods to have proxies")
    yield shared_cloud, name
    shared_cloud.delete(name)


def given(api: Kube) -> dict[str, str]:
    """The networks that each running pod's proxy was started with."""
    found = {}
    for pod in api.list_items(f"{SHOP}/pods"):
        if pod["status"].get("phase") != "Running" or pod["metadata"].get("deletionTimestamp"):
            continue
        containers = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
        proxy = next((one for one in containers if one["name"] == "linkerd-proxy"), None)
        if proxy is not None:
            found[pod["metadata"]["name"]] = next(one["value"] for one in proxy["env"] if one["name"] == VARIABLE)
    return found


def marks(api: Kube) -> dict[str, str]:
    """For which settings each workload was restarted."""
    found = {}
    for kind in ("deployments", "statefulsets"):
        for one in api.list_items(f"{APPS}/{kind}"):
            annotations = one["spec"]["template"]["metadata"].get("annotations") or {}
            found[one["metadata"]["name"]] = annotations.get(RESTARTED_FOR, "")
    return found


def test_outdated_workloads_are_listed_then_restarted_once_where_that_is_asked_for(shop: tuple[Cloud, str]) -> None:
    cloud, name = shop
    with cloud.kube(name) as api:
        config = api.get(CONFIG)
        assert config is not None
        values = config["data"]["values"].replace("clusterNetworks: ", f"clusterNetworks: {EXTRA},")
        api.patch(CONFIG, {"data": {"values": values}}, field_manager=EDITOR)
        outdated = verified(cloud, name)[-1]["outdated"]
        assert outdated["pods"] == len(NAMES) + 2
        assert {*outdated["workloads"]} == {
            *(f"Deployment shop/{one}" for one in NAMES),
            "StatefulSet shop/store",
            "Pod shop/bare",
        }
        assert set(marks(api).values()) == {""}
        asked = {"cluster": name, "mesh": "linkerd", "reason": "repair", "repairs": ["restartWorkloads"]}
        cloud.publish("mesh-install", asked)
        cloud.until(lambda: "" not in marks(api).values(), "every workload to be restarted")
        cloud.until(lambda: [one for one, had in given(api).items() if EXTRA not in had] == ["bare"], "new proxies")
        # The bare pod is nobody's to make again.
        cloud.until(lambda: verified(cloud, name)[-1]["outdated"]["workloads"] == ["Pod shop/bare"], "the rest")
        before = quiet(cloud, api)
        verified(cloud, name, asked)
        assert changes(before, resource_versions(api)) == []
