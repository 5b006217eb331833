"""What the contract tests of Google's APIs share: an authority, an identity, a token endpoint, keys for clients."""

from __future__ import annotations

import dataclasses
import json
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web
from google.oauth2 import service_account

from byomesh.local import rpc
from byomesh.local.authority import Authority
from byomesh.local.identity import Identity

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TESTER = "tester@shop-prod.iam.gserviceaccount.com"


@dataclasses.dataclass(frozen=True)
class Cloud:
    """A running set of servers.

    Attributes:
        authority: issued their certificates.
        identity: knows their callers.
        address: `localhost:PORT` of the gRPC server.
        folder: where key files and the root's PEM may be kept.
    """

    authority: Authority
    identity: Identity
    address: str
    folder: Path

    def key_file(self, email: str, role: str = "none") -> Path:
        """A Google JSON key file of an account."""
        path = self.folder / f"{email}.json"
        path.write_text(json.dumps(self.identity.add(email, role)))
        return path

    def roots(self) -> Path:
        """The root certificate as a file."""
        path = self.folder / "roots.pem"
        path.write_bytes(self.authority.pem)
        return path

    def client(self, kind: Any, transport: Any, email: str = TESTER) -> Any:
        """A real Google client, signed in with a key file of `email`, trusting this cloud's root."""
        load: Any = service_account.Credentials.from_service_account_file
        credentials = load(str(self.key_file(email)), scopes=[SCOPE])
        trust = grpc.ssl_channel_credentials(self.authority.pem)
        channel = transport(
            host=self.address,
            credentials=credentials,
            ssl_channel_credentials=trust,
            always_use_jwt_access=True,  # as the client itself asks of the transports that it makes
        )
        return kind(transport=channel)


@asynccontextmanager
async def cloud(folder: Path, services: Callable[[Identity], Sequence[rpc.Handler]]) -> AsyncIterator[Cloud]:
    """Serve `services` over TLS, with an identity and its token endpoint; everything stops at the end."""
    authority = Authority.create("test cloud")
    issued = authority.server(["localhost", "127.0.0.1"])
    identity = Identity(token_uri="", project="shop-prod")
    async with endpoint(identity.routes(), authority) as base:
        identity.token_uri = f"{base}/token"
        server, port = await rpc.serve(services(identity), certificate_pem=issued.certificate, key_pem=issued.key)
        try:
            yield Cloud(authority, identity, f"localhost:{port}", folder)
        finally:
            await server.stop(None)


@asynccontextmanager
async def endpoint(routes: Sequence[web.RouteDef], authority: Authority) -> AsyncIterator[str]:
    """Serve aiohttp routes over TLS on loopback; yields `https://127.0.0.1:PORT`."""
    issued = authority.server(["localhost", "127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        load_pair(context, issued.certificate, issued.key)
        site = web.TCPSite(runner, rpc.LOOPBACK, 0, ssl_context=context)
        await site.start()
        yield f"https://{rpc.LOOPBACK}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a certificate and key from memory; the ssl module only takes files."""
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder) / "pair.pem"
        pair.write_bytes(certificate + key)
        context.load_cert_chain(pair)


PYTHON = sys.executable
