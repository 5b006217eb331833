"""Whether a mesh's Deployments run what they were last told to run; the same for every mesh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shared.kube import Kube
from shared.mesh.profile import Profile


def unready(deployments: Iterable[Mapping[str, Any]], wanted: Iterable[str]) -> str:
    """The first of the `wanted` Deployments that isn't ready, in words; "" where all are.

    Args:
        deployments: Deployments as JSON.
        wanted: their names.
    """
    there = {str(deployment["metadata"]["name"]): deployment for deployment in deployments}
    for name in wanted:
        deployment = there.get(name)
        if deployment is None:
            return f"Deployment {name}, which isn't there"
        replicas = int(deployment.get("spec", {}).get("replicas", 1))
        status = deployment.get("status", {})
        observed = int(status.get("observedGeneration", 0)) >= int(deployment["metadata"].get("generation", 0))
        counts = [int(status.get(field, 0)) for field in ("updatedReplicas", "readyReplicas", "availableReplicas")]
        if not observed or min(counts) < replicas or int(status.get("replicas", 0)) > replicas:
            return f"Deployment {name} ({counts[1]} of {replicas} pods ready)"
    return ""


def look(kube: Kube, profile: Profile) -> str:
    """What of a mesh isn't ready in the cluster, in words; "" where all is."""
    path = f"/apis/apps/v1/namespaces/{profile.namespace.name}/deployments"
    return unready(kube.list_items(path), profile.deployments)


def why(kube: Kube, profile: Profile) -> str:
    """Why pods are missing, as far as the cluster says; "" where it doesn't.

    A denial by admission, no node at all, or no node that the scheduler finds good enough.
    """
    namespace = profile.namespace.name
    denied = _said(kube.list_items(f"/apis/apps/v1/namespaces/{namespace}/replicasets"), "ReplicaFailure", "True")
    if denied:
        return denied
    if not any(True for _ in kube.list_items("/api/v1/nodes", limit=1)):
        return "the cluster has no node yet"
    return _said(kube.list_items(f"/api/v1/namespaces/{namespace}/pods"), "PodScheduled", "False")


def _said(objects: Iterable[Mapping[str, Any]], kind: str, status: str) -> str:
    """The message of the first condition of a kind that has a status; "" where there is none."""
    for obj in objects:
        for condition in obj.get("status", {}).get("conditions", ()):
            if (condition.get("type"), condition.get("status")) == (kind, status):
                return str(condition.get("message", ""))
    return ""
