"""A policy that asks for high availability, a PriorityClass and a registry, on a live cluster switched on and off."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.kube import Kube
from tests.e2e.cloud import INSTALLED_ONCE, Cloud

NAME = "steadfast"
REGISTRY = "europe-docker.pkg.dev/demo-project/mesh"
CLASS = "/apis/scheduling.k8s.io/v1/priorityclasses/service-mesh"
KINDS = (
    "/api/v1/namespaces/linkerd/secrets",
    "/api/v1/namespaces/linkerd/configmaps",
    "/apis/apps/v1/namespaces/linkerd/deployments",
    "/apis/policy/v1/namespaces/linkerd/poddisruptionbudgets",
    "/apis/scheduling.k8s.io/v1/priorityclasses",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
)


def policy(*, ha: bool) -> str:
    return f"""\
schema: 1
rules:
  - name: everywhere
    mesh: linkerd
    ha: {str(ha).lower()}
    priorityClass: service-mesh
    iptablesMode: legacy
    images:
      registry: {REGISTRY}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "policy.yaml"
    made.write_text(policy(ha=True))
    return made


@pytest.fixture
def steady(down_cloud: Cloud, file: Path) -> Cloud:
    down_cloud.up("--pace", "20", "--setting", f"BYOMESH_POLICY={file}")
    return down_cloud


def versions(api: Kube) -> dict[str, str]:
    """What would differ if anybody had written anything."""
    return {
        f"{path}/{one['metadata']['name']}": one["metadata"]["resourceVersion"]
        for path in KINDS
        for one in api.list_items(path)
        if not one["metadata"].get("ownerReferences")
    }


def run_again(cloud: Cloud) -> None:
    """Publish the request again, and wait for the verification that follows."""
    before = len(cloud.statuses(NAME, phase="Ready"))
    cluster = cloud.json("status")["clusters"][0]["name"]
    cloud.publish("mesh-install", {"cluster": cluster, "mesh": "linkerd"})
    cloud.until(lambda: len(cloud.statuses(NAME, phase="Ready")) > before, "the next Ready")


def test_the_switches_of_a_policy_are_carried_out_and_a_rerun_writes_nothing(steady: Cloud, file: Path) -> None:
    steady.create(NAME, "--nodes", "3")
    status = steady.ready(NAME)
    assert (status["checks"]["failed"], status["checks"]["warned"]) == (0, 0)
    with steady.kube(NAME) as api:
        deployments = list(api.list_items("/apis/apps/v1/namespaces/linkerd/deployments"))
        assert {one["spec"]["replicas"] for one in deployments} == {3}
        for one in deployments:
            spec = one["spec"]["template"]["spec"]
            assert spec["priorityClassName"] == "service-mesh"
            assert all(container["image"].startswith(f"{REGISTRY}/") for container in spec["containers"])
        pods = [one for one in api.list_items("/api/v1/namespaces/linkerd/pods") if "nodeName" in one["spec"]]
        injectors = [one["spec"]["nodeName"] for one in pods if one["metadata"]["name"].startswith("linkerd-proxy-inj")]
        assert len(set(injectors)) == 3
        made = api.get(CLASS)
        assert made is not None
        assert made["metadata"]["managedFields"][0]["manager"] == "byomesh"
        before = versions(api)
        run_again(steady)
        assert versions(api) == before
    assert steady.revisions(NAME) == INSTALLED_ONCE
    file.write_text(policy(ha=False))
    run_again(steady)
    assert steady.revisions(NAME)["linkerd-control-plane", 2] == "deployed"
    with steady.kube(NAME) as api:
        assert {one["spec"]["replicas"] for one in api.list_items(KINDS[2])} == {1}
        assert list(api.list_items(KINDS[3])) == []
