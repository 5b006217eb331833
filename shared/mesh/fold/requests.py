"""Containers that ask for no processor or memory; pure.

GKE Autopilot writes its own defaults into these (0.5 vCPU and 2 GiB for a container that says nothing) and bills them.
What the author wrote is then in an annotation of the pod, autopilot.gke.io/resource-adjustment
(https://cloud.google.com/kubernetes-engine/docs/concepts/autopilot-resource-requests).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from shared.decoding import prepare
from shared.mesh.fold import wire

_ADJUSTED = "autopilot.gke.io/resource-adjustment"
_ASKED_FOR = ("cpu", "memory")


class _Asked(msgspec.Struct, frozen=True):
    name: str
    requests: dict[str, msgspec.Raw] = {}
    limits: dict[str, msgspec.Raw] = {}


class _Input(msgspec.Struct, frozen=True, rename="camel"):
    containers: tuple[_Asked, ...] = ()
    init_containers: tuple[_Asked, ...] = ()


class _Adjustment(msgspec.Struct, frozen=True):
    input: _Input = _Input()


prepare(_Adjustment)


def without_requests(annotations: Mapping[str, str], containers: Iterable[wire.PodContainer]) -> list[str]:
    """Each container that leaves a request to others, as `NAME: cpu, memory`, in the pod's order."""
    written = _written(annotations.get(_ADJUSTED, ""))
    found = []
    for container in containers:
        asked = written.get(container.name, container.resources.requests)
        absent = [resource for resource in _ASKED_FOR if resource not in asked]
        if absent:
            found.append(f"{container.name}: {', '.join(absent)}")
    return found


def _written(adjustment: str) -> dict[str, set[str]]:
    """What the author asked for by container, as far as GKE wrote it down; a limit is a request too."""
    if not adjustment:
        return {}
    try:
        read = msgspec.json.decode(adjustment, type=_Adjustment).input
    except msgspec.DecodeError:
        return {}
    return {one.name: {*one.requests, *one.limits} for one in (*read.containers, *read.init_containers)}
