"""What was measured, and what it comes to: pairs of the same round, their ratio, its median. Pure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

SHARE = " · "
"""Stands between a part's name and the name of a share of it."""


class BenchError(Exception):
    """Something that was to be measured didn't happen; the message says what did."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The same thing measured in two ways, once each in every round.

    Attributes:
        what: what was measured.
        against: what it is held against.
        unit: such as `s` or `MiB`.
        ours: a figure a round.
        theirs: the figure of the same round.
        goal: the ratio aimed at, or None where the comparison is for the record.
    """

    what: str
    against: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    goal: float | None = None

    def __post_init__(self) -> None:
        if len(self.ours) != len(self.theirs) or not self.ours:
            raise ValueError(f"{self.what}: {len(self.ours)} figures against {len(self.theirs)}")

    @property
    def ratios(self) -> tuple[float, ...]:
        """One ratio a round: what disturbs the machine for a while disturbs both of a round."""
        return tuple(ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios)

    def as_json(self) -> dict[str, Any]:
        """The comparison with all its figures, as plain data."""
        return {
            **dataclasses.asdict(self),
            "ours_median": statistics.median(self.ours),
            "theirs_median": statistics.median(self.theirs),
            "ratios": self.ratios,
            "ratio": self.ratio,
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Where the time of something measured went.

    Attributes:
        what: what was measured.
        unit: such as `s`.
        parts: median figure by part, in order; where a name has `SHARE` in it, it is a share of the part above.
    """

    what: str
    unit: str
    parts: dict[str, float]

    @classmethod
    def of(cls, what: str, unit: str, rounds: Sequence[Mapping[str, float]]) -> Breakdown:
        """The median of each part over all rounds; a part that a round didn't have was 0 in it."""
        names = ordered_union([list(one) for one in rounds])
        return cls(
            what=what,
            unit=unit,
            parts={name: statistics.median(one.get(name, 0.0) for one in rounds) for name in names},
        )

    def as_json(self) -> dict[str, Any]:
        """The breakdown as plain data."""
        return {"what": self.what, "unit": self.unit, "parts": self.parts}


def ordered_union(lists: Sequence[Sequence[str]]) -> list[str]:
    """Every name once; one that only later lists have comes after the one before it there."""
    union: list[str] = []
    for names in lists:
        at = 0
        for name in names:
            if name in union:
                at = union.index(name) + 1
            else:
                union.insert(at, name)
                at += 1
    return union


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """Everything that one benchmark found."""

    comparisons: tuple[Comparison, ...] = ()
    breakdowns: tuple[Breakdown, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "comparisons": [one.as_json() for one in self.comparisons],
            "breakdowns": [one.as_json() for one in self.breakdowns],
        }
