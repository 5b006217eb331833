"""google.logging.v2.LoggingServiceV2 as far as it is used: ListLogEntries, over what the local cloud logs."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Collection, Iterable

import grpc
from google.cloud.audit import audit_log_pb2  # type: ignore[import-untyped]  # noqa: F401 - makes AuditLog known
from google.cloud.logging_v2.types import ListLogEntriesRequest, ListLogEntriesResponse
from google.protobuf import json_format

from byomesh.local.cloud_logging.index import Log
from byomesh.local.cloud_logging.query import Entry, compiled, moment
from byomesh.local.cloud_logging.stdout import Printed
from byomesh.local.cloud_logging.syntax import QueryError, parse
from byomesh.local.rpc import Call, Caller, Faults, Handler, Method, RpcFailure, error_info, service

SERVICE = "google.logging.v2.LoggingServiceV2"
PAGE_SIZE = 50
"""Entries of a page where the request names no size; the most are `MAX_PAGE_SIZE`."""
MAX_PAGE_SIZE = 1_000
KEPT = 500_000
"""Entries that are kept; the oldest make room."""

DOMAIN = "logging.googleapis.com"

_DENIED = "IAM_PERMISSION_DENIED"
_RESOURCE = re.compile(r"projects/[^/]+")
_TOKEN = re.compile(r"(\d+)-(\d+)")


@dataclasses.dataclass(frozen=True, slots=True)
class _Kept:
    number: int
    time: dt.datetime
    written: dt.datetime
    entry: Entry


@dataclasses.dataclass(frozen=True, slots=True)
class _Listing:
    """What a first page was made from, kept for the pages that follow."""

    asked: tuple[str, str, tuple[str, ...]]
    upto: int
    found: list[_Kept]


class CloudLogging:
    """All log entries of the local cloud.

    Args:
        readers: accounts that may read; everybody where empty.
        clock: tells the time.

    Attributes:
        readers: these accounts; more may be added.
        delay: how long after it was written an entry shows.
    """

    def __init__(
        self,
        *,
        readers: Iterable[str] = (),
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self.delay = dt.timedelta()
        self.readers = set(readers)
        self._clock = clock
        self._logs: dict[str, Log[_Kept]] = {}
        self._written = 0
        self._printed: dict[str, Printed] = {}
        self._listings: collections.deque[_Listing] = collections.deque(maxlen=4)

    def write(self, entry: Entry) -> None:
        """Keep an entry, a LogEntry in JSON."""
        self._written += 1
        kept = _Kept(self._written, moment(str(entry["timestamp"])), self._clock(), entry)
        parent = str(entry["logName"]).partition("/logs/")[0]
        if parent not in self._logs:
            self._logs[parent] = Log(KEPT)
        self._logs[parent].add(entry, kept)

    def follow(self, name: str, printed: Printed) -> None:
        """Take what a function prints into its project's log."""
        self._printed[name] = printed

    def restarting(self, name: str) -> None:
        """A function has ended and starts again, with its log file from nothing: read what is left of the old one."""
        self._read_on([self._printed[name]])
        self._printed[name].begin_anew()

    def list_entries(self, request: ListLogEntriesRequest, call: Call) -> ListLogEntriesResponse:
        """A page of the entries of some projects that match a query, by time.

        What is written between two pages is on none of them, so that no entry comes twice.
        """
        names = tuple(sorted(set(request.resource_names)))
        self._allow(call, names)
        descending = _descending(request.order_by)
        self._read_on(self._printed.values())
        upto, start = _position(request.page_token, self._written)
        found = self._found((request.filter, request.order_by, names), upto)
        end = start + min(request.page_size or PAGE_SIZE, MAX_PAGE_SIZE)
        ordered = found[::-1] if descending else found
        answer = ListLogEntriesResponse(next_page_token=f"{upto}-{end}" if end < len(found) else "")
        for kept in ordered[start:end]:
            _add(answer, kept.entry)
        return answer

    def _found(self, asked: tuple[str, str, tuple[str, ...]], upto: int) -> list[_Kept]:
        """Entries up to a number that match, oldest first."""
        for listing in self._listings:
            if (listing.asked, listing.upto) == (asked, upto):
                return listing.found
        query, _, names = asked
        try:
            parsed = parse(query)
            matches = compiled(parsed)
        except QueryError as error:
            raise _invalid(f"Unparseable filter: {error}") from error
        shown = self._clock() - self.delay
        logs = (self._logs[name] for name in names if name in self._logs)
        candidates = (kept for log in logs for kept in log.candidates(parsed))
        found = [kept for kept in candidates if kept.number <= upto and kept.written <= shown and matches(kept.entry)]
        found.sort(key=lambda kept: (kept.time, kept.number))
        self._listings.append(_Listing(asked, upto, found))
        return found

    def _read_on(self, printed: Iterable[Printed]) -> None:
        now = self._clock()
        for one in printed:
            for entry in one.read(now):
                self.write(entry)

    def _allow(self, call: Call, names: Collection[str]) -> None:
        if not names or any(_RESOURCE.fullmatch(name) is None for name in names):
            raise _invalid("resource_names must name projects, as projects/PROJECT")
        if self.readers and call.principal not in self.readers:
            raise RpcFailure(
                grpc.StatusCode.PERMISSION_DENIED, "Permission denied for all log views", error_info(_DENIED, DOMAIN)
            )


def handler(logging: CloudLogging, *, caller: Caller, faults: Faults) -> Handler:
    """The service, for `byomesh.local.rpc.serve`."""

    async def list_entries(request: ListLogEntriesRequest, call: Call) -> ListLogEntriesResponse:
        return logging.list_entries(request, call)

    methods = {"ListLogEntries": Method(ListLogEntriesRequest, ListLogEntriesResponse, list_entries)}
    return service(SERVICE, methods, caller=caller, faults=faults)


def _add(answer: ListLogEntriesResponse, entry: Entry) -> None:
    raw = ListLogEntriesResponse.pb(answer).entries.add()
    json_format.ParseDict(dict(entry), raw, ignore_unknown_fields=True)


def _descending(order_by: str) -> bool:
    match order_by.split():
        case [] | ["timestamp"] | ["timestamp", "asc"]:
            return False
        case ["timestamp", "desc"]:
            return True
    raise _invalid(f'order_by must be "timestamp asc" or "timestamp desc", not {order_by!r}')


def _position(token: str, written: int) -> tuple[int, int]:
    """Up to which entry a listing goes, and where its next page begins."""
    if not token:
        return written, 0
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise _invalid(f"page_token {token!r} is none of this service")
    return int(match[1]), int(match[2])


def _invalid(text: str) -> RpcFailure:
    return RpcFailure(grpc.StatusCode.INVALID_ARGUMENT, text)
