"""Pods and Services of a large cluster, as large as real ones are, written into a local one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import aiohttp

from bench.figures import BenchError

_AT_ONCE = 24
_REPLICAS = 10
_HASH = "7d9f8b6c5"
NAMESPACES = 20
Json = dict[str, Any]


def namespace(number: int) -> str:
    """The namespace of a pod or a Service."""
    return f"team-{number % NAMESPACES:02}"


def pod(number: int, networks: str, version: str) -> Json:
    """A pod of a Deployment of ten, every second one meshed, as large as a real one is."""
    deployment = number // NAMESPACES // _REPLICAS
    app = f"app-{deployment:03}"
    meshed = deployment % 2 == 0
    labels = {"app.kubernetes.io/name": app, "pod-template-hash": _HASH, "team": namespace(number)}
    annotations = {"prometheus.io/scrape": "true", "checksum/config": "ab" * 32}
    containers = [_container("app", 20), _container("metrics", 8)]
    spec: Json = {"nodeName": "gke-bench-0001", "automountServiceAccountToken": False, "containers": containers}
    if meshed:
        labels["linkerd.io/control-plane-ns"] = "linkerd"
        annotations |= {"linkerd.io/proxy-version": version, "linkerd.io/trust-root-sha256": "cd" * 32}
        spec["initContainers"] = [_container("linkerd-init", 0), _proxy(networks, version)]
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{app}-{_HASH}", "controller": True}
    return {
        "metadata": {
            "name": f"{app}-{_HASH}-{number:05}",
            "namespace": namespace(number),
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{**owner, "uid": "00000000-0000-4000-8000-000000000000"}],
        },
        "spec": spec,
    }


def _container(name: str, variables: int) -> Json:
    resources = {"cpu": "100m", "memory": "128Mi"}
    return {
        "name": name,
        "image": f"registry.example.com/team/{name}:1.2.3",
        "env": [{"name": f"SETTING_{number:02}", "value": f"value-of-{number}"} for number in range(variables)],
        "ports": [{"containerPort": 8080, "name": "http"}],
        "resources": {"requests": resources, "limits": resources},
    }


def _proxy(networks: str, version: str) -> Json:
    proxy = _container("linkerd-proxy", 45)
    env = {"LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS": networks, "LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS": networks}
    proxy["env"] += [{"name": name, "value": value} for name, value in env.items()]
    return {**proxy, "image": f"cr.l5d.io/linkerd/proxy:{version}", "restartPolicy": "Always"}


def status_of(found: Json, number: int) -> Json:
    """The status of a running pod."""
    ip = f"10.{4 + number // 60000}.{number // 250 % 240}.{number % 250 + 1}"
    since = "2026-11-20T10:00:00Z"
    running = {"running": {"startedAt": since}}
    done = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": since, "finishedAt": since}}

    def statuses(containers: Iterable[Json]) -> list[Json]:
        return [
            {
                "name": one["name"],
                "image": one["image"],
                "imageID": f"{one['image']}@sha256:{'ef' * 32}",
                "containerID": f"containerd://{'12' * 32}",
                "ready": True,
                "started": one["name"] != "linkerd-init",
                "restartCount": 0,
                "state": done if one["name"] == "linkerd-init" else running,
            }
            for one in containers
        ]

    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "hostIP": "10.128.0.3",
        "startTime": since,
        "conditions": [{"type": one, "status": "True", "lastTransitionTime": since} for one in conditions],
        "initContainerStatuses": statuses(found["spec"].get("initContainers", ())),
        "containerStatuses": statuses(found["spec"]["containers"]),
    }


def service(number: int) -> Json:
    """A Service before a Deployment's pods."""
    app = f"app-{number // NAMESPACES:03}"
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    spec = {"selector": {"app.kubernetes.io/name": app}, "ports": ports}
    return {
        "metadata": {"name": f"svc-{number:04}", "namespace": namespace(number), "labels": {"app": app}},
        "spec": spec,
    }


def endpoints(number: int) -> Json:
    """The Endpoints of a Service: five pods."""
    app = f"app-{number // NAMESPACES:03}"
    names = [f"{app}-{_HASH}-{number % NAMESPACES + NAMESPACES * one:05}" for one in range(5)]
    found = [
        {"ip": "10.4.0.9", "targetRef": {"kind": "Pod", "namespace": namespace(number), "name": one}} for one in names
    ]
    metadata = {"name": f"svc-{number:04}", "namespace": namespace(number)}
    return {"metadata": metadata, "subsets": [{"addresses": found, "ports": [{"name": "http", "port": 8080}]}]}


async def fill(session: aiohttp.ClientSession, pods: range, services: range, networks: str, version: str) -> None:
    """Write pods, running, and Services with their Endpoints, many at once.

    Raises:
        BenchError: the API server refused one.
    """
    works = itertools.chain(
        (_pod(session, number, networks, version) for number in pods),
        (_service(session, number) for number in services),
    )
    await asyncio.gather(*(_worker(works) for _ in range(_AT_ONCE)))


async def _worker(works: Iterator[Any]) -> None:
    for work in works:
        await work


async def _pod(session: aiohttp.ClientSession, number: int, networks: str, version: str) -> None:
    made = await _sent(session, "POST", f"/api/v1/namespaces/{namespace(number)}/pods", pod(number, networks, version))
    path = f"/api/v1/namespaces/{namespace(number)}/pods/{made['metadata']['name']}/status"
    await _sent(session, "PUT", path, {**made, "status": status_of(made, number)})


async def _service(session: aiohttp.ClientSession, number: int) -> None:
    within = f"/api/v1/namespaces/{namespace(number)}"
    await _sent(session, "POST", f"{within}/services", service(number))
    await _sent(session, "POST", f"{within}/endpoints", endpoints(number))


async def _sent(session: aiohttp.ClientSession, method: str, path: str, body: Json) -> Json:
    async with session.request(method, path, json=body) as response:
        answer: Json = await response.json()
        if response.status >= 300:  # noqa: PLR2004 - a refusal
            raise BenchError(f"{method} {path}: {answer.get('message')}")
        return answer
