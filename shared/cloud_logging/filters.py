"""Filters in Cloud Logging's query language (https://cloud.google.com/logging/docs/view/logging-query-language); pure.

Every value stands in double quotes, so that no name can change what a filter asks for. Terms side by side are joined by
AND; `:` finds a part of a text, and comparisons of text ignore case, so the door compares names once more.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable

from shared.model import ClusterRef
from shared.telemetry import STATUS_KEY

AUDIT_LOG = 'log_id("cloudaudit.googleapis.com/activity")'
"""Admin activity: always written, kept for 400 days, free of charge."""
FUNCTIONS_LOG = 'log_id("run.googleapis.com/stdout")'
"""What the functions print, as Cloud Run calls it."""

MAX_LENGTH = 20_000
"""Characters of a filter that Cloud Logging takes (https://cloud.google.com/logging/quotas)."""

_UNPRINTABLE = re.compile(r"[^ -~]")


def quoted(value: str) -> str:
    """A value as a string of the language, whatever is in it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _UNPRINTABLE.sub(_escape, escaped) + '"'


def _escape(match: re.Match[str]) -> str:
    # Characters above U+FFFF as their two UTF-16 halves, as in JSON.
    data = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[at]:02x}{data[at + 1]:02x}" for at in range(0, len(data), 2))


def _moment(time: dt.datetime) -> str:
    return quoted(time.astimezone(dt.UTC).isoformat())


def _since(time: dt.datetime) -> str:
    return f"timestamp>={_moment(time)}"


def _of(ref: ClusterRef) -> tuple[str, ...]:
    return (
        'resource.type="gke_cluster"',
        f"resource.labels.cluster_name={quoted(ref.name)}",
        f"resource.labels.location={quoted(ref.location)}",
    )


def _joined(*terms: str) -> str:
    return " ".join(terms)


def audit(ref: ClusterRef, since: dt.datetime) -> str:
    """Everything that was done to a cluster through GKE's API."""
    return _joined(AUDIT_LOG, *_of(ref), _since(since))


def updates(ref: ClusterRef, since: dt.datetime) -> str:
    """The first entries of a cluster's updates: those with the request and whoever made it."""
    method = 'protoPayload.methodName:"ClusterManager.UpdateCluster"'
    return _joined(AUDIT_LOG, *_of(ref), method, "operation.first=true", _since(since))


def changes(since: dt.datetime) -> str:
    """The first entries of what was done to a project's clusters, by whom."""
    method = r'protoPayload.methodName=~"ClusterManager\\.(Create|Update|Delete)Cluster$"'
    return _joined(AUDIT_LOG, 'resource.type="gke_cluster"', method, "operation.first=true", _since(since))


def first_entry(ref: ClusterRef, operation: str, since: dt.datetime) -> str:
    """The entry with which an operation on a cluster began."""
    return _joined(AUDIT_LOG, *_of(ref), f"operation.id={quoted(operation)}", "operation.first=true", _since(since))


def statuses(projects: Iterable[str], since: dt.datetime) -> str:
    """The statuses of every cluster of these projects; of all projects where none is named."""
    field = f"jsonPayload.{STATUS_KEY}.cluster"
    named = [f"{field}:{quoted(f'projects/{project}/')}" for project in sorted(set(projects))]
    return _joined(FUNCTIONS_LOG, f"({' OR '.join(named)})" if named else f"{field}:*", _since(since))


def statuses_of(ref: ClusterRef, since: dt.datetime) -> str:
    """The statuses of one cluster."""
    return _joined(FUNCTIONS_LOG, f"jsonPayload.{STATUS_KEY}.cluster={quoted(str(ref))}", _since(since))


def lines_of(ref: ClusterRef, since: dt.datetime) -> str:
    """Every line that the functions wrote about a cluster."""
    name = quoted(str(ref))
    about = f"(labels.cluster={name} OR jsonPayload.{STATUS_KEY}.cluster={name})"
    return _joined(FUNCTIONS_LOG, about, _since(since))


def lines_of_request(request_id: str, since: dt.datetime) -> str:
    """Every line that the functions wrote while they worked on a request."""
    return _joined(FUNCTIONS_LOG, f"labels.request_id={quoted(request_id)}", _since(since))
