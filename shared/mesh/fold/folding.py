"""Pods and Services, page by page: counted, judged against clusterNetworks, and let go."""

from __future__ import annotations

import dataclasses

import msgspec

from shared.mesh.fold import names, wire
from shared.mesh.fold.cidrs import Networks
from shared.mesh.fold.proxies import Proxies, Tally, decode_pod
from shared.mesh.snapshot import SHOWN, AddressFold, Pod, ProxyFold, ServiceFold, Uncovered

_PODS = msgspec.json.Decoder(wire.Page[wire.Pod])
_SERVICES = msgspec.json.Decoder(wire.Page[wire.Service])
_NO_CLUSTER_IP = ("", "None")


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
    """Takes the networks first, then pages in the API server's order; holds no page.

    Args:
        networks: parsed clusterNetworks; None where they can't be read, and then no address is judged uncovered.
        networks_text: clusterNetworks as written, against which the proxies' own copies are held; None where unknown.
        trust_roots: the current trust bundle as PEM; None where unknown.
        namespace: the mesh's own namespace.
    """

    def __init__(
        self,
        networks: Networks | None,
        *,
        networks_text: str | None = None,
        trust_roots: str | None = None,
        namespace: str = "linkerd",
    ) -> None:
        self._namespace = namespace
        self._pods = _Addresses(networks)
        self._services = _Addresses(networks)
        self._proxies = Proxies(namespace, networks_text, trust_roots)
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
            meshed = names.CONTROL_PLANE_NS in metadata.labels
            if not meshed and metadata.namespace != self._namespace:
                continue
            decoded = decode_pod(pod)
            if meshed:
                self._proxies.add(decoded)
            if metadata.namespace == self._namespace:
                self._mesh_pods.append(decoded.pod)

    def add_services(self, page: bytes) -> None:
        """Fold one page of a ServiceList, all namespaces; raises msgspec.DecodeError if it is none."""
        addresses = self._services
        for service in _SERVICES.decode(page).items or ():
            metadata = service.metadata
            addresses.total += 1
            if service.spec.cluster_ip not in _NO_CLUSTER_IP:
                addresses.judge(metadata.namespace, metadata.name, service.spec.cluster_ip)
            self._mislabelled.add_names(metadata, filter(names.misplaced_label, metadata.labels))
            self._misannotated.add_names(metadata, filter(names.misplaced_annotation, metadata.annotations))

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
    def mesh_pods(self) -> tuple[Pod, ...]:
        """The pods of the mesh's own namespace so far."""
        return tuple(self._mesh_pods)
