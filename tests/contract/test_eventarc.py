"""Audit entries on their way to functions: CloudEvents through functions-framework, and a log sink's messages."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from byomesh.local.audit_stream import Troubles
from byomesh.local.build import Binaries
from byomesh.local.eventarc import Eventarc, Trigger
from byomesh.local.journal import Kind
from byomesh.local.pace import Pace
from byomesh.local.pubsub import PushSubscription
from byomesh.local.sink import Sink
from tests.contract.delivery_fixtures import (
    SUBSCRIPTION,
    TOPIC,
    Seen,
    couriering,
    function_in,
    pubsub_over,
    receiving,
    until,
)

SERVICE = "container.googleapis.com"
MANAGER = "google.container.v1.ClusterManager"
RECORDED = Path(__file__).parents[3] / "shared" / "audit-logs"


def entry(number: int = 0, *, stage: str = "last", method: str = f"{MANAGER}.CreateCluster") -> dict[str, Any]:
    return {
        "insertId": f"insert{number}",
        "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
        "operation": {"id": f"operation-{number}", stage: True, "producer": SERVICE},
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "methodName": method,
            "resourceName": "projects/p/locations/europe-west1/clusters/blue",
            "serviceName": SERVICE,
            "status": {},
        },
        "receiveTimestamp": "2026-08-21T12:00:01.5Z",
        "resource": {
            "type": "gke_cluster",
            "labels": {"project_id": "p", "location": "europe-west1", "cluster_name": "blue"},
        },
        "severity": "NOTICE",
        "timestamp": "2026-08-21T12:00:01Z",
    }


def creations(url: str, target: str = "enable_net_admin") -> list[Trigger]:
    return [
        Trigger(SERVICE, f"google.container.{version}.ClusterManager.CreateCluster", target, url)
        for version in ("v1", "v1beta1")
    ]


def insert_ids(seen: list[Seen]) -> list[str]:
    return [one.json["insertId"] for one in seen]


async def test_functions_framework_reads_the_event_and_both_entries_come(tmp_path: Path) -> None:
    first, last = entry(1, stage="first"), entry(2, method="google.container.v1beta1.ClusterManager.CreateCluster")
    with function_in(tmp_path) as function:
        async with (
            couriering() as (courier, journal),
            Eventarc(creations(function.url), courier=courier, pace=Pace()) as eventarc,
        ):
            eventarc.write(first)
            eventarc.write(last)
            eventarc.write(entry(3, method=f"{MANAGER}.DeleteCluster"))
            await until(lambda: len(journal.query()) == 2)
            records = journal.query()
    events = {event["data"]["insertId"]: event for event in function.events()}
    assert {name: event["data"] for name, event in events.items()} == {"insert1": first, "insert2": last}
    event = events["insert1"]
    assert event["type"] == "google.cloud.audit.log.v1.written"
    assert event["source"] == "//cloudaudit.googleapis.com/projects/p/logs/activity"
    assert event["subject"] == f"{SERVICE}/projects/p/locations/europe-west1/clusters/blue"
    assert event["servicename"] == SERVICE
    assert event["methodname"] == f"{MANAGER}.CreateCluster"
    assert event["resourcename"] == "projects/p/locations/europe-west1/clusters/blue"
    assert event["time"] == "2026-08-21T12:00:01Z"
    assert event["datacontenttype"] == "application/json"
    assert {record.source for record in records} == {event["id"] for event in events.values()}
    assert all(record.kind is Kind.EVENTARC and record.target == "enable_net_admin" for record in records)
    assert {record.line for record in records} == {"CreateCluster blue: first entry", "CreateCluster blue: last entry"}
    assert {record.cluster for record in records} == {"projects/p/locations/europe-west1/clusters/blue"}


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded entries are not beside the project")
async def test_recorded_entries_are_delivered_as_they_are(tmp_path: Path) -> None:
    entries = [yaml.safe_load(path.read_text()) for path in sorted(RECORDED.glob("*.yaml"))]
    assert entries
    with function_in(tmp_path) as function:
        async with (
            couriering() as (courier, _),
            Eventarc(creations(function.url), courier=courier, pace=Pace()) as eventarc,
        ):
            for recorded in entries:
                eventarc.write(recorded)
            await until(lambda: len(function.events()) == len(entries))
    received = sorted((event["data"] for event in function.events()), key=lambda one: str(one["insertId"]))
    assert received == sorted(entries, key=lambda one: str(one["insertId"]))


async def test_a_refused_event_comes_again_with_the_same_id_until_it_is_taken() -> None:
    async with (
        receiving() as receiver,
        couriering() as (courier, journal),
        Eventarc(creations(receiver.url), courier=courier, pace=Pace(100)) as eventarc,
    ):
        answers = iter([500, 429, 204])

        async def answer(_seen: Seen) -> int:
            return next(answers)

        receiver.answer = answer
        eventarc.write(entry())
        seen = await receiver.until(3)
        gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(seen)]
        assert all(gap >= least for gap, least in zip(gaps, (0.1, 0.2), strict=True)), f"{gaps}"
        assert len({one.headers["ce-id"] for one in seen}) == 1
        await until(lambda: len(journal.query()) == 3)
        assert [(record.attempt, record.status) for record in journal.query()] == [(1, 500), (2, 429), (3, 204)]


async def test_an_event_is_given_up_after_24_hours(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        receiving() as receiver,
        couriering() as (courier, _),
        Eventarc(creations(receiver.url), courier=courier, pace=Pace(86_400)) as eventarc,
    ):

        async def answer(_seen: Seen) -> int:
            return 500

        receiver.answer = answer
        eventarc.write(entry())  # a day lasts a second now
        await until(lambda: "gives up" in caplog.text)
        deliveries = len(receiver.seen)
        assert deliveries > 6
        await asyncio.sleep(0.05)
        assert len(receiver.seen) == deliveries
    assert "CreateCluster blue: last entry for enable_net_admin" in caplog.text


async def test_one_events_troubles_hold_up_no_other() -> None:
    async with (
        receiving() as receiver,
        couriering() as (courier, _),
        Eventarc(creations(receiver.url), courier=courier, pace=Pace()) as eventarc,
    ):
        finish = asyncio.Event()

        async def answer(seen: Seen) -> int:
            if seen.json["insertId"] == "insert0":
                await finish.wait()
            return 500 if seen.json["insertId"] == "insert1" else 200

        receiver.answer = answer
        for number in range(10):
            eventarc.write(entry(number))
        await receiver.until(10, seconds=5)
        finish.set()
        assert sorted(insert_ids(receiver.seen)) == [f"insert{number}" for number in range(10)]


async def test_troubles_can_be_set_and_ended_while_it_runs() -> None:
    async with (
        receiving() as receiver,
        couriering() as (courier, _),
        Eventarc(creations(receiver.url), courier=courier, pace=Pace(), seed=7) as eventarc,
    ):
        eventarc.troubles = Troubles(duplicate=2)
        eventarc.write(entry(0))
        await receiver.until(3)
        assert insert_ids(receiver.seen) == ["insert0"] * 3
        assert len({seen.headers["ce-id"] for seen in receiver.seen}) == 1

        eventarc.troubles = Troubles(delay=0.2)
        written = asyncio.get_running_loop().time()
        eventarc.write(entry(1))
        await receiver.until(4)
        assert receiver.seen[3].at - written >= 0.2

        eventarc.troubles = Troubles(reorder=0.1)
        assert eventarc.troubles == Troubles(reorder=0.1)
        for number in range(2, 6):
            eventarc.write(entry(number))
        await receiver.until(8)
        assert sorted(insert_ids(receiver.seen[4:])) == [f"insert{number}" for number in range(2, 6)]
        assert insert_ids(receiver.seen[4:]) != [f"insert{number}" for number in range(2, 6)]

        eventarc.troubles = Troubles()
        eventarc.write(entry(9))
        await receiver.until(9)
        assert insert_ids(receiver.seen[8:]) == ["insert9"]


async def test_nothing_is_delivered_outside_loopback() -> None:
    async with (
        couriering() as (courier, journal),
        Eventarc(creations("http://192.0.2.1/"), courier=courier, pace=Pace()) as eventarc,
    ):
        eventarc.write(entry())
        await until(lambda: len(journal.query()) == 1)
        [record] = journal.query()
        assert (record.status, record.acknowledged) == (None, False)
        assert "is not on loopback" in str(record.error)


async def test_a_sink_publishes_what_its_filter_takes(binaries: Binaries, tmp_path: Path) -> None:
    async with (
        receiving() as receiver,
        couriering() as (courier, journal),
        pubsub_over(binaries.pubsub, tmp_path, courier, Pace()) as pubsub,
        Sink(topic=TOPIC, pubsub=pubsub) as sink,
    ):
        await pubsub.create_subscription(
            PushSubscription(name=SUBSCRIPTION, topic=TOPIC, endpoint=receiver.url, target="enable_net_admin")
        )
        sink.write(entry(1, stage="first"))
        sink.write(entry(2))
        sink.troubles = Troubles(duplicate=1)
        sink.write(entry(3, method=f"{MANAGER}.UpdateCluster"))
        assert sink.troubles.duplicate == 1
        seen = await receiver.until(3)
        messages = [one.json["message"] for one in seen]
        received = [json.loads(base64.b64decode(message["data"])) for message in messages]
        assert sorted(one["insertId"] for one in received) == ["insert2", "insert3", "insert3"]
        assert entry(2) in received
        assert all(
            message["attributes"] == {"logging.googleapis.com/timestamp": "2026-08-21T12:00:01Z"}
            for message in messages
        )
        await until(lambda: len(journal.query()) == 3)
        assert {record.line for record in journal.query()} == {
            "mesh-install: CreateCluster blue: last entry",
            "mesh-install: UpdateCluster blue: last entry",
        }
