"""Asks the cluster itself whether it would let a pod with NET_ADMIN run: a dry run, which writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from shared.kube import AdmissionDenied, Kube

NAMESPACE = "default"
_NO_SERVICE_ACCOUNT = "error looking up service account"
"""What a new cluster says until its controllers have made the namespace's service account
(plugin/pkg/admission/serviceaccount/admission.go). Warden names who asked, an …iam.gserviceaccount.com, so the two bare
words would be too few.
"""


class Verdict(msgspec.Struct, frozen=True):
    """Why the pod would not run.

    Attributes:
        words: the cluster's own.
        not_ready: whether the cluster only isn't ready to admit any pod yet.
    """

    words: str
    not_ready: bool


def probe_pod(labels: Mapping[str, str]) -> dict[str, Any]:
    """A pod that asks for what a mesh's init container asks for: NET_ADMIN and NET_RAW, and nothing else."""
    security: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]},
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    resources = {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "250m", "memory": "512Mi"}}
    container = {"name": "net-admin", "image": "registry.k8s.io/pause:3.10", "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "byomesh-net-admin-", "namespace": NAMESPACE, "labels": dict(labels)},
        "spec": {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "containers": [{**container, "securityContext": security}],
        },
    }


def net_admin_verdict(kube: Kube, labels: Mapping[str, str] = MappingProxyType({})) -> Verdict | None:
    """Why the cluster would reject a pod with NET_ADMIN, or None where it would admit it.

    Args:
        kube: the cluster.
        labels: of the mesh's own pods. An injector that is broken rejects other pods, and it isn't who is asked.

    Raises:
        Temporary: the API server can't be reached, or the caller has no access yet.
    """
    try:
        kube.create(f"/api/v1/namespaces/{NAMESPACE}/pods", probe_pod(labels), dry_run=True)
    except AdmissionDenied as denied:
        return Verdict(denied.problem, not_ready=_NO_SERVICE_ACCOUNT in denied.problem)
    return None
