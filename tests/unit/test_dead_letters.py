"""Dead letters decoded, read without being consumed, published again and dropped."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from byomesh.dead_letters import last_error, settling
from byomesh.dead_letters.letter import Letter, as_json, read, replayed
from byomesh.dead_letters.reading import Reader
from shared.errors import ByomeshError, Temporary
from shared.model import ClusterRef
from shared.pulling import Pulled
from tests.unit.memory_pubsub import (
    ENTRIES,
    INSTALL,
    PROJECT,
    TOPICS,
    VERIFY,
    WHEN,
    MemoryPublisher,
    MemoryPuller,
    subscription,
)

EU1 = "projects/shop/locations/europe-west1/clusters/eu-1"
REQUEST = {"cluster": EU1, "mesh": "linkerd", "reason": "repair", "attempt": 2, "request_id": "op-1"}
EVENTS = Path(__file__).resolve().parents[1] / "data" / "events"


def letter(data: bytes, topic: str = INSTALL, **attributes: str) -> Letter:
    return read(topic, MemoryPuller().put(topic, data, attributes))


def reader(puller: MemoryPuller, monotonic: Any = lambda: 0.0) -> Reader:
    return Reader(puller, PROJECT, TOPICS, monotonic)


def clock() -> dt.datetime:
    return WHEN + dt.timedelta(hours=3)


def test_a_request_tells_what_it_asks_for() -> None:
    told = as_json(letter(json.dumps(REQUEST).encode(), waits="3"), whole=True)
    assert told == {
        "id": "1",
        "topic": "mesh-install",
        "kind": "request",
        "cluster": EU1,
        "mesh": "linkerd",
        "request_id": "op-1",
        "reason": "repair",
        "attempt": 2,
        "deliveries": 5,
        "published": "2026-05-04T09:00:00.000+00:00",
        "refused": "2026-05-04T09:10:01+00:00",
        "problem": "",
        "subscription": "projects/mesh/subscriptions/mesh-install",
        "ordering_key": "",
        "attributes": {"waits": "3"},
        "body": REQUEST,
        "data": json.dumps(REQUEST),
    }


def test_an_audit_entry_tells_its_cluster_and_its_operation() -> None:
    entry = {
        "protoPayload": {"methodName": "google.container.v1.ClusterManager.CreateCluster", "resourceName": "x"},
        "resource": {"labels": {"project_id": "shop", "location": "europe-west1", "cluster_name": "eu-1"}},
        "operation": {"id": "operation-7"},
    }
    contents = letter(json.dumps(entry).encode(), ENTRIES).contents
    assert (contents.kind, contents.cluster, contents.request_id) == ("audit entry", EU1, "operation-7")
    assert contents.reason == "CreateCluster"


@pytest.mark.parametrize(
    "entry",
    [
        {"protoPayload": None},
        {"protoPayload": {"resourceName": EU1, "methodName": 7}, "operation": [], "resource": {"labels": {}}},
        {"protoPayload": {}, "resource": {"labels": {"project_id": 1}}, "operation": {"id": {}}},
    ],
)
def test_a_broken_entry_is_told_as_far_as_it_goes(entry: dict[str, Any]) -> None:
    contents = letter(json.dumps(entry).encode(), ENTRIES, cluster=EU1).contents
    assert (contents.kind, contents.cluster, contents.request_id, contents.reason) == ("audit entry", EU1, "", "")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"not json", "it is no JSON"),
        (b"\xff\xfe", "it is no JSON"),
        (b"", "it has no data"),
        (b"[1, 2]", "it is JSON, but no object: list"),
        (b"[" * 100_000, "it is no JSON"),
    ],
)
def test_poison_is_named_and_kept_whole(data: bytes, problem: str) -> None:
    found = letter(data, cluster=EU1)
    assert found.contents.kind == "poison"
    assert found.contents.problem.startswith(problem)
    assert found.contents.cluster == EU1
    assert found.pulled.data == data
    assert json.dumps(as_json(found, whole=True))


def test_a_request_is_named_by_its_attributes_where_its_body_says_nothing() -> None:
    contents = letter(b'{"cluster": 7, "mesh": null, "attempt": "2"}', cluster=EU1, request_id="op-2").contents
    assert (contents.cluster, contents.mesh, contents.request_id, contents.attempt) == (EU1, "", "op-2", 0)


def test_a_letter_that_somebody_published_by_hand_has_no_origin() -> None:
    found = read(
        INSTALL, MemoryPuller().put_as_it_is(INSTALL, b"{}", {"CloudPubSubDeadLetterSourceDeliveryCount": "x"})
    )
    assert (found.deliveries, found.subscription, found.published) == (None, "", "")


def test_a_letter_is_found_by_either_name_of_its_cluster() -> None:
    found = letter(json.dumps(REQUEST).encode())
    assert found.concerns(EU1)
    assert found.concerns("eu-1")
    assert not found.concerns("eu-2")
    assert not letter(b"poison").concerns("eu-1")


def test_reading_takes_every_letter_once_and_gives_them_back() -> None:
    puller = MemoryPuller()
    for number in range(500):
        puller.put(INSTALL, json.dumps({**REQUEST, "request_id": str(number)}).encode())
    puller.put(VERIFY, b"poison")
    puller.again = 3
    counts: list[int] = []
    with reader(puller).read(1000, counts.append) as held:
        assert len(held.letters) == 501
        assert len({one.id for one in held.letters}) == 501
        assert [one.refused for one in held.letters] == sorted(one.refused for one in held.letters)
        assert not held.limited
        assert len(puller.held[subscription(INSTALL)]) == 500
    assert max(counts) == 501
    assert not any(puller.held.values())
    assert sum(map(len, puller.there.values())) == 501


def test_a_message_that_came_twice_is_settled_by_its_newest_delivery() -> None:
    acknowledged: list[str] = []

    class Noting(MemoryPuller):
        def acknowledge(self, subscription: str, ack_ids: Sequence[str]) -> None:
            acknowledged.extend(ack_ids)
            super().acknowledge(subscription, ack_ids)

    puller = Noting()
    puller.put(INSTALL, b"{}")
    puller.again = 1
    taken = reader(puller)
    with taken.read(10) as held:
        taken.settle(held.letters[0])
    assert acknowledged == ["1:3"]
    assert puller.there[subscription(INSTALL)] == {}


def test_reading_is_limited_and_says_so() -> None:
    puller = MemoryPuller()
    for _ in range(5):
        puller.put(INSTALL, b"{}")
    with reader(puller).read(3) as held:
        assert (len(held.letters), held.limited) == (3, True)
    with reader(puller).read(5) as held:
        assert (len(held.letters), held.limited) == (5, True)
    with reader(puller).read(6) as held:
        assert (len(held.letters), held.limited) == (5, False)


def test_a_topic_without_a_subscription_is_named() -> None:
    puller = MemoryPuller([INSTALL])
    puller.put(INSTALL, b"{}")
    with reader(puller).read(10) as held:
        assert (len(held.letters), held.missing) == (1, [ENTRIES, VERIFY])


def test_what_was_taken_is_given_back_where_reading_fails() -> None:
    class Failing(MemoryPuller):
        def pull(self, name: str, most: int) -> list[Pulled]:
            if self.held[name]:
                raise Temporary("ApiUnavailable", "UNAVAILABLE")
            return super().pull(name, most)

    puller = Failing()
    puller.put(INSTALL, b"{}")
    with pytest.raises(Temporary), reader(puller).read(10):
        pass
    assert not any(puller.held.values())


def test_giving_back_never_hides_what_went_wrong() -> None:
    class Failing(MemoryPuller):
        def give_back(self, _name: str, _ids: Any) -> None:
            raise Temporary("ApiUnavailable", "UNAVAILABLE")

    puller = Failing()
    puller.put(INSTALL, b"{}")
    with pytest.raises(KeyError), reader(puller).read(10):
        raise KeyError


def test_replay_publishes_the_same_message_with_a_new_first_sight() -> None:
    puller, publisher = MemoryPuller(), MemoryPublisher()
    puller.put(VERIFY, json.dumps(REQUEST).encode(), {"cluster": EU1, "traceparent": "00-1-2-01", "waits": "17"})
    taken = reader(puller)
    with taken.read(10) as held:
        [done] = settling.replay(held.letters, taken, publisher, PROJECT, clock)
    assert (done.message_id, done.error) == ("new-1", "")
    [(topic, data, attributes)] = publisher.published
    assert (topic, json.loads(data)) == ("projects/mesh/topics/mesh-verify", REQUEST)
    assert attributes == {"cluster": EU1, "traceparent": "00-1-2-01", "first_seen": clock().isoformat()}
    assert not any(puller.there.values())


def test_a_letter_that_is_not_confirmed_stays_and_the_others_go_on() -> None:
    puller, publisher = MemoryPuller(), MemoryPublisher()
    for name in (b"a", b"b", b"c"):
        puller.put(INSTALL, name)
    publisher.failing = {b"b"}
    taken = reader(puller)
    with taken.read(10) as held:
        done = settling.replay(held.letters, taken, publisher, PROJECT, clock)
    assert [bool(one.error) for one in done] == [False, True, False]
    assert [one.data for one in puller.there[subscription(INSTALL)].values()] == [b"b"]
    assert not any(puller.held.values())


def test_a_replay_cut_off_before_the_acknowledgement_leaves_the_letter() -> None:
    puller, publisher = MemoryPuller(), MemoryPublisher()
    puller.put(INSTALL, b"{}")
    puller.failing = {subscription(INSTALL)}
    taken = reader(puller)
    with taken.read(10) as held:
        [done] = settling.replay(held.letters, taken, publisher, PROJECT, clock)
    assert (len(publisher.published), bool(done.error)) == (1, True)
    puller.failing = set()
    taken = reader(puller)
    with taken.read(10) as held:
        [done] = settling.replay(held.letters, taken, publisher, PROJECT, clock)
    assert (len(publisher.published), done.error) == (2, "")
    assert not any(puller.there.values())


def test_a_long_replay_keeps_what_is_left() -> None:
    puller, publisher = MemoryPuller(), MemoryPublisher()
    for _ in range(10):
        puller.put(INSTALL, b"{}")
    ticks = iter(range(0, 10_000, 5))
    taken = reader(puller, lambda: float(next(ticks)))
    with taken.read(100) as held:
        before = puller.holds
        settling.replay(held.letters, taken, publisher, PROJECT, clock)
    assert puller.holds - before >= 2


def test_drop_removes_only_what_it_is_given() -> None:
    puller = MemoryPuller()
    puller.put(INSTALL, b"a")
    puller.put(INSTALL, b"b")
    taken = reader(puller)
    counts: list[int] = []
    with taken.read(10) as held:
        settling.drop([one for one in held.letters if one.pulled.data == b"a"], taken, counts.append)
    assert counts == [1]
    assert [one.data for one in puller.there[subscription(INSTALL)].values()] == [b"b"]


def test_google_attributes_are_no_part_of_what_is_published_again() -> None:
    found = letter(b"{}", mesh="linkerd")
    assert len(found.pulled.attributes) == 5
    assert replayed(found, WHEN) == {"mesh": "linkerd", "first_seen": WHEN.isoformat()}


class Said(msgspec.Struct):
    time: dt.datetime
    severity: str
    payload: dict[str, Any]

    @property
    def message(self) -> str:
        return str(self.payload.get("message", ""))


class MemoryLog:
    """What was said, newest first, by request and by cluster."""

    def __init__(self, of_request: list[Said] | ByomeshError, of_cluster: list[Said]) -> None:
        self._of_request = of_request
        self._of_cluster = of_cluster
        self.asked: list[tuple[str, dt.datetime]] = []

    def lines_of_request(self, request_id: str, since: dt.datetime) -> list[Said]:
        self.asked.append((request_id, since))
        if isinstance(self._of_request, ByomeshError):
            raise self._of_request
        return self._of_request

    def lines_of(self, ref: ClusterRef, since: dt.datetime) -> list[Said]:
        self.asked.append((str(ref), since))
        return self._of_cluster


def said(minutes: int, severity: str, message: str) -> Said:
    return Said(WHEN + dt.timedelta(minutes=minutes), severity, {"message": message, "stage": "install", "reason": 7})


def test_the_last_error_is_the_requests_newest_before_it_was_given_up() -> None:
    log = MemoryLog([said(60, "ERROR", "of its replay"), said(9, "INFO", "fine"), said(8, "WARNING", "503")], [])
    found = last_error.find(letter(json.dumps(REQUEST).encode()), log)
    assert found == last_error.LastError(
        time="2026-05-04T09:08:00+00:00", stage="install", reason="", message="503", by="request_id"
    )
    assert log.asked == [("op-1", WHEN - dt.timedelta(hours=1))]


def test_without_a_request_id_it_is_the_clusters() -> None:
    log = MemoryLog([], [said(8, "ERROR", "429")])
    found = last_error.find(letter(json.dumps({"cluster": EU1, "mesh": "linkerd"}).encode()), log)
    assert found is not None
    assert (found.message, found.by) == ("429", "cluster")
    found = last_error.find(letter(json.dumps(REQUEST).encode()), log)
    assert found is not None
    assert found.by == "cluster"


def test_poison_has_no_last_error() -> None:
    log = MemoryLog([], [])
    assert last_error.find(letter(b"poison"), log) is None
    assert log.asked == []
    assert last_error.find(letter(json.dumps(REQUEST).encode()), log) is None


def test_the_log_is_read_a_day_back_where_nobody_knows_when_it_was_published() -> None:
    log = MemoryLog([], [])
    found = read(INSTALL, MemoryPuller().put_as_it_is(INSTALL, json.dumps(REQUEST).encode(), {}))
    last_error.find(found, log)
    assert log.asked[0] == ("op-1", found.refused - dt.timedelta(days=1))
    naive = {"CloudPubSubDeadLetterSourceTopicPublishTime": "2026-05-04T09:00:00"}
    found = read(INSTALL, MemoryPuller().put_as_it_is(INSTALL, json.dumps(REQUEST).encode(), naive))
    last_error.find(found, log)
    assert log.asked[2] == ("op-1", WHEN - dt.timedelta(hours=1))
