"""The workloads that own pods which stand out: bounded, however many pods a cluster has."""

from __future__ import annotations

import enum

import msgspec

WORKLOADS = 500
"""How many workloads of one sort a snapshot keeps by name; the pods of any others are counted."""


class Outdated(enum.StrEnum):
    """In what a running proxy differs from the control plane; a restart of its workload gives it what is current."""

    VERSION = "version"
    NETWORKS = "clusterNetworks"
    TRUST_ANCHORS = "trust anchors"


class Workload(msgspec.Struct, frozen=True):
    """A workload of which pods stand out.

    Attributes:
        kind: Deployment, StatefulSet, DaemonSet, Job, ReplicaSet (one without a Deployment), or whatever else its
            controller is; Pod for a pod that nobody controls, and which nobody would make again.
        namespace, name: its own.
        reasons: what stands out, without duplicates, in order of first sight.
        pods: how many of its pods stand out.
    """

    kind: str
    namespace: str
    name: str
    reasons: tuple[str, ...]
    pods: int = 1


class Workloads(msgspec.Struct, frozen=True):
    """Workloads of which pods stand out, in the API server's order of their first pod.

    Attributes:
        first: the first `WORKLOADS` of them.
        other_pods: how many pods of further ones stand out; 0 where `first` has them all.
    """

    first: tuple[Workload, ...] = ()
    other_pods: int = 0

    @property
    def pods(self) -> int:
        """How many pods stand out."""
        return sum(workload.pods for workload in self.first) + self.other_pods
