"""Keeps what waits in a pull subscription from being forgotten: pstest drops what nobody took for ten minutes.

Pub/Sub keeps it for a week. So a message is published again, as it is, before it is too old; its id is then another.
"""

from __future__ import annotations

import asyncio
import collections
import logging
from datetime import UTC, datetime, timedelta

import grpc

from byomesh.local.pubsub.client import PubSubClient, Received, outgoing
from byomesh.local.pubsub.message import Message

_log = logging.getLogger(__name__)

_AT_ONCE = 1000


class Keeper:
    """Keeps the messages of one pull subscription.

    Args:
        client: Pub/Sub.
        topic: projects/P/topics/T, whose only subscription that counts it is.
        subscription: projects/P/subscriptions/S.
        every: seconds between two looks.
        age: how old a message may get; with `every` well below pstest's ten minutes.
    """

    def __init__(
        self,
        client: PubSubClient,
        topic: str,
        subscription: str,
        *,
        every: float = 60.0,
        age: timedelta = timedelta(minutes=7),
    ) -> None:
        self._client = client
        self._topic = topic
        self._subscription = subscription
        self._every = every
        self._age = age
        self._again: collections.Counter[object] = collections.Counter()

    async def run(self) -> None:
        """Keep them without end."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.look()
            except grpc.aio.AioRpcError as error:
                _log.warning("could not keep the messages of %s: %s", self._subscription, error.details())

    def is_kept(self, message: Message) -> bool:
        """Whether a message that came to the topic is one that was there before; to be asked once for each."""
        known = self._again[_key(message)] > 0
        if known:
            self._again[_key(message)] -= 1
        return known

    async def look(self) -> None:
        """Publish again what is too old, and give the rest back; raises grpc.aio.AioRpcError."""
        held = await self._client.take(self._subscription, _AT_ONCE)
        if not held:
            return
        oldest = datetime.now(UTC) - self._age
        old = [one for one in held if one.message.published < oldest]
        fresh = [one.ack_id for one in held if one.message.published >= oldest]
        if fresh:
            await self._client.give_back(self._subscription, fresh)
        for one in old:
            await self._publish_again(one)

    async def _publish_again(self, held: Received) -> None:
        message = held.message
        self._again[_key(message)] += 1
        await self._client.publish(self._topic, [outgoing(message.data, message.attributes, message.ordering_key)])
        await self._client.acknowledge(self._subscription, [held.ack_id])


def _key(message: Message) -> object:
    return message.data, frozenset(message.attributes.items())
