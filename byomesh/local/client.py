"""The command's side of the daemon's API, and how the daemon is started and stopped."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from byomesh.local.home import DAEMON, STEP, Contact, Home

_START_SECONDS = 90.0
_STOP_SECONDS = 60.0
_CALL_SECONDS = 30.0


class LocalCloudError(Exception):
    """The local cloud isn't up, couldn't be started, or refuses; the message says what to do."""


class Client:
    """Calls a daemon that is up."""

    def __init__(self, contact: Contact) -> None:
        self._contact = contact

    @classmethod
    def connect(cls, home: Home) -> Self:
        """Reach the daemon of a home.

        Raises:
            LocalCloudError: none is up.
        """
        contact = home.contact()
        if contact is None:
            raise LocalCloudError("no local cloud is up; start one with: byomesh local up")
        return cls(contact)

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        return self._contact.pid

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: dict[str, str] | None = None,
        seconds: float = _CALL_SECONDS,
    ) -> dict[str, Any]:
        """Make one call and return the answer's object.

        Raises:
            LocalCloudError: the daemon refuses, or has gone.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._contact.port, timeout=seconds)
        target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        headers = {"Authorization": f"Bearer {self._contact.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content: dict[str, Any] = json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise LocalCloudError(f"the local cloud doesn't answer ({error}); see: byomesh local status") from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise LocalCloudError(str(content.get("error", f"the local cloud answered {answer.status}")))
        return content


def start(home: Home, arguments: list[str], say: Callable[[str], None]) -> Client:
    """Start a daemon in the background and wait until it serves; `say` is told each step.

    Raises:
        LocalCloudError: it ended, or didn't serve in time; with the last lines of its log.
    """
    home.logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", DAEMON, "--home", str(home.folder), *arguments]
    with home.daemon_log.open("wb") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        return _await_contact(home, child, say)
    except BaseException:
        # Also when the waiting command is interrupted: nobody would know of a daemon that isn't up yet.
        child.kill()
        child.wait()
        raise


def _await_contact(home: Home, child: subprocess.Popen[bytes], say: Callable[[str], None]) -> Client:
    deadline = time.monotonic() + _START_SECONDS
    told = 0
    while True:
        steps = [line for line in home.daemon_log.read_text(errors="replace").splitlines() if line.startswith(STEP)]
        for step in steps[told:]:
            say(step.removeprefix(STEP))
        told = len(steps)
        contact = home.contact()
        if contact is not None and contact.pid == child.pid:
            return Client(contact)
        if child.poll() is not None or time.monotonic() > deadline:
            last = "\n".join(home.daemon_log.read_text(errors="replace").splitlines()[-20:])
            raise LocalCloudError(f"the local cloud didn't start; the last lines of {home.daemon_log}:\n{last}")
        time.sleep(0.05)


def stop(home: Home) -> bool:
    """Stop the daemon of a home and wait until it has gone; returns whether one was up.

    Raises:
        LocalCloudError: it doesn't end.
    """
    contact = home.contact()
    if contact is None:
        return False
    os.kill(contact.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _alive(contact.pid):
        if time.monotonic() > deadline:
            raise LocalCloudError(f"the daemon (process {contact.pid}) doesn't end; see {home.daemon_log}")
        time.sleep(0.05)
    return True


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
