"""A small HTTPS server on loopback that answers as told, for faults that a real API server won't show."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from byomesh.local.authority import Authority


class Request(NamedTuple):
    """What a client sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Cut:
    """In place of an answer: close the connection without one."""


Answer = tuple[int, bytes] | Cut
Answerer = Callable[[Request], Answer]


class HttpsServer(NamedTuple):
    """A running server.

    Attributes:
        endpoint: `host:port`.
        ca_pem: the authority that its certificate is of.
        requests: what was received so far.
    """

    endpoint: str
    ca_pem: str
    requests: list[Request]


@contextlib.contextmanager
def https_server(answer: Answerer) -> Iterator[HttpsServer]:
    """Serve until the block ends; `answer` is called from the server's threads."""
    requests: list[Request] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(length))
            requests.append(request)
            found = answer(request)
            if isinstance(found, Cut):
                self.close_connection = True
                return
            status, body = found
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 (http.server's names)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        # Threads that hang on purpose must not hold up the end of a test.
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that gives up is part of the tests."""

    authority = Authority.create("test authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = authority.server(["127.0.0.1", "localhost"]).save(Path(folder), "server")
        context.load_cert_chain(certificate, key)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield HttpsServer(f"127.0.0.1:{server.server_address[1]}", authority.pem.decode(), requests)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
