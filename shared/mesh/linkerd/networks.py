"""clusterNetworks: which destinations Linkerd's proxies may ask the control plane about.

The text is read as Linkerd's own tools read it (pkg/healthcheck/healthcheck.go, checkClusterNetworks, and Go's
net.ParseCIDR): split at commas, nothing trimmed, one bad element spoils the whole. Pure; integers, no address objects.
"""

from __future__ import annotations

import bisect
import dataclasses
import socket
from collections.abc import Iterable
from typing import NamedTuple

DEFAULT_NETWORKS = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8"
"""The chart's own value (charts/linkerd-control-plane/values.yaml, clusterNetworks)."""

_BITS = {4: 32, 6: 128}
_MAPPED_PREFIX = 96
_MAPPED = 0xFFFF << 32
"""First address of ::ffff:0:0/96: IPv6 spellings of IPv4 addresses, which count as IPv4."""


class NetworksError(ValueError):
    """A text that Linkerd can't read as networks; `str()` is the very sentence that `linkerd check` prints."""


class Address(NamedTuple):
    """An IP address as (4 or 6, integer); sorts IPv4 first."""

    version: int
    value: int


class Network(NamedTuple):
    """A CIDR as integers; sorts IPv4 first, then by address, wide before narrow.

    Attributes:
        version: 4 or 6.
        first: its lowest address.
        ones: prefix length, 0 to 32 or 128.
    """

    version: int
    first: int
    ones: int

    @property
    def last(self) -> int:
        """Its highest address."""
        return self.first | ((1 << (_BITS[self.version] - self.ones)) - 1)

    def contains(self, other: Network) -> bool:
        """Whether all of `other` lies inside."""
        return self.version == other.version and self.first <= other.first and other.last <= self.last

    def __str__(self) -> str:
        raw = self.first.to_bytes(_BITS[self.version] // 8, "big")
        return f"{socket.inet_ntop(socket.AF_INET if self.version == 4 else socket.AF_INET6, raw)}/{self.ones}"  # noqa: PLR2004


def parse_address(text: str) -> Address | None:
    """Read an IP address as Go's net.ParseIP does (no zone, no leading zeros, ::ffff:a.b.c.d is IPv4); else None."""
    try:
        if ":" not in text:
            return Address(4, int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big"))
        value = int.from_bytes(socket.inet_pton(socket.AF_INET6, text), "big")
    except (OSError, ValueError):  # ValueError: a NUL inside, or not ASCII
        return None
    return Address(4, value & 0xFFFFFFFF) if value >> 32 == _MAPPED >> 32 else Address(6, value)


def parse_cidr(text: str) -> Network:
    """Read one CIDR as Go's net.ParseCIDR does; bits below the prefix are cleared.

    Raises:
        NetworksError: with the words `invalid CIDR address: TEXT`.
    """
    head, slash, tail = text.partition("/")
    address = parse_address(head)
    if address is None or not slash or not (tail.isascii() and tail.isdigit()):
        raise NetworksError(f"invalid CIDR address: {text}")
    ones, version, value = int(tail), *address
    if version == 4 and ":" in head:  # noqa: PLR2004
        if ones >= _MAPPED_PREFIX:
            ones -= _MAPPED_PREFIX
        else:
            version, value = 6, _MAPPED | value
    if ones > _BITS[version]:
        raise NetworksError(f"invalid CIDR address: {text}")
    host = _BITS[version] - ones
    return Network(version, value >> host << host, ones)


@dataclasses.dataclass(frozen=True, slots=True)
class Networks:
    """Parsed clusterNetworks.

    Attributes:
        text: the raw value.
        members: its networks in its own order.
        starts: by version, first addresses of the disjoint intervals that the members make up, ascending.
        ends: by version, the last addresses of the same intervals.
    """

    text: str
    members: tuple[Network, ...]
    starts: dict[int, list[int]]
    ends: dict[int, list[int]]

    def covers(self, address: str) -> bool:
        """Whether an address is inside any member; what is no address is inside none."""
        parsed = parse_address(address)
        if parsed is None:
            return False
        version, value = parsed
        at = bisect.bisect_right(self.starts[version], value) - 1
        return at >= 0 and value <= self.ends[version][at]

    def covers_cidr(self, cidr: str) -> bool:
        """Whether a whole CIDR is inside one single member, as for nodes' podCIDRs.

        Raises:
            NetworksError: it is no CIDR.
        """
        return self.includes(parse_cidr(cidr))

    def includes(self, network: Network) -> bool:
        """Whether `network` is inside one single member."""
        return any(member.contains(network) for member in self.members)


def parse(text: str) -> Networks:
    """Read clusterNetworks.

    Raises:
        NetworksError: an element is no CIDR (a space, a trailing comma and an empty text are such elements).
    """
    members = tuple(parse_cidr(element) for element in text.split(","))
    starts: dict[int, list[int]] = {4: [], 6: []}
    ends: dict[int, list[int]] = {4: [], 6: []}
    for network in sorted(members):
        seen = ends[network.version]
        if seen and network.first <= seen[-1] + 1:
            seen[-1] = max(seen[-1], network.last)
        else:
            starts[network.version].append(network.first)
            seen.append(network.last)
    return Networks(text, members, starts, ends)


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
    return None if address is None else Network(address.version, address.value, _BITS[address.version])
