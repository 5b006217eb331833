"""Meshed pods, one at a time: which proxies run, which of them are outdated, and what stands out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from shared.mesh.fold import names, proxy, wire
from shared.mesh.fold.status import pod_status
from shared.mesh.snapshot import (
    SHOWN,
    Condition,
    Container,
    MeshedPod,
    Pod,
    ProxyFold,
    ProxyVersion,
    Standouts,
)

_CONTAINERS = msgspec.json.Decoder(tuple[wire.Container, ...])
_STATUSES = msgspec.json.Decoder(tuple[wire.ContainerStatus, ...])
_CONDITIONS = msgspec.json.Decoder(tuple[Condition, ...])
_OWNERS = msgspec.json.Decoder(tuple[wire.OwnerReference, ...])


class _Metadata(Protocol):
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...


class Tally:
    """Counts what stands out and keeps the first of it."""

    __slots__ = ("_count", "_first")

    def __init__(self) -> None:
        self._count = 0
        self._first: list[MeshedPod] = []

    def add(self, namespace: str, name: str, why: str, owner: str = "") -> None:
        """Count one."""
        self._count += 1
        if len(self._first) < SHOWN:
            self._first.append(MeshedPod(namespace, name, why, owner))

    def add_names(self, metadata: _Metadata, found: Iterable[str]) -> None:
        """Count an object once if any label or annotation was found, which become its `why`, sorted."""
        if listed := sorted(found):
            self.add(metadata.namespace, metadata.name, "\n\t\t".join(listed))

    def fold(self) -> Standouts:
        """What was counted."""
        return Standouts(self._count, tuple(self._first))


class DecodedPod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod with what its proxy was started with.

    Attributes:
        pod: the snapshot's part.
        networks: the proxy's copy of clusterNetworks; None without a proxy that has one.
        anchors: the proxy's trust bundle; None without a proxy that has one.
        owner: `Kind/name` of its controller, or "".
    """

    pod: Pod
    networks: str | None
    anchors: str | None
    owner: str


def decode_pod(pod: wire.Pod) -> DecodedPod:
    """Decode the rest of a pod; raises msgspec.DecodeError if it isn't shaped as one."""
    init_specs = _CONTAINERS.decode(pod.spec.init_containers or b"[]")
    specs = init_specs + _CONTAINERS.decode(pod.spec.containers or b"[]")
    init = _STATUSES.decode(pod.status.init_container_statuses or b"[]")
    containers = _STATUSES.decode(pod.status.container_statuses or b"[]")
    container = next((spec for spec in specs if spec.name == names.PROXY), None)
    env = {variable.name: variable.value for variable in container.env} if container is not None else {}
    owners = _OWNERS.decode(pod.metadata.owner_references or b"[]")
    return DecodedPod(
        pod=Pod(
            namespace=pod.metadata.namespace,
            name=pod.metadata.name,
            labels=pod.metadata.labels,
            phase=pod.status.phase,
            status=pod_status(pod.status, init_specs, init, containers),
            conditions=_CONDITIONS.decode(pod.status.conditions or b"[]"),
            containers=tuple(Container(status.name, status.ready) for status in containers),
            proxy_ready=next((one.ready for one in init + containers if one.name == names.PROXY), False),
            proxy_version=_version(container),
        ),
        networks=env.get(names.PROFILE_NETWORKS),
        anchors=env.get(names.TRUST_ANCHORS),
        owner=next((f"{owner.kind}/{owner.name}" for owner in owners if owner.controller), ""),
    )


def _version(container: wire.Container | None) -> str:
    """The tag of a proxy's image; a digest tells no version (pkg/k8s/api.go, GetProxyVersion)."""
    if container is None or "@" in container.image:
        return ""
    return container.image.rpartition(":")[2]


class Proxies:
    """Folds meshed pods.

    Args:
        namespace: the mesh's own namespace.
        networks: clusterNetworks as written; None where unknown, and then no copy is stale.
        trust_roots: the current trust bundle; None where unknown, and then no copy is wrong.
    """

    def __init__(self, namespace: str, networks: str | None, trust_roots: str | None) -> None:
        self._namespace = namespace
        self._networks = networks
        self._trust_roots = None if trust_roots is None else trust_roots.strip()
        self._total = 0
        self._failing, self._stale, self._distrusting, self._mislabelled = Tally(), Tally(), Tally(), Tally()
        self._versions: dict[str, Tally] = {}

    def add(self, decoded: DecodedPod) -> None:
        """Fold one meshed pod; pods of another control plane count only where all control planes do."""
        pod = decoded.pod
        outside = pod.namespace != self._namespace
        if outside and self._trust_roots is not None and decoded.anchors is not None:  # noqa: SIM102
            if decoded.anchors.strip() != self._trust_roots:
                self._distrusting.add(pod.namespace, pod.name, "", decoded.owner)
        if pod.labels[names.CONTROL_PLANE_NS] != self._namespace:
            return
        self._total += 1
        if fault := proxy.fault(pod):
            self._failing.add(pod.namespace, pod.name, fault, decoded.owner)
        if pod.status == "Running" and pod.proxy_version:
            tally = self._versions.setdefault(pod.proxy_version, Tally())
            tally.add(pod.namespace, pod.name, pod.proxy_version, decoded.owner)
        self._mislabelled.add_names(pod, filter(names.misplaced_label, pod.labels))
        if outside and pod.status not in proxy.OVER and decoded.networks is not None:  # noqa: SIM102
            if self._networks is not None and decoded.networks != self._networks:
                self._stale.add(pod.namespace, pod.name, decoded.networks, decoded.owner)

    def fold(self) -> ProxyFold:
        """What was folded."""
        return ProxyFold(
            total=self._total,
            failing=self._failing.fold(),
            versions=tuple(ProxyVersion(version, tally.fold()) for version, tally in self._versions.items()),
            stale=self._stale.fold(),
            distrusting=self._distrusting.fold(),
            mislabelled=self._mislabelled.fold(),
        )
