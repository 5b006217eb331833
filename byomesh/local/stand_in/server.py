"""The HTTPS server of all stand-in clusters: a port each, and faults on the way where somebody orders them."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Self

import msgspec
import yaml
from aiohttp import web

from byomesh.local.stand_in import kinds, protobuf
from byomesh.local.stand_in.store import Answer, Store, refusal

_VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.3-gke.1", "platform": "linux/amd64"}
_AGGREGATED = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_SLOW_SECONDS = 2.0
_MOST_BYTES = 16 * 1024 * 1024
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Fault(enum.Enum):
    """What may happen to a request."""

    TOO_MANY = "429"
    BROKEN = "500"
    OVERLOADED = "503"
    EXPIRED = "401"
    CUT_BEFORE = "cut before"
    CUT_AFTER = "cut after"


class Manner(enum.Enum):
    """How a cluster's API server answers all requests."""

    PROMPT = "at once"
    SLOW = "after two seconds"
    UNAVAILABLE = "with 503"


class Request(msgspec.Struct, frozen=True):
    """What a fault is decided by.

    Attributes:
        cluster: the cluster's own name.
        method: the HTTP method.
        path: without its query.
        dry_run: whether nothing is written.
        user_agent: the client in its own words.
    """

    cluster: str
    method: str
    path: str
    dry_run: bool
    user_agent: str


Decide = Callable[[Request], Fault | None]


class StandIn:
    """Serves stand-in clusters; use it as an async context manager.

    Attributes:
        decide: what happens to a request, before it is answered.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.decide: Decide = lambda _request: None
        self._tls = tls
        self._clusters: dict[int, tuple[str, Store]] = {}
        self._manners: dict[int, Manner] = {}
        self._silent: asyncio.Server | None = None
        self._servers: dict[int, asyncio.Server] = {}
        self._handler = web.Server(self._answer, access_log=None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        for server in (*self._servers.values(), *([self._silent] if self._silent else [])):
            server.close()
        await self._handler.shutdown(0.2)

    async def serve(self, name: str, store: Store, manner: Manner = Manner.PROMPT) -> str:
        """Serve a cluster from now on; returns `127.0.0.1:PORT`."""
        server = await asyncio.get_running_loop().create_server(self._handler, "127.0.0.1", 0, ssl=self._tls)
        port: int = server.sockets[0].getsockname()[1]
        self._servers[port] = server
        self._clusters[port] = (name, store)
        self._manners[port] = manner
        return f"127.0.0.1:{port}"

    async def silent(self) -> str:
        """`127.0.0.1:PORT` of a server that takes connections and never says anything; one for all who want it."""

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while await reader.read(_MOST_BYTES):
                    pass
            writer.close()

        if self._silent is None:
            self._silent = await asyncio.start_server(listen, "127.0.0.1", 0)
        port: int = self._silent.sockets[0].getsockname()[1]
        return f"127.0.0.1:{port}"

    def store(self, name: str) -> Store | None:
        """The objects of a cluster; None where none is served under that name."""
        return next((store for known, store in self._clusters.values() if known == name), None)

    def forget(self, name: str) -> None:
        """Serve a cluster no longer, if it is."""
        for port in [port for port, (known, _) in self._clusters.items() if known == name]:
            self._servers.pop(port).close()
            del self._clusters[port], self._manners[port]

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is None:
            raise web.HTTPServiceUnavailable
        port = request.transport.get_extra_info("sockname")[1]
        if port not in self._clusters:
            return cut(request)
        name, store = self._clusters[port]
        asked = Request(
            name, request.method, request.path, "dryRun" in request.query, request.headers.get("User-Agent", "")
        )
        body = await request.read()
        manner = self._manners[port]
        if manner is Manner.SLOW:
            await asyncio.sleep(_SLOW_SECONDS)
        fault = Fault.OVERLOADED if manner is Manner.UNAVAILABLE else self.decide(asked)
        if fault is Fault.CUT_BEFORE:
            return cut(request)
        if fault is not None and fault is not Fault.CUT_AFTER:
            return failure(fault)
        code, answer = self._carried_out(store, request, body)
        if fault is Fault.CUT_AFTER:
            return cut(request)
        kind = (
            f"application/json;{_AGGREGATED}" if answer.get("kind") == "APIGroupDiscoveryList" else "application/json"
        )
        return web.Response(status=code, body=msgspec.json.encode(answer), headers={"Content-Type": kind})

    def _carried_out(self, store: Store, request: web.BaseRequest, body: bytes) -> Answer:
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            return refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")
        path = request.path
        if path == "/version":
            return 200, dict(_VERSION)
        if path in ("/api", "/apis"):
            return 200, kinds.discovery(store.kinds, core=path == "/api")
        listed = kinds.resource_list(store.kinds, path)
        if listed is not None:
            return 200, listed
        try:
            # What a deletion carries are options, and none of them is needed.
            sent = {} if request.method == "DELETE" else _decoded(body, request.headers.get("Content-Type", ""))
        except protobuf.ProtobufError as error:
            return refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", str(error))
        return store.answer(request.method, path, request.query, sent, request.headers.get("Content-Type", ""))


def failure(fault: Fault) -> web.Response:
    """The answer that a fault is. Only those of an overload say when to come again, as API servers' do."""
    words = {
        Fault.TOO_MANY: ("TooManyRequests", "too many requests, please try again later"),
        Fault.BROKEN: ("InternalError", "Internal error occurred: etcdserver: leader changed"),
        Fault.OVERLOADED: ("ServiceUnavailable", "apiserver is shutting down"),
        Fault.EXPIRED: ("Unauthorized", "Unauthorized"),
    }
    code, answer = refusal(int(fault.value), *words[fault])
    later = {"Retry-After": "1"} if fault in (Fault.TOO_MANY, Fault.OVERLOADED) else {}
    return web.json_response(answer, status=code, headers=later)


def cut(request: web.BaseRequest) -> web.Response:
    """Cut the connection in place of an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _decoded(body: bytes, content_type: str) -> Any:
    if not body:
        return {}
    if protobuf.CONTENT_TYPE in content_type:
        return protobuf.secret(body)
    if "yaml" not in content_type or body[:1] == b"{":
        return msgspec.json.decode(body)
    return yaml.load(body, Loader=_LOADER)  # noqa: S506 - a safe loader, written in C where there is one
