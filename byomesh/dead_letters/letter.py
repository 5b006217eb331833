"""A dead letter, and what can be read of it; pure.

Pub/Sub keeps a refused message's data, attributes and ordering key, gives it a new id, and adds four attributes
(cloud.google.com/pubsub/docs/handling-failures, dead-letter topics).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from shared.pulling import Pulled

SUFFIX = "-dead-letter"
"""What a dead-letter topic, and the subscription behind it, is called beyond its topic's name."""

_ADDED = "CloudPubSubDeadLetter"
_COUNT, _SUBSCRIPTION, _PROJECT, _PUBLISHED = (
    f"{_ADDED}Source{name}" for name in ("DeliveryCount", "Subscription", "SubscriptionProject", "TopicPublishTime")
)
_AUDIT_ENTRY = "protoPayload"
_LABELS = ("project_id", "location", "cluster_name")


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a message says; "" where it doesn't.

    Attributes:
        kind: `request`, `audit entry`, or `poison` where nobody can read it.
        cluster: full resource name.
        mesh: the mesh asked for.
        request_id: what all that follows from one event shares.
        reason: why it was asked for.
        attempt: how many times a repair had been handed back.
        problem: why it can't be read.
        body: the data as JSON; None where it is none.
    """

    kind: str
    cluster: str = ""
    mesh: str = ""
    request_id: str = ""
    reason: str = ""
    attempt: int = 0
    problem: str = ""
    body: Any = None


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter that is held.

    Attributes:
        topic: short name of the topic that it was published to.
        pulled: the message as it came from the dead-letter subscription.
        contents: what it says.
    """

    topic: str
    pulled: Pulled
    contents: Contents

    @property
    def id(self) -> str:
        """The letter's own message id; Pub/Sub doesn't keep the refused message's."""
        return self.pulled.message_id

    @property
    def attributes(self) -> dict[str, str]:
        """The refused message's own attributes."""
        return {key: value for key, value in self.pulled.attributes.items() if not key.startswith(_ADDED)}

    @property
    def deliveries(self) -> int | None:
        """How often it was delivered in vain; None where nobody says."""
        text = self.pulled.attributes.get(_COUNT, "")
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def subscription(self) -> str:
        """Full name of the subscription that gave it up; "" where nobody says."""
        name = self.pulled.attributes.get(_SUBSCRIPTION, "")
        project = self.pulled.attributes.get(_PROJECT, "")
        return f"projects/{project}/subscriptions/{name}" if name and project else name

    @property
    def published(self) -> str:
        """When the refused message was published, as Pub/Sub writes it; "" where nobody says."""
        return self.pulled.attributes.get(_PUBLISHED, "")

    @property
    def refused(self) -> dt.datetime:
        """When it was given up."""
        return self.pulled.published

    def concerns(self, cluster: str) -> bool:
        """Whether it is about the cluster of this full name, or of this short one."""
        return cluster in (self.contents.cluster, self.contents.cluster.rpartition("/")[2])


def read(topic: str, pulled: Pulled) -> Letter:
    """Decode what can be decoded; never fails."""
    return Letter(topic=topic, pulled=pulled, contents=_contents(pulled))


def replayed(letter: Letter, now: dt.datetime) -> dict[str, str]:
    """The attributes with which a letter is published again.

    Its own, but for the number of its waits; and a new first sight. A wait's name is made of both, and a name can't be
    used again within an hour (`shared.delivery`); the age limits count from first sight, too.
    """
    own = {key: value for key, value in letter.attributes.items() if key != "waits"}
    return {**own, "first_seen": now.isoformat()}


def as_json(letter: Letter, *, whole: bool = False) -> dict[str, Any]:
    """A letter for programs; `whole` adds the message itself."""
    contents = letter.contents
    found: dict[str, Any] = {
        "id": letter.id,
        "topic": letter.topic,
        "kind": contents.kind,
        "cluster": contents.cluster,
        "mesh": contents.mesh,
        "request_id": contents.request_id,
        "reason": contents.reason,
        "attempt": contents.attempt,
        "deliveries": letter.deliveries,
        "published": letter.published,
        "refused": letter.refused.isoformat(),
        "problem": contents.problem,
    }
    if whole:
        found |= {
            "subscription": letter.subscription,
            "ordering_key": letter.pulled.ordering_key,
            "attributes": letter.attributes,
            "body": contents.body,
            "data": text_of(letter.pulled.data),
        }
    return found


def text_of(data: bytes) -> str:
    """Data as text; bytes that are none are shown by their hexadecimal codes."""
    return data.decode(errors="backslashreplace")


def _contents(pulled: Pulled) -> Contents:
    try:
        body = msgspec.json.decode(pulled.data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        words = f"it is no JSON: {error}" if pulled.data else "it has no data"
        return _named(pulled, {}, Contents(kind="poison", problem=words))
    if not isinstance(body, dict):
        words = f"it is JSON, but no object: {type(body).__name__}"
        return _named(pulled, {}, Contents(kind="poison", problem=words, body=body))
    if _AUDIT_ENTRY in body:
        return _entry(pulled, body)
    return _named(pulled, body, Contents(kind="request", body=body))


def _named(pulled: Pulled, body: dict[str, Any], contents: Contents) -> Contents:
    """With the names that the body says, or else the attributes."""

    def said(key: str) -> str:
        value = body.get(key)
        return value if isinstance(value, str) and value else pulled.attributes.get(key, "")

    attempt = body.get("attempt")
    return msgspec.structs.replace(
        contents,
        cluster=said("cluster"),
        mesh=said("mesh"),
        request_id=said("request_id"),
        reason=said("reason"),
        attempt=attempt if isinstance(attempt, int) else 0,
    )


def _entry(pulled: Pulled, body: dict[str, Any]) -> Contents:
    """An audit entry: its cluster as `shared.events` tells it, its method's last part as the reason."""
    payload = _dict(body.get(_AUDIT_ENTRY))
    labels = _dict(_dict(body.get("resource")).get("labels"))
    parts = [labels.get(key) for key in _LABELS]
    name = payload.get("resourceName")
    if all(isinstance(part, str) and part for part in parts):
        name = "projects/{}/locations/{}/clusters/{}".format(*parts)
    operation = _dict(body.get("operation")).get("id")
    method = payload.get("methodName")
    return Contents(
        kind="audit entry",
        cluster=name if isinstance(name, str) else pulled.attributes.get("cluster", ""),
        request_id=operation if isinstance(operation, str) else "",
        reason=method.rpartition(".")[2] if isinstance(method, str) else "",
        body=body,
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
