"""Which workloads of a cluster would be lost without NET_ADMIN: those of a mesh, and whoever else asks for it.

Pods that run keep their capability when GKE's allow-net-admin is turned off, but none of them can be started again, so
a drained node or a rollout would end them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec

from shared.decoding import prepare
from shared.errors import Temporary
from shared.mesh.fold import names, wire
from shared.mesh.fold.owners import owner_of

_CAPABILITY = frozenset({"NET_ADMIN", "CAP_NET_ADMIN", "ALL"})
_FINISHED = frozenset({"Succeeded", "Failed"})
_PODS = "/api/v1/pods"
_SHOWN = 10


class Pages(Protocol):
    """What is asked of a Kubernetes client: the pages of a list."""

    def list_raw(
        self, path: str, *, label_selector: str = "", field_selector: str = "", limit: int = 500
    ) -> Iterator[bytes]:
        """A list's pages."""
        ...


class _Capabilities(wire.Wire, frozen=True):
    add: tuple[str, ...] = ()


class _SecurityContext(wire.Wire, frozen=True):
    capabilities: _Capabilities | None = None


class _Container(wire.Wire, frozen=True):
    name: str
    security_context: _SecurityContext | None = None

    @property
    def capable(self) -> bool:
        """Whether it asks for NET_ADMIN, or is a mesh's proxy, whose init container or plugin does."""
        context = self.security_context
        added = context.capabilities.add if context is not None and context.capabilities is not None else ()
        return self.name == names.PROXY or not _CAPABILITY.isdisjoint(added)


class _Spec(wire.Wire, frozen=True):
    containers: tuple[_Container, ...] = ()
    init_containers: tuple[_Container, ...] = ()


class _Status(wire.Wire, frozen=True):
    phase: str = ""


class _Pod(wire.Wire, frozen=True):
    metadata: wire.PodMeta
    spec: _Spec
    status: _Status = _Status()


class _PodList(wire.Wire, frozen=True):
    items: tuple[_Pod, ...] | None = None


prepare(_PodList)


class Users(msgspec.Struct, frozen=True):
    """The workloads that use NET_ADMIN.

    Attributes:
        pods: how many pods.
        count: of how many workloads.
        workloads: the first ten of these in the alphabet's order, as `KIND NAMESPACE/NAME`.
    """

    pods: int = 0
    count: int = 0
    workloads: tuple[str, ...] = ()

    def __str__(self) -> str:
        more = self.count - len(self.workloads)
        return ", ".join(self.workloads) + (f" and {more} more" if more else "")


def users(kube: Pages) -> Users:
    """Look for them, page by page; needs to list pods in every namespace, and nothing else.

    Raises:
        Temporary: the API server can't answer, or its answer isn't shaped as it promises.
    """
    pods, found = 0, set()
    for page in kube.list_raw(_PODS):
        for pod in _decoded(page):
            if _uses(pod):
                pods += 1
                found.add(owner_of(pod.metadata))
    named = sorted(f"{one.kind} {one.namespace}/{one.name}" for one in found)
    return Users(pods, len(named), tuple(named[:_SHOWN]))


def _decoded(page: bytes) -> tuple[_Pod, ...]:
    try:
        return msgspec.json.decode(page, type=_PodList).items or ()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Temporary(
            "UnreadableAnswer",
            f"the answer to GET {_PODS} isn't shaped as the Kubernetes API promises: {error}",
            tried="looking for workloads that use NET_ADMIN",
            remedy="see whether something stands between this system and the API server",
        ) from error


def _uses(pod: _Pod) -> bool:
    containers = (*pod.spec.containers, *pod.spec.init_containers)
    return pod.status.phase not in _FINISHED and any(container.capable for container in containers)
