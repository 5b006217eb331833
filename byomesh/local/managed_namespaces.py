"""GKE's authorizer on the namespaces that it manages: of an Autopilot cluster nobody else writes to them.

Its words are those that users of Autopilot report, such as https://github.com/argoproj/argo-cd/issues/13054. It is
asked before RBAC, so that not even a cluster's administrator gets past it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from byomesh.local.warden import MANAGED_NAMESPACES

WRITES = ("create", "update", "patch", "delete", "deletecollection")
PATH = "/managed-namespaces/authorize"
_OWN = tuple(f"system:serviceaccount:{namespace}:" for namespace in MANAGED_NAMESPACES)
_FOREIGN = "system:serviceaccount:"


def conditions() -> list[str]:
    """CEL over a SubjectAccessReview's spec: what the API server asks this authorizer about at all."""
    return [
        "has(request.resourceAttributes)",
        f"request.resourceAttributes.namespace in {list(MANAGED_NAMESPACES)}",
        f"request.resourceAttributes.verb in {list(WRITES)}",
    ]


def denial(spec: Mapping[str, Any]) -> str:
    """Why a SubjectAccessReview's spec is denied; "" where this authorizer has no opinion."""
    asked = spec.get("resourceAttributes") or {}
    namespace, verb, user = asked.get("namespace", ""), asked.get("verb", ""), spec.get("user", "")
    clusters_own = user.startswith(_OWN) or (user.startswith("system:") and not user.startswith(_FOREIGN))
    if namespace not in MANAGED_NAMESPACES or verb not in WRITES or clusters_own:
        return ""
    return (
        f'GKE Warden authz [denied by managed-namespaces-limitation]: the namespace "{namespace}" is managed and the '
        f'request\'s verb "{verb}" is denied'
    )


async def authorize(request: web.Request) -> web.Response:
    """Answer a kube-apiserver's SubjectAccessReview."""
    review = await request.json()
    reason = denial(review.get("spec", {}))
    status = {"allowed": False, "denied": bool(reason), "reason": reason}
    return web.json_response({"apiVersion": review["apiVersion"], "kind": "SubjectAccessReview", "status": status})


def routes() -> list[web.RouteDef]:
    """The routes of an aiohttp application."""
    return [web.post(PATH, authorize)]
