"""CloudEvents, decoded: an audit entry from Eventarc or in a Pub/Sub message, or a request on one of our topics; pure.

Only a successful last entry of CreateCluster is an event; everything else of GKE's is Ignored with a reason. What
can't be read is Permanent. The fields are those needed of google.logging.v2.LogEntry and google.cloud.audit.AuditLog.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Protocol, TypeVar

import msgspec

from shared.decoding import prepare
from shared.errors import Permanent, shorten
from shared.events.bodies import LEAST, MAX_PUSH, Time, convert, json_object, time_of, too_large
from shared.model import ClusterEvent, ClusterRef, EnforceRequest, InstallRequest, VerifyRequest, from_builtins
from shared.outcome import Ignored

AUDIT_TYPE = "google.cloud.audit.log.v1.written"
"""CloudEvent type of an audit entry that Eventarc delivers."""
PUBSUB_TYPE = "google.cloud.pubsub.topic.v1.messagePublished"
"""CloudEvent type of a Pub/Sub message; functions-framework makes one of a raw push (event_conversion.py)."""
FIRST_SEEN = "first_seen"
"""Message attribute: since when a request counts, in place of what its body says; RFC 3339."""

_CONTAINER_SERVICE = "container.googleapis.com"
_METHOD = re.compile(r"google\.container\.v1(?:alpha1|beta1)?\.ClusterManager\.(?P<method>\w+)")
CREATE = "CreateCluster"
"""The method whose entries begin the main path."""

_Id = Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[\x20-\x7e]*\Z")]
_M = TypeVar("_M", InstallRequest, VerifyRequest, EnforceRequest)


class Event(Protocol):
    """What is used of `cloudevents.http.CloudEvent`: attributes by lower-case name, and the data."""

    def get(self, key: str, default: Any = None) -> Any:
        """An attribute, or `default`."""

    def get_data(self) -> Any:
        """A JSON value; bytes or text where the body was no JSON; None where there was none."""


class _Operation(msgspec.Struct, frozen=True):
    id: _Id = ""
    first: bool = False
    last: bool = False


class _Status(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""


class _AuditLog(msgspec.Struct, frozen=True, rename="camel"):
    service_name: str
    method_name: str
    resource_name: str = ""
    status: _Status | None = None


class _Resource(msgspec.Struct, frozen=True):
    labels: dict[str, str] = {}


class LogEntry(msgspec.Struct, frozen=True, rename="camel"):
    """What is needed of google.logging.v2.LogEntry."""

    proto_payload: _AuditLog
    operation: _Operation | None = None
    resource: _Resource = _Resource()
    timestamp: Time | None = None
    insert_id: str = ""


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """What is needed of google.pubsub.v1.PubsubMessage, as a push has it."""

    data: bytes = b""
    attributes: dict[str, str] | None = None
    message_id: _Id = ""
    publish_time: Time | None = None


class _Push(msgspec.Struct, frozen=True):
    message: Message


prepare(LogEntry, _Push)


def cluster_event(event: Event) -> ClusterEvent | InstallRequest | Ignored:
    """Decode what the enabler is sent: an audit entry in either envelope, or a request to begin at its stage.

    Raises:
        Permanent: it is none of these.
    """
    kind = event.get("type")
    if kind == AUDIT_TYPE:
        return judge(convert(json_object(event.get_data(), "the audit entry"), LogEntry), event, None)
    message = message_of(event)
    body = json_object(message.data, "the message's data")
    if "protoPayload" in body:
        return judge(convert(body, LogEntry), event, message)
    return request_of(body, message, event, InstallRequest)


def install_request(event: Event) -> InstallRequest:
    """Decode a message of the install topic.

    Raises:
        Permanent: it is no InstallRequest.
    """
    message = message_of(event)
    return request_of(json_object(message.data, "the message's data"), message, event, InstallRequest)


def verify_request(event: Event) -> VerifyRequest:
    """Decode a message of the verify topic.

    Raises:
        Permanent: it is no VerifyRequest.
    """
    message = message_of(event)
    return request_of(json_object(message.data, "the message's data"), message, event, VerifyRequest)


def attributes(event: Event) -> dict[str, str]:
    """The Pub/Sub message's attributes; empty for an Eventarc audit event and for what can't be read."""
    try:
        return message_of(event).attributes or {}
    except Permanent:
        return {}


def published(event: Event) -> dt.datetime | None:
    """When the Pub/Sub message was published; None for an Eventarc audit event and for what can't be read."""
    try:
        return message_of(event).publish_time
    except Permanent:
        return None


def message_id(event: Event) -> str:
    """What names this delivery and its redeliveries: the messageId, else the CloudEvent's id."""
    try:
        return message_of(event).message_id or event_id(event)
    except Permanent:
        return event_id(event)


def trace(event: Event) -> str | None:
    """The `traceparent` of the message's attributes, else of CloudEvents' distributed tracing extension."""
    found = attributes(event).get("traceparent") or event.get("traceparent")
    return found if isinstance(found, str) else None


def judge(entry: LogEntry, event: Event, message: Message | None, acted_on: str = CREATE) -> ClusterEvent | Ignored:
    """The event of a successful last entry of the method `acted_on`; anything else is ignored, in words."""
    audit = entry.proto_payload
    matched = _METHOD.fullmatch(audit.method_name)
    if audit.service_name != _CONTAINER_SERVICE or matched is None:
        return Ignored(
            f"{shorten(audit.method_name, 200)} of {shorten(audit.service_name, 200)} is no cluster's change"
        )
    method = matched["method"]
    if method != acted_on:
        return Ignored(f"{method} asks for nothing here")
    where = shorten(audit.resource_name, 200)
    failed = audit.status is not None and audit.status.code != 0
    if entry.operation is None or not entry.operation.id:
        words = f": {_words(audit.status)}" if audit.status is not None and failed else ""
        return Ignored(f"{method} of {where} was rejected, so no operation began{words}")
    if not entry.operation.last:
        return Ignored(f"{method} of {where} has only begun; its last entry is what counts")
    if audit.status is not None and failed:
        return Ignored(f"{method} of {where} failed: {_words(audit.status)}")
    return ClusterEvent(
        cluster=_cluster(entry),
        method=method,
        operation=entry.operation.id,
        request_id=entry.operation.id,
        time=entry.timestamp or (message.publish_time if message is not None else None) or sent(event),
        first_seen=first_seen(message),
    )


def _words(status: _Status) -> str:
    return f"code {status.code}, {shorten(status.message, 500) or 'no message'}"


def _cluster(entry: LogEntry) -> ClusterRef:
    """The cluster; `resource.labels` first, since they say the location alike for zones and regions."""
    labels = entry.resource.labels
    parts = [labels.get(key, "") for key in ("project_id", "location", "cluster_name")]
    if all(parts):
        return ClusterRef.parse("projects/{}/locations/{}/clusters/{}".format(*parts))
    return ClusterRef.parse(entry.proto_payload.resource_name)


def request_of(body: dict[str, Any], message: Message, event: Event, kind: type[_M]) -> _M:
    """A request of `kind` from a message's body, with an id and a first sight in any case; raises Permanent."""
    if not isinstance(body.get("cluster"), str):
        # `from_builtins` reads the name; a JSON object in its place would slip past that.
        there = f"; there is {shorten(', '.join(body), 100)}" if body and "cluster" not in body else ""
        raise Permanent(
            "MalformedMessage",
            f"the field cluster must be a cluster's resource name{there}",
            remedy=f"write {LEAST}",
        )
    request = from_builtins(body, kind)
    return msgspec.structs.replace(
        request,
        request_id=request.request_id or message.message_id or event_id(event),
        # Who publishes a message again, such as a dead letter, says since when it counts.
        first_seen=first_seen(message) or request.first_seen or message.publish_time or sent(event),
    )


def first_seen(message: Message | None) -> dt.datetime | None:
    """Since when a message counts, by its attribute; raises Permanent where that is no time."""
    text = (message.attributes or {}).get(FIRST_SEEN) if message is not None else None
    return time_of(text, f"the attribute {FIRST_SEEN}") if text is not None else None


def message_of(event: Event) -> Message:
    """The Pub/Sub message of an event; raises Permanent where it is none."""
    kind = event.get("type")
    if kind != PUBSUB_TYPE:
        told = shorten(kind, 200) if isinstance(kind, str) else type(kind).__name__
        raise Permanent(
            "UnknownEvent",
            f"an event of type {told!r} is neither {AUDIT_TYPE} nor {PUBSUB_TYPE}",
            remedy="send this function only what its trigger and its push subscription deliver",
        )
    body = json_object(event.get_data(), "the push", limit=MAX_PUSH)
    message = body.get("message")
    encoded = message.get("data") if isinstance(message, dict) else None
    if isinstance(encoded, str) and len(encoded) > MAX_PUSH:
        raise too_large("the message's data", len(encoded))
    return convert(body, _Push).message


def sent(event: Event) -> dt.datetime:
    """When the event was sent, by its own attribute; raises Permanent where that is no time."""
    return time_of(event.get("time"), "the event's time")


def event_id(event: Event) -> str:
    """The CloudEvent's id, fit to be an attribute of a message."""
    found = event.get("id")
    return shorten(found, 200) if isinstance(found, str) else ""
