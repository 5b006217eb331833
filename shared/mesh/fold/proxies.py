"""Meshed pods, one at a time: which proxies run, which workloads' are outdated, and what stands out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from shared.mesh.fold import names, proxy, wire
from shared.mesh.fold.owners import WorkloadTally, owner_of
from shared.mesh.fold.requests import without_requests
from shared.mesh.fold.status import pod_status
from shared.mesh.snapshot import (
    SHOWN,
    Condition,
    Container,
    MeshedPod,
    Outdated,
    Pod,
    ProxyFold,
    ProxyVersion,
    Standouts,
    Workloads,
)

_CONTAINERS = msgspec.json.Decoder(tuple[wire.PodContainer, ...])
_VARIABLES = msgspec.json.Decoder(tuple[wire.EnvVar, ...])
_STATUSES = msgspec.json.Decoder(tuple[wire.ContainerStatus, ...])
_CONDITIONS = msgspec.json.Decoder(tuple[Condition, ...])
_ASKED = frozenset({names.PROFILE_NETWORKS, names.TRUST_ANCHORS})
_FINISHED = ("Succeeded", "Failed")


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

    def add(self, namespace: str, name: str, why: str) -> None:
        """Count one."""
        self._count += 1
        if len(self._first) < SHOWN:
            self._first.append(MeshedPod(namespace, name, why))

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
        proxied: whether it has a proxy.
        networks: the proxy's copy of clusterNetworks; None without a proxy that has one.
        anchors: the proxy's trust bundle; None without a proxy that has one.
        unrequested: its containers that leave requests of processor or memory to others.
    """

    pod: Pod
    proxied: bool
    networks: str | None
    anchors: str | None
    unrequested: list[str]


def decode_pod(pod: wire.Pod) -> DecodedPod:
    """Decode the rest of a pod; raises msgspec.DecodeError if it isn't shaped as one."""
    init_specs = _CONTAINERS.decode(pod.spec.init_containers or b"[]")
    specs = init_specs + _CONTAINERS.decode(pod.spec.containers or b"[]")
    init = _STATUSES.decode(pod.status.init_container_statuses or b"[]")
    containers = _STATUSES.decode(pod.status.container_statuses or b"[]")
    container = next((spec for spec in specs if spec.name == names.PROXY), None)
    env = _variables(container)
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
        proxied=container is not None,
        networks=env.get(names.PROFILE_NETWORKS),
        anchors=env.get(names.TRUST_ANCHORS),
        unrequested=without_requests(pod.metadata.annotations, specs),
    )


def _variables(container: wire.PodContainer | None) -> dict[str, str]:
    """What a proxy was started with, of what is asked about."""
    if container is None or not container.env:
        return {}
    return {one.name: one.value for one in _VARIABLES.decode(container.env) if one.name in _ASKED}


def _version(container: wire.PodContainer | None) -> str:
    """The tag of a proxy's image; a digest tells no version (pkg/k8s/api.go, GetProxyVersion)."""
    if container is None or "@" in container.image:
        return ""
    return container.image.rpartition(":")[2]


class Current(msgspec.Struct, frozen=True, kw_only=True):
    """What a proxy that starts now is given.

    Attributes:
        networks: clusterNetworks as written; None where unknown, and then no copy is outdated.
        trust_roots: the trust bundle; None where unknown, and then no copy is outdated.
        version: tag of the proxy's image; "" where unknown, and then no proxy is outdated.
    """

    networks: str | None = None
    trust_roots: str | None = None
    version: str = ""


class Proxies:
    """Folds meshed pods.

    Args:
        namespace: the mesh's own namespace.
        current: what their proxies should have been started with.
    """

    def __init__(self, namespace: str, current: Current) -> None:
        self._namespace = namespace
        self._version = current.version
        self._networks = current.networks
        self._trust_roots = None if current.trust_roots is None else current.trust_roots.strip()
        self._total = 0
        self._failing, self._distrusting, self._mislabelled = Tally(), Tally(), Tally()
        self._versions: dict[str, Tally] = {}
        self._outdated, self._unrequested = WorkloadTally(), WorkloadTally()

    def add(self, wired: wire.Pod, decoded: DecodedPod) -> None:
        """Fold one meshed pod; pods of another control plane count only where all control planes do."""
        pod = decoded.pod
        outside = pod.namespace != self._namespace
        distrusting = outside and self._distrusts(decoded)
        if distrusting:
            self._distrusting.add(pod.namespace, pod.name, "")
        if pod.labels[names.CONTROL_PLANE_NS] != self._namespace:
            return
        self._total += 1
        if fault := proxy.fault(pod):
            self._failing.add(pod.namespace, pod.name, fault)
        if pod.status == "Running" and pod.proxy_version:
            tally = self._versions.setdefault(pod.proxy_version, Tally())
            tally.add(pod.namespace, pod.name, pod.proxy_version)
        self._mislabelled.add_names(pod, filter(names.misplaced_label, pod.labels))
        if pod.phase in _FINISHED or wired.metadata.deletion_timestamp:
            return
        reasons = self._outdated_in(wired, decoded, distrusting=distrusting) if outside else []
        if reasons or decoded.unrequested:
            owner = owner_of(wired.metadata)
            self._outdated.add(owner, reasons)
            self._unrequested.add(owner, decoded.unrequested)

    def _distrusts(self, decoded: DecodedPod) -> bool:
        known = self._trust_roots is not None and decoded.anchors is not None
        return known and (decoded.anchors or "").strip() != self._trust_roots

    def _outdated_in(self, wired: wire.Pod, decoded: DecodedPod, *, distrusting: bool) -> list[str]:
        version = wired.metadata.annotations.get(names.PROXY_VERSION, self._version)
        reasons: list[str] = []
        if version and decoded.pod.proxy_version not in ("", version):
            reasons.append(Outdated.VERSION)
        if self._networks is not None and decoded.networks is not None:  # noqa: SIM102 - the second is the judgement
            if decoded.networks != self._networks and _members(decoded.networks) != _members(self._networks):
                reasons.append(Outdated.NETWORKS)
        if distrusting:
            reasons.append(Outdated.TRUST_ANCHORS)
        return reasons

    @property
    def outdated(self) -> Workloads:
        """Meshed workloads outside the control plane whose running proxies aren't current."""
        return self._outdated.fold()

    @property
    def unrequested(self) -> Workloads:
        """Meshed workloads, the control plane's too, that leave requests of processor or memory to others."""
        return self._unrequested.fold()

    def fold(self) -> ProxyFold:
        """What was folded."""
        return ProxyFold(
            total=self._total,
            failing=self._failing.fold(),
            versions=tuple(ProxyVersion(version, tally.fold()) for version, tally in self._versions.items()),
            distrusting=self._distrusting.fold(),
            mislabelled=self._mislabelled.fold(),
        )


def _members(networks: str) -> frozenset[str]:
    """The networks that a text names, in whatever order."""
    return frozenset(networks.split(","))
