from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.cloud.logging_v2.types import ListLogEntriesResponse, LogEntry
from hypothesis import given
from hypothesis import strategies as st

from byomesh.local.cloud_logging.query import compile_query
from byomesh.local.cloud_logging.service import CloudLogging as LocalLogging
from byomesh.local.cloud_logging.syntax import Comparison, parse
from byomesh.local.gke import audit
from shared.cloud_logging import api, filters, reading
from shared.errors import Permanent, Temporary
from shared.model import CheckSummary, ClusterRef, FailingCheck, MeshStatus, Phase, encode, status_for_the_log
from shared.model.bounding import MAX_BYTES
from shared.model.repair import OutdatedWorkloads
from tests.unit.memory_logging import AGES_AGO, NOW, PROJECT, SHOP, UNAVAILABLE, MemoryLogging, status_line

OTHER = ClusterRef("shop", "europe-west1", "eu-2")
MINUTE = dt.timedelta(minutes=1)


def ready(ref: ClusterRef = SHOP, **changes: Any) -> MeshStatus:
    facts = {"cluster": ref, "phase": Phase.READY, "reason": "Ready", "message": "ready", "mesh": "linkerd"}
    return MeshStatus(**{**facts, **changes})


@pytest.fixture
def log() -> MemoryLogging:
    return MemoryLogging()


def test_who_began_an_operation_is_found_by_its_id(log: MemoryLogging) -> None:
    log.operation(name="operation-1", principal="alice@example.com", update={"desiredWorkload": True})
    log.operation(name="operation-10", principal="bob@example.com")
    found = log.door.first_entry(SHOP, "operation-1", NOW)
    assert found is not None
    assert (found.principal, found.user_agent) == ("alice@example.com", "google-cloud-sdk gcloud/1")
    assert (found.method, found.operation, found.first, found.last) == ("UpdateCluster", "operation-1", True, False)
    assert found.request["update"] == {"desiredWorkload": True}
    assert found.time == NOW - MINUTE
    assert log.requests[0].resource_names == ["projects/shop"]


def test_an_operation_of_another_cluster_or_of_long_ago_is_none(log: MemoryLogging) -> None:
    log.operation(name="operation-1", ref=OTHER)
    log.operation(name="operation-2", at=NOW - dt.timedelta(days=2))
    assert log.door.first_entry(SHOP, "operation-1", NOW) is None
    assert log.door.first_entry(SHOP, "operation-2", NOW) is None


def test_an_entry_that_has_not_arrived_yet_is_none(log: MemoryLogging) -> None:
    log.operation(name="operation-1")
    log.local.delay = MINUTE
    assert log.door.first_entry(SHOP, "operation-1", NOW) is None


def test_updates_of_a_cluster_are_its_first_entries_newest_first(log: MemoryLogging) -> None:
    for number in (1, 2, 3):
        log.operation(name=f"operation-{number}", at=NOW + number * MINUTE)
    log.operation("SetLabels", name="operation-4")
    log.operation(name="operation-5", ref=OTHER)
    found = log.door.updates(SHOP, NOW - dt.timedelta(hours=1))
    assert [entry.operation for entry in found] == ["operation-3", "operation-2", "operation-1"]
    assert [entry.operation for entry in log.door.updates(SHOP, NOW + MINUTE)] == ["operation-3", "operation-2"]
    assert len(log.door.updates(SHOP, AGES_AGO, limit=2)) == 2
    assert len(log.door.audit(SHOP, AGES_AGO)) == 8


def test_a_rejected_call_is_told_apart(log: MemoryLogging) -> None:
    call = audit.Audited(SHOP, "UpdateCluster", "v1", "eve@example.com", "curl", "127.0.0.1", {})
    log.local.write(audit.rejected(call, audit.Failure(7, "Permission denied"), NOW))
    [entry] = log.door.audit(SHOP, AGES_AGO)
    assert entry.rejected
    assert (entry.code, entry.message, entry.principal) == (7, "Permission denied", "eve@example.com")
    assert log.door.updates(SHOP, AGES_AGO) == ()


def test_the_newest_status_of_each_cluster(log: MemoryLogging, tmp_path: Path) -> None:
    checks = CheckSummary(passed=34, warned=1)
    log.say(
        tmp_path,
        status_line(ready(phase=Phase.VERIFYING, reason="PodsNotReady"), NOW),
        status_line(ready(checks=checks, time=NOW), NOW + MINUTE),
        status_line(ready(OTHER), NOW),
        status_line(ready(ClusterRef("other", "europe-west1", "eu-1")), NOW),
        status_line(ready(ClusterRef("shop", "europe-west1", "eu-3")), NOW - dt.timedelta(days=3)),
        {"message": "no status", "mesh_status": {"cluster": "projects/shop/nonsense"}, "time": NOW.isoformat()},
        "Traceback (most recent call last):",
    )
    found = log.door.newest_statuses(["shop"], NOW - MINUTE)
    assert found.complete
    assert found.by_cluster == {SHOP: ready(checks=checks, time=NOW), OTHER: ready(OTHER)}
    assert log.door.newest_status(SHOP, AGES_AGO) == ready(checks=checks, time=NOW)
    assert log.door.newest_status(ClusterRef("shop", "europe-west1", "eu-9"), AGES_AGO) is None
    assert len(log.door.newest_statuses([], AGES_AGO).by_cluster) == 4
    assert not log.door.newest_statuses([], AGES_AGO, limit=3).complete
    assert log.door.newest_statuses([], AGES_AGO, limit=6).complete
    assert {request.resource_names[0] for request in log.requests} == {f"projects/{PROJECT}"}


def test_lines_by_cluster_and_by_request(log: MemoryLogging, tmp_path: Path) -> None:
    log.say(
        tmp_path,
        {
            "message": "queued",
            "severity": "WARNING",
            "time": NOW.isoformat(),
            "stage": "enforce",
            "logging.googleapis.com/labels": {"cluster": str(SHOP), "request_id": "operation-1"},
            "logging.googleapis.com/trace": "projects/mesh/traces/1",
        },
        status_line(ready(), NOW + MINUTE, request_id="operation-2"),
        {"message": "of another", "logging.googleapis.com/labels": {"request_id": "operation-12"}},
    )
    first, second = reversed(log.door.lines_of(SHOP, AGES_AGO))
    assert (first.message, first.severity, first.service) == ("queued", "WARNING", "enforce-policy")
    assert first.payload["stage"] == "enforce"
    assert first.trace == "projects/mesh/traces/1"
    assert first.status is None
    assert second.status == ready()
    assert log.door.lines_of_request("operation-1", AGES_AGO) == (first,)
    log.operation(name="operation-1", at=NOW + 2 * MINUTE)
    timeline = log.door.timeline(SHOP, AGES_AGO)
    assert [entry.time for entry in timeline] == [NOW, NOW + MINUTE, NOW + MINUTE, NOW + 2 * MINUTE]


def test_a_listing_ends_with_its_pages_whatever_the_service_says(
    log: MemoryLogging, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def endless(_self: LocalLogging, request: Any, _call: Any) -> ListLogEntriesResponse:
        asked.append(request.page_token)
        return ListLogEntriesResponse(next_page_token=f"{len(asked)}")

    monkeypatch.setattr(LocalLogging, "list_entries", endless)
    assert log.door.audit(SHOP, AGES_AGO) == ()
    assert len(asked) == api.MAX_PAGES
    assert not log.door.newest_statuses([], AGES_AGO).complete


def test_faults_are_translated_and_name_the_permission(log: MemoryLogging) -> None:
    log.fault = UNAVAILABLE
    with pytest.raises(Temporary, match=r"logging\.logEntries\.list") as caught:
        log.door.updates(SHOP, AGES_AGO)
    assert (caught.value.reason, caught.value.cluster) == ("IamNotReady", str(SHOP))


def test_without_a_project_nothing_is_asked() -> None:
    log = MemoryLogging(project="")
    with pytest.raises(Permanent, match="GOOGLE_CLOUD_PROJECT"):
        log.door.lines_of(SHOP, AGES_AGO)
    assert log.requests == []


@given(st.text())
def test_whatever_a_value_is_it_stays_a_value(value: str) -> None:
    scalar = "".join(character for character in value if not "\ud800" <= character <= "\udfff")
    node = parse(f"labels.request_id={filters.quoted(scalar)}")
    assert node == Comparison(("labels", "request_id"), "=", scalar, quoted=True)


def test_a_hostile_request_id_finds_only_itself() -> None:
    hostile = 'r" OR severity>="DEFAULT'
    matches = compile_query(filters.lines_of_request(hostile, AGES_AGO))
    entry = {
        "logName": "projects/mesh/logs/run.googleapis.com%2Fstdout",
        "timestamp": NOW.isoformat(),
        "severity": "ERROR",
    }
    assert not matches({**entry, "labels": {"request_id": "r"}})
    assert matches({**entry, "labels": {"request_id": hostile}})


def test_a_status_is_logged_as_it_is_published_unless_it_is_too_long() -> None:
    status = ready(checks=CheckSummary(failed=1, failing=(FailingCheck("a", "b", "c" * 50_000),)))
    assert status_for_the_log(status)["checks"]["failing"][0]["error"] == "c" * 50_000
    long = ready(
        message="m" * 500_000,
        waits_for="w" * 500_000,
        checks=CheckSummary(failed=400, failing=(FailingCheck("a", "b", "ü" * 3_000),) * 400),
        outdated=OutdatedWorkloads(7, ("w" * 5_000,) * 100),
        options={"viz": "v" * 200_000},
        repaired=("r" * 5_000,) * 100,
    )
    cut = status_for_the_log(long)
    assert (cut["checks"]["failed"], cut["outdated"]["pods"], cut["phase"]) == (400, 7, "Ready")
    assert len(encode(long)) > MAX_BYTES
    assert len(msgspec.json.encode(cut)) <= MAX_BYTES


def test_every_status_of_some_projects_newest_first(log: MemoryLogging, tmp_path: Path) -> None:
    other = ClusterRef("other", "europe-west1", "eu-1")
    log.say(
        tmp_path,
        status_line(ready(phase=Phase.VERIFYING), NOW),
        status_line(ready(other), NOW),
        status_line(ready(), NOW + MINUTE),
    )
    lines = log.door.status_lines(["shop"], AGES_AGO)
    assert [line.status for line in lines] == [ready(), ready(phase=Phase.VERIFYING)]
    assert lines.complete
    cut = log.door.status_lines([], AGES_AGO, limit=2)
    assert len(list(cut)) == 2
    assert not cut.complete


def test_more_projects_than_a_filter_holds_are_asked_for_as_all(log: MemoryLogging, tmp_path: Path) -> None:
    log.say(tmp_path, status_line(ready(), NOW))
    many = [f"a-project-with-a-long-name-{number}" for number in range(1_000)]
    assert len(list(log.door.status_lines(many, AGES_AGO))) == 1
    assert len(log.requests[0].filter) < 1_000


def test_what_was_done_to_a_projects_clusters_and_by_whom(log: MemoryLogging) -> None:
    log.operation("CreateCluster", name="operation-1", principal="anna@example.com")
    log.operation("UpdateCluster", name="operation-2", ref=OTHER, at=NOW + MINUTE)
    log.operation("UpdateCluster", name="operation-3", ref=ClusterRef("other", "europe-west1", "eu-1"))
    found = list(log.door.changes("shop", AGES_AGO))
    assert [(entry.cluster, entry.method, entry.principal) for entry in found] == [
        (OTHER, "UpdateCluster", "alice@example.com"),
        (SHOP, "CreateCluster", "anna@example.com"),
    ]


def test_entries_that_are_not_what_they_should_be_are_left_out(log: MemoryLogging, tmp_path: Path) -> None:
    log.operation(name="operation-1")
    good = log.door.audit(SHOP, AGES_AGO)
    strange = {
        "logName": "projects/shop/logs/cloudaudit.googleapis.com%2Factivity",
        "timestamp": NOW.isoformat(),
        "resource": {
            "type": "gke_cluster",
            "labels": {"project_id": "shop", "location": SHOP.location, "cluster_name": SHOP.name},
        },
    }
    log.local.write(strange | {"textPayload": "no audit entry"})
    log.local.write(strange | {"resource": {"type": "gke_cluster", "labels": {}}})
    assert log.door.audit(SHOP, AGES_AGO) == good
    log.say(tmp_path, {"message": "said", "list": [1, 2.5, None, True], "time": NOW.isoformat()})
    audited = {**strange, "logName": f"projects/{PROJECT}/logs/run.googleapis.com%2Fstdout"}
    log.local.write(audited | {"labels": {"request_id": "r"}, "protoPayload": {"@type": _STRUCT, "value": {}}})
    log.local.write(audited | {"labels": {"request_id": "r"}, "textPayload": "in words"})
    [line] = log.door.lines_of_request("r", AGES_AGO)
    assert (line.payload, line.severity) == ({"message": "in words"}, "DEFAULT")


_STRUCT = "type.googleapis.com/google.protobuf.Struct"


def test_bytes_that_are_no_audit_log_times_of_no_calendar_and_unknown_severities_end_nothing() -> None:
    entry = LogEntry.pb(LogEntry(text_payload="said", severity=200))
    entry.resource.labels.update(project_id="shop", location="europe-west1", cluster_name="eu-1")
    line = reading.read_line(entry)
    assert line is not None
    assert line.severity == "INFO"
    entry.severity = 12_345
    line = reading.read_line(entry)
    assert line is not None
    assert line.severity == "DEFAULT"
    entry.timestamp.seconds = 10**15
    assert reading.read_line(entry) is None
    entry.timestamp.seconds = 0
    entry.proto_payload.type_url = "type.googleapis.com/google.cloud.audit.AuditLog"
    assert reading.read_audit(entry) is not None
    entry.proto_payload.value = b"\xff\xff\xff"
    assert reading.read_audit(entry) is None
    entry.proto_payload.value = b""
    entry.timestamp.seconds = 10**15
    assert reading.read_audit(entry) is None
