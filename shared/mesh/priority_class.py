"""The PriorityClass that a policy asks for; pure.

`system-cluster-critical`, which Linkerd's instructions name, is of no use here: names that begin with `system-` are
Kubernetes' own, and GKE lets only kube-system use them. A class's value can't be changed once it is there
(pkg/apis/scheduling/validation/validation.go), so one that exists is taken as it is, whoever made it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from shared.mesh.ownership import MANAGED_BY

VALUE = 1_000_000
"""Above every pod without a class (0), far below what Kubernetes keeps to itself (from 1,000,000,000)."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST = 253


def faults(name: str) -> Iterator[str]:
    """What is wrong with a name, a sentence; nothing where Kubernetes takes it, and where none is given."""
    if name.startswith("system-"):
        yield f"priorityClass: {name[:60]} is Kubernetes' own, and GKE keeps it to kube-system; name your own"
    elif name and (len(name) > _LONGEST or not _NAME.fullmatch(name)):
        yield f"priorityClass: {name[:60]!r} is no name of a PriorityClass"


def path_of(name: str) -> str:
    """Where the API server has it."""
    return f"/apis/scheduling.k8s.io/v1/priorityclasses/{name}"


def to_write(name: str, live: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The PriorityClass to make, as JSON; None where it is there.

    Args:
        name: as the policy has it.
        live: what the cluster has by that name.
    """
    if live is not None:
        return None
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name, "labels": dict(MANAGED_BY)},
        "value": VALUE,
        "globalDefault": False,
        "preemptionPolicy": "PreemptLowerPriority",
        "description": "The service mesh's control plane: without it, new pods get no proxy.",
    }
