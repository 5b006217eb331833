"""The fleet for a terminal: a line a cluster, then what needs a hand.

Rich's own table takes half a minute for ten thousand rows, so the columns are made here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.text import Text

from byomesh.cli.output import PHASES
from byomesh.fleet import words
from byomesh.fleet.model import ClusterRow, Fleet
from byomesh.fleet.state import State

COLUMNS = ("CLUSTER", "PROJECT", "LOCATION", "PHASE", "MESH", "NET_ADMIN", "CHECKS", "CHANGED", "WAITS FOR, OR WHY")
_PHASE = COLUMNS.index("PHASE")
_FIRST_LEFT_OUT = ("LOCATION", "NET_ADMIN", "PROJECT", "CHECKS")
"""Columns that a narrow terminal does without, in this order; one cluster's own lines have them all."""
_NARROWEST = 20
_ROOM = 30
"""Characters that the last column should have."""
EXPLAINED = 10
"""Groups of clusters that are explained below the table."""
_NAMED = 4

_COLOURS = {**PHASES, "NeverProcessed": "magenta", "Unknown": "magenta", "LeftAlone": "dim", "Gone": "dim"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def plain(text: str) -> str:
    """A text of others without what would steer a terminal, on one line."""
    return _CONTROL.sub(" ", text)


def colour(state: State) -> str:
    """The style of a state."""
    return _COLOURS.get(state.value, "cyan")


def summary(fleet: Fleet) -> Text:
    """The fleet in a sentence or two."""
    more = ", ".join(words.details(fleet))
    return Text.assemble((words.headline(fleet), "bold"), f" {more[:1].upper()}{more[1:]}." if more else "")


def doubts(fleet: Fleet) -> Iterator[str]:
    """What keeps the picture from being whole, a sentence each."""
    yield from (f"not seen: {plain(str(one))}" for one in fleet.unseen)
    yield from (plain(note).replace("`", "") for note in fleet.notes)


def why(row: ClusterRow) -> str:
    """What a cluster waits for, or why it isn't Ready; "" where all is well."""
    if row.paused and (row.state.under_way or row.state is State.NEVER_PROCESSED):
        return f"paused: {row.paused}"
    if row.state.under_way:
        return f"waits for {row.waits_for}" if row.waits_for else row.message
    if row.state is State.READY:
        return row.message.partition("; ")[2]
    return f"{row.reason}: {row.message}"


def table_lines(fleet: Fleet, rows: tuple[ClusterRow, ...], width: int | None) -> Iterator[Text]:
    """A line for the columns' names, and one a cluster.

    Args:
        fleet: the fleet, for its time.
        rows: the clusters.
        width: of the terminal: lines are cut to it, and where it is narrow, columns left out; None for neither.
    """
    cells = [_cells(row, fleet) for row in rows]
    widths = [max((len(line[at]) for line in cells), default=0) for at in range(len(COLUMNS))]
    widths = [max(found, len(name)) for found, name in zip(widths, COLUMNS, strict=True)]
    if width is not None:
        widths = [min(found, max(width // 4, _NARROWEST)) for found in widths]
    kept = _kept(widths, width)
    yield _line(COLUMNS, widths, kept, width, "bold", "bold")
    for row, line in zip(rows, cells, strict=True):
        yield _line(line, widths, kept, width, "dim" if row.state is State.GONE else "", colour(row.state))


def _kept(widths: list[int], width: int | None) -> list[int]:
    """Which columns are shown: all, or as many as leave room for the last one."""
    kept = list(range(len(COLUMNS)))
    for name in _FIRST_LEFT_OUT:
        if width is None or sum(widths[at] + 2 for at in kept[:-1]) + _ROOM <= width:
            break
        kept.remove(COLUMNS.index(name))
    return kept


def _cells(row: ClusterRow, fleet: Fleet) -> tuple[str, ...]:
    made = (
        row.ref.name,
        row.ref.project,
        row.ref.location,
        row.state.words,
        words.mesh_of(row),
        words.net_admin(row),
        words.few_checks(row),
        words.age(row.changed, fleet.time),
        why(row),
    )
    return tuple(plain(text) for text in made)


def _line(
    cells: tuple[str, ...], widths: list[int], kept: list[int], width: int | None, style: str, phase_style: str
) -> Text:
    text = Text(no_wrap=True)
    for at in kept:
        last = at == kept[-1]
        text.append(
            cells[at] if last else f"{_cut(cells[at], widths[at]):<{widths[at]}}  ",
            phase_style if at == _PHASE else style,
        )
    text.rstrip()
    if width is not None:
        text.truncate(width, overflow="ellipsis")
    return text


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 1]}…"


def explained(fleet: Fleet) -> Iterator[Text]:
    """What needs a hand: clusters for which the same is to be said together, the first ten of such groups."""
    groups: dict[tuple[State, str, str, str], list[ClusterRow]] = {}
    for row in fleet.rows:
        if words.amiss(row):
            key = (row.state, row.reason, _of_any(row, row.message), _of_any(row, row.to_do))
            groups.setdefault(key, []).append(row)
    for (state, reason, message, to_do), those in list(groups.items())[:EXPLAINED]:
        yield Text("")
        if len(those) == 1:
            yield Text.assemble((state.words, colour(state)), " ", (str(those[0].ref), "bold"), f" ({reason})")
        else:
            named = ", ".join(row.ref.name for row in those[:_NAMED])
            more = ", …" if len(those) > _NAMED else ""
            count = f"{len(those):,} clusters"
            yield Text.assemble((state.words, colour(state)), " ", (count, "bold"), f" ({reason}): {named}{more}")
        yield Text(f"  {plain(message if len(those) > 1 else those[0].message)}")
        if to_do:
            words_to_do = to_do if len(those) > 1 else those[0].to_do
            yield Text.assemble(("  what to do: ", "bold"), plain(words_to_do).replace("`", ""))
    left = sum(len(those) for those in list(groups.values())[EXPLAINED:])
    if left:
        yield Text(f"\nand {left:,} more that need a hand: --not-ready lists them, -o html explains each")


def _of_any(row: ClusterRow, text: str) -> str:
    """A text about one cluster as it would be about any."""
    return text.replace(str(row.ref), "CLUSTER").replace(row.ref.name, "NAME")
