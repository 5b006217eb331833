"""Workloads and hooks that the tests of the local cloud's Kubernetes give to it."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.contract.conftest import Json, KubeApi


def ready(found: Json) -> bool:
    """Whether a pod or a node says that it is ready."""
    conditions: list[dict[str, Any]] = found["status"]["conditions"]
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def pod_named(name: str) -> Json:
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "example/main:1"}]},
    }


def deployment_named(name: str, *, replicas: int) -> Json:
    template = pod_named(name)
    return {
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


@contextlib.asynccontextmanager
async def namespace_named(kube: KubeApi, name: str) -> AsyncIterator[None]:
    """A namespace with its default ServiceAccount; goes afterwards, which takes its controller five seconds."""
    await kube.create("/api/v1/namespaces", {"metadata": {"name": name}})
    await kube.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", lambda found: found["kind"] != "Status")
    yield
    await kube.call("DELETE", f"/api/v1/namespaces/{name}")


@contextlib.asynccontextmanager
async def webhook_in(kube: KubeApi, namespace: str, ca_pem: bytes = b"") -> AsyncIterator[str]:
    """A Service without pods, and a webhook that asks it about the namespace's ConfigMaps; gives the Service's IP."""
    service = await kube.create(
        f"/api/v1/namespaces/{namespace}/services",
        {"metadata": {"name": "hook"}, "spec": {"ports": [{"port": 443}], "selector": {"app": "none"}}},
    )
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}
    hook = {
        "name": "hook.example.com",
        "clientConfig": {
            "service": {"name": "hook", "namespace": namespace},
            "caBundle": base64.b64encode(ca_pem).decode(),
        },
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 10,
    }
    hooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    await kube.create(hooks, {"metadata": {"name": namespace}, "webhooks": [hook]})
    yield service["spec"]["clusterIP"]
    await kube.call("DELETE", f"{hooks}/{namespace}")


async def create_until_hooked(kube: KubeApi, namespace: str) -> tuple[int, Json]:
    """The first answer to a new ConfigMap that isn't `created`: a webhook is known a moment after it is written."""
    for number in range(100):
        body = {"metadata": {"name": f"any-{number}"}}
        status, answer = await kube.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", body)
        if status != 201:
            return status, answer
    raise AssertionError("the webhook was never asked")
