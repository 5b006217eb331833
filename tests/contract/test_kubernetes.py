"""The local cloud's Kubernetes, as a real control plane."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from aiohttp import web

from byomesh.local.authority import Authority, Issued
from byomesh.local.build import Binaries
from byomesh.local.kubernetes import ClusterSettings, ControlPlane
from byomesh.local.processes import ProcessError
from tests.contract.conftest import KubeApi
from tests.contract.kubernetes_workloads import (
    create_until_hooked,
    deployment_named,
    namespace_named,
    pod_named,
    ready,
    webhook_in,
)

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


async def test_version_is_the_released_one(kube: KubeApi) -> None:
    version = await kube.get("/version")
    assert (version["gitVersion"], version["major"], version["minor"]) == ("v1.36.3", "1", "36")


async def test_the_kubernetes_service_has_the_address_that_gke_gives_it(kube: KubeApi) -> None:
    service = await kube.get("/api/v1/namespaces/default/services/kubernetes")
    assert service["spec"]["clusterIP"] == "34.118.224.1"
    slices = await kube.until(
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes",
        lambda found: bool(found["endpoints"]),
    )
    assert slices["endpoints"][0]["addresses"] == ["10.128.0.2"]


async def test_a_node_looks_like_gkes_and_gets_ready(control_plane: ControlPlane, kube: KubeApi) -> None:
    node = await kube.until("/api/v1/nodes/gke-shared-default-pool-0001", ready)
    addresses = {entry["type"]: entry["address"] for entry in node["status"]["addresses"]}
    assert addresses == {"InternalIP": "10.128.0.10", "Hostname": "gke-shared-default-pool-0001"}
    assert ipaddress.ip_address(addresses["InternalIP"]) not in control_plane.settings.pods
    assert ipaddress.ip_network(node["spec"]["podCIDR"]).prefixlen == 24
    assert ipaddress.IPv4Network(node["spec"]["podCIDR"]).subnet_of(control_plane.settings.pods)
    assert node["metadata"]["labels"]["cloud.google.com/gke-nodepool"] == "default-pool"
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.3"


async def test_a_node_whose_name_is_taken_is_refused(control_plane: ControlPlane) -> None:
    with pytest.raises(ProcessError, match=r"refused node gke-shared-default-pool-0001: .*already exists"):
        await control_plane.add_node("gke-shared-default-pool-0001")


async def test_pods_of_a_deployment_run_with_addresses_of_the_pods_range(
    control_plane: ControlPlane,
    kube: KubeApi,
) -> None:
    async with namespace_named(kube, "deployed"):
        began = time.monotonic()
        await kube.create("/apis/apps/v1/namespaces/deployed/deployments", deployment_named("web", replicas=3))
        await kube.until(
            "/apis/apps/v1/namespaces/deployed/deployments/web",
            lambda found: found["status"]["availableReplicas"] == 3,
        )
        assert time.monotonic() - began < 10
        pods = (await kube.get("/api/v1/namespaces/deployed/pods"))["items"]
        addresses = {ipaddress.ip_address(pod["status"]["podIP"]) for pod in pods}
        assert len(addresses) == 3
        assert all(address in control_plane.settings.pods for address in addresses)
        assert {pod["status"]["hostIP"] for pod in pods} == {"10.128.0.10"}


async def test_init_containers_are_through_and_native_sidecars_run(kube: KubeApi) -> None:
    async with namespace_named(kube, "sidecars"):
        pod = pod_named("meshed")
        pod["spec"]["initContainers"] = [
            {"name": "linkerd-init", "image": "proxy-init"},
            {"name": "linkerd-proxy", "image": "proxy", "restartPolicy": "Always"},
        ]
        await kube.create("/api/v1/namespaces/sidecars/pods", pod)
        found = await kube.until("/api/v1/namespaces/sidecars/pods/meshed", ready)
        init, proxy = found["status"]["initContainerStatuses"]
        assert (init["ready"], init["state"]["terminated"]["reason"]) == (True, "Completed")
        assert (proxy["ready"], proxy["started"], list(proxy["state"])) == (True, True, ["running"])
        assert [status["ready"] for status in found["status"]["containerStatuses"]] == [True]
        # The scheduler's own condition stays.
        types = {condition["type"] for condition in found["status"]["conditions"]}
        assert types >= {"PodScheduled", "Initialized", "ContainersReady", "Ready"}


async def test_a_pod_of_the_hosts_network_has_its_nodes_address(kube: KubeApi) -> None:
    async with namespace_named(kube, "hosts"):
        pod = pod_named("agent")
        pod["spec"]["hostNetwork"] = True
        await kube.create("/api/v1/namespaces/hosts/pods", pod)
        found = await kube.until("/api/v1/namespaces/hosts/pods/agent", ready)
        assert found["status"]["podIP"] == found["status"]["hostIP"] == "10.128.0.10"


async def test_a_job_completes(kube: KubeApi) -> None:
    async with namespace_named(kube, "jobs"):
        pod = pod_named("ignored")["spec"] | {"restartPolicy": "Never"}
        job = {"metadata": {"name": "once"}, "spec": {"template": {"spec": pod}}}
        await kube.create("/apis/batch/v1/namespaces/jobs/jobs", job)
        found = await kube.until(
            "/apis/batch/v1/namespaces/jobs/jobs/once", lambda job: job["status"]["succeeded"] == 1
        )
        assert found["status"]["conditions"][-1]["type"] == "Complete"


async def test_a_webhook_whose_service_nobody_runs_is_refused_at_once(
    control_plane: ControlPlane,
    kube: KubeApi,
) -> None:
    async with namespace_named(kube, "hooked"), webhook_in(kube, "hooked") as service:
        began = time.monotonic()
        status, answer = await create_until_hooked(kube, "hooked")
        assert time.monotonic() - began < 2
        assert status == 500
        assert "failed calling webhook" in answer["message"]
        assert "503" in answer["message"]
        assert control_plane.network.refused[f"{service}:443"] >= 1


async def test_a_webhook_is_answered_by_a_stand_in_for_its_service(
    control_plane: ControlPlane,
    kube: KubeApi,
    tmp_path: Path,
) -> None:
    authority = Authority.create("stand-in")
    async with (
        namespace_named(kube, "answered"),
        _denier(authority.server(["hook.answered.svc"]), tmp_path) as port,
        webhook_in(kube, "answered", authority.pem) as service,
    ):
        withdraw = control_plane.network.answer(f"{service}:443", port)
        status, answer = await create_until_hooked(kube, "answered")
        denied = 'admission webhook "hook.example.com" denied the request: not today'
        assert (status, answer["message"]) == (403, denied)
        withdraw()


async def test_a_namespace_goes_with_its_pods(kube: KubeApi) -> None:
    async with namespace_named(kube, "going"):
        await kube.create("/apis/apps/v1/namespaces/going/deployments", deployment_named("web", replicas=2))
        await kube.until(
            "/apis/apps/v1/namespaces/going/deployments/web",
            lambda found: found["status"]["availableReplicas"] == 2,
        )
    await kube.until("/api/v1/namespaces/going", lambda found: found.get("code") == 404)


async def test_three_clusters_start_side_by_side(binaries: Binaries, tmp_path: Path) -> None:
    settings = [
        ClusterSettings(pods_cidr="10.20.0.0/14"),
        ClusterSettings(pods_cidr="100.64.0.0/17", services_cidr="10.96.0.0/20"),
        ClusterSettings(pods_cidr="10.128.0.0/24", services_cidr="192.168.0.0/24"),
    ]
    planes = [ControlPlane(f"c{index}", tmp_path / str(index), binaries, one) for index, one in enumerate(settings)]
    try:
        await asyncio.gather(*(_start_and_run_a_pod(plane, tmp_path) for plane in planes))
        assert len({plane.endpoint for plane in planes}) == 3
        for plane in planes:
            assert _strangers(plane) == []
    finally:
        await asyncio.gather(*(plane.stop() for plane in planes))


async def test_pods_take_as_long_as_they_are_told(binaries: Binaries, tmp_path: Path) -> None:
    async with (
        ControlPlane("slow", tmp_path / "slow", binaries, ClusterSettings(pod_seconds=1.5)) as plane,
        KubeApi(plane.admin_kubeconfig(), tmp_path) as kube,
    ):
        await plane.add_node("late")
        await kube.create("/api/v1/namespaces/default/pods", pod_named("slow"))
        scheduled = await kube.until("/api/v1/namespaces/default/pods/slow", lambda pod: bool(pod["spec"]["nodeName"]))
        began = time.monotonic()
        assert scheduled["status"]["phase"] == "Pending"
        await kube.until("/api/v1/namespaces/default/pods/slow", ready)
        assert 1.0 < time.monotonic() - began < 5.0


async def test_nothing_leaves_loopback(control_plane: ControlPlane, kube: KubeApi) -> None:
    seen: list[str] = []
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            seen.extend(_strangers(control_plane))
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    async with namespace_named(kube, "watched"), webhook_in(kube, "watched"):
        await kube.create("/api/v1/namespaces/watched/pods", pod_named("watched"))
        await kube.until("/api/v1/namespaces/watched/pods/watched", ready)
        for path in ("log", "proxy/"):
            status, _answer = await kube.call("GET", f"/api/v1/namespaces/watched/pods/watched/{path}")
            assert status >= 500
        status, _answer = await create_until_hooked(kube, "watched")
        assert status == 500
    done.set()
    await watching
    assert seen == []
    # etcd, the controllers, the scheduler and kwok serve on no port at all.
    listening = {name for name, pid in control_plane.pids.items() if _listening(pid)}
    assert listening == {"kube-apiserver"}


async def test_nothing_is_left_after_stop(binaries: Binaries, tmp_path: Path) -> None:
    long_folder = tmp_path / ("long-" * 20) / ("longer-" * 20)
    plane = ControlPlane("gone", long_folder, binaries)
    await plane.start()
    pids = dict(plane.pids)
    sockets = plane.network.socket.parent
    assert sockets.exists()
    assert len(str(plane.network.socket)) < 100
    assert sorted(pids) == ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"]
    await plane.stop()
    assert [name for name, pid in pids.items() if psutil.pid_exists(pid)] == []
    assert not sockets.exists()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", int(plane.endpoint.rpartition(":")[2])))
    for key in long_folder.glob("*.key"):
        assert key.stat().st_mode & 0o777 == 0o600, key
    await plane.stop()


async def test_a_cluster_that_is_stopped_while_it_starts_leaves_nothing(binaries: Binaries, tmp_path: Path) -> None:
    for delay in (0.0, 0.3, 1.0):
        plane = ControlPlane("short", tmp_path / str(delay), binaries)
        starting = asyncio.create_task(plane.start())
        await asyncio.sleep(delay)
        await plane.stop()
        with pytest.raises(ProcessError):
            await starting
        assert [name for name, pid in plane.pids.items() if psutil.pid_exists(pid)] == []
        assert not plane.network.socket.parent.exists()


@contextlib.asynccontextmanager
async def _denier(certificate: Issued, folder: Path) -> AsyncIterator[int]:
    """An admission webhook on a loopback port, which denies everything."""

    async def deny(request: web.Request) -> web.Response:
        review = await request.json()
        response = {"uid": review["request"]["uid"], "allowed": False, "status": {"message": "not today", "code": 403}}
        return web.json_response({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate.save(folder, "denier"))
    application = web.Application()
    application.router.add_post("/", deny)
    runner = web.AppRunner(application)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await web.SockSite(runner, listener, ssl_context=context).start()
        yield listener.getsockname()[1]
        await runner.cleanup()


async def _start_and_run_a_pod(plane: ControlPlane, folder: Path) -> None:
    await plane.start()
    await plane.add_node(f"{plane.name}-node")
    own = folder / f"{plane.name}-client"
    own.mkdir()
    async with KubeApi(plane.admin_kubeconfig(), own) as kube:
        service = await kube.get("/api/v1/namespaces/default/services/kubernetes")
        assert service["spec"]["clusterIP"] == plane.settings.kubernetes_service_ip
        await kube.create("/api/v1/namespaces/default/pods", pod_named("one"))
        pod = await kube.until("/api/v1/namespaces/default/pods/one", ready)
        assert ipaddress.ip_address(pod["status"]["podIP"]) in plane.settings.pods
        assert ipaddress.ip_address(pod["status"]["hostIP"]) in plane.settings.nodes


def _strangers(plane: ControlPlane) -> list[str]:
    """The TCP and UDP sockets of a cluster's programs that have an end outside of loopback."""
    found = []
    for name, pid in plane.pids.items():
        for connection in psutil.Process(pid).net_connections(kind="inet"):
            ends = [end.ip for end in (connection.laddr, connection.raddr) if len(end)]
            found += [f"{name}: {connection}" for ip in ends if ipaddress.ip_address(ip) not in LOOPBACK]
    return found


def _listening(pid: int) -> bool:
    connections = psutil.Process(pid).net_connections(kind="inet")
    return any(connection.status == psutil.CONN_LISTEN for connection in connections)
