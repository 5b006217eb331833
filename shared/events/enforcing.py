"""What the enforcer is sent, decoded: updates of clusters, looks at one cluster, and sweeps; pure."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.errors import Permanent
from shared.events.bodies import convert, json_object
from shared.events.decoders import (
    AUDIT_TYPE,
    Event,
    LogEntry,
    Message,
    event_id,
    first_seen,
    judge,
    message_of,
    request_of,
    sent,
)
from shared.model import ClusterEvent, EnforceRequest, SweepRequest, from_builtins
from shared.outcome import Ignored

UPDATE = "UpdateCluster"
"""The method whose successful last entries are looked into."""
_REMEDY = (
    'write {} to sweep all projects, {"project": "PROJECT"} to sweep one, or '
    '{"cluster": "projects/P/locations/L/clusters/C"} to look at one cluster'
)


def enforcement(event: Event) -> ClusterEvent | EnforceRequest | SweepRequest | Ignored:
    """Decode what the enforcer is sent: an audit entry in either envelope, or a request.

    A request with a cluster is for that one, any other for a sweep: Cloud Scheduler's smallest message is `{}`.

    Raises:
        Permanent: it is none of these.
    """
    if event.get("type") == AUDIT_TYPE:
        entry = convert(json_object(event.get_data(), "the audit entry"), LogEntry)
        return judge(entry, event, None, UPDATE)
    message = message_of(event)
    body = json_object(message.data, "the message's data")
    if "protoPayload" in body:
        return judge(convert(body, LogEntry), event, message, UPDATE)
    if body.get("cluster") is not None:
        return request_of(body, message, event, EnforceRequest)
    return _sweep(body, message, event)


def _sweep(body: dict[str, Any], message: Message, event: Event) -> SweepRequest:
    try:
        request = from_builtins(body, SweepRequest)
    except Permanent as error:
        if error.reason != "MalformedMessage":
            raise
        raise Permanent(error.reason, error.problem, tried="to read a request to sweep", remedy=_REMEDY) from error
    return msgspec.structs.replace(
        request,
        request_id=request.request_id or message.message_id or event_id(event),
        first_seen=first_seen(message) or request.first_seen or message.publish_time or sent(event),
    )
