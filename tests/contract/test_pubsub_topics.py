"""Pub/Sub's dead letters, readers and REST publish over Google's pstest."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import aiohttp
import grpc
import pytest

from byomesh.local.build import Binaries
from byomesh.local.pubsub import (
    DeadLetterPolicy,
    RetryPolicy,
    publish_routes,
    serving,
)
from tests.contract.delivery_fixtures import (
    DEAD_TOPIC,
    TOPIC,
    OpenPubSub,
    Seen,
    data_of,
    function_in,
    http_server,
    pubsub_opener,
    receiving,
    to,
    until,
)


@pytest.fixture
def local(binaries: Binaries, tmp_path: Path) -> OpenPubSub:
    return pubsub_opener(binaries.pubsub, tmp_path)


async def test_a_function_that_is_not_there_yet_gets_its_message_later(local: OpenPubSub) -> None:
    async with local(100) as (pubsub, receiver, journal):
        async with receiving() as gone:
            nowhere = gone.url
        await pubsub.create_subscription(to(nowhere, retry=RetryPolicy(1, 1), dead_letter=DeadLetterPolicy(DEAD_TOPIC)))
        await pubsub.publish(TOPIC, b"x")
        await until(lambda: len(pubsub.dead_letters()) == 1)
        assert receiver.seen == []
        assert all(record.status is None and "Connect" in str(record.error) for record in journal.query())


async def test_a_message_refused_too_often_is_dead_lettered_once_with_its_origin(local: OpenPubSub) -> None:
    async with local(1000) as (pubsub, receiver, _):

        async def answer(seen: Seen) -> int:
            return 500 if data_of(seen) == b"bad" else 200

        receiver.answer = answer
        await pubsub.create_subscription(
            to(receiver.url, retry=RetryPolicy(), dead_letter=DeadLetterPolicy(DEAD_TOPIC, 6))
        )
        others = await pubsub.subscribe(TOPIC)  # pstest counts one message's deliveries on all subscriptions together
        await pubsub.publish(TOPIC, b"bad", {"cluster": "blue"})
        assert (await anext(others)).data == b"bad"
        for _ in range(3):
            await pubsub.publish(TOPIC, b"good")
        await until(lambda: len(pubsub.dead_letters()) == 1)
        [letter] = pubsub.dead_letters(DEAD_TOPIC)
        assert (letter.message.data, letter.subscription, letter.attempts) == (b"bad", "mesh-install", 6)
        assert letter.message.attributes["cluster"] == "blue"
        assert letter.message.attributes["CloudPubSubDeadLetterSourceSubscriptionProject"] == "p"
        assert pubsub.dead_letters(TOPIC) == []
        await receiver.until(9)
        await asyncio.sleep(0.1)
        assert sorted(data_of(seen) for seen in receiver.seen) == [b"bad"] * 6 + [b"good"] * 3
        await others.aclose()


async def test_what_functions_framework_refuses_is_dead_lettered_while_others_pass(
    local: OpenPubSub, tmp_path: Path
) -> None:
    with function_in(tmp_path) as function:
        async with local(1000) as (pubsub, _receiver, journal):
            policy = DeadLetterPolicy(DEAD_TOPIC)
            await pubsub.create_subscription(to(function.url, retry=RetryPolicy(), dead_letter=policy))
            poison = await pubsub.publish(TOPIC, b"", {"cluster": "blue"})  # `gcloud pubsub topics publish --attribute`
            for number in range(5):
                await pubsub.publish(TOPIC, str(number).encode())
            await until(lambda: len(pubsub.dead_letters()) == 1 and len(function.events()) == 5)
            refused = [record for record in journal.query() if not record.acknowledged]
    assert [(record.source, record.attempt, record.status) for record in refused] == [
        (poison, attempt, 400) for attempt in range(1, 6)
    ]
    received = [base64.b64decode(event["data"]["message"]["data"]) for event in function.events()]
    assert sorted(received) == [b"0", b"1", b"2", b"3", b"4"]


async def test_readers_get_what_is_published_from_then_on_each_of_them(local: OpenPubSub) -> None:
    async with local(1) as (pubsub, _receiver, _):
        await pubsub.publish(TOPIC, b"before")
        one, two = await pubsub.subscribe(TOPIC), await pubsub.subscribe(TOPIC)
        await pubsub.publish(TOPIC, b"after", {"cluster": "blue"})
        for reader in (one, two):
            message = await anext(reader)
            assert (message.data, message.attributes) == (b"after", {"cluster": "blue"})
            await reader.aclose()


async def test_an_unknown_topic_is_not_found(local: OpenPubSub) -> None:
    async with local(1) as (pubsub, _receiver, _):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await pubsub.publish("projects/p/topics/none", b"x")
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_pstest_ends_with_its_block(binaries: Binaries, tmp_path: Path) -> None:
    async with serving(binaries.pubsub, logs=tmp_path) as address:
        host, port = address.split(":")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


@pytest.mark.parametrize(
    ("topic", "token", "body", "status", "answer"),
    [
        ("mesh-install", "Bearer known", {"messages": [{"data": "eA=="}, {"attributes": {"a": "b"}}]}, 200, None),
        ("mesh-install", "Bearer other", {"messages": [{"data": "eA=="}]}, 401, "UNAUTHENTICATED"),
        ("none", "Bearer known", {"messages": [{"data": "eA=="}]}, 404, "NOT_FOUND"),
        ("mesh-install", "Bearer known", {"messages": [{"data": "%"}]}, 400, "INVALID_ARGUMENT"),
        ("mesh-install", "Bearer known", {"messages": [{}]}, 400, "INVALID_ARGUMENT"),
        ("mesh-install", "Bearer known", {"messages": []}, 400, "INVALID_ARGUMENT"),
        ("mesh-install", "Bearer known", [], 400, "INVALID_ARGUMENT"),
    ],
)
async def test_publishing_by_rest(
    *, local: OpenPubSub, topic: str, token: str, body: object, status: int, answer: str | None
) -> None:
    def caller(authorization: str) -> str | None:
        return "enabler@p.iam.gserviceaccount.com" if authorization == "Bearer known" else None

    async with local(1) as (pubsub, receiver, _), http_server(*publish_routes(pubsub, caller)) as url:
        await pubsub.create_subscription(to(receiver.url))
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{url}/v1/projects/p/topics/{topic}:publish",
                data=json.dumps(body),
                headers={"Authorization": token},
            ) as got,
        ):
            content = await got.json()
        assert got.status == status
        if answer is None:
            seen = await receiver.until(2)
            assert {one.json["message"]["messageId"] for one in seen} == set(content["messageIds"])
        else:
            assert (content["error"]["code"], content["error"]["status"]) == (status, answer)
