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
EXPLAINED = 10
"""Clusters that are explained below the table."""

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
    """A line for the columns' names, and one a cluster, cut to `width` where there is one."""
    cells = [_cells(row, fleet) for row in rows]
    widths = [max((len(line[at]) for line in cells), default=0) for at in range(len(COLUMNS))]
    widths = [max(found, len(name)) for found, name in zip(widths, COLUMNS, strict=True)]
    yield _line(COLUMNS, widths, width, "bold", "bold")
    for row, line in zip(rows, cells, strict=True):
        yield _line(line, widths, width, "dim" if row.state is State.GONE else "", colour(row.state))


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


def _line(cells: tuple[str, ...], widths: list[int], width: int | None, style: str, phase_style: str) -> Text:
    padded = [f"{text:<{size}}" for text, size in zip(cells[:-1], widths[:-1], strict=True)]
    before = "  ".join(padded[:3])
    after = "  ".join((*padded[4:], cells[-1])).rstrip()
    text = Text.assemble((f"{before}  ", style), (padded[3], phase_style), (f"  {after}", style), no_wrap=True)
    if width is not None:
        text.truncate(width, overflow="ellipsis")
    return text


def explained(fleet: Fleet) -> Iterator[Text]:
    """The clusters that need a hand, each with its reason and what to do; the first ten of them."""
    troubled = [row for row in fleet.rows if words.amiss(row)]
    for row in troubled[:EXPLAINED]:
        yield Text.assemble("\n", (row.state.words, colour(row.state)), " ", (str(row.ref), "bold"), f" ({row.reason})")
        yield Text(f"  {plain(row.message)}")
        if row.to_do:
            yield Text.assemble(("  what to do: ", "bold"), plain(row.to_do).replace("`", ""))
    if len(troubled) > EXPLAINED:
        yield Text(
            f"\nand {len(troubled) - EXPLAINED:,} more that need a hand: --not-ready lists them, -o html explains each"
        )
