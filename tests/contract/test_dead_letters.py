"""Dead letters over Google's pstest, with Google's own client: kept whole, listed, published again, kept for long."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from byomesh.dead_letters import settling
from byomesh.dead_letters.letter import Letter
from byomesh.dead_letters.reading import Held, Reader
from byomesh.local.build import Binaries
from byomesh.local.pubsub import DeadLetterPolicy, PubSub, RetryPolicy
from byomesh.local.pubsub.keeping import Keeper
from shared.pubsub import Publisher
from shared.pulling import Puller
from tests.contract.delivery_fixtures import OpenPubSub, Seen, data_of, pubsub_opener, to, until

_T = TypeVar("_T")
DEAD = "projects/p/topics/mesh-install-dead-letter"
SUBSCRIPTION = "projects/p/subscriptions/mesh-install-dead-letter"
TOPIC = "projects/p/topics/mesh-install"


@pytest.fixture
def local(binaries: Binaries, tmp_path: Path) -> OpenPubSub:
    return pubsub_opener(binaries.pubsub, tmp_path)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[PubSub], Reader]:
    """Reads a pstest's dead letters as the command does."""

    def on(pubsub: PubSub) -> Reader:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.address)
        return Reader(Puller(), "p", ["mesh-install"])

    return on


async def with_letters(reader: Reader, act: Callable[[Held], _T], most: int = 1000) -> _T:
    """What `act` makes of the letters, beside the event loop that pushes."""

    def read() -> _T:
        with reader.read(most) as held:
            return act(held)

    return await asyncio.to_thread(read)


def all_of(held: Held) -> list[Letter]:
    return held.letters


async def dead_letters(pubsub: PubSub) -> None:
    await pubsub.create_topic(DEAD)
    await pubsub.create_pull_subscription(SUBSCRIPTION, DEAD)


async def test_what_is_refused_too_often_is_kept_whole_and_comes_back_by_a_replay(
    local: OpenPubSub, on: Callable[[PubSub], Reader]
) -> None:
    async with local(1000) as (pubsub, receiver, _):
        well = False

        async def answer(_seen: Seen) -> int:
            return 200 if well else 500

        receiver.answer = answer
        await dead_letters(pubsub)
        await pubsub.create_subscription(
            to(receiver.url, retry=RetryPolicy(), dead_letter=DeadLetterPolicy(DEAD, max_delivery_attempts=7))
        )
        data = json.dumps({"cluster": "projects/p/locations/l/clusters/c", "mesh": "linkerd"}).encode()
        before = dt.datetime.now(dt.UTC)
        await pubsub.publish(TOPIC, data, {"cluster": "c", "waits": "3"}, ordering_key="")
        await until(lambda: len(pubsub.dead_letters()) == 1)
        for _ in range(2):
            [letter] = await with_letters(on(pubsub), all_of)
            assert (letter.pulled.data, letter.attributes) == (data, {"cluster": "c", "waits": "3"})
            assert (letter.deliveries, letter.subscription) == (7, "projects/p/subscriptions/mesh-install")
            published = dt.datetime.fromisoformat(letter.published)
            assert abs(published - before) < timedelta(minutes=1)
            assert letter.refused >= published - timedelta(milliseconds=1)
        well = True
        reader = on(pubsub)

        def replay(held: Held) -> list[settling.Settled]:
            return settling.replay(held.letters, reader, Publisher(), "p", lambda: before)

        [done] = await with_letters(reader, replay)
        assert done.error == ""
        seen = (await receiver.until(8))[-1]
        assert data_of(seen) == data
        assert seen.json["message"]["messageId"] == done.message_id
        assert seen.json["message"]["attributes"] == {"cluster": "c", "first_seen": before.isoformat()}
        assert await with_letters(on(pubsub), all_of) == []


async def test_five_hundred_letters_are_listed_twice_and_dropped_once(
    local: OpenPubSub, on: Callable[[PubSub], Reader]
) -> None:
    async with local(1) as (pubsub, _, _):
        await dead_letters(pubsub)
        for number in range(500):
            await pubsub.publish(DEAD, f"poison {number}".encode())
        first, letters = [await with_letters(on(pubsub), all_of) for _ in range(2)]
        assert [one.id for one in first] == [one.id for one in letters]
        assert {one.pulled.data for one in letters} == {f"poison {number}".encode() for number in range(500)}
        assert len(letters) == 500
        reader = on(pubsub)
        done = await with_letters(reader, lambda held: settling.drop(held.letters[:499], reader))
        assert [one.error for one in done] == [""] * 499
        [left] = await with_letters(on(pubsub), all_of)
        assert left.id == letters[499].id


async def test_a_missing_subscription_is_named(local: OpenPubSub, on: Callable[[PubSub], Reader]) -> None:
    async with local(1) as (pubsub, _, _):
        assert await with_letters(on(pubsub), lambda held: held.missing) == ["mesh-install"]


async def test_letters_are_kept_though_pstest_forgets_old_messages(
    local: OpenPubSub, on: Callable[[PubSub], Reader]
) -> None:
    async with local(1) as (pubsub, _, _):
        await pubsub.create_topic(DEAD)
        await pubsub.create_pull_subscription(SUBSCRIPTION, DEAD)
        old = await pubsub.publish(DEAD, b"poison", {"a": "b"})
        client = pubsub._client
        keeper = Keeper(client, DEAD, SUBSCRIPTION, age=timedelta(0))
        await keeper.look()
        [again] = await client.take(SUBSCRIPTION, 10)
        assert [keeper.is_kept(again.message) for _ in range(2)] == [True, False]
        await client.give_back(SUBSCRIPTION, [again.ack_id])
        await Keeper(client, DEAD, SUBSCRIPTION, age=timedelta(hours=1)).look()
        [letter] = await with_letters(on(pubsub), all_of)
        assert (letter.pulled.data, letter.attributes) == (b"poison", {"a": "b"})
        assert letter.id == again.message.id != old
