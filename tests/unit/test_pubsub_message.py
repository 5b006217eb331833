from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from byomesh.local.pubsub.message import Message, dead_letter_attributes, push_body

SUBSCRIPTION = "projects/p/subscriptions/install"


def message(**changes: object) -> Message:
    known: dict[str, object] = {
        "id": "m7",
        "data": b"Hello",
        "attributes": {"cluster": "blue"},
        "published": datetime(2026, 2, 26, 19, 13, 55, 749_123, tzinfo=UTC),
        "ordering_key": "",
    }
    return Message(**(known | changes))  # type: ignore[arg-type]


def test_the_wrapped_body_as_documented() -> None:
    body = json.loads(push_body(message(ordering_key="k"), subscription=SUBSCRIPTION, delivery_attempt=3))
    assert body == {
        "message": {
            "attributes": {"cluster": "blue"},
            "data": "SGVsbG8=",
            "messageId": "m7",
            "message_id": "m7",
            "orderingKey": "k",
            "publishTime": "2026-02-26T19:13:55.749Z",
            "publish_time": "2026-02-26T19:13:55.749Z",
        },
        "subscription": SUBSCRIPTION,
        "deliveryAttempt": 3,
    }


@pytest.mark.parametrize(
    ("changes", "missing"),
    [({"data": b""}, "data"), ({"attributes": {}}, "attributes"), ({}, "orderingKey")],
)
def test_what_is_empty_is_left_out(changes: dict[str, object], missing: str) -> None:
    body = json.loads(push_body(message(**changes), subscription=SUBSCRIPTION, delivery_attempt=None))
    assert missing not in body["message"]
    assert "deliveryAttempt" not in body


def test_the_time_is_told_in_utc() -> None:
    published = datetime(2026, 2, 26, 20, 0, tzinfo=timezone(timedelta(hours=1)))
    body = json.loads(push_body(message(published=published), subscription=SUBSCRIPTION, delivery_attempt=None))
    assert body["message"]["publishTime"] == "2026-02-26T19:00:00.000Z"


def test_a_dead_letter_says_where_it_comes_from_and_keeps_its_own_attributes() -> None:
    assert dead_letter_attributes(message(), subscription=SUBSCRIPTION, attempts=5) == {
        "cluster": "blue",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "install",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
        "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-02-26T19:13:55.749+00:00",
    }
