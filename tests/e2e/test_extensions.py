"""viz and Emojivoto on a policy's wish: installed once the mesh is ready, told of, kept, and removed again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from byomesh.demo.inventory import changes, resource_versions
from byomesh.demo.story import policy
from tests.e2e.cloud import Cloud

MANAGED, OPEN = "managed", "open"


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    file.write_text(policy(viz=True, emojivoto=True), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def wished(down_cloud_of_module: Cloud, rules: Path) -> Cloud:
    """Two clusters, of which one lets nobody write to kube-system."""
    down_cloud_of_module.up("--pace", "20", "--policy", str(rules))
    down_cloud_of_module.create(MANAGED)
    down_cloud_of_module.create(OPEN, "--no-managed-namespaces")
    return down_cloud_of_module


@pytest.fixture(scope="module")
def down_cloud_of_module() -> Iterator[Cloud]:
    from tests.e2e.cloud import cloud  # noqa: PLC0415 - its name is a fixture's elsewhere

    with cloud() as made:
        yield made


def told(cloud: Cloud, name: str) -> dict[str, Any]:
    """The first Ready status that tells of both."""

    def found() -> list[dict[str, Any]]:
        return [one for one in cloud.statuses(name, phase="Ready") if len(one["options"]) == len(("viz", "emojivoto"))]

    return cloud.until(found, f"viz and Emojivoto on {name}")[0]


def rerun(cloud: Cloud, cluster: str) -> dict[str, Any]:
    """Publish the smallest request; its Ready status."""
    request_id = cloud.publish("mesh-install", {"cluster": cluster, "mesh": "linkerd"})
    return cloud.until(lambda: cloud.statuses(request_id=request_id, phase="Ready"), "the rerun")[-1]


def test_both_come_once_the_mesh_is_ready_and_their_pods_have_proxies(wished: Cloud) -> None:
    options = told(wished, OPEN)["options"]
    assert options == {
        "viz": "5 of 5 deployments ready, 5 meshed",
        "emojivoto": "4 of 4 deployments ready, 4 meshed",
    }
    first = wished.statuses(OPEN, phase="Ready")[0]
    assert first["message"].endswith("follows: linkerd-viz, emojivoto")
    with wished.kube(OPEN) as api:
        names = {pod["spec"]["containers"][0]["name"] for pod in api.list_items("/api/v1/namespaces/emojivoto/pods")}
        assert api.get("/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.tap.linkerd.io") is not None
    assert names <= {"emoji", "voting", "web", "vote-bot", "linkerd-proxy"}


def test_where_nobody_may_write_to_kube_system_viz_comes_without_tap_and_says_so(wished: Cloud) -> None:
    status = told(wished, MANAGED)
    assert status["options"]["viz"] == "3 of 3 deployments ready, 3 meshed; without tap, which the cluster refuses"
    assert status["checks"]["failed"] == 0
    words = [one["message"] for one in wished.statuses(MANAGED) if "linkerd-viz is without tap" in one["message"]]
    assert words
    assert "denied by managed-namespaces-limitation" in words[0]
    with wished.kube(MANAGED) as api:
        assert api.get("/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.tap.linkerd.io") is None
        assert [
            one
            for one in api.list_items("/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings")
            if "tap" in one["metadata"]["name"]
        ] == []


@pytest.mark.parametrize("name", [MANAGED, OPEN])
def test_a_rerun_with_both_there_writes_nothing(wished: Cloud, name: str) -> None:
    cluster = told(wished, name)["cluster"]
    with wished.kube(name) as api:
        before = resource_versions(api)
        rerun(wished, cluster)
        assert changes(before, resource_versions(api)) == []


def test_both_go_again_and_things_of_others_stay(wished: Cloud, rules: Path) -> None:
    cluster = told(wished, OPEN)["cluster"]
    with wished.kube(OPEN) as api:
        mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "emojivoto"}}
        api.create("/api/v1/namespaces/emojivoto/configmaps", mine)
        rules.write_text(
            policy().replace("    mesh: linkerd\n", "    mesh: linkerd\n    viz: false\n    emojivoto: false\n")
        )
        rerun(wished, cluster)
        wished.until(lambda: api.get("/api/v1/namespaces/linkerd-viz") is None, "viz's namespace to go")
        wished.until(lambda: not list(api.list_items("/api/v1/namespaces/emojivoto/pods")), "Emojivoto's pods to go")
        assert api.get("/api/v1/namespaces/emojivoto/configmaps/mine") is not None
        assert api.get("/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.tap.linkerd.io") is None
    status = rerun(wished, cluster)
    assert status["options"] == {}
    (said,) = [one["message"] for one in wished.statuses(request_id=status["request_id"], phase="Verifying")]
    assert "the namespace emojivoto is kept, for it holds 1 objects of others: ConfigMap emojivoto/mine" in said
