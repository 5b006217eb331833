"""The Events that Linkerd's injector leaves at what owns a pod (linkerd2 controller/proxy-injector). Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection
from typing import Any

Json = dict[str, Any]

PARENTS = ("CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet")
"""The kinds of owners that are told; the injector watches no others."""
_COMPONENT = "linkerd-proxy-injector"


def injection_event(owner: Json, namespace: str, skipped: Collection[str], now: dt.datetime) -> Json:
    """An Event (v1) that says whether a proxy was added, and if not why.

    Its name is the same for the same owner and words, so that the API server takes the first one only; the real
    injector would count them.

    Args:
        owner: the ownerReference of a pod, or of its ReplicaSet or Job.
        namespace: of both.
        skipped: the reasons; empty where the proxy was added.
        now: with a time zone.
    """
    message = "Linkerd sidecar proxy injected"
    if skipped:
        message = f"Linkerd sidecar proxy injection skipped: {', '.join(skipped)}"
    digest = hashlib.sha256(f"{owner['uid']} {message}".encode()).hexdigest()[:16]
    time = now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{owner['name']}.{digest}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["name"],
            "namespace": namespace,
            "uid": owner["uid"],
        },
        "type": "Normal",
        "reason": "InjectionSkipped" if skipped else "Injected",
        "message": message,
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
