"""The functions as the platform runs them: functions-framework, a process each, told everything by its environment."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import random
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from byomesh.local.processes import Process, stop_all

SOURCES = Path(__file__).resolve().parents[2] / "functions"
NAMES = ("enable_net_admin", "install_mesh", "verify_mesh", "enforce_policy")
THREADS = 16
"""Requests that a function handles at a time, unless told otherwise: four instances of a core each, with the four
threads that functions-framework gives a core (functions_framework/_http/gunicorn.py)."""
_READY_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    """One running function.

    Attributes:
        name: its entry point.
        url: where functions-framework listens.
        process: the process.
    """

    name: str
    url: str
    process: Process


_LOCAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_UNPRIVILEGED, _ROOM, _TRIES = 10_000, 12_000, 100


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on at the moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """As many ports on 127.0.0.1, each another, that nobody listens on at the moment.

    They lie below the range that the kernel gives out by itself (ip(7), ip_local_port_range): until they are listened
    on, every server that asks for any port, and every connection, could be given one of that range.
    """
    lowest = int(_LOCAL_PORTS.read_text().split()[0]) if _LOCAL_PORTS.exists() else 0
    choices = random.sample(range(_UNPRIVILEGED, lowest), min(_TRIES, lowest - _UNPRIVILEGED)) if lowest > _ROOM else []
    with contextlib.ExitStack() as held:
        found: list[int] = []
        for port in (*choices, *[0] * count):
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(probe.getsockname()[1])
            if len(found) == count:
                break
        return found


def start(name: str, environment: Mapping[str, str], logs: Path, port: int, threads: int = THREADS) -> Function:
    """Start `functions-framework --target NAME` on a loopback port; returns before it listens.

    `threads` is how many requests it handles at a time: what all instances on the platform would together.
    """
    arguments = [
        *(sys.executable, "-m", "functions_framework", "--source", str(SOURCES / f"{name}.py")),
        *("--target", name, "--signature-type", "cloudevent", "--host", "127.0.0.1", "--port", str(port)),
    ]
    # PYTHON… and COVERAGE… tell an interpreter how to run, not a function where.
    inherited = {
        key: value for key, value in os.environ.items() if key.startswith(("PYTHON", "COVERAGE", "LANG", "LC_"))
    }
    told = {"THREADS": str(threads), **inherited, **environment}
    process = Process.start(name, arguments, logs=logs, environment=told)
    return Function(name, f"http://127.0.0.1:{port}", process)


async def wait_until_listening(function: Function) -> None:
    """Wait until a function accepts connections.

    Raises:
        ProcessError: it ended, or wasn't there within a minute; with the last lines of its log.
    """
    port = int(function.url.rpartition(":")[2])

    async def listening() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    await function.process.wait_until(listening, seconds=_READY_SECONDS)


async def stop(functions: Mapping[str, Function]) -> None:
    """Stop all of them, gently."""
    await stop_all(function.process for function in functions.values())
