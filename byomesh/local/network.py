"""The network of a local cluster, as its API server sees it: a proxy that knows everything there is on it.

kube-apiserver dials webhooks, extension API servers and kubelets through the proxy that its egress selector names (HTTP
CONNECT over a Unix socket, as in GKE with konnectivity). This one never dials anything but loopback: it refuses at once
what isn't there, so nothing hangs and no packet leaves the machine, and splices what a stand-in answers for to a port
of the stand-in's.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Self

__all__ = ["ClusterNetwork", "Locate", "Predicate"]

Predicate = Callable[[str], bool]
"""Whether a `host:port` (an IPv6 host in brackets) is meant."""
Locate = Callable[[str], Awaitable[int | str | None]]
"""Finds who is at a `host:port`: a port of 127.0.0.1 that answers; or why nobody does; or None: not known here."""

_HEADER_SECONDS = 10.0
_DIAL_SECONDS = 5.0
_CHUNK = 65536


class ClusterNetwork:
    """The proxy of one cluster.

    Attributes:
        socket: the Unix socket that it listens on.
        asked: how often each `host:port` was asked for.
        refused: how often each was refused, as nothing is there.
        locate: asked for what none of the answers is for; None where there is nobody to ask.
    """

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.locate: Locate | None = None
        self.asked: collections.Counter[str] = collections.Counter()
        self.refused: collections.Counter[str] = collections.Counter()
        self._answers: list[tuple[Predicate, int]] = []
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    def answer(self, asked: str | Predicate, port: int) -> Callable[[], None]:
        """Lets 127.0.0.1:`port` answer for a `host:port`, or for all that a predicate picks; the newest answer wins.

        Returns:
            what takes this answer back; connections that are open stay so.
        """
        predicate: Predicate = (lambda target: target == asked) if isinstance(asked, str) else asked
        entry = (predicate, port)
        self._answers.insert(0, entry)

        def withdraw() -> None:
            with contextlib.suppress(ValueError):
                self._answers.remove(entry)

        return withdraw

    async def start(self) -> None:
        """Listens; only the owner may connect.

        Raises:
            OSError: the socket's path is too long or not writable.
        """
        self._server = await asyncio.start_unix_server(self._accept, self.socket)
        self.socket.chmod(0o600)

    async def stop(self) -> None:
        """Closes the socket and every connection; harmless if it was never started."""
        if self._server is not None:
            self._server.close()
            self._server = None
        connections = list(self._connections)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        self.socket.unlink(missing_ok=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A peer that vanishes in the middle is nobody's fault: kube-apiserver gives up on calls all the time.
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            async with _closing(writer):
                async with asyncio.timeout(_HEADER_SECONDS):
                    header = await reader.readuntil(b"\r\n\r\n")
                await self._connect(header.split(b"\r\n", 1)[0].decode("latin-1").split(" "), reader, writer)

    async def _connect(self, request: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(request) != 3 or request[0] != "CONNECT":  # noqa: PLR2004 - method, target and version
            await _reply(writer, "405 Method Not Allowed", "this proxy knows CONNECT only")
            return
        target = request[1]
        self.asked[target] += 1
        found: int | str | None = self._port_for(target)
        if found is None and self.locate is not None:
            found = await self.locate(target)
        if not isinstance(found, int):
            self.refused[target] += 1
            await _reply(writer, "503 Service Unavailable", found or f"nothing answers at {target} in this cluster")
            return
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", found)
        except OSError as error:
            self.refused[target] += 1
            await _reply(writer, "503 Service Unavailable", f"127.0.0.1:{found}, which answers for {target}: {error}")
            return
        async with _closing(far_writer):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    def _port_for(self, target: str) -> int | None:
        for predicate, port in self._answers:
            if predicate(target):
                return port
        host, _, port_text = target.rpartition(":")
        # What is asked for on 127.0.0.1 itself (a webhook by URL) is there or not, as anywhere on this machine.
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(host) == ipaddress.ip_address("127.0.0.1"):
                return int(port_text)
        return None


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _reply(writer: asyncio.StreamWriter, status: str, text: str) -> None:
    body = text.encode()
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
    await writer.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carries bytes one way until their end, and passes the end on, so that a half-closed connection stays one."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
