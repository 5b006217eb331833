"""Pub/Sub's push: between Google's pstest and functions-framework, or a plain receiver."""

from __future__ import annotations

import asyncio
import base64
import itertools
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.pubsub_v1 import RetryPolicy as RetryPolicyType
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from byomesh.local.build import Binaries
from byomesh.local.journal import Kind
from byomesh.local.pubsub import (
    DeadLetterPolicy,
    RetryPolicy,
    client,
    push,
)
from tests.contract.delivery_fixtures import (
    DEAD_TOPIC,
    SUBSCRIPTION,
    TOPIC,
    OpenPubSub,
    Seen,
    data_of,
    function_in,
    pubsub_opener,
    to,
    until,
)

AT_ONCE = RetryPolicy(0, 0)


@pytest.fixture
def local(binaries: Binaries, tmp_path: Path) -> OpenPubSub:
    return pubsub_opener(binaries.pubsub, tmp_path)


async def test_a_message_is_pushed_wrapped_and_noted(local: OpenPubSub) -> None:
    async with local(1) as (pubsub, receiver, journal):
        await pubsub.create_subscription(to(receiver.url, dead_letter=DeadLetterPolicy(DEAD_TOPIC)))
        cluster = "projects/p/locations/l/clusters/blue"
        message_id = await pubsub.publish(TOPIC, b'{"mesh": "linkerd"}', {"cluster": cluster})
        [seen] = await receiver.until(1)
        body = seen.json
        published = body["message"].pop("publishTime")
        assert body == {
            "message": {
                "attributes": {"cluster": cluster},
                "data": base64.b64encode(b'{"mesh": "linkerd"}').decode(),
                "messageId": message_id,
                "message_id": message_id,
                "publish_time": published,
            },
            "subscription": SUBSCRIPTION,
            "deliveryAttempt": 1,
        }
        assert seen.path == f"/{TOPIC}"
        assert seen.headers["Content-Type"] == "application/json"
        await until(lambda: len(journal.query()) == 1)
        [record] = journal.query()
        assert (record.kind, record.source, record.what, record.target) == (
            Kind.PUBSUB,
            message_id,
            TOPIC,
            "install_mesh",
        )
        assert (record.attempt, record.status, record.error) == (1, 200, None)
        assert (record.cluster, record.line) == (cluster, "mesh-install: linkerd")


async def test_pstest_keeps_the_policies_and_forgets_what_was_acknowledged(local: OpenPubSub) -> None:
    async with local(1) as (pubsub, receiver, journal):
        policy = DeadLetterPolicy(DEAD_TOPIC, 7)
        await pubsub.create_subscription(to(receiver.url, retry=RetryPolicy(15, 90), dead_letter=policy))
        message_id = await pubsub.publish(TOPIC, b"x")
        await until(lambda: len(journal.query()) == 1)
        await until(lambda: not pubsub.pusher(SUBSCRIPTION)._held)
        with grpc.insecure_channel(pubsub.address) as channel:
            subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            kept = await asyncio.to_thread(subscriber.get_subscription, subscription=SUBSCRIPTION)
            # Would make the message available again if pstest still had it, and it would be pushed again.
            await asyncio.to_thread(
                subscriber.modify_ack_deadline,
                subscription=SUBSCRIPTION,
                ack_ids=[f"{message_id}:1"],
                ack_deadline_seconds=0,
            )
        assert (kept.dead_letter_policy.dead_letter_topic, kept.dead_letter_policy.max_delivery_attempts) == (
            DEAD_TOPIC,
            7,
        )
        assert str(kept.retry_policy) == str(
            RetryPolicyType(minimum_backoff=timedelta(seconds=15), maximum_backoff=timedelta(seconds=90))
        )
        await asyncio.sleep(0.1)
        assert len(receiver.seen) == 1


async def test_a_message_is_held_from_pstest_for_as_long_as_its_delivery_takes(
    local: OpenPubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_HOLD_SECONDS", 1)  # ten minutes
    monkeypatch.setattr(push, "_RENEW_SECONDS", 0.3)  # five minutes
    async with local(1) as (pubsub, receiver, journal):

        async def answer(_seen: Seen) -> int:
            await asyncio.sleep(2)
            return 200

        receiver.answer = answer
        await pubsub.create_subscription(to(receiver.url))
        await pubsub.publish(TOPIC, b"x")
        await until(lambda: len(journal.query()) == 1)
        assert len(receiver.seen) == 1


async def test_without_a_dead_letter_policy_no_delivery_attempt_is_told(local: OpenPubSub) -> None:
    async with local(1) as (pubsub, receiver, _):
        await pubsub.create_subscription(to(receiver.url))
        await pubsub.publish(TOPIC, b"x", ordering_key="k")
        [seen] = await receiver.until(1)
        assert "deliveryAttempt" not in seen.json
        assert seen.json["message"]["orderingKey"] == "k"


async def test_functions_framework_takes_the_topic_from_the_path(local: OpenPubSub, tmp_path: Path) -> None:
    with function_in(tmp_path) as function:
        async with local(1) as (pubsub, _receiver, _):
            await pubsub.create_subscription(to(function.url))
            message_id = await pubsub.publish(TOPIC, b"x", {"a": "b"})
            await until(lambda: len(function.events()) == 1)
            bare = f"{SUBSCRIPTION}-bare"
            await pubsub.create_subscription(to(function.url, name=bare, endpoint=function.url))
            await pubsub.publish(TOPIC, b"y")
            await until(lambda: len(function.events()) == 3)
    first, *later = function.events()
    assert first["type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert first["id"] == message_id
    assert first["data"]["message"]["data"] == base64.b64encode(b"x").decode()
    assert first["data"]["message"]["attributes"] == {"a": "b"}
    sources = {event["source"] for event in (first, *later)}
    assert sources == {f"//pubsub.googleapis.com/{TOPIC}", "//pubsub.googleapis.com/"}


async def test_a_refused_message_comes_again_by_its_retry_policy(local: OpenPubSub) -> None:
    async with local(100) as (pubsub, receiver, journal):
        answers = iter([500, 503, 404, 200])

        async def answer(_seen: Seen) -> int:
            return next(answers)

        receiver.answer = answer
        await pubsub.create_subscription(
            to(receiver.url, retry=RetryPolicy(10, 25), dead_letter=DeadLetterPolicy(DEAD_TOPIC))
        )
        await pubsub.publish(TOPIC, b"x")
        seen = await receiver.until(4)
        gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(seen)]
        assert all(gap >= least for gap, least in zip(gaps, (0.1, 0.2, 0.25), strict=True)), gaps
        assert [one.json["deliveryAttempt"] for one in seen] == [1, 2, 3, 4]
        await until(lambda: len(journal.query()) == 4)
        records = [(record.attempt, record.status, record.error) for record in journal.query()]
        assert records == [
            (1, 500, "refused with 500"),
            (2, 503, "refused with 503"),
            (3, 404, "refused with 404"),
            (4, 200, None),
        ]


async def test_refusals_slow_down_the_whole_subscription_and_acknowledgements_bring_it_back(local: OpenPubSub) -> None:
    async with local(50) as (pubsub, receiver, _):

        async def answer(seen: Seen) -> int:
            return 500 if data_of(seen) == b"bad" else 200

        receiver.answer = answer
        await pubsub.create_subscription(to(receiver.url, retry=AT_ONCE))
        flow = pubsub.pusher(SUBSCRIPTION).flow
        await pubsub.publish(TOPIC, b"bad")
        # 0.1, 0.2, … 12.8 s: the ninth delivery waits for 25.6 s, half a second at this pace.
        await receiver.until(9)
        await until(lambda: flow.backoff == 25.6)
        await pubsub.publish(TOPIC, b"good")
        await receiver.until(11)
        gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(receiver.seen[:10])]
        assert all(gap >= 0.1 * 2**number / 50 for number, gap in enumerate(gaps)), f"{gaps}"
        # The good one waited as long as the bad one, whichever of them was sent first then.
        assert {data_of(seen) for seen in receiver.seen[9:11]} == {b"bad", b"good"}
        receiver.answer = receiver.accept
        for _ in range(12):
            await pubsub.publish(TOPIC, b"good")
        await until(lambda: flow.backoff == 0)


async def test_no_answer_within_the_ack_deadline_is_a_refusal(local: OpenPubSub) -> None:
    async with local(100) as (pubsub, receiver, journal):
        never = asyncio.Event()

        async def answer(_seen: Seen) -> int:
            if len(receiver.seen) == 1:
                await never.wait()
            return 200

        receiver.answer = answer
        await pubsub.create_subscription(to(receiver.url, ack_deadline=0.2, retry=AT_ONCE))
        await pubsub.publish(TOPIC, b"x")
        first, second = await receiver.until(2)
        assert second.at - first.at >= 0.19
        await until(lambda: len(journal.query()) == 2)
        assert [(record.status, record.error) for record in journal.query()] == [
            (None, "no answer within 0.2 s"),
            (200, None),
        ]


async def test_a_slow_delivery_holds_up_no_other(local: OpenPubSub) -> None:
    async with local(1) as (pubsub, receiver, _):
        finish = asyncio.Event()

        async def answer(seen: Seen) -> int:
            if data_of(seen) == b"slow":
                await finish.wait()
            return 200

        receiver.answer = answer
        await pubsub.create_subscription(to(receiver.url, ack_deadline=60.0))
        flow = pubsub.pusher(SUBSCRIPTION).flow
        for _ in range(4):
            await pubsub.publish(TOPIC, b"slow")
        await receiver.until(4)
        for number in range(40):
            await pubsub.publish(TOPIC, str(number).encode())
        await receiver.until(44, seconds=5)
        await until(lambda: flow.outstanding == 4)
        finish.set()
        await until(lambda: flow.outstanding == 0)
        assert flow.window == 8 + 44


async def test_a_burst_is_pushed_side_by_side(local: OpenPubSub) -> None:
    async with local(1) as (pubsub, receiver, _):
        here, most = 0, 0

        async def answer(_seen: Seen) -> int:
            nonlocal here, most
            here, most = here + 1, max(most, here + 1)
            await asyncio.sleep(0.2)
            here -= 1
            return 200

        receiver.answer = answer
        await pubsub.create_subscription(to(receiver.url))
        await asyncio.gather(*(pubsub.publish(TOPIC, b"x") for _ in range(24)))
        await receiver.until(24)
        assert most >= 8
