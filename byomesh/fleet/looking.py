"""Looks at the fleet: GKE for what is there, the log for what was said and done, the policy for what is wanted.

A look costs one ListClusters a project and a page of the log for every thousand statuses; each look after the first
reads only what was said since. Cloud Logging allows 60 reads a minute (https://cloud.google.com/logging/quotas).
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from byomesh.fleet.model import Fleet, Unseen
from byomesh.fleet.rows import Sources, assemble
from byomesh.fleet.told import Change, Said
from shared import policy
from shared.errors import ByomeshError, Permanent
from shared.gke import CLUSTER_GONE, Cluster, Gke
from shared.model import ClusterRef

if TYPE_CHECKING:
    from shared.cloud_logging import AuditEntry, CloudLogging, LogLine
    from shared.tasks import QueueState

MAX_STATUSES = 60_000
"""Statuses that one look reads: a page holds a thousand, and a minute sixty pages."""
MAX_AUDITED = 20
"""Projects whose audit log is read, a page each; of more only the statuses are shown."""

_AT_ONCE = 16
_LATE = dt.timedelta(minutes=2)
"""How late an entry may come into the log."""
_STEP = 1_000

Clock = Callable[[], dt.datetime]
Tell = Callable[[str], None]


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at.

    Attributes:
        projects: the projects.
        since: how far back.
        only: one cluster; None for all.
        who: whether the audit log is read, which tells who changed the clusters.
    """

    projects: tuple[str, ...]
    since: dt.timedelta
    only: ClusterRef | None = None
    who: bool = False


class Looker:
    """Looks at a fleet, once or again and again.

    Args:
        google: the GKE API.
        log: Cloud Logging.
        wish: what to look at.
        clock: tells the time.
        tell: is told what is being done.
        queues: reads whether the fleet's queues dispatch; None where nobody knows which they are.
    """

    def __init__(
        self,
        google: Gke,
        log: CloudLogging,
        wish: Wish,
        clock: Clock,
        tell: Tell = lambda _: None,
        queues: Callable[[], Sequence[QueueState]] | None = None,
    ) -> None:
        self._google = google
        self._log = log
        self._wish = wish
        self._clock = clock
        self._tell = tell
        self._queues = queues
        self._said: dict[ClusterRef, dict[tuple[dt.datetime, str, str, str], Said]] = {}
        self._read_to: dt.datetime | None = None
        self._complete = True
        self._notes: list[str] = []

    def look(self, rules: policy.Policy) -> Fleet:
        """The fleet as it is now.

        Raises:
            Temporary: the log can't be read now, or IAM doesn't allow it (yet).
            Permanent: no setting names the automation's project.
        """
        now = self._clock()
        since = now - self._wish.since
        self._notes = []
        seen, unseen = self._listed()
        self._read(since)
        self._note_pause()
        said = {ref: tuple(sorted(those.values(), key=lambda one: one.time)) for ref, those in self._said.items()}
        sources = Sources(
            seen=seen,
            said=said,
            changes=self._changes(since) if self._wish.who else {},
            unseen=unseen,
            complete=self._complete,
            only=self._wish.only,
        )
        fleet = assemble(sources, rules, projects=self._wish.projects, since=since, now=now)
        return msgspec.structs.replace(fleet, notes=(*fleet.notes, *self._notes))

    def _listed(self) -> tuple[tuple[Cluster, ...], tuple[Unseen, ...]]:
        if self._wish.only is not None:
            self._tell("asking GKE")
            return self._one(self._wish.only)
        seen: list[Cluster] = []
        unseen: list[Unseen] = []
        projects = self._wish.projects
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            for done, (found, hidden) in enumerate(pool.map(self._project, projects)):
                self._tell(f"listing clusters: {done + 1} of {len(projects)} projects")
                seen += found
                unseen += hidden
        return tuple(seen), tuple(unseen)

    def _project(self, project: str) -> tuple[tuple[Cluster, ...], tuple[Unseen, ...]]:
        try:
            listing = self._google.listing(project)
        except ByomeshError as error:
            return (), (Unseen(project, "", str(error)),)
        words = "GKE couldn't reach it now (missing_zones); clusters there aren't shown, or as not known"
        return listing.clusters, tuple(Unseen(project, zone, words) for zone in listing.missing_zones)

    def _one(self, ref: ClusterRef) -> tuple[tuple[Cluster, ...], tuple[Unseen, ...]]:
        try:
            return (self._google.get(ref),), ()
        except ByomeshError as error:
            if error.reason == CLUSTER_GONE:
                return (), ()
            return (), (Unseen(ref.project, ref.location, str(error)),)

    def _read(self, since: dt.datetime) -> None:
        """Take what was said since the last look, the newest first."""
        begin = max(since, self._read_to - _LATE) if self._read_to is not None else since
        wanted = frozenset(self._wish.projects)
        lines = self._lines(begin)
        for count, line in enumerate(lines, 1):
            if count % _STEP == 0:
                self._tell(f"reading the log: {count:,} statuses, back to {line.time:%Y-%m-%d %H:%M} UTC")
            self._read_to = line.time if self._read_to is None else max(self._read_to, line.time)
            self._take(line, wanted)
        # What one look couldn't read, none of the later ones looks for again.
        self._complete = self._complete and getattr(lines, "complete", True)
        self._read_to = self._read_to or begin

    def _lines(self, since: dt.datetime) -> Iterable[LogLine]:
        self._tell("reading the log")
        if self._wish.only is not None:
            return self._log.lines_of(self._wish.only, since)
        return self._log.status_lines(self._wish.projects, since, MAX_STATUSES)

    def _take(self, line: LogLine, wanted: frozenset[str]) -> None:
        status = line.status
        if status is None or status.cluster is None or (status.cluster.project not in wanted and not self._wish.only):
            return
        those = self._said.setdefault(status.cluster, {})
        time = status.time or line.time
        key = (time, status.request_id, status.phase.value, status.reason)
        those[key] = Said(status=status, time=time, stage=str(line.payload.get("stage", "")))

    def _note_pause(self) -> None:
        """Note that somebody paused the fleet; who may not see the queues isn't told so."""
        if self._queues is None:
            return
        with contextlib.suppress(ByomeshError):
            if any(queue.paused for queue in self._queues()):
                self._notes.append("somebody paused the fleet, so whatever is under way waits until `byomesh resume`")

    def _changes(self, since: dt.datetime) -> dict[ClusterRef, list[Change]]:
        found: dict[ClusterRef, list[Change]] = {}
        for entry in self._audited(since):
            change = Change(
                cluster=entry.cluster,
                time=entry.time,
                method=entry.method,
                principal=entry.principal,
                client=entry.user_agent,
                operation=entry.operation,
                problem=entry.message if entry.rejected else "",
            )
            found.setdefault(entry.cluster, []).append(change)
        return found

    def _audited(self, since: dt.datetime) -> Iterator[AuditEntry]:
        """First entries, which name who asked; a project whose audit log can't be read is noted, and spoils nothing."""
        only = self._wish.only
        if only is None and len(self._wish.projects) > MAX_AUDITED:
            self._notes.append(f"who changed the clusters isn't shown for more than {MAX_AUDITED} projects")
            return
        for project in self._wish.projects if only is None else (only.project,):
            self._tell(f"reading the audit log of {project}")
            try:
                entries = self._log.audit(only, since) if only is not None else self._log.changes(project, since)
                yield from (entry for entry in entries if entry.first or entry.rejected)
            except ByomeshError as error:
                self._notes.append(f"who changed the clusters of {project} isn't known: {error}")


def duration(text: str) -> dt.timedelta:
    """A duration such as `90m`, `12h` or `30d`.

    Raises:
        Permanent: `text` is none.
    """
    units = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and int(number) and unit in units and len(number) <= len("9999")):
        raise Permanent("BadDuration", f"{text[:40]!r} is no duration", remedy="write it as 90m, 12h or 30d")
    return dt.timedelta(**{units[unit]: int(number)})
