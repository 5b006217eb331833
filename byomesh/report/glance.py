"""The fleet at a glance: how many clusters are how, with what mesh, in which project, and what needs a hand; pure."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence

import msgspec

from byomesh.fleet.model import ClusterRow, Fleet
from byomesh.fleet.state import SEVERITY, State
from byomesh.fleet.words import amiss, details, headline, mesh_of

_SHOWN = 6
"""Lines of each list; what is left out is counted, and found by the filters."""
_NARROWEST = 0.4
"""Per cent of the bar that one cluster among thousands still gets."""


class Part(msgspec.Struct, frozen=True):
    """A part of a bar.

    Attributes:
        state: which clusters it stands for.
        count: how many.
        x: where it begins, per cent of the bar.
        width: how wide it is, per cent of the bar.
    """

    state: State
    count: int
    x: float
    width: float


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a list.

    Attributes:
        value: what the filter is set to.
        words: what is shown.
        count: how many clusters.
        ready: how many of them are Ready.
        state: the worst state among them.
        share: of the longest line, per cent.
        parts: the clusters by state.
        more: a second line, or "".
    """

    value: str
    words: str
    count: int
    ready: int
    state: State
    share: float
    parts: tuple[Part, ...]
    more: str = ""


class Listing(msgspec.Struct, frozen=True):
    """The first lines of a list.

    Attributes:
        lines: the lines.
        rest: how many are left out.
    """

    lines: tuple[Line, ...]
    rest: int


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """What the top of the report shows.

    Attributes:
        headline: a sentence.
        details: what else is to be said, a clause each.
        parts: the clusters by state.
        troubles: what needs a hand, by reason.
        meshes: by mesh and version.
        projects: by project.
    """

    headline: str
    details: tuple[str, ...]
    parts: tuple[Part, ...]
    troubles: Listing
    meshes: Listing
    projects: Listing


def glance(fleet: Fleet) -> Glance:
    """What the top of the report shows of a fleet."""
    troubled = [row for row in fleet.rows if amiss(row)]
    meshed = [row for row in fleet.rows if row.mesh and row.state is not State.GONE]
    return Glance(
        headline=headline(fleet),
        details=details(fleet),
        parts=parts(fleet.rows),
        troubles=_listing(troubled, lambda row: row.reason, lambda row: row.reason, more=_common_remedy),
        meshes=_listing(meshed, mesh_of, mesh_of),
        projects=_listing(fleet.rows, lambda row: row.ref.project, lambda row: row.ref.project),
    )


def parts(rows: Iterable[ClusterRow]) -> tuple[Part, ...]:
    """A bar of the clusters by state, the Ready ones first and then the worst; together a hundred per cent."""
    counted = collections.Counter(row.state for row in rows)
    order = [State.READY, *(state for state in State if state is not State.READY)]
    there = [state for state in order if counted[state]]
    total = sum(max(100 * counted[state] / counted.total(), _NARROWEST) for state in there)
    made: list[Part] = []
    x = 0.0
    for state in there:
        width = max(100 * counted[state] / counted.total(), _NARROWEST) * 100 / total
        made.append(Part(state, counted[state], round(x, 3), round(width, 3)))
        x += width
    return tuple(made)


def _common_remedy(rows: Sequence[ClusterRow]) -> str:
    """What to do about clusters with the same reason, where it is the same for all."""
    remedies = {row.to_do.replace(str(row.ref), "CLUSTER") for row in rows}
    return remedies.pop() if len(remedies) == 1 else "see each of them"


def _listing(
    rows: Iterable[ClusterRow],
    value: Callable[[ClusterRow], str],
    words: Callable[[ClusterRow], str],
    more: Callable[[Sequence[ClusterRow]], str] = lambda _: "",
) -> Listing:
    by_value: dict[str, list[ClusterRow]] = {}
    for row in rows:
        by_value.setdefault(value(row), []).append(row)
    ordered = sorted(by_value.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    longest = len(ordered[0][1]) if ordered else 1
    lines = tuple(
        Line(
            value=key,
            words=words(those[0]),
            count=len(those),
            ready=sum(row.state is State.READY for row in those),
            state=min((row.state for row in those), key=SEVERITY.__getitem__),
            share=round(100 * len(those) / longest, 2),
            parts=parts(those),
            more=more(those),
        )
        for key, those in ordered[:_SHOWN]
    )
    return Listing(lines, len(ordered) - len(lines))
