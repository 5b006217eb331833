"""The HTTPS server of one cluster's inhabitants, and how the cluster's network finds it."""

from __future__ import annotations

import collections
import logging
import ssl
import tempfile
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from byomesh.local.authority import write_private
from byomesh.local.inhabitants import tap
from byomesh.local.inhabitants.reading import Reader, ReadingError
from byomesh.local.inhabitants.reviews import Reviews
from byomesh.local.inhabitants.whereabouts import Resident, Whereabouts
from byomesh.local.kubernetes import ControlPlane

_log = logging.getLogger(__name__)
_MOST_BYTES = 64 * 1024 * 1024


class _Identity(ssl.SSLContext):
    """A resident's certificate, which a connection also tells the resident by."""

    resident: Resident


class Inhabitants:
    """The stand-ins of one cluster.

    Nothing of it polls: what is there is looked up when the API server dials it, and every answer ends its connection,
    so that the next call looks again.

    Use it as an async context manager inside that of the cluster, or call `start` and `stop`.

    Args:
        plane: the cluster; its API server answers.

    Attributes:
        blocked: the pods' ports that a firewall keeps from the control plane now, as GKE's does with all but 443 and
            10250 of a private cluster (https://cloud.google.com/kubernetes-engine/docs/how-to/private-clusters).
        calls: how often each `NAMESPACE/SERVICE` answered.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self.blocked: set[int] = set()
        self.calls: collections.Counter[str] = collections.Counter()
        self._plane = plane
        self._identities: dict[str, _Identity] = {}
        self._runner: web.AppRunner | None = None
        self._reader: Reader | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens on a loopback port, and answers in the cluster's network from now on."""
        self._reader = Reader(self._plane.client())
        self._reviews = Reviews(self._reader)
        self._whereabouts = Whereabouts(self._reader, self._plane.settings.services, self.blocked)
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        outer.sni_callback = self._choose
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=outer).start()
        self._plane.network.locate = self._locate

    async def stop(self) -> None:
        """Answers no more; harmless at any time."""
        self._plane.network.locate = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._reader is not None:
            await self._reviews.close()
            await self._reader.close()
            self._reader = None

    async def _locate(self, target: str) -> int | str | None:
        """Our port where somebody is at `target`, ready to be greeted by its name; else as `Whereabouts.find`."""
        try:
            found = await self._whereabouts.find(target)
        except ReadingError as error:
            return f"{target} can't be looked up: {error}"
        if not isinstance(found, Resident) or self._runner is None:
            return None if isinstance(found, Resident) else found
        known = self._identities.get(found.host)
        if known is None or known.resident != found:
            try:
                self._identities[found.host] = _identity(found)
            except ssl.SSLError as error:
                return f"the certificate and key of {found.host} can't be served with: {error}"
        port: int = self._runner.addresses[0][1]
        return port

    def _choose(self, connection: ssl.SSLObject, name: str | None, _outer: ssl.SSLContext) -> int | None:
        """The certificate by the name that the handshake asks for."""
        identity = self._identities.get(name or "")
        if identity is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = identity
        return None

    async def _answer(self, request: web.Request) -> web.Response:
        resident = _asked(request)
        self.calls[f"{resident.namespace}/{resident.service}"] += 1
        try:
            response = tap.answer(request.path) if resident.service == "tap" else await self._review(resident, request)
        except ReadingError as error:
            _log.warning("%s: %s", resident.host, error)
            response = web.Response(status=500, text=str(error))
        response.force_close()
        return response

    async def _review(self, resident: Resident, request: web.Request) -> web.Response:
        return await self._reviews.answer(resident.service, resident.namespace, await request.read())


def _asked(request: web.Request) -> Resident:
    connection: Any = request.transport.get_extra_info("ssl_object") if request.transport else None
    identity = getattr(connection, "context", None)
    if not isinstance(identity, _Identity):
        raise web.HTTPMisdirectedRequest(text="nobody of that name is here")
    return identity.resident


def _identity(resident: Resident) -> _Identity:
    """Raises ssl.SSLError where certificate and key are none, or not each other's."""
    identity = _Identity(ssl.PROTOCOL_TLS_SERVER)
    identity.resident = resident
    # Python reads them from files only; these are gone in a moment.
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        certificate.write_bytes(resident.certificate)
        write_private(key, resident.key)
        identity.load_cert_chain(certificate, key)
    return identity
