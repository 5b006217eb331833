"""Pods and Services, page by page: counted, judged against clusterNetworks, and let go."""

from __future__ import annotations

import dataclasses

import msgspec

from shared.mesh.fold import names, wire
from shared.mesh.fold.cidrs import Networks
from shared.mesh.fold.injection import Injection
from shared.mesh.fold.opaque import OpaquePorts
from shared.mesh.fold.owners import WorkloadTally, owner_of
from shared.mesh.fold.proxies import Current, Proxies, Tally, decode_pod
from shared.mesh.snapshot import SHOWN, AddressFold, OpaqueFold, Pod, ProxyFold, ServiceFold, Uncovered, Workloads

_PODS = msgspec.json.Decoder(wire.Page[wire.Pod])
_SERVICES = msgspec.json.Decoder(wire.Page[wire.Service])
_ENDPOINTS = msgspec.json.Decoder(wire.Page[wire.Endpoints])
_NO_CLUSTER_IP = ("", "None")
_LIVE = ("Pending", "Running")


@dataclasses.dataclass(slots=True)
class _Addresses:
    networks: Networks | None
    total: int = 0
    judged: int = 0
    uncovered: int = 0
    first: list[Uncovered] = dataclasses.field(default_factory=list)

    def judge(self, namespace: str, name: str, ip: str) -> None:
        self.judged += 1
        if self.networks is None or self.networks.covers(ip):
            return
        self.uncovered += 1
        if len(self.first) < SHOWN:
            self.first.append(Uncovered(namespace, name, ip))

    def fold(self) -> AddressFold:
        return AddressFold(self.total, self.judged, self.uncovered, tuple(self.first))


class Folding:
    """Takes the networks first, then pages in the API server's order: Services, pods, Endpoints; holds no page.

    Args:
        networks: parsed clusterNetworks; None where they can't be read, and then no address is judged uncovered.
        current: what the proxies should have been started with.
        injection: which pods are to have a proxy; None where unknown, and then none is missing one.
        namespace: the mesh's own namespace.
        opaque: whether to compare what Services and pods say of opaque ports, for which Endpoints are needed.
    """

    def __init__(
        self,
        networks: Networks | None,
        *,
        current: Current = Current(),  # noqa: B008 - frozen
        injection: Injection | None = None,
        namespace: str = "linkerd",
        opaque: bool = False,
    ) -> None:
        self._namespace = namespace
        self._opaque = OpaquePorts() if opaque else None
        self._injection = injection
        self._pods = _Addresses(networks)
        self._services = _Addresses(networks)
        self._proxies = Proxies(namespace, current)
        self._unmeshed = WorkloadTally()
        self._mislabelled, self._misannotated = Tally(), Tally()
        self._mesh_pods: list[Pod] = []

    def add_pods(self, page: bytes) -> None:
        """Fold one page of a PodList, all namespaces; raises msgspec.DecodeError if it is none.

        Host-network pods and pods without status.podIP aren't judged, whatever their phase
        (pkg/healthcheck/healthcheck.go, checkClusterNetworksContainAllPods).
        """
        addresses = self._pods
        for pod in _PODS.decode(page).items or ():
            metadata = pod.metadata
            addresses.total += 1
            if pod.status.pod_ip and not pod.spec.host_network:
                addresses.judge(metadata.namespace, metadata.name, pod.status.pod_ip)
            if self._opaque is not None:
                self._opaque.add_pod(pod)
            meshed = names.CONTROL_PLANE_NS in metadata.labels
            if not meshed and metadata.namespace != self._namespace:
                self._judge_unmeshed(pod)
                continue
            decoded = decode_pod(pod)
            if meshed:
                self._proxies.add(pod, decoded)
            if metadata.namespace == self._namespace:
                self._mesh_pods.append(decoded.pod)

    def _judge_unmeshed(self, pod: wire.Pod) -> None:
        metadata = pod.metadata
        live = pod.status.phase in _LIVE and not metadata.deletion_timestamp and not pod.spec.host_network
        if self._injection is None or not live:
            return
        if where := self._injection.wanted(metadata.namespace, metadata.labels, metadata.annotations):
            self._unmeshed.add(owner_of(metadata), [where])

    def add_services(self, page: bytes) -> None:
        """Fold one page of a ServiceList, all namespaces; raises msgspec.DecodeError if it is none."""
        addresses = self._services
        for service in _SERVICES.decode(page).items or ():
            metadata = service.metadata
            addresses.total += 1
            if service.spec.cluster_ip not in _NO_CLUSTER_IP:
                addresses.judge(metadata.namespace, metadata.name, service.spec.cluster_ip)
            if self._opaque is not None:
                self._opaque.add_service(service)
            self._mislabelled.add_names(metadata, filter(names.misplaced_label, metadata.labels))
            self._misannotated.add_names(metadata, filter(names.misplaced_annotation, metadata.annotations))

    def add_endpoints(self, page: bytes) -> None:
        """Fold one page of an EndpointsList, all namespaces; raises msgspec.DecodeError if it is none."""
        for endpoints in _ENDPOINTS.decode(page).items or ():
            if self._opaque is not None:
                self._opaque.add_endpoints(endpoints)

    def opaque_ports(self) -> OpaqueFold | None:
        """All Services with the pods behind them; None where they weren't to be compared. Call it once."""
        return None if self._opaque is None else self._opaque.fold()

    @property
    def pods(self) -> AddressFold:
        """All pods so far."""
        return self._pods.fold()

    @property
    def services(self) -> AddressFold:
        """All Services so far."""
        return self._services.fold()

    @property
    def service_metadata(self) -> ServiceFold:
        """All Services' labels and annotations so far."""
        return ServiceFold(self._mislabelled.fold(), self._misannotated.fold())

    @property
    def proxies(self) -> ProxyFold:
        """All meshed pods so far."""
        return self._proxies.fold()

    @property
    def outdated(self) -> Workloads:
        """Workloads whose running proxies aren't what a new one would be."""
        return self._proxies.outdated

    @property
    def unrequested(self) -> Workloads:
        """Meshed workloads that leave requests of processor or memory to others."""
        return self._proxies.unrequested

    @property
    def unmeshed(self) -> Workloads:
        """Workloads that are to have proxies and run without; the reason is where the wish is written."""
        return self._unmeshed.fold()

    @property
    def mesh_pods(self) -> tuple[Pod, ...]:
        """The pods of the mesh's own namespace so far."""
        return tuple(self._mesh_pods)
