"""When a push subscription may push, and when a refused message is due again: Pub/Sub's documented rules. Pure.

Facts: cloud.google.com/pubsub/docs/push (push backoff, delivery rate), …/docs/handling-failures (retry policy, dead
letters). Times are seconds on whatever clock the caller uses; delays are Google's own, before any pace divides them.
"""

from __future__ import annotations

import dataclasses

from byomesh.local.pace import Pace

ACKNOWLEDGING_STATUSES = frozenset({102, 200, 201, 202, 204})
"""The statuses by which a push endpoint takes a message; any other refuses it (docs/push, receive messages)."""

_LONGEST_RETRY = 600.0
_FEWEST_ATTEMPTS, _MOST_ATTEMPTS = 5, 100


@dataclasses.dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A subscription's retry policy: each message's own exponential backoff.

    Attributes:
        minimum: seconds before the second delivery; Google's default is 10.
        maximum: the longest wait in seconds; Google's default, and the most it takes, is 600.

    Raises:
        ValueError: the two are out of order or outside 0 to 600 s.
    """

    minimum: float = 10.0
    maximum: float = _LONGEST_RETRY

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= self.maximum <= _LONGEST_RETRY:
            raise ValueError(
                f"a retry policy needs 0 <= minimum <= maximum <= 600 s, not {self.minimum:g} and {self.maximum:g}"
            )

    def delay(self, attempt: int) -> float:
        """Seconds between the refusal of delivery `attempt` (1 is the first) and the next delivery."""
        # The exponent is bounded, or a message refused for days would overflow the float.
        return min(self.maximum, self.minimum * 2.0 ** min(attempt - 1, 64))


@dataclasses.dataclass(frozen=True, slots=True)
class DeadLetterPolicy:
    """Where a message goes that was refused too often.

    Attributes:
        topic: projects/P/topics/T.
        max_delivery_attempts: 5 to 100, as Pub/Sub takes it.

    Raises:
        ValueError: the number is outside that range.
    """

    topic: str
    max_delivery_attempts: int = _FEWEST_ATTEMPTS

    def __post_init__(self) -> None:
        if not _FEWEST_ATTEMPTS <= self.max_delivery_attempts <= _MOST_ATTEMPTS:
            raise ValueError(f"max_delivery_attempts must be between 5 and 100, not {self.max_delivery_attempts}")

    def exhausted(self, attempt: int) -> bool:
        """Whether a message that was refused at delivery `attempt` is forwarded in place of another delivery."""
        return attempt >= self.max_delivery_attempts


class PushFlow:
    """How fast one subscription is pushed: a window of outstanding requests and a backoff for all its messages.

    The window starts at a single digit, grows by one with each acknowledgement (so it doubles each round, as TCP's slow
    start does) until 3,000, then by one a round, and is halved by a refusal. Each refusal doubles the backoff from
    100 ms up to 60 s, and each acknowledgement halves it. Google publishes neither its first window nor its factors:
    those are this project's choice inside what is published.
    """

    FIRST_WINDOW = 8
    LINEAR_FROM = 3000
    SHORTEST_BACKOFF = 0.1
    LONGEST_BACKOFF = 60.0

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._window = float(self.FIRST_WINDOW)
        self._backoff = 0.0
        self._closed_until = float("-inf")
        self._outstanding = 0

    @property
    def window(self) -> int:
        """How many requests may be outstanding."""
        return int(self._window)

    @property
    def outstanding(self) -> int:
        """How many requests are outstanding."""
        return self._outstanding

    @property
    def backoff(self) -> float:
        """The present push backoff in Google's seconds; 0 while there is none."""
        return self._backoff

    def begin(self, now: float) -> bool:
        """Whether a request may start now; counts it as outstanding if so."""
        if now < self._closed_until or self._outstanding >= self.window:
            return False
        self._outstanding += 1
        return True

    def opens_in(self, now: float) -> float | None:
        """Local seconds until the backoff ends; None if only an answer can open the window."""
        if self._outstanding >= self.window:
            return None
        return max(self._closed_until - now, 0.0)

    def acknowledged(self) -> None:
        """An outstanding request was answered by an acknowledgement."""
        self._outstanding -= 1
        self._window += 1 if self._window < self.LINEAR_FROM else 1 / self._window
        halved = self._backoff / 2
        self._backoff = halved if halved >= self.SHORTEST_BACKOFF else 0.0

    def refused(self, now: float) -> None:
        """An outstanding request was refused, or its deadline passed: everything waits for the backoff."""
        self._outstanding -= 1
        self._window = max(self.FIRST_WINDOW, self._window / 2)
        self._backoff = min(self.LONGEST_BACKOFF, max(self.SHORTEST_BACKOFF, self._backoff * 2))
        self._closed_until = max(self._closed_until, now + self._pace.seconds(self._backoff))
