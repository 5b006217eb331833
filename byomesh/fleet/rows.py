"""What GKE lists, the log tells and the policy decides made one picture of the fleet; pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from byomesh.fleet.advice import problem_and_remedy, what_to_do
from byomesh.fleet.journeys import condensed, journeys, moments, since_when
from byomesh.fleet.model import ClusterRow, Fleet, Unseen, failing
from byomesh.fleet.state import SEVERITY, State
from byomesh.fleet.told import Change, Said
from shared import policy
from shared.cluster import Cluster
from shared.model import ClusterRef, MeshStatus

MAX_MOMENTS = 60
"""Moments that a row keeps; a cluster that is repaired every hour would have thousands."""
MAX_JOURNEYS = 12
"""Journeys that a row keeps."""

_CLOCKS = dt.timedelta(minutes=1)
"""How far Google's clocks may differ: a status so much older than the cluster is still its own."""
_WANTS_NONE = frozenset({policy.Mode.IGNORE, policy.Mode.OPT_OUT})


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """What was read.

    Attributes:
        seen: the clusters that GKE lists.
        said: the statuses of each cluster, oldest first.
        changes: what was done to each cluster, in any order; absent where nobody asked.
        unseen: what GKE couldn't be asked about.
        complete: whether the log was read as far back as `since`.
        only: the one cluster that was asked for; None for all.
    """

    seen: tuple[Cluster, ...]
    said: Mapping[ClusterRef, Sequence[Said]]
    changes: Mapping[ClusterRef, Sequence[Change]] = {}
    unseen: tuple[Unseen, ...] = ()
    complete: bool = True
    only: ClusterRef | None = None


def assemble(
    sources: Sources, rules: policy.Policy, *, projects: Iterable[str], since: dt.datetime, now: dt.datetime
) -> Fleet:
    """The fleet: a row for each cluster that GKE lists or a status speaks of."""
    listed = {one.ref: one for one in sources.seen}
    refs = {sources.only} if sources.only is not None else {*listed, *sources.said}
    rows = [_row(ref, listed.get(ref), sources, rules, since, now) for ref in refs]
    return Fleet(
        time=now,
        since=since,
        projects=tuple(sorted(projects)),
        rows=tuple(sorted(rows, key=lambda row: (SEVERITY[row.state], row.ref))),
        unseen=tuple(sorted(sources.unseen)),
        notes=tuple(_notes(rows, rules)),
        policy=rules.source,
        partial=sources.only is not None,
    )


def _notes(rows: Iterable[ClusterRow], rules: policy.Policy) -> Iterator[str]:
    if any(row.reason == _NOT_READ for row in rows):
        yield _INCOMPLETE
    if any(match.folders for match in (*(one.match for one in rules.rules), *(one.match for one in rules.paused))):
        yield "the folders above the projects are unknown here, so no rule with folders matches"


_NOT_READ = "LogNotRead"
_INCOMPLETE = (
    "the log holds more statuses than were read, so clusters of which only older ones speak are not known: "
    "name fewer projects, or a shorter --since"
)


def _row(
    ref: ClusterRef, seen: Cluster | None, sources: Sources, rules: policy.Policy, since: dt.datetime, now: dt.datetime
) -> ClusterRow:
    said = sources.said.get(ref, ())
    created = seen.created if seen is not None else None
    # What was said before is of a cluster that had the same name.
    own = [one for one in said if created is None or one.time >= created - _CLOCKS]
    newest = own[-1] if own else None
    if seen is not None:
        row = _listed(seen, newest, rules, since, complete=sources.complete)
    else:
        row = _unlisted(ref, newest, sources.unseen)
    said = condensed(said)
    told = moments(said, sources.changes.get(ref, ()))
    return msgspec.structs.replace(
        row,
        changed=since_when(own),
        heard=newest.time if newest is not None else None,
        journeys=journeys(said, created, now)[:MAX_JOURNEYS],
        moments=told[:MAX_MOMENTS],
        earlier=max(len(told) - MAX_MOMENTS, 0),
    )


def _listed(
    cluster: Cluster, newest: Said | None, rules: policy.Policy, since: dt.datetime, *, complete: bool
) -> ClusterRow:
    decision = policy.decide(cluster.facts, rules)
    pause = policy.paused(cluster.facts, rules)
    if newest is not None and not _left_alone(decision, newest.status):
        row = _told(cluster.ref, newest.status)
    else:
        row = _silent(cluster, decision, since, complete=complete)
    if newest is not None and row.state is State.READY and decision.mode in _WANTS_NONE:
        note = f"{row.message}; the policy leaves the cluster alone: {decision.reason}"
        row = msgspec.structs.replace(row, message=note)
    return msgspec.structs.replace(
        row,
        mesh=row.mesh or decision.mesh or "",
        paused=pause.reason if pause is not None else "",
        net_admin=cluster.allow_net_admin if cluster.autopilot else None,
        gke=cluster.status,
        autopilot=cluster.autopilot,
        kubernetes=cluster.version,
        channel=cluster.release_channel,
        labels=cluster.labels,
        created=cluster.created,
        rule=decision.rule,
        mode=decision.mode.value,
        rule_reason=decision.reason,
    )


def _left_alone(decision: policy.Decision, status: MeshStatus) -> bool:
    """Whether a status only says that the policy wants nothing done, which it still does."""
    return decision.mode in _WANTS_NONE and status.reason == "OptedOut"


def _told(ref: ClusterRef, status: MeshStatus) -> ClusterRow:
    message, _ = problem_and_remedy(status)
    checks = status.checks
    return ClusterRow(
        ref=ref,
        state=State.of(status.phase),
        reason=status.reason,
        message=message,
        to_do=what_to_do(status),
        mesh=status.mesh,
        version=status.version,
        net_admin=status.net_admin,
        passed=checks.passed,
        warned=checks.warned,
        failed=checks.failed,
        skipped=checks.skipped,
        troubles=failing(checks.failing, status),
        findings=status.findings,
        actor=status.actor,
        advice=status.advice,
        waits_for=status.waits_for,
        request_id=status.request_id,
        options=dict(status.options),
        outdated=status.outdated.pods,
        repaired=status.repaired,
    )


def _silent(cluster: Cluster, decision: policy.Decision, since: dt.datetime, *, complete: bool) -> ClusterRow:
    """A cluster that GKE lists and no status that counts speaks of."""
    ref = cluster.ref
    if decision.mode in _WANTS_NONE:
        return ClusterRow(ref=ref, state=State.LEFT_ALONE, reason="LeftAlone", message=decision.reason)
    mesh = decision.mesh or ""
    if cluster.status == "PROVISIONING":
        waits = "GKE to create the cluster"
        words = f"GKE is creating it; {mesh} follows" if mesh else "GKE is creating it"
        return ClusterRow(
            ref=ref, state=State.PENDING, reason="Provisioning", message=words, mesh=mesh, waits_for=waits
        )
    if not complete:
        return ClusterRow(ref=ref, state=State.UNKNOWN, reason=_NOT_READ, message="the log wasn't read far enough")
    if decision.mode is policy.Mode.REFUSE:
        return ClusterRow(
            ref=ref, state=State.REFUSED, reason="PolicyRefuses", message=decision.reason, to_do="correct the label"
        )
    return ClusterRow(
        ref=ref,
        state=State.NEVER_PROCESSED,
        reason="NoStatus",
        message=f"no status speaks of it since {since:%Y-%m-%d}, and the policy says: {decision.reason}",
        to_do=f"`byomesh rerun {ref} --from enable`; if that says nothing either, see docs/status.md",
        mesh=mesh,
    )


def _hides(unseen: Unseen, ref: ClusterRef) -> bool:
    """Whether a cluster may be where nobody could look: its project, its location, or a zone of its region."""
    if unseen.project != ref.project:
        return False
    return unseen.location in {"", ref.location} or unseen.location.startswith(f"{ref.location}-")


def _unlisted(ref: ClusterRef, newest: Said | None, unseen: Sequence[Unseen]) -> ClusterRow:
    """A cluster that is spoken of, or asked for by name, and that GKE doesn't list."""
    hidden = next((one for one in unseen if _hides(one, ref)), None)
    row = (
        _told(ref, newest.status)
        if newest is not None
        else ClusterRow(
            ref=ref,
            state=State.GONE,
            reason="NoSuchCluster",
            message="GKE lists no such cluster, and no status speaks of it",
        )
    )
    last = f"; said last: {row.state.words}: {row.message}" if newest is not None else ""
    if hidden is not None:
        return msgspec.structs.replace(
            row,
            state=State.UNKNOWN,
            reason="NotSeen",
            message=f"GKE couldn't be asked about it{last}",
            to_do=hidden.why,
        )
    if newest is None:
        return row
    words = f"GKE no longer lists it{last}"
    return msgspec.structs.replace(
        row, state=State.GONE, reason="ClusterGone", message=words, to_do="", waits_for="", advice=()
    )
