from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byomesh.local.audit_stream import AuditStream, Entry, Troubles, reordered
from byomesh.local.background import Background
from byomesh.local.courier import is_loopback, is_success
from byomesh.local.eventarc import Trigger, event_headers
from byomesh.local.sink import finished_cluster_changes

SERVICE = "container.googleapis.com"
CREATE = "google.container.v1.ClusterManager.CreateCluster"


def entry(**changes: Any) -> dict[str, Any]:
    known = {
        "insertId": "jfwiewd1qao",
        "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
        "operation": {"id": "operation-1", "last": True, "producer": SERVICE},
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "methodName": CREATE,
            "resourceName": "projects/p/zones/us-central1-a/clusters/blue",
            "serviceName": SERVICE,
            "status": {},
        },
        "receiveTimestamp": "2026-08-21T12:00:01.987956868Z",
        "resource": {
            "type": "gke_cluster",
            "labels": {"project_id": "p", "location": "us-central1-a", "cluster_name": "blue"},
        },
        "severity": "NOTICE",
        "timestamp": "2026-08-21T12:00:01.25Z",
    }
    return known | changes


def test_the_attributes_of_an_audit_entrys_event() -> None:
    assert event_headers(entry()) == {
        "Content-Type": "application/json; charset=utf-8",
        "ce-specversion": "1.0",
        "ce-type": "google.cloud.audit.log.v1.written",
        "ce-source": "//cloudaudit.googleapis.com/projects/p/logs/activity",
        "ce-subject": "container.googleapis.com/projects/p/zones/us-central1-a/clusters/blue",
        "ce-id": "projects/p/logs/cloudaudit.googleapis.com%2Factivityjfwiewd1qao1787313601250000",
        "ce-time": "2026-08-21T12:00:01.25Z",
        "ce-recordedtime": "2026-08-21T12:00:01.987956868Z",
        "ce-datacontenttype": "application/json",
        "ce-servicename": SERVICE,
        "ce-methodname": CREATE,
        "ce-resourcename": "projects/p/zones/us-central1-a/clusters/blue",
    }


def test_two_entries_have_two_ids() -> None:
    assert event_headers(entry())["ce-id"] != event_headers(entry(insertId="other"))["ce-id"]


@pytest.mark.parametrize("missing", ["insertId", "logName", "timestamp", "protoPayload"])
def test_what_is_no_audit_entry_has_no_event(missing: str) -> None:
    broken = entry()
    del broken[missing]
    with pytest.raises(KeyError, match=missing):
        event_headers(broken)


@pytest.mark.parametrize(
    ("payload", "matches"),
    [
        ({"serviceName": SERVICE, "methodName": CREATE}, True),
        ({"serviceName": SERVICE, "methodName": CREATE.replace("v1", "v1beta1")}, False),
        ({"serviceName": "compute.googleapis.com", "methodName": CREATE}, False),
        ({}, False),
    ],
)
def test_a_trigger_compares_service_and_method_exactly(payload: dict[str, str], *, matches: bool) -> None:
    trigger = Trigger(SERVICE, CREATE, "enable_net_admin", "http://127.0.0.1:1/")
    assert trigger.matches({"protoPayload": payload}) is matches


def with_method(method: str) -> dict[str, Any]:
    return entry(protoPayload={"methodName": method, "serviceName": SERVICE})


@pytest.mark.parametrize(
    ("candidate", "taken"),
    [
        (entry(), True),
        (with_method("google.container.v1beta1.ClusterManager.UpdateCluster"), True),
        (with_method("google.container.v1.ClusterManager.DeleteCluster"), False),
        (with_method("google.container.v1.ClusterManager.CreateClusterX"), False),
        (entry(operation={"id": "operation-1", "first": True}), False),
        ({name: value for name, value in entry().items() if name != "operation"}, False),
        (entry(resource={"type": "gke_nodepool"}), False),
        (entry(logName="projects/p/logs/cloudaudit.googleapis.com%2Fdata_access"), False),
        ({}, False),
    ],
)
def test_the_sink_takes_the_last_entries_of_creations_and_updates_of_clusters(candidate: Entry, *, taken: bool) -> None:
    assert finished_cluster_changes(candidate) is taken


@given(st.lists(st.integers(), min_size=2, max_size=20, unique=True), st.randoms())
def test_another_order_is_another_order_of_the_same_entries(numbers: list[int], chance: Random) -> None:
    entries = [{"insertId": number} for number in numbers]
    shuffled = reordered(entries, chance)
    assert shuffled != entries
    assert sorted(one["insertId"] for one in shuffled) == sorted(numbers)


@pytest.mark.parametrize("entries", [[], [{"insertId": 1}], [{"insertId": 1}, {"insertId": 1}]])
def test_where_there_is_only_one_order_it_stays(entries: list[Entry]) -> None:
    assert reordered(entries, Random(0)) == entries  # noqa: S311 - an order, no secret


def test_an_entry_without_troubles_is_passed_on_at_once_and_a_duplicated_one_several_times() -> None:
    passed: list[Entry] = []
    stream = AuditStream(passed.append, background=Background("a test"))
    stream.write(entry())
    assert passed == [entry()]
    stream.troubles = Troubles(duplicate=2)
    stream.write(entry())
    assert passed == [entry()] * 4


@pytest.mark.parametrize("troubles", [{"duplicate": -1}, {"delay": -0.5}, {"reorder": -1}])
def test_negative_troubles_are_refused(troubles: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="can't be negative"):
        Troubles(**troubles)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080/projects/p/topics/t", True),
        ("https://127.8.9.1/", True),
        ("http://[::1]:80/", True),
        ("http://localhost:80/", True),
        ("http://10.0.0.1/", False),
        ("http://localhost.example.com/", False),
        ("https://pubsub.googleapis.com/v1/projects/p/topics/t:publish", False),
        ("ftp://127.0.0.1/", False),
        ("http://", False),
        ("http://127.0.0.1:port/", False),
        ("", False),
    ],
)
def test_only_loopback_is_delivered_to(url: str, *, expected: bool) -> None:
    assert is_loopback(url) is expected


def test_success_is_200_to_299() -> None:
    assert [is_success(status) for status in (199, 200, 299, 300)] == [False, True, True, False]


async def test_a_failed_background_task_is_logged_and_raised_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise LookupError("lost")

    background = Background("a test")
    background.spawn(fail())
    await asyncio.sleep(0)
    with pytest.raises(ExceptionGroup) as raised:
        await background.aclose()
    assert [str(error) for error in raised.value.exceptions] == ["lost"]
    assert "a background task of a test failed" in caplog.text
