"""HTTP on a free loopback port, for as long as a stack of contexts lasts."""

from __future__ import annotations

import contextlib
import ssl

from aiohttp import web


async def serve(stack: contextlib.AsyncExitStack, routes: list[web.RouteDef], tls: ssl.SSLContext | None = None) -> int:
    """Serve routes on a free loopback port until the stack unwinds, over TLS where a context is given."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port: int = runner.addresses[0][1]
    return port
