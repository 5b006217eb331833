"""What of others is in a namespace that byomesh made: it keeps the namespace from being deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.kube import Kube
from shared.mesh.drift import ObjectName
from shared.mesh.ownership import is_ours

_KINDS = (
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
)
"""What people put into a namespace to run or to keep."""
_CLUSTERS_OWN = (("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default"))
"""What controllers put into every namespace (kube-controller-manager, rootcacertpublisher and serviceaccount)."""


def foreign_objects(kube: Kube, namespace: str, *releases: str) -> tuple[ObjectName, ...]:
    """Objects of a namespace that belong neither to the Helm releases nor to this system nor to the cluster.

    What has an owner goes with it, so only its owner counts.

    Raises:
        Temporary: the API server can't answer.
    """
    return tuple(
        ObjectName(kind, namespace, str(obj["metadata"]["name"]))
        for version, kind in _KINDS
        if kube.resource(version, kind) is not None
        for obj in kube.list_items(kube.collection_of(version, kind, namespace=namespace))
        if not _accounted_for(obj, kind, releases)
    )


def _accounted_for(obj: Mapping[str, Any], kind: str, releases: tuple[str, ...]) -> bool:
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    return (
        bool(metadata.get("ownerReferences"))
        or (kind, metadata["name"]) in _CLUSTERS_OWN
        or is_ours(metadata.get("labels"))
        or annotations.get("meta.helm.sh/release-name") in releases
        or (obj.get("type") == "helm.sh/release.v1" and (metadata.get("labels") or {}).get("name") in releases)
    )
