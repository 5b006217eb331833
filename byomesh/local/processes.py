"""Child processes of the local cloud: a log file each, an end with their parent's, and errors that show the log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Self

__all__ = ["Process", "ProcessError", "stop_all"]

_POLL = 0.02  # seconds between two looks at a child
# Runs before the program, in its process: asks the kernel for SIGKILL at the parent's end (PR_SET_PDEATHSIG, prctl(2)),
# then becomes the program. A preexec_fn would do it inside a fork of this process, unsafe beside gRPC's threads.
_LAUNCHER = """
import ctypes, os, sys
if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(1, 9):
    sys.exit("prctl(PR_SET_PDEATHSIG): " + os.strerror(ctypes.get_errno()))
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent ended before this program began")
try:
    os.execv(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"cannot run {sys.argv[2]}: {error.strerror}")
"""


class ProcessError(Exception):
    """A child process ended, or wasn't ready in time; the message has the last lines of its log."""


class Process:
    """One running child.

    Attributes:
        name: what messages call it.
        log: the file that takes its standard output and standard error.
    """

    def __init__(self, name: str, child: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._child = child

    @classmethod
    def start(
        cls,
        name: str,
        arguments: Iterable[str | Path],
        *,
        logs: Path,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Starts a program (an absolute path and its arguments), whose log is NAME.log in the folder `logs`.

        The child sees `environment` and PATH, nothing else of ours: a proxy or a kubeconfig of the user's is none of
        its business. It is killed when the **thread** that called this ends (prctl(2)), so call it from one that lasts,
        as the event loop's. Takes some milliseconds.

        Raises:
            ProcessError: the log can't be written, or this interpreter can't be started.
        """
        log = logs / f"{name}.log"
        command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *(str(part) for part in arguments)]
        try:
            with log.open("wb") as output:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={"PATH": os.environ.get("PATH", os.defpath), **(environment or {})},
                    # A Ctrl-C in the terminal is for us: we stop the children in order.
                    start_new_session=True,
                )
        except OSError as error:
            raise ProcessError(f"{name} could not be started with its log in {log}: {error}") from error
        return cls(name, child, log)

    @property
    def pid(self) -> int:
        """Its process id, the program's own: the launcher becomes the program."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it hasn't ended yet."""
        return self._child.poll() is None

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log; empty where there are none."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def check(self) -> None:
        """Does nothing while it runs.

        Raises:
            ProcessError: it has ended.
        """
        if not self.running:
            raise ProcessError(self._told(f"{self.name} ended with status {self._child.returncode}"))

    async def wait_until(self, ready: Callable[[], Awaitable[bool]], *, seconds: float) -> None:
        """Asks `ready` again and again until it says yes.

        Raises:
            ProcessError: it ended meanwhile, or was not ready within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not await ready():
            self.check()
            if time.monotonic() > deadline:
                raise ProcessError(self._told(f"{self.name} was not ready within {seconds:g} s"))
            await asyncio.sleep(_POLL)

    async def stop(self, *, grace: float = 5.0) -> None:
        """Asks it to end, and kills it if it hasn't after `grace` seconds; returns when it is gone."""
        if self.running:
            self._child.terminate()
        deadline = time.monotonic() + grace
        while self.running and time.monotonic() < deadline:  # noqa: ASYNC110 - a child's end shows in a poll only
            await asyncio.sleep(_POLL)
        if self.running:
            self._child.kill()
        while self.running:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(_POLL)

    def _told(self, what: str) -> str:
        last = self.tail()
        shown = f"The last lines of {self.log}:\n{last}" if last else f"It wrote nothing to {self.log}."
        return f"{what}. {shown}"


async def stop_all(processes: Iterable[Process], *, grace: float = 5.0) -> None:
    """Stops them side by side; returns when all are gone."""
    await asyncio.gather(*(process.stop(grace=grace) for process in processes))
