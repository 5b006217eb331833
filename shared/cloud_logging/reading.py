"""Cloud Logging's messages made plain data; an entry that isn't what it should be is None, never an error.

`raw` is a google.logging.v2.LogEntry as protobuf itself has it, without proto-plus around it: a listing has thousands.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from google.cloud.audit import audit_log_pb2  # type: ignore[import-untyped]
from google.logging.type import log_severity_pb2  # type: ignore[import-untyped]

from shared.cloud_logging.entries import AuditEntry, LogLine
from shared.errors import Permanent
from shared.model import ClusterRef


def read_audit(raw: Any) -> AuditEntry | None:
    """An entry of GKE's admin activity; None where it holds no AuditLog, or names no cluster."""
    payload = audit_log_pb2.AuditLog()
    cluster = _cluster(raw.resource.labels)
    if cluster is None or not raw.proto_payload.Unpack(payload):
        return None
    return AuditEntry(
        cluster=cluster,
        time=_time(raw),
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
    kind = raw.WhichOneof("payload")
    if kind not in {"json_payload", "text_payload"}:
        return None
    return LogLine(
        time=_time(raw),
        severity=log_severity_pb2.LogSeverity.Name(raw.severity),
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


def _time(raw: Any) -> dt.datetime:

    time: dt.datetime = raw.timestamp.ToDatetime(tzinfo=dt.UTC)
    return time


def _cluster(labels: Any) -> ClusterRef | None:
    try:
        named = [labels[key] for key in ("project_id", "location", "cluster_name") if key in labels]
        project, location, name = named
        return ClusterRef.parse(f"projects/{project}/locations/{location}/clusters/{name}")
    except (Permanent, ValueError):
        return None
