"""How fast the local cloud's waiting runs: every delay of Google's services, divided by one setting."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """Divides delays, so that a minute of Google's backoff can pass in a second.

    Attributes:
        divisor: how many times faster than Google's own schedule; 1 is real time.
    """

    divisor: float = 1.0

    def __post_init__(self) -> None:
        if self.divisor <= 0:
            raise ValueError(f"the pace must be above zero, not {self.divisor}")

    def seconds(self, delay: float) -> float:
        """The local length, in seconds, of a delay that Google's services would keep for `delay` seconds."""
        return max(delay, 0.0) / self.divisor
