"""Where the time from a creation's event to Ready went, by the journal's deliveries and the statuses' timings. Pure."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Self

from bench.cloud import creation
from bench.figures import SHARE, BenchError

_FUNCTIONS = ("enable_net_admin", "install_mesh", "verify_mesh")
_INNER = "helm "
"""Begins the names of timings that are part of another one, `apply`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery to a function.

    Attributes:
        target: the function.
        begin: when it began.
        end: when the function had answered.
        taken: whether it was acknowledged.
    """

    target: str
    begin: dt.datetime
    end: dt.datetime
    taken: bool

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Self:
        """Read one of the journal's records."""
        begin = dt.datetime.fromisoformat(event["time"])
        end = begin + dt.timedelta(seconds=event["seconds"])
        return cls(target=event["target"], begin=begin, end=end, taken=event["error"] is None)


def ready_time(statuses: Sequence[Mapping[str, Any]]) -> dt.datetime:
    """When a cluster was first said to be Ready.

    Raises:
        BenchError: never.
    """
    for status in statuses:
        if status["phase"] == "Ready":
            return dt.datetime.fromisoformat(status["time"])
    raise BenchError("no status says Ready")


def deliveries(events: Sequence[Mapping[str, Any]]) -> list[Delivery]:
    """The deliveries to functions that a creation's accepted last entry led to, itself first.

    Raises:
        BenchError: there is no such entry.
    """
    accepted = creation([dict(event) for event in events])
    if accepted is None:
        raise BenchError("no last entry of a creation was accepted")
    found = [Delivery.of(event) for event in events if event["target"] in _FUNCTIONS]
    begin = dt.datetime.fromisoformat(accepted["time"])
    return sorted((one for one in found if one.begin >= begin), key=lambda one: one.begin)


def total(events: Sequence[Mapping[str, Any]], statuses: Sequence[Mapping[str, Any]]) -> float:
    """Seconds from the acceptance of a creation's last entry to the first Ready."""
    return (ready_time(statuses) - deliveries(events)[0].begin).total_seconds()


def hops(events: Sequence[Mapping[str, Any]], statuses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds by part: the functions and the gaps between their deliveries add up to `total`.

    A delivery that begins before the last one's answer (it was published in the middle of it) ends that one's share.
    """
    ready = ready_time(statuses)
    chain = [one for one in deliveries(events) if one.begin <= ready]
    parts: collections.defaultdict[str, float] = collections.defaultdict(float)
    for number, one in enumerate(chain):
        following = chain[number + 1].begin if number + 1 < len(chain) else ready
        status = _status_of(one, statuses, chain[:number])
        name = _name(one, status)
        share = (min(one.end, following) - one.begin).total_seconds()
        parts[name] += share
        if one.taken and status is not None:
            for part, seconds in _inside(share, status["timings"]).items():
                parts[f"{name}{SHARE}{part}"] += seconds
        if number + 1 < len(chain):
            gap = max((following - one.end).total_seconds(), 0.0)
            parts[f"{name} → {chain[number + 1].target}"] += gap
    return dict(parts)


def _name(one: Delivery, status: Mapping[str, Any] | None) -> str:
    if not one.taken:
        return f"{one.target}, refused"
    if status is not None and status["waits_for"]:
        return f"{one.target}, waits ({status['reason']})"
    return one.target


def _status_of(
    one: Delivery, statuses: Sequence[Mapping[str, Any]], earlier: Sequence[Delivery]
) -> Mapping[str, Any] | None:
    """The status published in a delivery's time; one in the time of two deliveries is the earlier one's."""
    for status in statuses:
        said = dt.datetime.fromisoformat(status["time"])
        if one.begin <= said <= one.end and not any(other.begin <= said <= other.end for other in earlier):
            return status
    return None


def _inside(share: float, timings: Mapping[str, float]) -> dict[str, float]:
    """The shares of a handler's time: its stages, those inside `apply` after it, and what no stage was told of."""
    if not timings:
        return {}
    outer = {name: seconds for name, seconds in timings.items() if not name.startswith(_INNER)}
    inner = {f"apply{SHARE}{name}": seconds for name, seconds in timings.items() if name.startswith(_INNER)}
    order = sorted([*outer, *inner], key=lambda name: (name.startswith("apply"), name))
    return {**{name: {**outer, **inner}[name] for name in order}, "the rest": share - sum(outer.values())}
