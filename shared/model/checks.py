"""What the checks of a mesh found."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Self

import msgspec

from shared.errors import shorten

MAX_ERROR = 10_000
"""Characters of a failing check that a status keeps; a hundred addresses with their names have fewer."""


class CheckOutcome(enum.StrEnum):
    """What a check found."""

    PASS = "pass"  # noqa: S105 - an outcome
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class CheckResult(msgspec.Struct, frozen=True):
    """One check's answer.

    Attributes:
        description: the check in words, as the mesh's own tool prints it.
        outcome: what was found.
        error: what is wrong; "" where nothing is.
        hint: the address of the documentation about it; "" where there is none.
    """

    description: str
    outcome: CheckOutcome
    error: str = ""
    hint: str = ""


class CategoryReport(msgspec.Struct, frozen=True):
    """The checks of one category, in order."""

    name: str
    checks: tuple[CheckResult, ...]


class CheckReport(msgspec.Struct, frozen=True):
    """All checks that were made, in order; a fatal failure ends it early."""

    categories: tuple[CategoryReport, ...] = ()

    def __iter__(self) -> Iterator[tuple[str, CheckResult]]:
        """Iterate over (category name, result) pairs."""
        return ((category.name, result) for category in self.categories for result in category.checks)

    def count(self, outcome: CheckOutcome) -> int:
        """How many checks ended with `outcome`."""
        return sum(result.outcome is outcome for _, result in self)

    @property
    def healthy(self) -> bool:
        """Whether no check failed; warnings and skips are healthy, as for the mesh's own tool."""
        return self.count(CheckOutcome.FAIL) == 0


class FailingCheck(msgspec.Struct, frozen=True):
    """A failed check, as a status tells it."""

    category: str
    description: str
    error: str


class CheckSummary(msgspec.Struct, frozen=True):
    """A check report in numbers, with the failures in words."""

    passed: int = 0
    warned: int = 0
    failed: int = 0
    skipped: int = 0
    failing: tuple[FailingCheck, ...] = ()

    @classmethod
    def of(cls, report: CheckReport) -> Self:
        """Sum up a report."""
        return cls(
            report.count(CheckOutcome.PASS),
            report.count(CheckOutcome.WARN),
            report.count(CheckOutcome.FAIL),
            report.count(CheckOutcome.SKIP),
            tuple(
                FailingCheck(category, result.description, shorten(result.error, MAX_ERROR))
                for category, result in report
                if result.outcome is CheckOutcome.FAIL
            ),
        )
