"""What the functions said last about a dead letter: joined from the log by request id, else by cluster; pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from byomesh.dead_letters.letter import Letter
from shared.errors import Permanent
from shared.model import ClusterRef

_BEFORE = dt.timedelta(hours=1)
"""How long before the first publish one looks: what a message follows from belongs to its request, too."""
_UNKNOWN = dt.timedelta(days=1)
_WRONG = frozenset({"WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"})


class Line(Protocol):
    """What is used of `shared.cloud_logging.LogLine`."""

    @property
    def time(self) -> dt.datetime:
        """When it was said."""

    @property
    def severity(self) -> str:
        """Such as WARNING."""

    @property
    def payload(self) -> dict[str, Any]:
        """The line's own fields."""

    @property
    def message(self) -> str:
        """The line in words."""


class Log(Protocol):
    """What is asked of `shared.cloud_logging.CloudLogging`; both newest first, and raise as it does."""

    def lines_of_request(self, request_id: str, since: dt.datetime) -> Iterable[Line]:
        """What was said of a request."""

    def lines_of(self, ref: ClusterRef, since: dt.datetime) -> Iterable[Line]:
        """What was said of a cluster."""


class LastError(msgspec.Struct, frozen=True, kw_only=True):
    """The newest warning or error.

    Attributes:
        time: when it was said, RFC 3339.
        stage: the function's, such as `install`; "" where the line doesn't say.
        reason: a constant, such as `ApiUnavailable`; "" likewise.
        message: the words.
        by: `request_id` or `cluster`: by what it was found.
    """

    time: str
    stage: str
    reason: str
    message: str
    by: str


def find(letter: Letter, log: Log) -> LastError | None:
    """The newest warning or error about the letter's request, else about its cluster; None where there is none.

    A request that was published by hand without an id had its message's id, which Pub/Sub doesn't keep.

    Raises:
        ByomeshError: the log can't be read.
    """
    since = _since(letter)
    contents = letter.contents
    if contents.request_id:
        line = _newest(log.lines_of_request(contents.request_id, since), letter.refused)
        if line is not None:
            return _told(line, "request_id")
    try:
        ref = ClusterRef.parse(contents.cluster)
    except Permanent:
        return None
    line = _newest(log.lines_of(ref, since), letter.refused)
    return _told(line, "cluster") if line is not None else None


def _since(letter: Letter) -> dt.datetime:
    try:
        published = dt.datetime.fromisoformat(letter.published)
        return (published if published.tzinfo is not None else published.replace(tzinfo=dt.UTC)) - _BEFORE
    except (ValueError, OverflowError):
        return letter.refused - _UNKNOWN


def _newest(lines: Iterable[Line], until: dt.datetime) -> Line | None:
    """The newest that was said before the letter was given up, or soon after, for two clocks may differ."""
    end = until + dt.timedelta(minutes=1)
    return next((line for line in lines if line.severity in _WRONG and line.time <= end), None)


def _told(line: Line, by: str) -> LastError:
    def said(key: str) -> str:
        value = line.payload.get(key)
        return value if isinstance(value, str) else ""

    return LastError(
        time=line.time.isoformat(), stage=said("stage"), reason=said("reason"), message=line.message, by=by
    )
