"""What is wrong with a policy, and where."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from shared.errors import Permanent


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


class BadPolicy(Permanent):
    """A policy that can't be used; its `reason` is `BadPolicy`.

    Attributes:
        source: the policy's file, or what else it was read from.
        faults: all of them, in the order of the text. The error's own words may be cut, this isn't.
    """

    def __init__(self, source: str, faults: Iterable[Fault]) -> None:
        self.source = source
        self.faults = tuple(sorted(faults))
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(
            "BadPolicy",
            f"the policy can't be used, {count}: {' | '.join(fault.at(source) for fault in self.faults)}",
            remedy="correct it until `byomesh policy check FILE` finds nothing",
        )
