"""Pushes one subscription's messages to a function, as Pub/Sub does and pstest doesn't."""

from __future__ import annotations

import asyncio
import dataclasses
import heapq
import itertools
import logging

import grpc
from google.pubsub_v1.types import PubsubMessage

from byomesh.local.background import Background
from byomesh.local.courier import Courier, Parcel
from byomesh.local.describe import describe_message
from byomesh.local.journal import Kind
from byomesh.local.pace import Pace
from byomesh.local.pubsub.backoff import ACKNOWLEDGING_STATUSES, DeadLetterPolicy, PushFlow, RetryPolicy
from byomesh.local.pubsub.client import PubSubClient, Received, outgoing
from byomesh.local.pubsub.message import dead_letter_attributes, push_body

_log = logging.getLogger(__name__)

# Half of what a hold lasts, so that a message waiting for its next delivery is never handed out a second time.
_RENEW_SECONDS = 300.0
# How long to wait before talking again to a pstest that failed to take an acknowledgement or a dead letter.
_SETTLE_AGAIN_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PushSubscription:
    """A push subscription as Terraform describes it.

    Attributes:
        name: projects/P/subscriptions/S.
        topic: projects/P/topics/T.
        endpoint: the function's URL. functions-framework takes the topic from the request's path
            (functions_framework/event_conversion.py, _parse_pubsub_topic), so `http://HOST/projects/P/topics/T` makes
            a CloudEvent with source //pubsub.googleapis.com/projects/P/topics/T, and a bare URL one with no topic.
        target: the function's name, for the journal.
        ack_deadline: seconds that the function has for its answer; Pub/Sub takes 10 to 600. Not divided by the pace.
        retry: each message's backoff; None redelivers as soon as the push backoff lets it.
        dead_letter: None tries for ever.
    """

    name: str
    topic: str
    endpoint: str
    target: str
    ack_deadline: float = 600.0
    retry: RetryPolicy | None = None
    dead_letter: DeadLetterPolicy | None = None


@dataclasses.dataclass(slots=True)
class _Held:
    """A message that is held from pstest while it is pushed or waits to be pushed again."""

    received: Received
    attempt: int = 1


class Pusher:
    """Delivers what a subscription gets, each message by a task of its own, until it is closed.

    Messages are held from pstest until they are acknowledged or forwarded. It counts deliveries itself, because pstest
    counts those of all the topic's subscriptions together, adds no attributes to what it forwards, and drops what
    waited more than ten minutes.
    """

    def __init__(self, subscription: PushSubscription, client: PubSubClient, courier: Courier, pace: Pace) -> None:
        self.subscription = subscription
        self.flow = PushFlow(pace)
        self._client = client
        self._courier = courier
        self._pace = pace
        self._held: dict[str, _Held] = {}
        self._due: list[tuple[float, int, _Held]] = []
        self._order = itertools.count()
        self._wake = asyncio.Event()
        self._background = Background(f"the push subscription {subscription.name}")

    def start(self) -> None:
        """Begins to pull and to push."""
        for loop in (self._pull(), self._push_due(), self._renew()):
            self._background.spawn(loop)

    async def aclose(self) -> None:
        """Stops; requests under way are cut off, and their messages stay with pstest."""
        await self._background.aclose()

    async def _pull(self) -> None:
        async for received in self._client.pull(self.subscription.name):
            held = _Held(received)
            self._held[received.ack_id] = held
            self._schedule(held, 0.0)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            if self._held:
                try:
                    await self._client.hold(self.subscription.name, list(self._held))
                except grpc.aio.AioRpcError as error:
                    _log.warning(
                        "could not hold the messages of %s longer: %s", self.subscription.name, error.details()
                    )

    def _schedule(self, held: _Held, delay: float) -> None:
        """Makes the message due in `delay` local seconds."""
        heapq.heappush(self._due, (_clock() + delay, next(self._order), held))
        self._wake.set()

    async def _push_due(self) -> None:
        while True:
            self._wake.clear()
            wait = self._begin_due()
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _begin_due(self) -> float | None:
        """Begins every push that may begin now; returns the local seconds until another may, None if that is open."""
        now = _clock()
        while self._due and self._due[0][0] <= now and self.flow.begin(now):
            _due, _order, held = heapq.heappop(self._due)
            self._background.spawn(self._push(held))
        if not self._due:
            return None
        opens = self.flow.opens_in(now)
        return None if opens is None else max(opens, self._due[0][0] - now, 0.0)

    async def _push(self, held: _Held) -> None:
        record = await self._courier.deliver(self._parcel(held))
        if record.acknowledged:
            self.flow.acknowledged()
        else:
            self.flow.refused(_clock())
        self._wake.set()
        policy = self.subscription.dead_letter
        if record.acknowledged:
            await self._settle(held, dead_letter_topic=None)
        elif policy is not None and policy.exhausted(held.attempt):
            await self._settle(held, dead_letter_topic=policy.topic)
        else:
            retry = self.subscription.retry
            delay = 0.0 if retry is None else self._pace.seconds(retry.delay(held.attempt))
            held.attempt += 1
            self._schedule(held, delay)

    def _parcel(self, held: _Held) -> Parcel:
        message, subscription = held.received.message, self.subscription
        attempt = held.attempt if subscription.dead_letter is not None else None
        line, cluster = describe_message(subscription.topic, message.data, message.attributes)
        return Parcel(
            url=subscription.endpoint,
            headers={"Content-Type": "application/json", "User-Agent": "CloudPubSub-Google"},
            body=push_body(message, subscription=subscription.name, delivery_attempt=attempt),
            deadline=subscription.ack_deadline,
            acknowledges=ACKNOWLEDGING_STATUSES.__contains__,
            kind=Kind.PUBSUB,
            source=message.id,
            what=subscription.topic,
            target=subscription.target,
            attempt=held.attempt,
            cluster=cluster,
            line=line,
        )

    async def _settle(self, held: _Held, *, dead_letter_topic: str | None) -> None:
        """Forwards the message where a topic is given, then lets go of it; goes on trying until pstest takes it."""
        while True:
            try:
                if dead_letter_topic is not None:
                    await self._client.publish(dead_letter_topic, [self._dead_letter(held)])
                    dead_letter_topic = None
                await self._client.acknowledge(self.subscription.name, [held.received.ack_id])
            except grpc.aio.AioRpcError as error:
                _log.warning(
                    "could not settle message %s of %s: %s; trying again",
                    held.received.message.id,
                    self.subscription.name,
                    error.details(),
                )
                await asyncio.sleep(_SETTLE_AGAIN_SECONDS)
            else:
                self._held.pop(held.received.ack_id, None)
                return

    def _dead_letter(self, held: _Held) -> PubsubMessage:
        message = held.received.message
        attributes = dead_letter_attributes(message, subscription=self.subscription.name, attempts=held.attempt)
        return outgoing(message.data, attributes, message.ordering_key)


def _clock() -> float:
    return asyncio.get_running_loop().time()
