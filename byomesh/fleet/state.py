"""How a cluster is, in a word; pure."""

from __future__ import annotations

import enum

from shared.model import Phase


class State(enum.StrEnum):
    """How a cluster is, for people: a phase of its newest status, or why there is none to show."""

    FAILED = "Failed"
    STUCK = "Stuck"
    REFUSED = "Refused"
    DEGRADED = "Degraded"
    NEVER_PROCESSED = "NeverProcessed"
    """GKE lists it, the policy wants a mesh on it or a report of it, and nothing was ever said of it."""
    UNKNOWN = "Unknown"
    """It can't be told: the log wasn't read far enough, or GKE couldn't be asked."""
    PENDING = "Pending"
    ENABLING = "Enabling"
    INSTALLING = "Installing"
    VERIFYING = "Verifying"
    READY = "Ready"
    LEFT_ALONE = "LeftAlone"
    """The policy, or its label, leaves it alone."""
    GONE = "Gone"
    """It was spoken of, and GKE no longer lists it."""

    @classmethod
    def of(cls, phase: Phase) -> State:
        """The state that a status's phase is."""
        return cls(phase.value)

    @property
    def words(self) -> str:
        """The state in words."""
        return _WORDS.get(self, self.value)

    @property
    def fine(self) -> bool:
        """Whether nothing is to be done or waited for."""
        return self in _FINE

    @property
    def under_way(self) -> bool:
        """Whether the automation is at work on it."""
        return self in _UNDER_WAY


_WORDS = {
    State.NEVER_PROCESSED: "Never processed",
    State.LEFT_ALONE: "Left alone",
    State.UNKNOWN: "Not known",
}
_FINE = frozenset({State.READY, State.LEFT_ALONE, State.GONE})
_UNDER_WAY = frozenset({State.PENDING, State.ENABLING, State.INSTALLING, State.VERIFYING})
SEVERITY = {state: rank for rank, state in enumerate(State)}
"""Ranks of states, the worst first."""
