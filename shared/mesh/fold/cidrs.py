"""Addresses and networks as integers, read as Linkerd's own tools read them: Go's net.ParseIP and net.ParseCIDR.

A list of networks (pkg/healthcheck/healthcheck.go, checkClusterNetworks) is split at commas and nothing is trimmed; one
bad element spoils the whole.
"""

from __future__ import annotations

import bisect
import dataclasses
import ipaddress
from typing import NamedTuple

BITS = {4: 32, 6: 128}
_V4, _OCTETS = 4, 4
_OCTET = {str(number): number for number in range(256)}
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
        return self.first | ((1 << (BITS[self.version] - self.ones)) - 1)

    def contains(self, other: Network) -> bool:
        """Whether all of `other` lies inside."""
        return self.version == other.version and self.first <= other.first and other.last <= self.last

    def __str__(self) -> str:
        address = ipaddress.IPv4Address if self.version == _V4 else ipaddress.IPv6Address
        return f"{address(self.first)}/{self.ones}"


def parse_address(text: str) -> Address | None:
    """Read an IP address as Go's net.ParseIP does (no zone, no leading zeros, ::ffff:a.b.c.d is IPv4); else None."""
    if ":" not in text:
        value = _dotted(text)
        return None if value is None else Address(4, value)
    if "%" in text:
        return None
    try:
        value = int(ipaddress.IPv6Address(text))
    except ValueError:
        return None
    return Address(4, value & 0xFFFFFFFF) if value >> 32 == _MAPPED >> 32 else Address(6, value)


def _dotted(text: str) -> int | None:
    """An IPv4 address in its one spelling; written for speed, as every pod's and Service's comes through here."""
    parts = text.split(".")
    if len(parts) != _OCTETS:
        return None
    value = 0
    for part in parts:
        octet = _OCTET.get(part)
        if octet is None:
            return None
        value = value << 8 | octet
    return value


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
    if version == _V4 and ":" in head:
        if ones >= _MAPPED_PREFIX:
            ones -= _MAPPED_PREFIX
        else:
            version, value = 6, _MAPPED | value
    if ones > BITS[version]:
        raise NetworksError(f"invalid CIDR address: {text}")
    host = BITS[version] - ones
    return Network(version, value >> host << host, ones)


@dataclasses.dataclass(frozen=True, slots=True)
class Networks:
    """Parsed clusterNetworks.

    Attributes:
        text: the raw value.
        members: its networks in its own order.
        starts: by version, first addresses of the disjoint intervals that the members make up, ascending.
        ends: by version, the last addresses of the same intervals.
        mapped: those of the IPv4 members that are spelled as IPv6, such as ::ffff:10.0.0.0/104.
    """

    text: str
    members: tuple[Network, ...]
    starts: dict[int, list[int]]
    ends: dict[int, list[int]]
    mapped: frozenset[Network] = frozenset()

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

        A mapped member covers none: the CLI compares prefix lengths as they are written (cluterNetworksContainCIDR).

        Raises:
            NetworksError: it is no CIDR.
        """
        network = parse_cidr(cidr)
        return any(member.contains(network) for member in self.members if member not in self.mapped)

    def includes(self, network: Network) -> bool:
        """Whether `network` is inside one single member."""
        return any(member.contains(network) for member in self.members)


def parse(text: str) -> Networks:
    """Read clusterNetworks.

    Raises:
        NetworksError: an element is no CIDR (a space, a trailing comma and an empty text are such elements).
    """
    elements = text.split(",")
    members = tuple(map(parse_cidr, elements))
    spelled = zip(elements, members, strict=True)
    mapped = frozenset(member for element, member in spelled if member.version == _V4 and ":" in element)
    starts: dict[int, list[int]] = {4: [], 6: []}
    ends: dict[int, list[int]] = {4: [], 6: []}
    for network in sorted(members):
        seen = ends[network.version]
        if seen and network.first <= seen[-1] + 1:
            seen[-1] = max(seen[-1], network.last)
        else:
            starts[network.version].append(network.first)
            seen.append(network.last)
    return Networks(text, members, starts, ends, mapped)
