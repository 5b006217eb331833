"""Cloud Logging's messages made plain data; an entry that isn't what it should be is None, never an error.

`raw` is a google.logging.v2.LogEntry as protobuf itself has it, without proto-plus around it: a listing has thousands.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from google.cloud.audit import audit_log_pb2  # type: ignore[import-untyped]
from google.logging.type import log_severity_pb2  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError

from shared.cloud_logging.entries import AuditEntry, LogLine
from shared.errors import Permanent
from shared.model import ClusterRef


def read_audit(raw: Any) -> AuditEntry | None:
    """An entry of GKE's admin activity; None where it holds no AuditLog, or names no cluster."""
    cluster, payload, time = _cluster(raw.resource.labels), _audit_log(raw.proto_payload), _time(raw)
    if cluster is None or payload is None or time is None:
        return None
    return AuditEntry(
        cluster=cluster,
        time=time,
        method=str(payload.method_name).rpartition(".")[2],
        operation=raw.operation.id,
        first=raw.operation.first,
        last=raw.operation.last,
        principal=payload.authentication_info.principal_email or payload.authentication_info.principal_subject,
        user_agent=payload.request_metadata.caller_supplied_user_agent,
        request=plain(payload.request),
        code=payload.status.code,
        message=payload.status.message,
    )


def read_line(raw: Any) -> LogLine | None:
    """A line of a function; None where the entry is of another kind."""
    kind, time = raw.WhichOneof("payload"), _time(raw)
    if kind not in {"json_payload", "text_payload"} or time is None:
        return None
    return LogLine(
        time=time,
        severity=_severity(raw.severity),
        payload=plain(raw.json_payload) if kind == "json_payload" else {"message": raw.text_payload},
        labels=dict(raw.labels),
        trace=raw.trace,
        service=raw.resource.labels.get("service_name", ""),
    )


def plain(struct: Any) -> dict[str, Any]:
    """A google.protobuf.Struct as dictionaries; a number without a fraction is an int, as JSON can't tell."""
    return {key: _value(value) for key, value in struct.fields.items()}


def _value(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return plain(value.struct_value)
        case "list_value":
            return [_value(one) for one in value.list_value.values]
        case "number_value":
            number = float(value.number_value)
            return int(number) if number.is_integer() else number
        case "string_value":
            return str(value.string_value)
        case "bool_value":
            return bool(value.bool_value)
    return None


def _time(raw: Any) -> dt.datetime | None:
    """When the entry was written; None where no calendar has such a moment."""
    try:
        time: dt.datetime = raw.timestamp.ToDatetime(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        return None
    return time


def _audit_log(packed: Any) -> Any:
    """The AuditLog in a google.protobuf.Any; None where it holds another kind, or bytes that are none."""
    payload = audit_log_pb2.AuditLog()
    try:
        return payload if packed.Unpack(payload) else None
    except DecodeError:
        return None


def _severity(number: int) -> str:
    known = log_severity_pb2.LogSeverity.values()
    return str(log_severity_pb2.LogSeverity.Name(number if number in known else 0))


def _cluster(labels: Any) -> ClusterRef | None:
    try:
        named = [labels[key] for key in ("project_id", "location", "cluster_name") if key in labels]
        project, location, name = named
        return ClusterRef.parse(f"projects/{project}/locations/{location}/clusters/{name}")
    except (Permanent, ValueError):
        return None
