"""What a cluster's statuses tell of its way: spans without gaps, one journey a request; pure.

A status is said at the end of a piece of work, and `timings` says how long that took. So the time before a status
belongs to whoever said it: the work itself, and before it the wait that the previous status was about.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from byomesh.fleet.state import State
from byomesh.fleet.told import Change, Journey, Moment, Said, Span, Work

ON_THE_WAY = dt.timedelta(hours=2)
"""How long after a cluster's creation the first word about it may come, to be counted as its creation's."""

_NET_ADMIN = frozenset({"AllowingNetAdmin", "OperationRunning", "NetAdminPropagating", "ClusterBusy"})
"""Reasons of statuses after which a request waits for allow-net-admin."""
_MOMENT = dt.timedelta(milliseconds=50)
_BY_STAGE = {"enable": Work.NET_ADMIN, "install": Work.INSTALL, "verify": Work.VERIFY, "enforce": Work.ENFORCE}
_FUNCTIONS = {
    "enable": "enable_net_admin",
    "install": "install_mesh",
    "verify": "verify_mesh",
    "enforce": "enforce_policy",
}
_METHODS = {
    "CreateCluster": "created the cluster",
    "UpdateCluster": "updated the cluster",
    "DeleteCluster": "deleted the cluster",
    "SetLabels": "changed the cluster's labels",
}


def condensed(said: Sequence[Said]) -> tuple[Said, ...]:
    """Statuses without those that say once more what was said before and after them, as a sweep's do every hour."""
    kept: list[Said] = []
    for number, one in enumerate(said):
        before, after = said[number - 1 : number], said[number + 1 : number + 2]
        if not (before and after and _words(before[0]) == _words(one) == _words(after[0])):
            kept.append(one)
    return tuple(kept)


def since_when(said: Sequence[Said]) -> dt.datetime | None:
    """Since when a cluster has been as its newest status says; None where nothing was said.

    What was under way in between counts only while it still is.
    """
    found: dt.datetime | None = None
    for one in reversed(said):
        if found is not None and not _concluded(one) and _concluded(said[-1]):
            continue
        if _like(one) != _like(said[-1]):
            break
        found = one.time
    return found


def _words(one: Said) -> tuple[str, ...]:
    return (*_like(one), one.status.message)


def _like(one: Said) -> tuple[str, ...]:
    status = one.status
    return (status.phase.value, status.reason, status.mesh, status.version)


def journeys(said: Sequence[Said], created: dt.datetime | None, now: dt.datetime) -> tuple[Journey, ...]:
    """The journeys of one cluster, the newest first.

    Args:
        said: its statuses, oldest first.
        created: when it was created, where that is known.
        now: the moment of the look, at which a journey that goes on has come so far.
    """
    by_request: dict[str, list[Said]] = {}
    for one in said:
        by_request.setdefault(one.status.request_id, []).append(one)
    made: list[Journey] = []
    for request_id, those in by_request.items():
        first = not made and created is not None and dt.timedelta() <= those[0].time - created <= ON_THE_WAY
        made.append(_journey(request_id, those, created if first else None, now))
    return tuple(sorted(made, key=lambda journey: journey.began, reverse=True))


def _journey(request_id: str, said: Sequence[Said], created: dt.datetime | None, now: dt.datetime) -> Journey:
    spans: list[Span] = []
    at = _began(said[0])
    if created is not None:
        at = max(at, created)
        _append(spans, Work.CREATE, created, at)
    before: Said | None = None
    repairing = False
    for one in said:
        work_began = min(max(_began(one), at), one.time)
        _append(spans, Work.REPAIR if repairing else _wait(before, one), at, work_began)
        _append(spans, Work.REPAIR if repairing else _work(one), work_began, max(one.time, work_began))
        at = max(one.time, at)
        before = one
        repairing = State.of(one.status.phase) is State.DEGRADED or (repairing and not _concluded(one))
    outcome = State.of(said[-1].status.phase)
    if outcome.under_way and now > at:
        _append(spans, Work.REPAIR if repairing else _wait(before, None), at, now, open_=True)
    return Journey(
        request_id=request_id,
        created=created is not None,
        spans=tuple(spans) or (Span(_work(said[0]), at, at),),
        outcome=outcome,
        repaired=tuple(dict.fromkeys(name for one in said for name in one.status.repaired)),
    )


def _began(one: Said) -> dt.datetime:
    return one.time - dt.timedelta(seconds=min(sum(one.status.timings.values()), 3_600.0))


def _concluded(one: Said) -> bool:
    return not State.of(one.status.phase).under_way


def _work(one: Said) -> Work:
    if one.status.reason in _NET_ADMIN:
        return Work.NET_ADMIN
    return _BY_STAGE.get(one.stage, Work.WAIT)


def _wait(before: Said | None, after: Said | None) -> Work:
    """What the time between two statuses was spent with."""
    if before is not None and before.status.reason in _NET_ADMIN:
        return Work.NET_ADMIN
    if before is not None and before.status.phase.value == State.VERIFYING.value:
        return Work.VERIFY
    if before is None and after is not None:
        return _work(after)
    return Work.WAIT


def _append(spans: list[Span], work: Work, began: dt.datetime, ended: dt.datetime, *, open_: bool = False) -> None:
    """Add a span; neighbours with the same work become one, and what took no time (but allow-net-admin) the next."""
    began = spans[-1].ended if spans else began
    if ended < began or (
        ended - began < _MOMENT and work is not Work.NET_ADMIN and not (spans and spans[-1].work is work)
    ):
        return
    if spans and spans[-1].work is work:
        spans[-1] = Span(work, spans[-1].began, ended, open_)
    else:
        spans.append(Span(work, began, ended, open_))


def moments(said: Sequence[Said], changes: Sequence[Change]) -> tuple[Moment, ...]:
    """What was said of one cluster and done to it, the newest first."""
    found = [
        Moment(
            time=one.time,
            who=_FUNCTIONS.get(one.stage, one.stage),
            what=one.status.message,
            state=State.of(one.status.phase),
            reason=one.status.reason,
            actor=one.status.actor,
        )
        for one in said
    ]
    found += [
        Moment(
            time=one.time,
            who=one.principal,
            what=f"{_METHODS.get(one.method, one.method)}" + (f"; GKE refused: {one.problem}" if one.problem else ""),
            reason=one.method,
            client=one.client,
        )
        for one in changes
    ]
    return tuple(sorted(found, key=lambda moment: moment.time, reverse=True))
