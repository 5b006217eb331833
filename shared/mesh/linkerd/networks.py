"""clusterNetworks: what Linkerd's proxies may ask the control plane about, and what it has to name; pure."""

from __future__ import annotations

from collections.abc import Iterable

from shared.mesh.fold.cidrs import BITS, Address, Network, Networks, NetworksError, parse, parse_address, parse_cidr

__all__ = [
    "DEFAULT_NETWORKS",
    "Address",
    "Network",
    "Networks",
    "NetworksError",
    "missing",
    "parse",
    "parse_address",
    "parse_cidr",
    "union",
]

DEFAULT_NETWORKS = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8"
"""The chart's own value (charts/linkerd-control-plane/values.yaml, clusterNetworks)."""


def _widest(networks: Iterable[Network]) -> list[Network]:
    """The networks that are inside no other of them, sorted."""
    kept: list[Network] = []
    for network in sorted(set(networks)):
        if not any(other.contains(network) for other in kept):
            kept.append(network)
    return kept


def union(text: str, ranges: Iterable[str]) -> str:
    """`text`'s networks in their own order, then those of `ranges` that no one network covers yet, sorted, IPv4 first.

    Normalised (bits below the prefix cleared) and without duplicates; the same whatever the order of `ranges`, and
    `union(union(t, r), r) == union(t, r)`.

    Raises:
        NetworksError: `text` or one of `ranges` can't be read.
    """
    given = parse(text)
    added = _widest(network for network in map(parse_cidr, ranges) if not given.includes(network))
    return ",".join(map(str, [*dict.fromkeys(given.members), *added]))


def missing(
    networks: Networks, uncovered: Iterable[str], cluster_ranges: Iterable[str] = (), pod_cidrs: Iterable[str] = ()
) -> tuple[str, ...]:
    """The ranges to add so that every uncovered address or CIDR is covered; sorted, IPv4 first.

    For each: the first of the cluster's own ranges (GKE's pod and Service ranges) that holds it; else the node's
    podCIDR that does; else itself, an address as its /32 or /128.

    Raises:
        NetworksError: one of `cluster_ranges` or `pod_cidrs` is no CIDR.
    """
    candidates = [*map(parse_cidr, cluster_ranges), *map(parse_cidr, pod_cidrs)]
    wanted: list[Network] = []
    for text in uncovered:
        network = _as_network(text)
        if network is None or networks.includes(network):
            continue
        wanted.append(next((range_ for range_ in candidates if range_.contains(network)), network))
    return tuple(map(str, _widest(wanted)))


def _as_network(text: str) -> Network | None:
    if "/" in text:
        return parse_cidr(text)
    address = parse_address(text)
    return None if address is None else Network(address.version, address.value, BITS[address.version])
