"""A Pub/Sub message, and the forms in which Pub/Sub passes it on: the push body and the dead letter. Pure."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What was published, and what Pub/Sub added.

    Attributes:
        id: Pub/Sub's message id.
        data: the payload; empty for a message that has attributes only.
        attributes: of the publisher, or of whoever forwarded it.
        published: when Pub/Sub took it.
        ordering_key: empty where none was set.
    """

    id: str
    data: bytes
    attributes: Mapping[str, str]
    published: datetime
    ordering_key: str = ""


def push_body(message: Message, *, subscription: str, delivery_attempt: int | None) -> bytes:
    """The body that Pub/Sub posts to a push endpoint without payload unwrapping, as JSON.

    Shape and field names: cloud.google.com/pubsub/docs/push, receive messages: both spellings of the id and the time,
    milliseconds, and each of data, attributes and orderingKey left out where it is empty (a message published without
    attributes arrives without that field: functions-framework-python issue 170).

    Args:
        message: what is delivered.
        subscription: projects/P/subscriptions/S.
        delivery_attempt: 1 for the first delivery; None for a subscription without a dead-letter policy, whose body
            doesn't have the field.
    """
    published = message.published.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    wrapped: dict[str, Any] = {}
    if message.attributes:
        wrapped["attributes"] = dict(message.attributes)
    if message.data:
        wrapped["data"] = base64.b64encode(message.data).decode("ascii")
    wrapped |= {"messageId": message.id, "message_id": message.id}
    if message.ordering_key:
        wrapped["orderingKey"] = message.ordering_key
    wrapped |= {"publishTime": published, "publish_time": published}
    body: dict[str, Any] = {"message": wrapped, "subscription": subscription}
    if delivery_attempt is not None:
        body["deliveryAttempt"] = delivery_attempt
    return json.dumps(body, separators=(",", ":")).encode()


def dead_letter_attributes(message: Message, *, subscription: str, attempts: int) -> dict[str, str]:
    """The attributes of the message that Pub/Sub publishes to the dead-letter topic: its own and four more.

    Names: cloud.google.com/pubsub/docs/handling-failures, dead-letter topics. The subscription is named without its
    project, which has a field of its own.
    """
    _, project, _, name = subscription.split("/")
    published = message.published.astimezone(UTC).isoformat(timespec="milliseconds")
    return {
        **message.attributes,
        "CloudPubSubDeadLetterSourceDeliveryCount": str(attempts),
        "CloudPubSubDeadLetterSourceSubscription": name,
        "CloudPubSubDeadLetterSourceSubscriptionProject": project,
        "CloudPubSubDeadLetterSourceTopicPublishTime": published,
    }
