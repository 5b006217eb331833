"""Pub/Sub of the local cloud: topics, push subscriptions, readers and dead letters over one pstest."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Self

import grpc
from google.pubsub_v1 import types

from byomesh.local.background import Background
from byomesh.local.courier import Courier
from byomesh.local.pace import Pace
from byomesh.local.processes import Process
from byomesh.local.pubsub.client import PubSubClient, outgoing
from byomesh.local.pubsub.keeping import Keeper
from byomesh.local.pubsub.message import Message
from byomesh.local.pubsub.push import Pusher, PushSubscription

_DEAD_LETTERS_KEPT = 10_000
_START_SECONDS = 10.0
_ADDRESS = re.compile(r"^127\.0\.0\.1:\d+$", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that came to a dead-letter topic.

    Attributes:
        topic: the dead-letter topic, projects/P/topics/T.
        message: what was forwarded, with the attributes that Pub/Sub added.
    """

    topic: str
    message: Message

    @property
    def subscription(self) -> str | None:
        """The subscription that gave it up, without its project; None if somebody published it to the topic."""
        return self.message.attributes.get("CloudPubSubDeadLetterSourceSubscription")

    @property
    def attempts(self) -> int | None:
        """How often that subscription had delivered it; None likewise."""
        count = self.message.attributes.get("CloudPubSubDeadLetterSourceDeliveryCount")
        return None if count is None else int(count)


class PubSub:
    """The topics and subscriptions of the local cloud; use it as an async context manager.

    Every method raises grpc.aio.AioRpcError with pstest's status: NOT_FOUND for an unknown topic, ALREADY_EXISTS for a
    second creation.
    """

    def __init__(self, address: str, *, courier: Courier, pace: Pace) -> None:
        """`address` is pstest's host:port; the courier must be open for as long as this is."""
        self.address = address
        self._client = PubSubClient(address)
        self._courier = courier
        self._pace = pace
        self._pushers: dict[str, Pusher] = {}
        self._dead_letters: collections.deque[DeadLetter] = collections.deque(maxlen=_DEAD_LETTERS_KEPT)
        self._watched: set[str] = set()
        self._keepers: dict[str, Keeper] = {}
        self._readers = itertools.count(1)
        self._background = Background("Pub/Sub")

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._client.__aexit__, None, None, None)
            stack.push_async_callback(self._background.aclose)
            for pusher in self._pushers.values():
                stack.push_async_callback(pusher.aclose)

    async def create_topic(self, name: str) -> None:
        """Creates projects/P/topics/T."""
        await self._client.create_topic(name)

    async def create_subscription(self, subscription: PushSubscription) -> None:
        """Creates a push subscription and begins to push. Its dead-letter topic must exist, and is watched from now."""
        if subscription.dead_letter is not None:
            await self._watch(subscription.dead_letter.topic)
        await self._client.create_subscription(_described(subscription))
        pusher = Pusher(subscription, self._client, self._courier, self._pace)
        self._pushers[subscription.name] = pusher
        pusher.start()

    async def create_pull_subscription(self, name: str, topic: str, *, ack_seconds: int = 60) -> None:
        """Creates projects/P/subscriptions/S, from which others pull, and keeps what nobody pulls."""
        await self._client.create_subscription(
            types.Subscription(name=name, topic=topic, ack_deadline_seconds=ack_seconds)
        )
        keeper = self._keepers[topic] = Keeper(self._client, topic, name)
        self._background.spawn(keeper.run())

    async def publish(
        self, topic: str, data: bytes, attributes: Mapping[str, str] | None = None, *, ordering_key: str = ""
    ) -> str:
        """Publishes to projects/P/topics/T and returns the message id."""
        [message_id] = await self._client.publish(topic, [outgoing(data, attributes or {}, ordering_key)])
        return message_id

    async def subscribe(self, topic: str) -> AsyncGenerator[Message, None]:
        """Every message published to the topic from now on, without end, through a subscription of the reader's own.

        The subscription exists when this returns, and is deleted when the iterator is closed.
        """
        project = topic.split("/")[1]
        name = f"projects/{project}/subscriptions/{topic.rpartition('/')[2]}-reader-{next(self._readers)}"
        await self._client.create_subscription(types.Subscription(name=name, topic=topic))
        return self._read(name)

    def dead_letters(self, topic: str | None = None) -> list[DeadLetter]:
        """What came to one dead-letter topic, or to all that a push subscription names, oldest first."""
        return [letter for letter in self._dead_letters if topic is None or letter.topic == topic]

    def pusher(self, subscription: str) -> Pusher:
        """The pusher of projects/P/subscriptions/S, for its flow's present state; KeyError if there is none."""
        return self._pushers[subscription]

    async def _read(self, subscription: str) -> AsyncGenerator[Message, None]:
        try:
            async with contextlib.aclosing(self._client.pull(subscription)) as pulled:
                async for received in pulled:
                    await self._client.acknowledge(subscription, [received.ack_id])
                    yield received.message
        finally:
            # At shutdown pstest may be gone already, and the subscription with it.
            with contextlib.suppress(grpc.aio.AioRpcError):
                await self._client.delete_subscription(subscription)

    async def _watch(self, topic: str) -> None:
        if topic not in self._watched:
            messages = await self.subscribe(topic)
            self._watched.add(topic)
            self._background.spawn(self._collect(topic, messages))

    async def _collect(self, topic: str, messages: AsyncIterator[Message]) -> None:
        async for message in messages:
            keeper = self._keepers.get(topic)
            if keeper is None or not keeper.is_kept(message):
                self._dead_letters.append(DeadLetter(topic, message))


def _described(subscription: PushSubscription) -> types.Subscription:
    """As the API describes it, less the push endpoint: pstest would keep it and not push.

    pstest takes whole seconds as ack deadline; the exact one is the push request's.
    """
    description = types.Subscription(
        name=subscription.name,
        topic=subscription.topic,
        ack_deadline_seconds=max(10, round(subscription.ack_deadline)),
    )
    if subscription.retry is not None:
        description.retry_policy = types.RetryPolicy(
            minimum_backoff=timedelta(seconds=subscription.retry.minimum),
            maximum_backoff=timedelta(seconds=subscription.retry.maximum),
        )
    if subscription.dead_letter is not None:
        description.dead_letter_policy = types.DeadLetterPolicy(
            dead_letter_topic=subscription.dead_letter.topic,
            max_delivery_attempts=subscription.dead_letter.max_delivery_attempts,
        )
    return description


@contextlib.asynccontextmanager
async def serving(binary: Path, *, logs: Path, port: int = 0) -> AsyncIterator[str]:
    """Runs the pstest program on loopback, its log in the folder `logs`, and yields its host:port.

    Port 0 takes a free one. The program ends with the block, or with this process.

    Raises:
        ProcessError: it ended, or told no address in time; the message shows its log.
    """
    process = Process.start("pubsub", [binary, "-address", f"127.0.0.1:{port}"], logs=logs)

    addresses: list[str] = []

    async def told() -> bool:
        addresses.extend(_ADDRESS.findall(process.tail()))
        return bool(addresses)

    try:
        await process.wait_until(told, seconds=_START_SECONDS)
        yield addresses[0]
    finally:
        await process.stop()
