"""What a message says of the waits behind it, in attributes that only delivery writes; pure.

A cluster is given up as Stuck after a limit, and time in which nobody could have looked at it doesn't count: a message
that its queue held longer than was asked for (the queue was paused, or slow), and a wait that the fleet imposed (a
pause, a full house). `first_seen` itself never moves, since the names of tasks are made of it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Self

import msgspec

TIMES = "waits"
"""Message attribute: how many times this request has already waited."""
DUE = "due"
"""Message attribute: from when on the time until its publication doesn't count (RFC 3339)."""
HELD = "held"
"""Message attribute: seconds that don't count, of the waits before."""
_DIGITS = 9
"""Of a number of waits, at most: what Python reads of digits has a limit of its own."""


class Waited(msgspec.Struct, frozen=True):
    """The waits of one request so far.

    Attributes:
        times: how many there were; 0 where nobody, or somebody by hand, said so.
        held: seconds of them that count towards no limit.
    """

    times: int = 0
    held: float = 0.0

    @classmethod
    def of(cls, attributes: Mapping[str, str], published: dt.datetime | None) -> Self:
        """Read a message's attributes; what isn't there, or can't be read, is nothing."""
        text = attributes.get(TIMES, "")
        times = int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0
        due = _time(attributes.get(DUE, ""))
        late = (published - due).total_seconds() if due is not None and published is not None else 0.0
        return cls(times, max(0.0, late) + _seconds(attributes.get(HELD, "")))

    def again(self, due: dt.datetime) -> dict[str, str]:
        """The attributes of the message that brings the request back."""
        found = {TIMES: str(self.times + 1), DUE: due.isoformat()}
        return {**found, HELD: f"{self.held:.3f}"} if self.held else found


def _time(text: str) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        return 0.0
    return found if math.isfinite(found) and found > 0 else 0.0
