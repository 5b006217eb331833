"""The way of an audit entry from where it is written to where it is delivered, with troubles that can be set."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from byomesh.local.background import Background

Entry = Mapping[str, Any]
"""A LogEntry as JSON, shaped as Cloud Logging writes it: insertId, logName, operation, protoPayload, resource, …"""


@dataclasses.dataclass(frozen=True, slots=True)
class Troubles:
    """What may happen to entries on their way; all of it is within what at-least-once delivery allows.

    Attributes:
        duplicate: how many times more each entry is delivered.
        delay: seconds that each entry is late. Not divided by the pace: it is set on purpose.
        reorder: seconds in which entries are gathered, to be delivered in another order; 0 keeps the order.
    """

    duplicate: int = 0
    delay: float = 0.0
    reorder: float = 0.0

    def __post_init__(self) -> None:
        if min(self.duplicate, self.delay, self.reorder) < 0:
            raise ValueError(f"troubles can't be negative: {self}")


class AuditStream:
    """Passes entries on as its `troubles`, which may be set at any time, tell."""

    def __init__(self, deliver: Callable[[Entry], None], *, background: Background, seed: int | None = None) -> None:
        """`deliver` must not block; `seed` makes the other order repeatable."""
        self.troubles = Troubles()
        self._deliver = deliver
        self._background = background
        self._random = random.Random(seed)  # noqa: S311 - an order to test with, no secret
        self._gathered: list[Entry] = []

    def write(self, entry: Entry) -> None:
        """Takes an entry; returns at once."""
        troubles = self.troubles
        copies = [entry] * (1 + troubles.duplicate)
        if troubles.reorder:
            if not self._gathered:
                self._background.spawn(self._later(troubles.reorder + troubles.delay))
            self._gathered += copies
        elif troubles.delay:
            self._background.spawn(self._late(copies, troubles.delay))
        else:
            self._pass(copies)

    async def _late(self, entries: Sequence[Entry], delay: float) -> None:
        await asyncio.sleep(delay)
        self._pass(entries)

    async def _later(self, delay: float) -> None:
        await asyncio.sleep(delay)
        entries, self._gathered = self._gathered, []
        self._pass(reordered(entries, self._random))

    def _pass(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._deliver(entry)


def reordered(entries: Sequence[Entry], chance: random.Random) -> list[Entry]:
    """The same entries in another order wherever there is another one."""
    shuffled = list(entries)
    chance.shuffle(shuffled)
    return shuffled[::-1] if shuffled == list(entries) else shuffled
