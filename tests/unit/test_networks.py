from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.mesh.linkerd.networks import (
    DEFAULT_NETWORKS,
    Address,
    NetworksError,
    missing,
    parse,
    parse_address,
    parse_cidr,
    union,
)

_V4 = st.ip_addresses(v=4)
# Spellings of IPv4 addresses in IPv6 count as IPv4; they have tests of their own.
_V6 = st.ip_addresses(v=6).filter(lambda address: not str(address).startswith("::ffff:"))
_ADDRESS: st.SearchStrategy[Any] = st.one_of(_V4, _V6)


@st.composite
def _network(draw: st.DrawFn) -> Any:
    address = draw(_ADDRESS)
    prefix = draw(st.integers(0, address.max_prefixlen))
    network = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
    # Go reads an IPv4-mapped address as IPv4, ipaddress doesn't; no end of a network may be one.
    ends = (network.network_address, network.broadcast_address)
    return ipaddress.ip_network("fd00::/8") if any(getattr(end, "ipv4_mapped", None) for end in ends) else network


_NETWORKS = st.lists(_network(), min_size=1, max_size=6)
_RANGES = st.lists(_network(), max_size=6)


def _text(networks: list[Any]) -> str:
    return ",".join(map(str, networks))


@given(_NETWORKS, _ADDRESS)
def test_covers_an_address_as_ipaddress_does(networks: list[Any], address: Any) -> None:
    assert parse(_text(networks)).covers(str(address)) == any(address in network for network in networks)


@given(_NETWORKS, _network())
def test_covers_a_range_only_inside_one_network(networks: list[Any], inner: Any) -> None:
    expected = any(inner.version == network.version and inner.subnet_of(network) for network in networks)
    assert parse(_text(networks)).covers_cidr(str(inner)) == expected


@given(_NETWORKS)
def test_covers_both_ends_of_every_network(networks: list[Any]) -> None:
    parsed = parse(_text(networks))
    for network in networks:
        assert parsed.covers(str(network.network_address))
        assert parsed.covers(str(network.broadcast_address))


@given(_network())
def test_writes_a_network_as_ipaddress_does(network: Any) -> None:
    assert str(parse_cidr(str(network))) == str(network)


@given(_ADDRESS)
def test_reads_an_address_as_ipaddress_does(address: Any) -> None:
    assert parse_address(str(address)) == Address(address.version, int(address))


@given(_NETWORKS, _RANGES, st.randoms())
def test_union_covers_everything_and_does_not_depend_on_the_order(
    networks: list[Any], ranges: list[Any], random: Any
) -> None:
    text, wanted = _text(networks), list(map(str, ranges))
    whole = union(text, wanted)
    parsed = parse(whole)
    assert all(parsed.covers_cidr(str(one)) for one in [*networks, *ranges])
    assert len(set(whole.split(","))) == len(whole.split(","))
    assert whole.split(",")[: len(set(networks))] == list(dict.fromkeys(map(str, networks)))
    assert union(whole, wanted) == whole
    random.shuffle(wanted)
    assert union(text, wanted) == whole


@given(_NETWORKS, st.lists(st.one_of(_ADDRESS, _network()), max_size=8), _RANGES)
@example([ipaddress.ip_network("10.0.0.0/8")], [ipaddress.ip_address("34.118.224.1")], [])
def test_missing_covers_every_uncovered_address_and_range(
    networks: list[Any], uncovered: list[Any], ranges: list[Any]
) -> None:
    parsed = parse(_text(networks))
    added = missing(parsed, list(map(str, uncovered)), list(map(str, ranges)))
    mended = parse(union(_text(networks), added))
    assert all(mended.covers_cidr(str(one)) if "/" in str(one) else mended.covers(str(one)) for one in uncovered)
    assert all(not parsed.covers_cidr(one) for one in added)
    assert missing(mended, list(map(str, uncovered)), list(map(str, ranges))) == ()


@pytest.mark.parametrize(
    ("text", "element"),
    [
        ("", ""),
        ("10.0.0.0/8,", ""),
        ("10.0.0.0/8, 172.16.0.0/12", " 172.16.0.0/12"),
        ("10.0.0.0/8 ", "10.0.0.0/8 "),
        ("10.0.0.0", "10.0.0.0"),
        ("10.0.0.0/", "10.0.0.0/"),
        ("10.0.0.0/33", "10.0.0.0/33"),
        ("10.0.0.0/+8", "10.0.0.0/+8"),
        ("10.0.0.0/8/9", "10.0.0.0/8/9"),
        ("10.0.0.0/٨", "10.0.0.0/٨"),
        ("010.0.0.0/8", "010.0.0.0/8"),
        ("10.0.0/8", "10.0.0/8"),
        ("fd00::%eth0/8", "fd00::%eth0/8"),
        ("fd00:::/8", "fd00:::/8"),
        ("fd00::/129", "fd00::/129"),
        ("nonsense,10.0.0.0/8", "nonsense"),
    ],
)
def test_one_bad_element_spoils_the_whole_in_the_cli_s_words(text: str, element: str) -> None:
    with pytest.raises(NetworksError) as caught:
        parse(text)
    assert str(caught.value) == f"invalid CIDR address: {element}"


def test_leading_zeros_of_a_prefix_are_read() -> None:
    assert str(parse_cidr("10.1.2.3/08")) == "10.0.0.0/8"


@pytest.mark.parametrize("text", ["", "10.0.0.1 ", "1.2.3", "1.2.3.256", "1.2.3.04", "::1%lo", "x", "1.2.3.4\0"])
def test_what_is_no_address_is_covered_by_nothing(text: str) -> None:
    assert parse_address(text) is None
    assert not parse("0.0.0.0/0,::/0").covers(text)


def test_ipv4_written_as_ipv6_is_ipv4() -> None:
    assert parse("10.0.0.0/8").covers("::ffff:10.1.2.3")
    assert parse("::ffff:10.0.0.0/104").covers("10.1.2.3")
    assert not parse("::/0").covers("::ffff:10.1.2.3")
    assert not parse("::ffff:10.0.0.0/8").covers("10.1.2.3")


def test_neighbours_cover_addresses_together_but_no_range_across() -> None:
    halves = parse("10.0.0.0/9,10.128.0.0/9")
    assert halves.covers("10.127.255.255")
    assert halves.covers("10.128.0.0")
    assert not halves.covers_cidr("10.0.0.0/8")


def test_union_with_the_default_networks() -> None:
    assert union(DEFAULT_NETWORKS, ["10.4.0.0/14", "34.118.224.0/20"]) == f"{DEFAULT_NETWORKS},34.118.224.0/20"
    assert union(DEFAULT_NETWORKS, []) == DEFAULT_NETWORKS
    assert union("10.1.2.3/8,10.0.0.0/8", ["240.1.2.3/24", "240.1.0.0/16", "2600::/20", "198.18.0.0/15"]) == (
        "10.0.0.0/8,198.18.0.0/15,240.1.0.0/16,2600::/20"
    )


@pytest.mark.parametrize("bad", [("10.0.0.0/8,", []), ("10.0.0.0/8", ["x"])])
def test_union_refuses_what_it_cannot_read(bad: tuple[str, list[str]]) -> None:
    with pytest.raises(NetworksError):
        union(*bad)


def test_missing_prefers_the_cluster_s_ranges_then_the_node_s_then_the_address() -> None:
    networks = parse(DEFAULT_NETWORKS)
    uncovered = ["34.118.224.1", "240.10.1.5", "203.0.113.7", "2600:1900::5", "10.1.1.1", "nonsense", "240.10.9.0/24"]
    assert missing(networks, uncovered, ["34.118.224.0/20"], ["240.10.1.0/24"]) == (
        "34.118.224.0/20",
        "203.0.113.7/32",
        "240.10.1.0/24",
        "240.10.9.0/24",
        "2600:1900::5/128",
    )


def test_missing_names_a_wider_range_once() -> None:
    networks = parse("10.0.0.0/8")
    assert missing(networks, ["240.0.0.1", "240.0.0.2", "240.0.0.2"], ["240.0.0.0/24"]) == ("240.0.0.0/24",)


def test_a_gap_of_one_address_is_a_gap() -> None:
    networks = parse("10.0.0.0/32,10.0.0.2/32")
    assert [networks.covers(f"10.0.0.{number}") for number in range(4)] == [True, False, True, False]


def test_a_network_spelled_as_ipv6_covers_addresses_and_no_cidr() -> None:
    parsed = parse("::ffff:10.0.0.0/104")
    assert parsed.covers("10.4.0.9")
    assert not parsed.covers_cidr("10.4.0.0/24")
    assert parse("::ffff:10.0.0.0/104,10.0.0.0/9").covers_cidr("10.4.0.0/24")
