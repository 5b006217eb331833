"""Pull subscriptions in memory, with leases, and a publisher; what Pub/Sub promises of them, without a socket."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence

from shared.errors import Permanent, Temporary
from shared.pulling import Pulled, Puller

WHEN = dt.datetime(2026, 5, 4, 9, 0, tzinfo=dt.UTC)
PROJECT = "mesh"
ENTRIES = "cluster-events"
INSTALL = "mesh-install"
VERIFY = "mesh-verify"
TOPICS = (ENTRIES, INSTALL, VERIFY)


def subscription(topic: str) -> str:
    return f"projects/{PROJECT}/subscriptions/{topic}-dead-letter"


class MemoryPuller(Puller):
    """The dead-letter subscriptions of a project.

    Attributes:
        there: what isn't acknowledged, by subscription and message id.
        held: ids that somebody holds, likewise.
        holds: how often something was held longer.
        largest: the most messages that one pull brings.
        failing: subscriptions that can't be acknowledged.
        again: how many times each message is handed out once more though it is held, as at least once allows.
    """

    def __init__(self, topics: Sequence[str] = TOPICS) -> None:
        self.there: dict[str, dict[str, Pulled]] = {subscription(topic): {} for topic in topics}
        self.held: dict[str, set[str]] = {name: set() for name in self.there}
        self.holds = 0
        self.largest = 100
        self.failing: set[str] = set()
        self.again = 0
        self._ids = itertools.count(1)
        self._acks: dict[str, str] = {}

    def put(
        self, topic: str, data: bytes, attributes: Mapping[str, str] | None = None, *, deliveries: int = 5
    ) -> Pulled:
        """Have a message given up, as Pub/Sub forwards it."""
        number = next(self._ids)
        added = {
            "CloudPubSubDeadLetterSourceDeliveryCount": str(deliveries),
            "CloudPubSubDeadLetterSourceSubscription": topic,
            "CloudPubSubDeadLetterSourceSubscriptionProject": PROJECT,
            "CloudPubSubDeadLetterSourceTopicPublishTime": WHEN.isoformat(timespec="milliseconds"),
        }
        return self.put_as_it_is(topic, data, {**(attributes or {}), **added}, number)

    def put_as_it_is(self, topic: str, data: bytes, attributes: Mapping[str, str], number: int = 0) -> Pulled:
        """Have a message published to the dead-letter topic by whomever."""
        number = number or next(self._ids)
        message = Pulled(
            ack_id="",
            message_id=str(number),
            data=data,
            attributes=dict(attributes),
            published=WHEN + dt.timedelta(minutes=10, seconds=number),
        )
        self.there[subscription(topic)][message.message_id] = message
        return message

    def pull(self, subscription: str, most: int) -> list[Pulled]:
        messages = self._messages(subscription)
        free = [one for one in messages.values() if one.message_id not in self.held[subscription]]
        if self.again and messages and not free:
            self.again -= 1
            free = list(messages.values())
        return [self._lent(subscription, one) for one in free[: min(most, self.largest)]]

    def hold(self, subscription: str, ack_ids: Sequence[str], seconds: int) -> None:
        assert 10 <= seconds <= 600
        assert {self._acks[one] for one in ack_ids} <= self.held[subscription]
        self.holds += 1

    def give_back(self, subscription: str, ack_ids: Sequence[str]) -> None:
        self.held[subscription] -= {self._acks[one] for one in ack_ids}

    def acknowledge(self, subscription: str, ack_ids: Sequence[str]) -> None:
        if subscription in self.failing:
            raise Temporary("ApiUnavailable", "UNAVAILABLE: try again")
        for one in ack_ids:
            self._messages(subscription).pop(self._acks[one], None)
            self.held[subscription].discard(self._acks[one])

    def _lent(self, name: str, message: Pulled) -> Pulled:
        ack_id = f"{message.message_id}:{next(self._ids)}"
        self._acks[ack_id] = message.message_id
        self.held[name].add(message.message_id)
        return Pulled(
            ack_id=ack_id,
            message_id=message.message_id,
            data=message.data,
            attributes=message.attributes,
            published=message.published,
        )

    def _messages(self, name: str) -> dict[str, Pulled]:
        if name not in self.there:
            raise Permanent("SubscriptionMissing", f"NOT_FOUND: {name}")
        return self.there[name]


class MemoryPublisher:
    """Keeps what is published.

    Attributes:
        published: topic, data and attributes, in order.
        failing: data that isn't taken.
    """

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes, dict[str, str]]] = []
        self.failing: set[bytes] = set()

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        if data in self.failing:
            raise Temporary("PublishUnconfirmed", "Pub/Sub hasn't confirmed the message")
        self.published.append((topic, data, dict(attributes)))
        return f"new-{len(self.published)}"
