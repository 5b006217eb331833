"""Who holds which internet socket: sampled all the time while something else happens."""

from __future__ import annotations

import contextlib
import ipaddress
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psutil

_PERIOD = 0.05
"""Seconds between two looks; a run of Helm lasts several times as long."""


class Held(NamedTuple):
    """An internet socket that a process had open (TCP or UDP, IPv4 or IPv6).

    Attributes:
        program: the process's name.
        local: the address that it is bound to.
        remote: the address that it talks to; "" where it listens, or talks to nobody.
    """

    program: str
    local: str
    remote: str

    @property
    def strays(self) -> bool:
        """Whether one of its ends is no loopback address: a wildcard, such as 0.0.0.0, is none either."""
        return not all(is_loopback(address) for address in (self.local, self.remote) if address)


def is_loopback(address: str) -> bool:
    """Whether an address is 127.0.0.0/8 or ::1, or IPv6's spelling of the former."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def held_by(processes: dict[int, str]) -> set[Held]:
    """The sockets of the processes, given as names by id."""
    found = psutil.net_connections(kind="inet")
    return {
        Held(processes[one.pid], one.laddr.ip, one.raddr.ip if one.raddr else "")
        for one in found
        if one.pid in processes and one.laddr
    }


class Watch:
    """What was seen of the processes that descend from one.

    Attributes:
        sockets: every socket that any of them held at some look.
        seen: every such process.
        looks: how often was looked.
    """

    def __init__(self, root: Callable[[], psutil.Process | None]) -> None:
        self._root = root
        self.sockets: set[Held] = set()
        self.seen: set[psutil.Process] = set()
        self.looks = 0

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look again and again, in a thread, until the block is left; raises what went wrong in it."""
        ended = threading.Event()
        failures: list[BaseException] = []

        def follow() -> None:
            try:
                while not ended.wait(_PERIOD):
                    self.look()
            except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
                failures.append(error)

        thread = threading.Thread(target=follow, name="socket watch")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        if failures:
            raise failures[0]

    def look(self) -> None:
        """Look once."""
        root = self._root()
        if root is None:
            return
        names: dict[int, str] = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [root, *root.children(recursive=True)]:
                self.seen.add(process)
                with contextlib.suppress(psutil.NoSuchProcess):
                    names[process.pid] = process.name()
        self.sockets |= held_by(names)
        self.looks += 1
