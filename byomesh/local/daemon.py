"""The process behind `byomesh local up`: one local cloud, up until it is told to go."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
from pathlib import Path

import msgspec

from byomesh.local.audit_stream import Troubles
from byomesh.local.authority import write_private
from byomesh.local.build import ensure_binaries
from byomesh.local.cloud import Options, running
from byomesh.local.control import Control
from byomesh.local.functions import THREADS
from byomesh.local.home import STEP, Contact, Home
from byomesh.local.pace import Pace
from byomesh.local.serving import serve


async def serve_until_stopped(home: Home, options: Options) -> None:
    """Start a local cloud, tell how to reach it, and stop it at SIGTERM, SIGINT or the command's word."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    binaries = await asyncio.to_thread(ensure_binaries)
    async with running(home, options, binaries, _say) as cloud, contextlib.AsyncExitStack() as stack:
        token = secrets.token_urlsafe(32)
        port = await serve(stack, Control(cloud, token, stopping.set).routes())
        write_private(home.contact_file, msgspec.json.encode(Contact(os.getpid(), port, token)))
        _say("up")
        try:
            await stopping.wait()
        finally:
            home.contact_file.unlink(missing_ok=True)
    _say("down")


def _say(what: str) -> None:
    sys.stdout.write(f"{STEP}{what}\n")
    sys.stdout.flush()


def main() -> None:
    """Run the daemon with the options that `byomesh local up` gives it."""
    parser = argparse.ArgumentParser(prog="python -m byomesh.local.daemon", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--pace", type=float, required=True)
    parser.add_argument("--pod-seconds", type=float, default=0.0)
    parser.add_argument("--charts", default="")
    parser.add_argument("--duplicate", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--reorder", type=float, default=0.0)
    parser.add_argument("--ca-service", action="store_true")
    parser.add_argument("--scope", default="project")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    options = Options(
        project=asked.project,
        pace=Pace(asked.pace),
        pod_seconds=asked.pod_seconds,
        charts=asked.charts,
        troubles=Troubles(asked.duplicate, asked.delay, asked.reorder),
        ca_service=asked.ca_service,
        scope=asked.scope,
        threads=asked.threads,
        settings=dict(pair.split("=", 1) for pair in asked.setting),
    )
    asyncio.run(serve_until_stopped(Home(asked.home), options))


if __name__ == "__main__":
    main()
