"""Times, ages and numbers as the commands and the report write them; pure."""

from __future__ import annotations

import datetime as dt

from byomesh.fleet.model import ClusterRow, Fleet
from byomesh.fleet.state import State

_FEW = 10
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def moment(time: dt.datetime | None) -> str:
    """Such as `2026-11-24 14:30:05 UTC`; "" for None."""
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC" if time is not None else ""


def day(time: dt.datetime) -> str:
    """Such as `24 November 2026`."""
    return f"{time.astimezone(dt.UTC).day} {time.astimezone(dt.UTC):%B %Y}"


def duration(seconds: float) -> str:
    """The two largest units, such as `5 m 56 s`; below ten seconds with a decimal, such as `0.3 s`."""
    if round(seconds, 1) < _FEW and round(seconds, 1) != round(seconds):
        return f"{seconds:.1f} s"
    left = round(seconds)
    shown: list[str] = []
    for size, unit in _UNITS:
        if left >= size or (size == 1 and not shown):
            shown.append(f"{left // size} {unit}")
            left %= size
        elif shown:
            break
    return " ".join(shown[:2])


def age(time: dt.datetime | None, now: dt.datetime) -> str:
    """How long ago, in its largest unit, such as `6 d`; "" for None."""
    if time is None:
        return ""
    return " ".join(duration(round(max((now - time).total_seconds(), 0.0))).split(" ")[:2])


def checks(row: ClusterRow) -> str:
    """Such as `1 failed, 2 warned, 46 passed`; "" where none were made."""
    told = ((row.failed, "failed"), (row.warned, "warned"), (row.passed, "passed"))
    return ", ".join(f"{count} {words}" for count, words in told if count)


def few_checks(row: ClusterRow) -> str:
    """The checks that fail or warn; how many passed only where none does."""
    told = ((row.failed, "failed"), (row.warned, "warned"))
    return ", ".join(f"{count} {words}" for count, words in told if count) or checks(row)


def net_admin(row: ClusterRow) -> str:
    """Whether NET_ADMIN is allowed, in a word; "" on a Standard cluster, or where nobody knows."""
    return "" if row.net_admin is None else "allowed" if row.net_admin else "denied"


def projects(fleet: Fleet) -> str:
    """Which projects were looked at: their names where they are few, else how many."""
    few = 4
    if len(fleet.projects) > few:
        return f"{len(fleet.projects):,} projects"
    return ", ".join(fleet.projects) or "no project"


def mesh_of(row: ClusterRow) -> str:
    """A cluster's mesh with its version, such as `linkerd edge-26.6.3`."""
    return f"{row.mesh} {row.version}".strip()


def headline(fleet: Fleet) -> str:
    """The fleet in a sentence."""
    there = [row for row in fleet.rows if row.state not in {State.GONE, State.LEFT_ALONE}]
    ready = sum(row.state is State.READY for row in there)
    match ready, len(there):
        case _, 0:
            return "No cluster is to have a mesh." if fleet.rows else "There is no cluster to show."
        case ready, 1:
            return "The cluster is Ready." if ready else "The cluster isn't Ready."
        case 0, count:
            return f"None of {count:,} clusters is Ready."
        case ready, count if ready == count:
            return f"All {count:,} clusters are Ready."
    return f"{ready:,} of {len(there):,} clusters {'is' if ready == 1 else 'are'} Ready."


def details(fleet: Fleet) -> tuple[str, ...]:
    """What else is to be said, a clause each; nothing of what no cluster is."""
    troubled = sum(amiss(row) and row.state is not State.UNKNOWN for row in fleet.rows)
    mended = sum(mending(row) for row in fleet.rows)
    under_way = sum(row.state.under_way for row in fleet.rows)
    counts = fleet.counts()
    told = [
        (troubled, "needs a hand" if troubled == 1 else "need a hand"),
        (mended, "is being mended" if mended == 1 else "are being mended"),
        (under_way, "is under way" if under_way == 1 else "are under way"),
        (counts.get(State.UNKNOWN, 0), "not known"),
        (counts.get(State.LEFT_ALONE, 0), "left alone"),
        (counts.get(State.GONE, 0), "gone"),
    ]
    return tuple(f"{count:,} {words}" for count, words in told if count)


def amiss(row: ClusterRow) -> bool:
    """Whether somebody must do something about a cluster, or look again."""
    return not row.state.fine and not row.state.under_way and not mending(row)


def mending(row: ClusterRow) -> bool:
    """Whether a cluster is degraded, and byomesh is at work on it."""
    return row.state is State.DEGRADED and row.to_do.startswith("nothing: ")
