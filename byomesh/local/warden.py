"""Autopilot's Warden as a validating webhook: AdmissionReview in, Warden's words out.

It judges pods, and the workloads that make them by their template, as GKE's does: a Deployment that breaks a constraint
is refused when it is applied, and a pod that an injector made break one shows as FailedCreate of its ReplicaSet.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from byomesh.local import warden_rules

NAME = "warden-validating.common-webhooks.networking.gke.io"
CONFIGURATION = "warden-validating.config.common-webhooks.networking.gke.io"

REASON = "GKE Warden constraints violations"
"""What kubectl puts into brackets after `Error from server`."""

MANAGED_NAMESPACES = ("gke-managed-system", "gmp-system", "kube-node-lease", "kube-public", "kube-system")
"""Namespaces of GKE's own workloads, which Warden leaves alone."""

_TEMPLATE = ("spec", "template", "spec")

POD_SPEC: Mapping[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "ReplicationController": _TEMPLATE,
    "DaemonSet": _TEMPLATE,
    "Deployment": _TEMPLATE,
    "ReplicaSet": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
    "Job": _TEMPLATE,
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
"""Where each judged kind keeps its pod's spec."""

_RULES = (
    ("", ("pods", "pods/ephemeralcontainers", "podtemplates", "replicationcontrollers")),
    ("apps", ("daemonsets", "deployments", "replicasets", "statefulsets")),
    ("batch", ("cronjobs", "jobs")),
)


class Warden:
    """The webhook of every Autopilot cluster, each under a path of its own."""

    def __init__(self) -> None:
        self._net_admin: dict[str, bool] = {}

    def guard(self, cluster: str, *, allow_net_admin: bool) -> None:
        """Guard a cluster, known by the last part of its webhook's path, or change what it allows."""
        self._net_admin[cluster] = allow_net_admin

    def forget(self, cluster: str) -> None:
        """Stop guarding a cluster."""
        self._net_admin.pop(cluster, None)

    def routes(self) -> list[web.RouteDef]:
        """The routes of an aiohttp application: `POST /warden/{cluster}`."""
        return [web.post("/warden/{cluster}", self.handle)]

    async def handle(self, request: web.Request) -> web.Response:
        """Answer an AdmissionReview; 404 for a cluster that isn't guarded."""
        allow_net_admin = self._net_admin.get(request.match_info["cluster"])
        if allow_net_admin is None:
            raise web.HTTPNotFound(text=f"Warden guards no cluster {request.match_info['cluster']!r}")
        review = await request.json()
        response = judge(review["request"], allow_net_admin=allow_net_admin)
        return web.json_response({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response})


def judge(request: Mapping[str, Any], *, allow_net_admin: bool) -> dict[str, Any]:
    """The AdmissionResponse to an AdmissionRequest. An update that leaves the pod's spec as it was is let through."""
    kind = request["kind"]["kind"]
    spec = _pod_spec(kind, request.get("object"))
    changed = spec != _pod_spec(kind, request.get("oldObject"))
    found = {}
    if spec and changed:
        metadata = request["object"].get("metadata") or {}
        workload = str(metadata.get("name") or metadata.get("generateName") or "")
        found = warden_rules.violations(spec, allow_net_admin=allow_net_admin, workload=workload)
    if not found:
        return {"uid": request["uid"], "allowed": True}
    # Without a code the API server answers 400, which is what makes kubectl show the reason.
    status = {"status": "Failure", "reason": REASON, "message": denial(found, request.get("userInfo") or {})}
    return {"uid": request["uid"], "allowed": False, "status": status}


def denial(found: Mapping[str, list[str]], user: Mapping[str, Any]) -> str:
    """Warden's words about violations, asked for by a user; the API server puts the webhook's name before them."""
    details = {f"[denied by {constraint}]": sentences for constraint, sentences in sorted(found.items())}
    text = json.dumps(details, separators=(",", ":"), ensure_ascii=False)
    return (
        "GKE Warden rejected the request because it violates one or more constraints.\n"
        f"Violations details: {text}\n"
        f"Requested by user: '{user.get('username', '')}', groups: '{','.join(user.get('groups') or ())}'."
    )


def webhook_configuration(url: str, ca_pem: bytes) -> dict[str, Any]:
    """The ValidatingWebhookConfiguration that makes a cluster ask Warden at `url` (https)."""
    outside = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(MANAGED_NAMESPACES)}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": CONFIGURATION},
        "webhooks": [
            {
                "name": NAME,
                "admissionReviewVersions": ["v1"],
                "clientConfig": {"url": url, "caBundle": base64.b64encode(ca_pem).decode()},
                "failurePolicy": "Fail",
                "matchPolicy": "Equivalent",
                "namespaceSelector": {"matchExpressions": [outside]},
                "rules": [
                    {
                        "apiGroups": [group],
                        "apiVersions": ["*"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": list(resources),
                        "scope": "Namespaced",
                    }
                    for group, resources in _RULES
                ],
                "sideEffects": "None",
                "timeoutSeconds": 10,
            }
        ],
    }


def _pod_spec(kind: str, held: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    found: Any = held
    for part in POD_SPEC.get(kind, ()):
        found = (found or {}).get(part)
    return found if kind in POD_SPEC else None
