"""A row of the table: what is made sure of, how bad it is if it fails, and how that is told from a snapshot."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Callable, Iterable
from typing import NamedTuple

from shared.mesh.snapshot import SHOWN, MeshSnapshot

_HINTS = "https://linkerd.io/2/checks/#"
"""Where the mesh's documentation explains its checks (healthcheck_output.go, DefaultHintBaseURL)."""


class Severity(enum.Enum):
    """What a fault means: FATAL ends the run, PLAIN fails it, WARNING only warns."""

    FATAL = "fatal"
    PLAIN = "plain"
    WARNING = "warning"


class Fault(NamedTuple):
    """Something is wrong; the CLI's sentence first, then ours if there is more to say."""

    words: str


class Skip(NamedTuple):
    """The check doesn't apply; the CLI counts it as passed and prints nothing."""

    reason: str


class Doubt(NamedTuple):
    """It can't be told whether something is wrong, and why; a warning, however bad a fault would be."""

    words: str


Verdict = Fault | Skip | Doubt | None
"""None: nothing is wrong."""


@dataclasses.dataclass(frozen=True, slots=True)
class Evidence:
    """What a check may look at.

    Attributes:
        snapshot: the cluster.
        now: the clock, UTC.
        expected: the version that should run, such as `edge-26.8.3`; it stands for the CLI's own version too. None
            where nobody knows, and then versions aren't compared.
    """

    snapshot: MeshSnapshot
    now: dt.datetime
    expected: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        id: its own name, unique in the table.
        description: as the CLI prints it.
        anchor: where the mesh's documentation explains it; several checks may share one.
        judge: tells what is wrong.
        severity: what that means.
        hints: where the documentation of `anchor` is.
    """

    id: str
    description: str
    anchor: str
    judge: Callable[[Evidence], Verdict]
    severity: Severity = Severity.PLAIN
    hints: str = _HINTS

    @property
    def hint(self) -> str:
        """The address of the documentation about it."""
        return self.hints + self.anchor


@dataclasses.dataclass(frozen=True, slots=True)
class Category:
    """Checks that belong together, in order."""

    name: str
    checks: tuple[Check, ...]


def not_found(resource: str, name: str) -> Fault:
    """An object that isn't there, in the API server's words."""
    return Fault(f'{resource} "{name}" not found')


def missing(resource: str, expected: Iterable[str], found: Iterable[str]) -> Verdict:
    """Which of the expected names isn't among the found ones (healthcheck.go, checkResources)."""
    absent = sorted(set(expected) - set(found))
    return Fault(f"missing {resource}: {', '.join(absent)}") if absent else None


def lines(title: str, found: list[str], count: int) -> Fault:
    """A title over the CLI's own lines, tab-indented, and how many of `count` aren't among them."""
    rest = [f"\tand {count - len(found)} more"] if count > len(found) else []
    return Fault("\n".join([title, *found, *rest]))


def and_others(first: str, others: Iterable[str], count: int) -> Fault:
    """The CLI's sentence about the first of `count`, then the others that are known by name, at most `SHOWN` in all."""
    if count <= 1:
        return Fault(first)
    named = list(others)[: SHOWN - 1]
    more = ", …" if count - 1 > len(named) else ""
    return Fault(f"{first}; and {count - 1} more: {', '.join(named)}{more}")
