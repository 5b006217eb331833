"""How long one connection waits for its API server, so that a cluster that doesn't answer holds no thread for long."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator

CONNECT = 3.05
"""Seconds for TCP and TLS: a lost first packet is sent again after one second, a second one after three."""
FIRST_ANSWER = 5.0
"""Seconds for the first answer; nothing is asked first that an API server must think about."""
ANSWER = 60.0
"""Seconds for any other, which webhooks of up to thirty seconds may be part of."""


class Exhausted(Exception):
    """The connection has waited as long as it may; the message says how long."""


class Patience:
    """Counts the seconds in which at least one request was under way.

    Attributes:
        answered: whether the API server has answered yet, other than by an error that may pass.
    """

    def __init__(self, total: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`total` is in seconds, for all requests of the connection together."""
        self.answered = False
        self._total = total
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._spent = 0.0
        self._under_way = 0
        self._since = 0.0

    @property
    def lasting(self) -> bool:
        """Whether faults may be repeated as often as their kind allows.

        Where patience is limited, only once the API server has answered: one that never does is given up after a
        single repetition, since its cluster waits then, and no thread with it.
        """
        return self.answered or math.isinf(self._total)

    def spend(self, seconds: float) -> None:
        """Count a pause before a repetition."""
        with self._lock:
            self._spent += seconds

    @contextlib.contextmanager
    def request(self) -> Iterator[tuple[float, float]]:
        """Around one request: the seconds that its connection, and each part of its answer, may take.

        Raises:
            Exhausted: there is no patience left.
        """
        with self._lock:
            now = self._monotonic()
            left = self._total - self._spent - (now - self._since if self._under_way else 0.0)
            if left <= 0:
                raise Exhausted(f"its requests have taken {self._total:.0f} s together, which is all that they may")
            if not self._under_way:
                self._since = now
            self._under_way += 1
        try:
            yield min(CONNECT, left), min(ANSWER if self.answered else FIRST_ANSWER, left)
        finally:
            with self._lock:
                self._under_way -= 1
                if not self._under_way:
                    self._spent += self._monotonic() - self._since
