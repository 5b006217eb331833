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
    """Why pods are missing, as far as the cluster says: a denial by admission, or no node; "" where it doesn't."""
    for replica_set in kube.list_items(f"/apis/apps/v1/namespaces/{profile.namespace.name}/replicasets"):
        for condition in replica_set.get("status", {}).get("conditions", ()):
            if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
                return str(condition.get("message", ""))
    nodes = any(True for _ in kube.list_items("/api/v1/nodes", limit=1))
    return "" if nodes else "the cluster has no node yet"
