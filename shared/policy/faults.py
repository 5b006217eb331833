"""What is wrong with a policy, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from shared.errors import Temporary

LIMIT = 200
"""Faults of one policy that are told; a text that is something else altogether has thousands."""


class Fault(msgspec.Struct, frozen=True, order=True):
    """One fault of a policy's text.

    Attributes:
        line: counted from 1; 0 where the fault has no place, such as a missing file.
        column: counted from 1, in characters; 0 likewise.
        problem: what is wrong, and what was expected.
        remedy: what to write instead.
    """

    line: int
    column: int
    problem: str
    remedy: str

    def at(self, source: str) -> str:
        """The fault as editors and people read it: `FILE:LINE:COLUMN: problem; remedy`."""
        place = f"{source}:{self.line}:{self.column}" if self.line else source
        return f"{place}: {self.problem}; {self.remedy}"


class Faults:
    """Collects the faults of one text, each once, `LIMIT` at most."""

    def __init__(self) -> None:
        self._found: dict[Fault, None] = {}
        self._more = False

    @property
    def full(self) -> bool:
        """Whether more are only counted as more."""
        return len(self._found) >= LIMIT

    def add(self, fault: Fault) -> None:
        """Keep a fault; what aliases repeat has the same place, and is one."""
        if not self.full:
            self._found[fault] = None
        elif fault not in self._found:
            self._more = True

    def __iter__(self) -> Iterator[Fault]:
        """Iterate over the faults in the order of the text."""
        yield from sorted(self._found)
        if self._more:
            yield Fault(0, 0, f"there are more than {LIMIT} faults", "correct these first")


class BadPolicy(Temporary):
    """A policy that can't be used; its `reason` is `BadPolicy`.

    It is Temporary, because no event is at fault: deliveries are refused and come again, and those that came too often
    are kept whole in the dead letter, until somebody has corrected the policy (docs/decisions/0007-broken-policy.md).

    Attributes:
        source: the policy's file, or what else it was read from.
        faults: all of them, in the order of the text. The error's own words may be cut, this isn't.
    """

    def __init__(self, source: str, faults: Iterable[Fault]) -> None:
        self.source = source
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(
            "BadPolicy",
            f"the policy can't be used, {count}: {' | '.join(fault.at(source) for fault in self.faults)}",
            remedy="correct it until `byomesh policy check FILE` finds nothing",
        )
