"""Notes each request that a function sends, in requests.jsonl in its temporary folder, a JSON line each.

Python runs a module of this name at its start (https://docs.python.org/3/library/site.html) where PYTHONPATH has its
folder. Only functions-framework's processes are noted; Helm's requests are a program's of its own, and aren't seen.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def _note(kind: str, method: str, target: str, began: float) -> None:
    line = {"kind": kind, "method": method, "target": target, "time": began, "seconds": time.time() - began}
    with (Path(os.environ["TMPDIR"]) / "requests.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _trace_http() -> None:
    import urllib3  # noqa: PLC0415 - only where something is to be traced

    original = urllib3.HTTPConnectionPool.urlopen

    @functools.wraps(original)
    def urlopen(self: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
        began = time.time()
        try:
            return original(self, method, url, *args, **options)
        finally:
            _note("http", method, f"{self.host}:{self.port}{url}", began)

    urllib3.HTTPConnectionPool.urlopen = urlopen  # type: ignore[method-assign]


def _trace_grpc() -> None:
    import grpc  # noqa: PLC0415 - likewise

    class Tracer(grpc.UnaryUnaryClientInterceptor):  # type: ignore[type-arg] # it takes none at run time
        def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
            began = time.time()
            call = continuation(client_call_details, request)
            service, _, method = str(client_call_details.method).rpartition("/")
            call.add_done_callback(lambda _call: _note("grpc", method, service.rpartition(".")[2], began))
            return call

    for name in ("secure_channel", "insecure_channel"):
        setattr(grpc, name, _traced(getattr(grpc, name), grpc, Tracer()))


def _traced(original: Any, grpc: Any, tracer: Any) -> Any:
    @functools.wraps(original)
    def channel(*args: Any, **options: Any) -> Any:
        return grpc.intercept_channel(original(*args, **options), tracer)

    return channel


if "functions_framework" in sys.orig_argv:
    _trace_http()
    _trace_grpc()
