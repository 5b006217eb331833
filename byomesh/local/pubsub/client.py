"""The few Pub/Sub calls that the local cloud makes to pstest, over grpc.aio, with Google's own message types."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import UTC
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from byomesh.local.pubsub.message import Message

_log = logging.getLogger(__name__)

# Pub/Sub takes messages of 10 MB; gRPC's own limit for what it receives is 4 MB.
_OPTIONS = (("grpc.max_receive_message_length", 32 * 1024 * 1024),)
# The longest that Pub/Sub lets a pulled message be held without another word.
_HOLD_SECONDS = 600
_RECONNECT_SECONDS = 0.5
_CALL_SECONDS = 10.0
# pstest looks for new messages every 10 ms and hands each stream one of them: several streams share a burst.
_STREAMS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Received:
    """A message held from a subscription until `ack_id` is acknowledged."""

    ack_id: str
    message: Message


class PubSubClient:
    """Calls pstest at a loopback address; use it as an async context manager.

    Every method raises grpc.aio.AioRpcError with the server's status (NOT_FOUND for an unknown topic or subscription,
    ALREADY_EXISTS for a second creation).
    """

    def __init__(self, address: str) -> None:
        """`address` is host:port."""
        self.address = address
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        self._channel = grpc.aio.insecure_channel(self.address, options=_OPTIONS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._channel is not None:
            await self._channel.close(None)

    async def create_topic(self, name: str) -> None:
        """Creates projects/P/topics/T."""
        await self._call("Publisher/CreateTopic", types.Topic(name=name), types.Topic.pb().FromString)

    async def create_subscription(self, subscription: types.Subscription) -> None:
        """Creates a subscription as it is described."""
        await self._call("Subscriber/CreateSubscription", subscription, types.Subscription.pb().FromString)

    async def delete_subscription(self, name: str) -> None:
        """Deletes projects/P/subscriptions/S and what it holds."""
        request = types.DeleteSubscriptionRequest(subscription=name)
        await self._call("Subscriber/DeleteSubscription", request, empty_pb2.Empty.FromString)

    async def publish(self, topic: str, messages: Sequence[types.PubsubMessage]) -> list[str]:
        """Publishes to projects/P/topics/T and returns the message ids in the same order."""
        request = types.PublishRequest(topic=topic, messages=messages)
        answer = await self._call("Publisher/Publish", request, types.PublishResponse.pb().FromString)
        return list(answer.message_ids)

    async def acknowledge(self, subscription: str, ack_ids: Sequence[str]) -> None:
        """Lets go of held messages for good."""
        request = types.AcknowledgeRequest(subscription=subscription, ack_ids=ack_ids)
        await self._call("Subscriber/Acknowledge", request, empty_pb2.Empty.FromString)

    async def hold(self, subscription: str, ack_ids: Sequence[str]) -> None:
        """Keeps held messages for another ten minutes."""
        request = types.ModifyAckDeadlineRequest(
            subscription=subscription, ack_ids=ack_ids, ack_deadline_seconds=_HOLD_SECONDS
        )
        await self._call("Subscriber/ModifyAckDeadline", request, empty_pb2.Empty.FromString)

    async def take(self, subscription: str, most: int) -> list[Received]:
        """Up to `most` messages that nobody holds, at once, held for the subscription's ack deadline."""
        request = types.PullRequest(subscription=subscription, max_messages=most, return_immediately=True)
        answer = await self._call("Subscriber/Pull", request, types.PullResponse.pb().FromString)
        return [Received(one.ack_id, _message(one.message)) for one in answer.received_messages]

    async def give_back(self, subscription: str, ack_ids: Sequence[str]) -> None:
        """Lets others have held messages at once."""
        request = types.ModifyAckDeadlineRequest(subscription=subscription, ack_ids=ack_ids, ack_deadline_seconds=0)
        await self._call("Subscriber/ModifyAckDeadline", request, empty_pb2.Empty.FromString)

    async def pull(self, subscription: str) -> AsyncGenerator[Received, None]:
        """The subscription's messages as they come, without end, each held for ten minutes.

        A stream that breaks is opened again: what it held stays held.
        """
        queue: asyncio.Queue[Received] = asyncio.Queue()
        streams = [asyncio.create_task(self._stream(subscription, queue.put_nowait)) for _ in range(_STREAMS)]
        try:
            while True:
                yield await queue.get()
        finally:
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)

    async def _stream(self, subscription: str, take: Callable[[Received], None]) -> None:
        request = types.StreamingPullRequest(subscription=subscription, stream_ack_deadline_seconds=_HOLD_SECONDS)
        while True:
            call = self._open.stream_stream(
                "/google.pubsub.v1.Subscriber/StreamingPull",
                request_serializer=types.StreamingPullRequest.serialize,
                response_deserializer=types.StreamingPullResponse.pb().FromString,
            )()  # type: ignore[call-arg]  # the stubs lack the form without an iterator of requests
            try:
                await call.write(request)
                async for answer in call:
                    for received in answer.received_messages:
                        take(Received(received.ack_id, _message(received.message)))
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    return  # deleted: no message can come any more
                _log.warning("the stream of %s broke (%s); opening it again", subscription, error.details())
            finally:
                call.cancel()
            await asyncio.sleep(_RECONNECT_SECONDS)

    @property
    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            raise RuntimeError("the Pub/Sub client works only inside its `async with`")
        return self._channel

    async def _call(self, method: str, request: Any, parse: Callable[[bytes], Any]) -> Any:
        call = self._open.unary_unary(
            f"/google.pubsub.v1.{method}",
            request_serializer=type(request).serialize,
            response_deserializer=parse,
        )
        return await call(request, timeout=_CALL_SECONDS)


def _message(pulled: Any) -> Message:
    """From the protobuf PubsubMessage."""
    return Message(
        id=pulled.message_id,
        data=pulled.data,
        attributes=dict(pulled.attributes),
        published=pulled.publish_time.ToDatetime(UTC),
        ordering_key=pulled.ordering_key,
    )


def outgoing(data: bytes, attributes: Mapping[str, str], ordering_key: str = "") -> types.PubsubMessage:
    """A message as it is published."""
    return types.PubsubMessage(data=data, attributes=attributes, ordering_key=ordering_key)
