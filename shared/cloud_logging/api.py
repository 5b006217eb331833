"""The only door to Cloud Logging (google-cloud-logging): one method, LoggingServiceV2.ListLogEntries.

It needs one permission, `logging.logEntries.list`, in the clusters' projects (audit entries) and in the automation's
own (what the functions said). An entry shows some time after it was written, mostly within seconds, so the absence of
an entry proves nothing; who must have one looks again later. Reads are bounded in pages and entries. A quota of 60
reads a minute and project holds for all callers together (https://cloud.google.com/logging/quotas).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.types import ListLogEntriesRequest, ListLogEntriesResponse

from shared import google_errors
from shared.cloud_logging import filters
from shared.cloud_logging.entries import AuditEntry, LogLine, NewestStatuses, merged
from shared.cloud_logging.reading import read_audit, read_line
from shared.config import Settings, settings
from shared.errors import Permanent
from shared.model import ClusterRef, MeshStatus

_T = TypeVar("_T")

PERMISSION = "logging.logEntries.list"
"""All that the door needs; audit entries of admin activity are no private logs."""

PAGE_SIZE = 1_000
"""Entries of a page, the most that Cloud Logging gives."""
MAX_PAGES = 60
"""Pages of one listing; one may be empty and still lead to another."""
LIMIT = 1_000
"""Entries of one listing where nothing else is said."""

_TIMEOUT = 30.0
_LONGEST_OPERATION = dt.timedelta(days=1)


@dataclasses.dataclass(slots=True)
class _Bounds:
    """How much more one listing may read.

    Attributes:
        entries: entries, whether or not they turn out to be of use.
        pages: pages.
        reached: whether the listing ended with its bounds, and there is more.
    """

    entries: int
    pages: int = MAX_PAGES
    reached: bool = False

    def passed(self, entries: int, *, last: bool) -> bool:
        """Count a page; whether no other may be read."""
        cut = entries > self.entries
        self.entries -= entries
        self.pages -= 1
        ends = self.entries <= 0 or self.pages <= 0
        self.reached = cut or (ends and not last)
        return ends


class StatusLines:
    """Lines as they are read, page by page; to be taken once."""

    def __init__(self, lines: Iterator[LogLine], bounds: _Bounds) -> None:
        self._lines = lines
        self._bounds = bounds

    def __iter__(self) -> Iterator[LogLine]:
        return self._lines

    @property
    def complete(self) -> bool:
        """Whether all that have been taken are all that there are."""
        return not self._bounds.reached


class CloudLogging:
    """Cloud Logging at the settings' endpoint; one client, made once and used by every call."""

    def __init__(self, config: Settings, client: LoggingServiceV2Client | None = None) -> None:
        self._project = config.project
        with google_errors.translated(tried="to make a client of Cloud Logging"):
            self._client = client or LoggingServiceV2Client(client_options={"api_endpoint": config.logging_endpoint})

    def first_entry(self, ref: ClusterRef, operation: str, ended: dt.datetime) -> AuditEntry | None:
        """The entry with which an operation began: who asked for it, with what client, and for what.

        Args:
            ref: the cluster that it was about.
            operation: its bare id.
            ended: when its last entry was written; it is looked for in the day before.

        Returns:
            The entry; None where the log has none (yet).

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
        """
        query = filters.first_entry(ref, operation, ended - _LONGEST_OPERATION)
        found = self._audit(ref, query, _Bounds(2))
        return next((entry for entry in found if entry.operation == operation and entry.first), None)

    def updates(self, ref: ClusterRef, since: dt.datetime, limit: int = LIMIT) -> tuple[AuditEntry, ...]:
        """The first entries of a cluster's updates since a time, newest first, GKE's own among them.

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
        """
        return tuple(self._audit(ref, filters.updates(ref, since), _Bounds(limit)))

    def audit(self, ref: ClusterRef, since: dt.datetime, limit: int = LIMIT) -> tuple[AuditEntry, ...]:
        """Everything that was done to a cluster through GKE's API since a time, newest first; rejected calls, too.

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
        """
        return tuple(self._audit(ref, filters.audit(ref, since), _Bounds(limit)))

    def newest_status(self, ref: ClusterRef, since: dt.datetime) -> MeshStatus | None:
        """The newest status of a cluster since a time; None where nothing was said of it, or the log forgot it.

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
            Permanent: no setting names the automation's project.
        """
        return next(iter(self.statuses_of(ref, since, limit=10)), None)

    def statuses_of(self, ref: ClusterRef, since: dt.datetime, limit: int = LIMIT) -> tuple[MeshStatus, ...]:
        """What was said of a cluster's mesh since a time, newest first.

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
            Permanent: no setting names the automation's project.
        """
        found = self._statuses(filters.statuses_of(ref, since), _Bounds(limit))
        return tuple(status for status in found if status.cluster == ref)

    def newest_statuses(
        self, projects: Iterable[str], since: dt.datetime, limit: int = MAX_PAGES * PAGE_SIZE
    ) -> NewestStatuses:
        """The newest status of every cluster of these projects (of all, where none is named) since a time.

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
            Permanent: no setting names the automation's project.
        """
        wanted = frozenset(projects)
        newest: dict[ClusterRef, MeshStatus] = {}
        bounds = _Bounds(limit)
        for status in self._statuses(filters.statuses(wanted, since), bounds):
            if status.cluster is not None and (not wanted or status.cluster.project in wanted):
                newest.setdefault(status.cluster, status)
        return NewestStatuses(newest, complete=not bounds.reached)

    def status_lines(
        self, projects: Iterable[str], since: dt.datetime, limit: int = MAX_PAGES * PAGE_SIZE
    ) -> StatusLines:
        """The lines with every status of these projects' clusters (of all, where none is named) since a time.

        They come newest first, page by page, `limit` at most. More projects than a filter holds are as good as none:
        whoever asks leaves the others out.

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet); while they are taken, too.
            Permanent: no setting names the automation's project.
        """
        query = filters.statuses(frozenset(projects), since)
        if len(query) > filters.MAX_LENGTH:
            query = filters.statuses((), since)
        bounds = _Bounds(limit)
        return StatusLines(self._lines(query, bounds), bounds)

    def changes(self, project: str, since: dt.datetime, limit: int = LIMIT) -> Iterator[AuditEntry]:
        """The first entries of what was done to a project's clusters since a time, newest first.

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet); while they are taken, too.
        """
        return self._list(project, filters.changes(since), _Bounds(limit), read_audit)

    def lines_of(self, ref: ClusterRef, since: dt.datetime, limit: int = LIMIT) -> tuple[LogLine, ...]:
        """What the functions said of a cluster since a time, newest first.

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
            Permanent: no setting names the automation's project.
        """
        return tuple(self._lines(filters.lines_of(ref, since), _Bounds(limit)))

    def lines_of_request(self, request_id: str, since: dt.datetime, limit: int = LIMIT) -> tuple[LogLine, ...]:
        """What the functions said of a request since a time, newest first.

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
            Permanent: no setting names the automation's project.
        """
        found = self._lines(filters.lines_of_request(request_id, since), _Bounds(limit))
        return tuple(line for line in found if line.request_id == request_id)

    def timeline(self, ref: ClusterRef, since: dt.datetime, limit: int = LIMIT) -> tuple[AuditEntry | LogLine, ...]:
        """What was done to a cluster and what was said of it since a time, oldest first, `limit` of each at most.

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
            Permanent: no setting names the automation's project.
        """
        return merged(self.audit(ref, since, limit), self.lines_of(ref, since, limit))

    def _audit(self, ref: ClusterRef, query: str, bounds: _Bounds) -> Iterator[AuditEntry]:
        entries = self._list(ref.project, query, bounds, read_audit, cluster=str(ref))
        return (entry for entry in entries if entry.cluster == ref)

    def _statuses(self, query: str, bounds: _Bounds) -> Iterator[MeshStatus]:
        return (status for line in self._lines(query, bounds) if (status := line.status) is not None)

    def _lines(self, query: str, bounds: _Bounds) -> Iterator[LogLine]:
        if not self._project:
            raise Permanent(
                "ProjectUnknown",
                "nothing says in which project the functions run, so their log can't be found",
                tried="ListLogEntries",
                remedy="set GOOGLE_CLOUD_PROJECT to the automation's project",
            )
        return self._list(self._project, query, bounds, read_line)

    def _list(
        self, project: str, query: str, bounds: _Bounds, read: Callable[[Any], _T | None], cluster: str = ""
    ) -> Iterator[_T]:
        """Entries of a project, newest first, page by page, as far as the bounds go."""
        request = ListLogEntriesRequest(
            resource_names=[f"projects/{project}"],
            filter=query,
            order_by="timestamp desc",
            page_size=min(bounds.entries, PAGE_SIZE),
        )
        try:
            for page in self._client.list_log_entries(request=request, timeout=_TIMEOUT).pages:
                entries = ListLogEntriesResponse.pb(page).entries
                for entry in entries[: bounds.entries]:
                    found = read(entry)
                    if found is not None:
                        yield found
                if bounds.passed(len(entries), last=not page.next_page_token):
                    return
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            tried = f"ListLogEntries in projects/{project}"
            raise google_errors.translate(error, tried=tried, cluster=cluster, needs=PERMISSION) from error


@functools.cache
def cloud_logging() -> CloudLogging:
    """This process's door, made with its settings at the first call."""
    return CloudLogging(settings())
