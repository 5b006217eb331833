"""What can be set of a local cluster, and what follows from it: its ranges, and the names it is reached by."""

from __future__ import annotations

import dataclasses
import ipaddress

__all__ = ["ClusterSettings", "Webhook"]

# GKE's own defaults: the nodes of a default network in us-central1, then other regions', then what is left of RFC 1918.
_NODE_NETWORKS = ("10.128.0.0/20", "10.132.0.0/20", "10.138.0.0/20", "172.16.0.0/20", "192.168.0.0/20")
_USUAL_NODE_MASK = 24  # GKE's for 110 pods a node
_PODS_PREFIXES = (_USUAL_NODE_MASK - 16, 28)  # node IPAM counts nodes in 16 bits
_SERVICES_PREFIXES = (12, 28)  # kube-apiserver takes no wider one
_MOST_PODS_A_NODE = 110


@dataclasses.dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook that kube-apiserver asks, on loopback: an https URL, the CA (PEM) of its server, and when it is asked.

    `conditions` are expressions that must all be true; without any it is asked always.
    """

    url: str
    ca_pem: bytes = dataclasses.field(repr=False)
    conditions: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterSettings:
    """One cluster.

    Attributes:
        pods_cidr: the IPv4 range that nodes' pod ranges are cut from, /8 to /28.
        services_cidr: the IPv4 range of ClusterIPs, /12 to /28; GKE's default is a public range of Google's own,
            which means something inside the cluster only.
        pod_seconds: how long a pod that has a node takes to run and be ready; 0 is as soon as can be.
        issuer: who issues service account tokens, as their `iss` says.
        authentication: asked about bearer tokens that aren't the cluster's own (TokenReview v1).
        authorization: asked what RBAC doesn't allow (SubjectAccessReview v1).
        managed: asked first, about what its conditions (CEL) pick, and may deny what RBAC allows.

    Raises:
        ValueError: a range is no IPv4 range or too wide or narrow, or the two overlap.
    """

    pods_cidr: str = "10.4.0.0/14"
    services_cidr: str = "34.118.224.0/20"
    pod_seconds: float = 0.0
    issuer: str = "https://kubernetes.default.svc.cluster.local"
    authentication: Webhook | None = None
    authorization: Webhook | None = None
    managed: Webhook | None = None

    def __post_init__(self) -> None:
        _check_range("pods_cidr", self.pods_cidr, *_PODS_PREFIXES)
        _check_range("services_cidr", self.services_cidr, *_SERVICES_PREFIXES)
        if self.pods.overlaps(self.services):
            raise ValueError(f"the pods' range {self.pods_cidr} and the Services' {self.services_cidr} overlap")
        if self.pod_seconds < 0:
            raise ValueError(f"pod_seconds must not be negative, as {self.pod_seconds} is")

    @property
    def pods(self) -> ipaddress.IPv4Network:
        """The pods' range, parsed."""
        return ipaddress.IPv4Network(self.pods_cidr)

    @property
    def services(self) -> ipaddress.IPv4Network:
        """The Services' range, parsed."""
        return ipaddress.IPv4Network(self.services_cidr)

    @property
    def nodes(self) -> ipaddress.IPv4Network:
        """The nodes' range: GKE's usual one, or the first other that overlaps neither pods nor Services."""
        # Both are too narrow to take all candidates.
        return next(
            candidate
            for candidate in map(ipaddress.IPv4Network, _NODE_NETWORKS)
            if not candidate.overlaps(self.pods) and not candidate.overlaps(self.services)
        )

    @property
    def node_mask(self) -> int:
        """The prefix length of a node's pod range: GKE's /24, or longer, so that a small pods' range has four nodes."""
        return max(_USUAL_NODE_MASK, self.pods.prefixlen + 2)

    @property
    def pods_a_node(self) -> int:
        """How many pods a node takes: half of its addresses at most, as in GKE, so that none is used again soon."""
        return min(_MOST_PODS_A_NODE, (1 << (32 - self.node_mask)) // 2)

    @property
    def kubernetes_service_ip(self) -> str:
        """The ClusterIP of the Service default/kubernetes, the first of the range."""
        return str(self.services[1])

    @property
    def advertised_ip(self) -> str:
        """The API server's address in the Endpoints of default/kubernetes: never loopback; nobody dials it."""
        return str(self.nodes[2])


def _check_range(name: str, cidr: str, widest: int, narrowest: int) -> None:
    try:
        prefix = ipaddress.IPv4Network(cidr).prefixlen
    except ValueError as error:
        raise ValueError(f"{name} must be an IPv4 range such as 10.4.0.0/14, not {cidr!r}: {error}") from error
    if not widest <= prefix <= narrowest:
        raise ValueError(f"{name} must be between /{widest} and /{narrowest}, not {cidr}")
