"""A real API server calls the webhooks of a mesh that the stand-in charts installed, and the inhabitants answer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from byomesh.local.authority import Authority
from byomesh.local.build import Binaries
from byomesh.local.inhabitants import Inhabitants
from byomesh.local.kubernetes import ControlPlane
from byomesh.local.kubernetes.command_lines import kube_apiserver
from shared.kube import from_kubeconfig
from shared.mesh.linkerd import checks
from shared.mesh.linkerd.networks import DEFAULT_NETWORKS
from shared.mesh.linkerd.proving import proven
from shared.mesh.observe import observe
from shared.model import CheckOutcome, CheckReport, CheckResult
from tests.contract.conftest import Json, KubeApi
from tests.contract.kubernetes_workloads import deployment_named, namespace_named, pod_named, ready
from tests.contract.mesh_on_a_cluster import CONFIG, DEPLOYMENTS, INJECTOR, World, now

NETWORKS = f"{DEFAULT_NETWORKS},34.118.224.0/20"
INJECTOR_CALLS = "linkerd/linkerd-proxy-injector"
MERGE = "application/merge-patch+json"


class Town:
    """A cluster with a ready control plane and its inhabitants."""

    def __init__(self, kube: KubeApi, inhabitants: Inhabitants, kubeconfig: Path) -> None:
        self.kube = kube
        self.inhabitants = inhabitants
        self.kubeconfig = kubeconfig

    async def proof(self) -> CheckResult:
        """What the check says that tries a pod."""

        def judged() -> CheckReport:
            with from_kubeconfig(self.kubeconfig) as api:
                snapshot = proven(api, observe(api))
            return checks.run(snapshot, now(), expected_version=None, categories=checks.BEYOND)

        report = await asyncio.to_thread(judged)
        return next(result for _, result in report if result.description == "new pods get a proxy")

    async def edit(self, path: str, body: Json) -> Json:
        """Merge a patch."""
        status, answer = await self.kube.call("PATCH", path, body, **{"Content-Type": MERGE})
        assert status == 200, answer
        return answer

    async def dry_run(self, namespace: str, **annotations: str) -> tuple[int, Json]:
        """What a new pod would be."""
        pod = pod_named("probe")
        pod["metadata"]["annotations"] = {"linkerd.io/inject": "enabled", **annotations}
        return await self.kube.call("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)

    async def until_answered(self, namespace: str, status: int, *, meshed: bool, **annotations: str) -> Json:
        """The first answer to a new pod that is as expected: an API server learns of changes a moment later."""
        answered, body = 0, Json()
        for _ in range(200):
            answered, body = await self.dry_run(namespace, **annotations)
            if answered == status and (status != 201 or bool(proxy_of(body)) is meshed):
                return body
            await asyncio.sleep(0.05)
        raise AssertionError((answered, body))


@pytest.fixture(scope="module")
async def town(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    factory = tmp_path_factory
    async with (
        ControlPlane("inhabited", factory.mktemp("inhabited"), binaries) as plane,
        Inhabitants(plane) as inhabitants,
        KubeApi(plane.admin_kubeconfig(), factory.mktemp("inhabited-kube")) as kube,
    ):
        await plane.add_node("gke-inhabited-default-pool-0001")
        world = World.of(plane, binaries, factory.mktemp("inhabited-world"))
        await asyncio.to_thread(world.bring_about)
        await asyncio.to_thread(world.until_ready)
        world.kube.close()
        async with namespace_named(kube, "shop"):
            made = Town(kube, inhabitants, world.kubeconfig)
            await made.until_answered("shop", 201, meshed=True)
            yield made


def proxy_of(pod: Json) -> Json | None:
    """The container linkerd-proxy of a pod, native or not."""
    spec = pod["spec"]
    containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
    return next((one for one in containers if one["name"] == "linkerd-proxy"), None)


def variable(proxy: Json | None, name: str) -> Any:
    assert proxy is not None
    return next(one.get("value") for one in proxy["env"] if one["name"] == name)


async def test_an_annotated_pod_comes_back_with_a_proxy(town: Town) -> None:
    before = town.inhabitants.calls[INJECTOR_CALLS]
    status, pod = await town.dry_run("shop", **{"config.linkerd.io/proxy-cpu-request": "50m"})
    assert (status, [one["name"] for one in pod["spec"]["initContainers"]]) == (201, ["linkerd-init", "linkerd-proxy"])
    proxy = proxy_of(pod)
    assert proxy is not None
    assert proxy["restartPolicy"] == "Always"
    assert proxy["resources"]["requests"]["cpu"] == "50m"
    for name in ("LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS", "LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS"):
        assert variable(proxy, name) == NETWORKS
    assert pod["metadata"]["labels"]["linkerd.io/control-plane-ns"] == "linkerd"
    assert town.inhabitants.calls[INJECTOR_CALLS] == before + 1


async def test_a_pod_without_the_annotation_stays_as_it_is(town: Town) -> None:
    status, pod = await town.dry_run("shop", **{"linkerd.io/inject": "disabled"})
    assert (status, proxy_of(pod)) == (201, None)
    assert "labels" not in pod["metadata"] or "linkerd.io/control-plane-ns" not in pod["metadata"]["labels"]


async def test_a_deployments_pods_get_a_proxy_that_becomes_ready(town: Town) -> None:
    deployment = deployment_named("web", replicas=2)
    deployment["spec"]["template"]["metadata"]["annotations"] = {"linkerd.io/inject": "enabled"}
    path = "/apis/apps/v1/namespaces/shop/deployments"
    await town.kube.create(path, deployment)
    await town.kube.until(f"{path}/web", lambda found: found["status"]["readyReplicas"] == 2)
    pods = (await town.kube.get("/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb"))["items"]
    assert len(pods) == 2
    for pod in pods:
        assert ready(pod)
        assert pod["metadata"]["labels"]["linkerd.io/proxy-deployment"] == "web"
        (status,) = (one for one in pod["status"]["initContainerStatuses"] if one["name"] == "linkerd-proxy")
        assert (status["ready"], status["started"], "running" in status["state"]) == (True, True, True)
    told = "/api/v1/namespaces/shop/events?fieldSelector=involvedObject.kind%3DDeployment%2Creason%3DInjected"
    events = (await town.kube.until(told, lambda found: bool(found["items"])))["items"]
    assert {one["message"] for one in events} == {"Linkerd sidecar proxy injected"}
    await town.kube.call("DELETE", f"{path}/web")


@pytest.fixture
async def fail(town: Town) -> AsyncIterator[None]:
    """High availability's failurePolicy."""
    await set_webhook(town, failurePolicy="Fail")
    yield
    await set_webhook(town, failurePolicy="Ignore")


async def set_webhook(town: Town, **fields: Any) -> Json:
    """Change the injector's webhook; returns what it was."""
    webhook: Json = (await town.kube.get(INJECTOR))["webhooks"][0]
    await town.edit(INJECTOR, {"webhooks": [{**webhook, **fields}]})
    return webhook


async def test_a_blocked_port_leaves_pods_unmeshed_without_a_word(town: Town) -> None:
    town.inhabitants.blocked.add(8443)
    pod = await town.until_answered("shop", 201, meshed=False)
    town.inhabitants.blocked.clear()
    assert "linkerd.io/proxy-version" not in pod["metadata"]["annotations"]
    await town.until_answered("shop", 201, meshed=True)


@pytest.mark.usefixtures("fail")
async def test_a_blocked_port_keeps_pods_out_where_the_webhook_must_answer(town: Town) -> None:
    town.inhabitants.blocked.add(8443)
    refused = await town.until_answered("shop", 500, meshed=False)
    town.inhabitants.blocked.clear()
    assert refused["message"].startswith(
        'Internal error occurred: failed calling webhook "linkerd-proxy-injector.linkerd.io": failed to call webhook: '
        'Post "https://linkerd-proxy-injector.linkerd.svc:443/?timeout=10s": '
    )
    await town.until_answered("shop", 201, meshed=True)


@pytest.mark.usefixtures("fail")
async def test_an_injector_that_is_scaled_down_is_not_reached(town: Town) -> None:
    path = f"{DEPLOYMENTS}/linkerd-proxy-injector"
    await town.edit(path, {"spec": {"replicas": 0}})
    refused = await town.until_answered("shop", 500, meshed=False)
    await town.edit(path, {"spec": {"replicas": 1}})
    assert "failed calling webhook" in refused["message"]
    await town.until_answered("shop", 201, meshed=True)


@pytest.mark.usefixtures("fail")
async def test_a_wrong_ca_bundle_fails_in_the_handshake(town: Town) -> None:
    other = base64.b64encode(Authority.create("another").pem).decode()
    webhook = await set_webhook(town)
    client = webhook["clientConfig"]
    await set_webhook(town, clientConfig={**client, "caBundle": other})
    refused = await town.until_answered("shop", 500, meshed=False)
    await set_webhook(town, clientConfig=client)
    assert "certificate signed by unknown authority" in refused["message"]
    await town.until_answered("shop", 201, meshed=True)


async def test_networks_that_are_none_deny_injection(town: Town) -> None:
    config = await town.kube.get(CONFIG)
    broken = config["data"]["values"].replace(NETWORKS, "10.0.0.0/8, 34.118.224.0/20")
    await town.edit(CONFIG, {"data": {"values": broken}})
    refused = await town.until_answered("shop", 400, meshed=False)
    await town.edit(CONFIG, {"data": config["data"]})
    assert refused["message"] == (
        'admission webhook "linkerd-proxy-injector.linkerd.io" denied the request: '
        "cannot parse destination get networks: invalid CIDR address:  34.118.224.0/20"
    )
    await town.until_answered("shop", 201, meshed=True)


async def test_an_api_server_that_comes_back_finds_its_injector(town: Town, binaries: Binaries) -> None:
    plane = town.inhabitants._plane
    (apiserver,) = (process for process in plane._processes if process.name == "kube-apiserver")
    await apiserver.stop(grace=0.2)
    plane._processes.remove(apiserver)
    plane._launch("kube-apiserver", kube_apiserver(binaries, plane._layout, plane.settings))
    await plane.ready()
    await town.until_answered("shop", 201, meshed=True)


@pytest.fixture(scope="module")
async def tap(town: Town) -> AsyncIterator[str]:
    """Viz's tap as far as an API server knows it, in a namespace of its own: gives the path of its APIService."""
    kube = town.kube
    async with namespace_named(kube, "linkerd-viz"):
        authority = Authority.create("tap")
        issued = authority.server(["tap.linkerd-viz.svc"])
        pair = {"tls.crt": issued.certificate, "tls.key": issued.key}
        data = {name: base64.b64encode(value).decode() for name, value in pair.items()}
        core = "/api/v1/namespaces/linkerd-viz"
        await kube.create(f"{core}/secrets", {"metadata": {"name": "tap-k8s-tls"}, "data": data})
        ports = [{"name": "apiserver", "port": 443, "targetPort": 8089}]
        service = {"metadata": {"name": "tap"}, "spec": {"ports": ports, "selector": {"app": "tap"}}}
        await kube.create(f"{core}/services", service)
        await kube.create(f"{core}/pods", pod_named("tap"))
        await kube.until(f"{core}/pods/tap", ready)
        spec = {
            "group": "tap.linkerd.io",
            "version": "v1alpha1",
            "groupPriorityMinimum": 1000,
            "versionPriority": 100,
            "service": {"namespace": "linkerd-viz", "name": "tap"},
            "caBundle": base64.b64encode(authority.pem).decode(),
        }
        services = "/apis/apiregistration.k8s.io/v1/apiservices"
        await kube.create(services, {"metadata": {"name": "v1alpha1.tap.linkerd.io"}, "spec": spec})
        yield f"{services}/v1alpha1.tap.linkerd.io"
        await kube.call("DELETE", f"{services}/v1alpha1.tap.linkerd.io")


def available(found: Json) -> bool:
    return any(one["type"] == "Available" and one["status"] == "True" for one in found["status"]["conditions"])


async def test_a_namespace_can_be_deleted_while_taps_api_is_there(town: Town, tap: str) -> None:
    await town.kube.until(tap, available)
    found = await town.kube.get("/apis/tap.linkerd.io/v1alpha1")
    assert {"namespaces", "pods/tap"} < {one["name"] for one in found["resources"]}
    async with namespace_named(town.kube, "leaving"):
        pass
    await town.kube.until("/api/v1/namespaces/leaving", lambda answer: answer.get("code") == 404)
    assert town.inhabitants.calls["linkerd-viz/tap"] > 0


async def test_an_api_whose_port_is_blocked_is_not_available(town: Town, tap: str) -> None:
    town.inhabitants.blocked.add(8089)
    await town.kube.until(tap, lambda found: "FailedDiscoveryCheck" in str(found["status"]))
    town.inhabitants.blocked.clear()


async def test_the_admission_proof_holds_and_leaves_nothing_behind(town: Town) -> None:
    found = await town.proof()
    assert (found.outcome, found.error) == (CheckOutcome.PASS, "")
    assert (await town.kube.get("/api/v1/namespaces/default/pods"))["items"] == []


async def test_the_admission_proof_sees_a_blocked_port(town: Town) -> None:
    town.inhabitants.blocked.add(8443)
    found = await town.proof()
    town.inhabitants.blocked.clear()
    assert found.outcome is CheckOutcome.FAIL
    assert "admitted without a linkerd-proxy container" in found.error
    assert "TCP 8443" in found.error


@pytest.mark.usefixtures("fail")
async def test_the_admission_proof_sees_a_blocked_port_that_keeps_pods_out(town: Town) -> None:
    town.inhabitants.blocked.add(8443)
    await town.until_answered("shop", 500, meshed=False)
    found = await town.proof()
    town.inhabitants.blocked.clear()
    assert found.outcome is CheckOutcome.FAIL
    assert "can't be called: HTTP 500: Internal error occurred: failed calling webhook \"linkerd-proxy" in found.error


async def test_the_admission_proof_tells_another_denial_apart(town: Town) -> None:
    quotas = "/api/v1/namespaces/default/resourcequotas"
    await town.kube.create(quotas, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    await town.kube.until(f"{quotas}/none", lambda found: "hard" in found["status"])
    found = await town.proof()
    await town.kube.call("DELETE", f"{quotas}/none")
    assert found.outcome is CheckOutcome.WARN
    assert "exceeded quota" in found.error
