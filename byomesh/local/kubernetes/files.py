"""The files that a control plane's programs read: kubeconfigs, egress selector, scheduler's and kwok's settings."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml

from byomesh.local.authority import Issued
from byomesh.local.kubernetes.settings import ClusterSettings, Webhook

__all__ = [
    "authorization_config",
    "egress_selector",
    "kubeconfig",
    "kwok_config",
    "scheduler_config",
    "webhook_kubeconfig",
]

_STAGES = Path(__file__).parent.parent / "stages"


def kubeconfig(name: str, server: str, ca_pem: bytes, client: Issued) -> str:
    """A kubeconfig with one context, called like the cluster, and everything in it: no file of ours is named."""
    user = {"client-certificate-data": _base64(client.certificate), "client-key-data": _base64(client.key)}
    return _kubeconfig(name, server, ca_pem, user)


def webhook_kubeconfig(webhook: Webhook) -> str:
    """How kube-apiserver wants to be told of a webhook: as a kubeconfig, whose user has nothing to prove."""
    return _kubeconfig("webhook", webhook.url, webhook.ca_pem, {})


def authorization_config(folder: Path, settings: ClusterSettings) -> str:
    """Who is asked whether a request is allowed, in order; the first with an opinion decides."""
    known = (("managed", settings.managed), ("authorization", settings.authorization))
    webhooks = {name: _authorizer(name, webhook, folder) for name, webhook in known if webhook is not None}
    own = [{"type": kind, "name": kind.lower()} for kind in ("Node", "RBAC")]
    first, last = webhooks.get("managed"), webhooks.get("authorization")
    return _yaml(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthorizationConfiguration",
            "authorizers": [*([first] if first else []), *own, *([last] if last else [])],
        },
    )


def _authorizer(name: str, webhook: Webhook, folder: Path) -> dict[str, Any]:
    return {
        "type": "Webhook",
        "name": name,
        "webhook": {
            "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": str(folder / f"{name}.kubeconfig")},
            "subjectAccessReviewVersion": "v1",
            "matchConditionSubjectAccessReviewVersion": "v1",
            "timeout": "10s",
            "authorizedTTL": "5m",
            "unauthorizedTTL": "30s",
            "failurePolicy": "NoOpinion",
            "matchConditions": [{"expression": condition} for condition in webhook.conditions],
        },
    }


def egress_selector(socket: Path) -> str:
    """Sends what the API server dials by itself, in the cluster's network and beside it, through the proxy.

    `etcd` stays direct: that is a Unix socket.
    """
    connection = {"proxyProtocol": "HTTPConnect", "transport": {"uds": {"udsName": str(socket)}}}
    return _yaml(
        {
            "apiVersion": "apiserver.k8s.io/v1beta1",
            "kind": "EgressSelectorConfiguration",
            "egressSelections": [{"name": name, "connection": connection} for name in ("cluster", "controlplane")],
        },
    )


def scheduler_config(kubeconfig_file: Path) -> str:
    """A scheduler that is alone, and looks at pods that found no node again within 2 s, as nodes come late here."""
    return _yaml(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": str(kubeconfig_file), "qps": 500, "burst": 1000},
            "leaderElection": {"leaderElect": False},
            "podInitialBackoffSeconds": 1,
            "podMaxBackoffSeconds": 2,
        },
    )


def kwok_config(pod_seconds: float) -> str:
    """The stages of nodes and pods; a pod takes `pod_seconds` to run."""
    stages = [yaml.safe_load(path.read_text()) for path in sorted(_STAGES.glob("*.yaml"))]
    for stage in stages:
        if stage["metadata"]["name"] == "pod-running" and pod_seconds:
            stage["spec"]["delay"] = {"durationMilliseconds": round(pod_seconds * 1000)}
    return str(yaml.safe_dump_all(stages, sort_keys=False))


def _kubeconfig(name: str, server: str, ca_pem: bytes, user: dict[str, str]) -> str:
    return _yaml(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": _base64(ca_pem)}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        },
    )


def _yaml(content: dict[str, Any]) -> str:
    return str(yaml.safe_dump(content, sort_keys=False))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
