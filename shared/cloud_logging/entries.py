"""What the log holds, as plain data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import msgspec

from shared.errors import Permanent
from shared.model import ClusterRef, MeshStatus, from_builtins
from shared.telemetry import STATUS_KEY


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of GKE's admin activity (google.cloud.audit.AuditLog in a google.logging.v2.LogEntry).

    Attributes:
        cluster: which cluster the call was about, from the entry's resource labels.
        time: when GKE wrote it.
        method: the method's last part, such as `UpdateCluster`.
        operation: bare id of the operation; "" where the call was rejected and began none.
        first: whether the operation begins with it: it has the request and the principal.
        last: whether the operation ends with it: it has neither.
        principal: who called, an e-mail; "" in a last entry.
        user_agent: the caller's client in its own words; "" in a last entry.
        request: the call's request as JSON; {} in a last entry.
        code: google.rpc.Code of a rejected call or a failed operation, else 0.
        message: GKE's words about it, else "".
    """

    cluster: ClusterRef
    time: dt.datetime
    method: str
    operation: str = ""
    first: bool = False
    last: bool = False
    principal: str = ""
    user_agent: str = ""
    request: dict[str, Any] = {}
    code: int = 0
    message: str = ""

    @property
    def rejected(self) -> bool:
        """Whether GKE refused the call, so that nothing began."""
        return not self.operation and self.code != 0


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line that a function wrote.

    Attributes:
        time: when it was said.
        severity: such as INFO or ERROR; DEFAULT where the line named none.
        payload: the line's own fields; a plain text is the field `message`.
        labels: `cluster`, `request_id` and `mesh`, as far as they were known, beside the platform's own.
        trace: full name of the trace, or "".
        service: the function, as Cloud Run names its service; "" where the entry doesn't say.
    """

    time: dt.datetime
    severity: str
    payload: dict[str, Any]
    labels: dict[str, str] = {}
    trace: str = ""
    service: str = ""

    @property
    def message(self) -> str:
        """The line in words."""
        return str(self.payload.get("message", ""))

    @property
    def request_id(self) -> str:
        """The request it belongs to, or ""."""
        return self.labels.get("request_id", "")

    @property
    def status(self) -> MeshStatus | None:
        """The status that the line tells of; None where it tells of none, or of one that can't be read."""
        told = self.payload.get(STATUS_KEY)
        try:
            return from_builtins(told, MeshStatus) if told is not None else None
        except Permanent:
            return None


class NewestStatuses(msgspec.Struct, frozen=True):
    """The newest status of each cluster.

    Attributes:
        by_cluster: what was said last of each; clusters of which nothing was said since are absent.
        complete: whether everything was read. Where not, a cluster that is absent may have older statuses.
    """

    by_cluster: dict[ClusterRef, MeshStatus]
    complete: bool


def merged(*parts: Iterable[AuditEntry | LogLine]) -> tuple[AuditEntry | LogLine, ...]:
    """Entries of several listings as one timeline, oldest first; of the same moment, in the order of the listings."""
    return tuple(sorted((entry for part in parts for entry in part), key=lambda entry: entry.time))
