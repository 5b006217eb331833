"""When a Cloud Tasks queue dispatches: due times, retries, and the bucket that limits its rate. Pure.

Facts: google.cloud.tasks.v2's own descriptions of Task, RetryConfig and RateLimits. Times are seconds on whatever clock
the caller uses.
"""

from __future__ import annotations

import dataclasses
import math

from byomesh.local.pace import Pace


@dataclasses.dataclass(frozen=True, slots=True)
class RetryConfig:
    """How a queue retries.

    Attributes:
        max_attempts: deliveries in all; -1 for no limit.
        max_retry_duration: seconds since the first attempt; 0 for no limit. A task is given up when both are used up.
        min_backoff, max_backoff: seconds.
        max_doublings: how often the interval doubles before it grows by a constant.
    """

    max_attempts: int = 100
    max_retry_duration: float = 0.0
    min_backoff: float = 0.1
    max_backoff: float = 3600.0
    max_doublings: int = 16

    def delay(self, attempt: int) -> float:
        """Google's seconds from the failure of `attempt` (1 is the first) to the next one.

        Doubled at first, then growing by the last step: 10, 20, 40, 80, 160, 240, 300, 300 for a minimum of 10, three
        doublings and a maximum of 300.
        """
        retry = attempt - 1
        if retry <= self.max_doublings:
            interval = self.min_backoff * 2.0**retry
        else:
            interval = self.min_backoff * 2.0**self.max_doublings * (retry - self.max_doublings + 1)
        return min(interval, self.max_backoff)

    def exhausted(self, attempt: int, seconds_since_first: float) -> bool:
        """Whether a task whose `attempt` failed is given up; the seconds are Google's."""
        attempts_used = 0 <= self.max_attempts <= attempt
        return attempts_used and seconds_since_first >= self.max_retry_duration


@dataclasses.dataclass(frozen=True, slots=True)
class RateLimits:
    """How fast a queue dispatches, and how many requests it has outstanding.

    Attributes:
        max_dispatches_per_second: 500 at most, which is the default.
        max_concurrent_dispatches: 5,000 at most; 1,000 by default.
    """

    max_dispatches_per_second: float = 500.0
    max_concurrent_dispatches: int = 1000

    @property
    def max_burst_size(self) -> int:
        """The bucket's size; Google chooses it and says only that it is generally no less than the rate."""
        return max(1, math.ceil(self.max_dispatches_per_second))


class TokenBucket:
    """Holds up to a burst of tokens; each dispatch uses one, and the queue's rate, times the divisor, refills them."""

    def __init__(self, limits: RateLimits, pace: Pace, now: float) -> None:
        self._limits = limits
        self._seconds_a_token = pace.seconds(1.0 / limits.max_dispatches_per_second)
        self._tokens = float(limits.max_burst_size)
        self._filled = now

    def take(self, now: float) -> bool:
        """Uses a token if there is one."""
        self._fill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def refilled_in(self, now: float) -> float:
        """Seconds until there is a token."""
        self._fill(now)
        return max(0.0, (1 - self._tokens) * self._seconds_a_token)

    def _fill(self, now: float) -> None:
        gained = (now - self._filled) / self._seconds_a_token
        # Rounding at the very moment a token is due must not make the queue wait for a billionth of a second.
        self._tokens = min(float(self._limits.max_burst_size), round(self._tokens + gained, 9))
        self._filled = now


def due_in(scheduled: float, created: float, pace: Pace) -> float:
    """Local seconds from a task's creation to its dispatch.

    The schedule is a wall-clock time that a function computed, so only its distance from the creation is divided.
    """
    return pace.seconds(scheduled - created)
