"""The proxy that an API server reaches its cluster's network through."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from byomesh.local.network import ClusterNetwork


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[ClusterNetwork]:
    async with ClusterNetwork(tmp_path / "n.sock") as network:
        yield network


async def test_what_is_not_there_is_refused_at_once(network: ClusterNetwork) -> None:
    async with asyncio.timeout(60):
        answer = await _ask(network, b"CONNECT 34.118.224.10:443 HTTP/1.1\r\nHost: any\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert answer.endswith(b"nothing answers at 34.118.224.10:443 in this cluster")
    assert (network.asked["34.118.224.10:443"], network.refused["34.118.224.10:443"]) == (1, 1)


async def test_anything_but_connect_is_refused(network: ClusterNetwork) -> None:
    assert (await _ask(network, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("sent", [b"", b"CONNECT 10.0.0.1:443 HT", b"x" * 100_000])
async def test_half_a_request_ends_its_connection_only(network: ClusterNetwork, sent: bytes) -> None:
    assert await _ask(network, sent) == b""
    assert (await _ask(network, b"CONNECT 10.0.0.1:1 HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 503 ")


async def test_a_stand_in_answers_until_it_is_withdrawn(network: ClusterNetwork) -> None:
    async with _echo() as port:
        withdraw = network.answer("34.118.224.10:443", port)
        request = b"CONNECT 34.118.224.10:443 HTTP/1.1\r\n\r\n"
        assert await _ask(network, request + b"hello") == b"HTTP/1.1 200 Connection established\r\n\r\nhello"
        withdraw()
        withdraw()
        assert (await _ask(network, request)).startswith(b"HTTP/1.1 503 ")
    assert network.asked["34.118.224.10:443"] == 2


async def test_a_predicate_answers_for_many_and_the_newest_wins(network: ClusterNetwork) -> None:
    async with _echo(b"pods: ") as pods, _echo(b"one: ") as one:
        network.answer(lambda target: target.startswith("10.4."), pods)
        network.answer("10.4.0.7:8443", one)
        for target, said in (("10.4.0.6:8443", b"pods: hi"), ("10.4.0.7:8443", b"one: hi")):
            assert (await _ask(network, f"CONNECT {target} HTTP/1.1\r\n\r\nhi".encode())).endswith(b"\r\n\r\n" + said)


async def test_loopback_is_reached_as_it_is(network: ClusterNetwork) -> None:
    async with _echo() as port:
        answer = await _ask(network, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nhi".encode())
        assert answer.endswith(b"\r\n\r\nhi")
    gone = await _ask(network, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nhi".encode())
    assert gone.startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("target", ["127.0.0.1:http", "127.0.0.1", "localhost:80", "[::1]:80", ":"])
async def test_odd_targets_are_refused(network: ClusterNetwork, target: str) -> None:
    assert (await _ask(network, f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())).startswith(b"HTTP/1.1 503 ")


async def test_stop_ends_connections_that_are_open(tmp_path: Path) -> None:
    network = ClusterNetwork(tmp_path / "n.sock")
    await network.start()
    async with _echo() as port:
        network.answer("10.4.0.1:1", port)
        reader, writer = await asyncio.open_unix_connection(network.socket)
        writer.write(b"CONNECT 10.4.0.1:1 HTTP/1.1\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await network.stop()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert not network.socket.exists()
    await network.stop()


async def _ask(network: ClusterNetwork, sent: bytes) -> bytes:
    """All that comes back for what is sent."""
    reader, writer = await asyncio.open_unix_connection(network.socket)
    received = b""
    with contextlib.suppress(ConnectionError):
        writer.write(sent)
        writer.write_eof()
        received = await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return received


@contextlib.asynccontextmanager
async def _echo(prefix: bytes = b"") -> AsyncIterator[int]:
    """A server that sends back what it got, once the other side has sent all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(prefix + await reader.read())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
