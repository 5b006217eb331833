"""The workload that owns a pod, and a tally of such workloads that many pods don't fill."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from shared.mesh.fold import wire
from shared.mesh.snapshot import WORKLOADS, Workload, Workloads

_OWNERS = msgspec.json.Decoder(tuple[wire.OwnerReference, ...])
_TEMPLATE_HASH = "pod-template-hash"


class Owner(NamedTuple):
    """A workload's kind, namespace and name."""

    kind: str
    namespace: str
    name: str


def owner_of(metadata: wire.PodMeta) -> Owner:
    """What a restart would be a restart of: a pod's controller, and a ReplicaSet's Deployment; raises DecodeError.

    A Deployment calls its ReplicaSets by its own name and the hash that it labels their pods with
    (k8s.io/kubernetes pkg/controller/deployment/sync.go, getNewReplicaSet).
    """
    found = _OWNERS.decode(metadata.owner_references or b"[]")
    controller = next((one for one in found if one.controller), None)
    if controller is None:
        return Owner("Pod", metadata.namespace, metadata.name)
    template = metadata.labels.get(_TEMPLATE_HASH)
    if controller.kind == "ReplicaSet" and template and controller.name.endswith(f"-{template}"):
        return Owner("Deployment", metadata.namespace, controller.name.removesuffix(f"-{template}"))
    return Owner(controller.kind, metadata.namespace, controller.name)


class WorkloadTally:
    """Counts pods that stand out by the workloads that own them; holds at most `WORKLOADS` of these."""

    __slots__ = ("_other_pods", "_pods", "_reasons")

    def __init__(self) -> None:
        self._reasons: dict[Owner, dict[str, None]] = {}
        self._pods: dict[Owner, int] = {}
        self._other_pods = 0

    def add(self, owner: Owner, reasons: Iterable[str]) -> None:
        """Count one pod; nothing where there is no reason."""
        found = dict.fromkeys(reasons)
        if not found:
            return
        if owner not in self._pods and len(self._pods) >= WORKLOADS:
            self._other_pods += 1
            return
        self._reasons.setdefault(owner, {}).update(found)
        self._pods[owner] = self._pods.get(owner, 0) + 1

    def fold(self) -> Workloads:
        """What was counted."""
        named = (Workload(*owner, tuple(self._reasons[owner]), pods) for owner, pods in self._pods.items())
        return Workloads(tuple(named), self._other_pods)
