from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud.logging_v2.types import ListLogEntriesRequest
from hypothesis import given
from hypothesis import strategies as st

from byomesh.local.cloud_logging.index import Log
from byomesh.local.cloud_logging.query import compile_query
from byomesh.local.cloud_logging.service import CloudLogging
from byomesh.local.cloud_logging.stdout import MAX_BYTES, Printed
from byomesh.local.cloud_logging.syntax import QueryError, parse
from byomesh.local.rpc import Call, RpcFailure

NOW = dt.datetime(2026, 5, 4, 9, 0, tzinfo=dt.UTC)
TESTER = Call("tester@mesh.iam.gserviceaccount.com")
ENTRY: dict[str, Any] = {
    "logName": "projects/mesh/logs/cloudaudit.googleapis.com%2Factivity",
    "timestamp": "2026-05-04T09:00:00.123456000Z",
    "severity": "NOTICE",
    "resource": {"type": "gke_cluster", "labels": {"cluster_name": "eu-1", "location": "europe-west1"}},
    "labels": {"request_id": "r1", "k8s-app/name": "x"},
    "operation": {"id": "operation-1", "first": True},
    "protoPayload": {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "methodName": "google.container.v1.ClusterManager.UpdateCluster",
        "authorizationInfo": [{"permission": "container.clusters.get"}, {"permission": "container.clusters.update"}],
        "status": {"code": 7},
    },
}


@pytest.mark.parametrize(
    "query",
    [
        "",
        'severity="NOTICE"',
        "severity=notice",
        "severity>=INFO severity<ERROR",
        'log_id("cloudaudit.googleapis.com/activity")',
        'resource.type="gke_cluster" AND resource.labels.cluster_name="EU-1"',
        'resource.type="gke_cluster"\nresource.labels.location=europe-west1',
        'labels."k8s-app/name"=x',
        "operation.first=true",
        "operation.first=TRUE NOT operation.last=true",
        "-operation.last=true",
        'protoPayload.methodName=~"ClusterManager\\.(Create|Update)Cluster$"',
        'protoPayload.methodName!~"Delete"',
        'protoPayload.methodName:"updatecluster"',
        'protoPayload.authorizationInfo.permission="container.clusters.update"',
        "protoPayload.status.code>=7 protoPayload.status.code!=8",
        'timestamp>="2026-05-04T09:00:00Z" timestamp<="2026-05-04T11:00:01+02:00"',
        "operation.id:*",
        'severity=("ERROR" OR "NOTICE")',
        # OR binds more tightly than AND.
        "severity=NOTICE OR severity=ERROR operation.first=true",
        "(operation.last=true AND severity=ERROR) OR severity=NOTICE",
    ],
)
def test_queries_that_match(query: str) -> None:
    assert compile_query(query)(ENTRY)


@pytest.mark.parametrize(
    "query",
    [
        "severity>NOTICE",
        'log_id("run.googleapis.com/stdout")',
        'resource.labels.cluster_name="eu"',
        'operation.id="operation-1" operation.last=true',
        # A field that isn't there matches nothing, not even its opposite.
        'jsonPayload.message!="x"',
        "operation.last!=true",
        "operation.producer:*",
        'protoPayload.methodName=~"updatecluster"',
        'protoPayload.methodName!~"Update"',
        'timestamp<"2026-05-04T09:00:00Z"',
        "protoPayload.status.code=seven",
        "severity=ERROR OR severity=NOTICE operation.last=true",
        "NOT (operation.first=true)",
        'labels.request_id.deeper="x"',
    ],
)
def test_queries_that_do_not_match(query: str) -> None:
    assert not compile_query(query)(ENTRY)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("oops", "searches fields only"),
        ('"oops"', "searches fields only"),
        ("colour=red", "Unrecognized field 'colour'"),
        ("severity=", "expected a value"),
        ("severity=PURPLE", "no severity"),
        ('timestamp>="yesterday"', "no timestamp"),
        ('labels.a=~"("', "regular expression"),
        ("(severity=INFO", "closing parenthesis"),
        ("severity=INFO)", "an end or another"),
        ('severity=("INFO" "ERROR")', "OR or a closing"),
        ('ip_in_net(jsonPayload.ip, "10.0.0.0/8")', "no function ip_in_net"),
        ("log_id(a)", "one text in double quotes"),
        ('labels.a="open', "syntax error at position"),
        ("severity=INFO AND", "the end"),
        ("=INFO", "a field"),
        ("(" * 60 + "severity=INFO" + ")" * 60, "nested"),
        ("severity=INFO " * 2_000, "at most 20000"),
    ],
)
def test_what_it_does_not_understand_is_refused_in_words(query: str, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        compile_query(query)


@given(st.text(alphabet='abc.=:"()\\ -ORANDT<>~!*', max_size=60))
def test_no_query_makes_it_fail_otherwise(query: str) -> None:
    try:
        parse(query)
    except QueryError:
        return


def request(query: str = "", **changes: Any) -> ListLogEntriesRequest:
    return ListLogEntriesRequest(**{"resource_names": ["projects/mesh"], "filter": query, **changes})


def written(count: int) -> CloudLogging:
    log = CloudLogging(clock=lambda: NOW)
    for number in range(count):
        log.write(ENTRY | {"insertId": str(number), "timestamp": (NOW + dt.timedelta(seconds=number)).isoformat()})
    return log


def test_pages_follow_each_other_though_more_is_written_meanwhile() -> None:
    log = written(5)
    first = log.list_entries(request(page_size=2, order_by="timestamp desc"), TESTER)
    log.write(ENTRY | {"insertId": "new", "timestamp": (NOW + dt.timedelta(hours=1)).isoformat()})
    token = first.next_page_token
    second = log.list_entries(request(page_size=2, order_by="timestamp desc", page_token=token), TESTER)
    third = log.list_entries(request(page_size=2, order_by="timestamp desc", page_token=second.next_page_token), TESTER)
    pages = [[entry.insert_id for entry in page.entries] for page in (first, second, third)]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    assert third.next_page_token == ""
    assert [entry.insert_id for entry in log.list_entries(request(), TESTER).entries] == [*"01234", "new"]


def test_other_projects_are_not_listed() -> None:
    log = written(1)
    assert not log.list_entries(request(resource_names=["projects/shop"]), TESTER).entries


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"filter": "oops"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"order_by": "severity"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"page_token": "nonsense"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"resource_names": []}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"resource_names": ["folders/1"]}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_requests_that_are_refused(changes: dict[str, Any], code: grpc.StatusCode) -> None:
    with pytest.raises(RpcFailure) as caught:
        written(1).list_entries(request(**changes), TESTER)
    assert caught.value.code is code


def test_only_readers_read() -> None:
    log = CloudLogging(readers={"enforce-policy@mesh.iam.gserviceaccount.com"})
    with pytest.raises(RpcFailure, match="Permission denied"):
        log.list_entries(request(), TESTER)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "verify_mesh.log"


def printed(file: Path) -> Printed:
    return Printed(file, "verify-mesh", "mesh", "europe-west1")


def test_only_whole_lines_are_read_and_each_once(file: Path) -> None:
    log = printed(file)
    assert list(log.read(NOW)) == []
    file.write_bytes(b'{"message": "one"}\n\n{"mess')
    assert [entry["jsonPayload"] for entry in log.read(NOW)] == [{"message": "one"}]
    with file.open("ab") as more:
        more.write(b'age": "two"}\n')
    assert [entry["jsonPayload"] for entry in log.read(NOW)] == [{"message": "two"}]
    assert list(log.read(NOW)) == []


def test_a_structured_line_is_shaped_as_cloud_runs(file: Path) -> None:
    line = {
        "severity": "WARNING",
        "message": "said",
        "time": "2026-05-04T08:59:00.5Z",
        "stage": "verify",
        "logging.googleapis.com/labels": {"cluster": "c", "request_id": "r"},
        "logging.googleapis.com/trace": "projects/mesh/traces/1",
        "logging.googleapis.com/spanId": "2",
        "logging.googleapis.com/trace_sampled": True,
    }
    file.write_text(json.dumps(line) + "\n")
    [entry] = printed(file).read(NOW)
    assert entry.pop("insertId")
    assert entry == {
        "logName": "projects/mesh/logs/run.googleapis.com%2Fstdout",
        "resource": {
            "type": "cloud_run_revision",
            "labels": {
                "project_id": "mesh",
                "location": "europe-west1",
                "service_name": "verify-mesh",
                "configuration_name": "verify-mesh",
                "revision_name": "verify-mesh-local",
            },
        },
        "severity": "WARNING",
        "timestamp": "2026-05-04T08:59:00.5Z",
        "receiveTimestamp": NOW.isoformat(),
        "labels": {"cluster": "c", "request_id": "r"},
        "trace": "projects/mesh/traces/1",
        "spanId": "2",
        "traceSampled": True,
        "jsonPayload": {"message": "said", "stage": "verify"},
    }


def test_other_lines_are_text(file: Path) -> None:
    lines = [b"Traceback \xff", b"[1, 2]", b"{broken", b'{"a": "' + b"x" * MAX_BYTES + b'"}']
    file.write_bytes(b"\n".join(lines) + b"\n")
    entries = list(printed(file).read(NOW))
    assert entries[0]["textPayload"] == "Traceback \N{REPLACEMENT CHARACTER}"
    assert [entry["logName"].rpartition("/")[2] for entry in entries] == ["run.googleapis.com%2Fstderr"] * 4
    assert {entry["severity"] for entry in entries} == {"DEFAULT"}
    assert len(entries[3]["textPayload"]) == MAX_BYTES


def test_fields_that_are_not_what_they_should_be_stay(file: Path) -> None:
    file.write_text('{"severity": "loud", "time": "noon", "logging.googleapis.com/labels": 3}\n')
    [entry] = printed(file).read(NOW)
    assert (entry["severity"], entry["timestamp"], entry["jsonPayload"]) == (
        "DEFAULT",
        NOW.isoformat(),
        {"time": "noon"},
    )


def test_a_function_that_starts_again_begins_its_file_anew(file: Path) -> None:
    log = CloudLogging(clock=lambda: NOW)
    log.follow("verify_mesh", printed(file))
    file.write_text('{"message": "before"}\n')
    log.restarting("verify_mesh")
    file.write_text('{"message": "after it"}\n')
    entries = log.list_entries(request(), TESTER).entries
    assert [entry.json_payload["message"] for entry in entries] == ["before", "after it"]


def _another(operation: str, cluster: str) -> dict[str, Any]:
    labels = {"cluster_name": cluster, "location": "europe-west1"}
    return {**ENTRY, "operation": {"id": operation}, "resource": {"type": "gke_cluster", "labels": labels}}


ENTRIES = [_another(f"operation-{number % 3}", f"EU-{number % 5}") for number in range(40)] + [
    {**ENTRY, "operation": {}}
]


@pytest.mark.parametrize(
    ("query", "fewer"),
    [
        ('operation.id="operation-1" operation.first=true', True),
        ('operation.id="OPERATION-2"', True),
        ('resource.labels.cluster_name="eu-4" operation.id="operation-1" severity=NOTICE', True),
        ('operation.id="nobody"', True),
        ('labels.request_id="r1"', False),
        ('operation.id="operation-1" OR operation.id="operation-2"', False),
        ('NOT operation.id="operation-1"', False),
        ('operation.id:"operation-1"', False),
        ('operation.id!="operation-1"', False),
        ("", False),
    ],
)
def test_the_index_leaves_out_nothing_that_matches(query: str, fewer: bool) -> None:
    log: Log[int] = Log(1_000)
    for number, entry in enumerate(ENTRIES):
        log.add(entry, number)
    matches = compile_query(query)
    candidates = list(log.candidates(parse(query)))
    assert [number for number in candidates if matches(ENTRIES[number])] == [
        number for number, entry in enumerate(ENTRIES) if matches(entry)
    ]
    assert (len(candidates) < len(ENTRIES)) is fewer


def test_the_oldest_make_room() -> None:
    log: Log[int] = Log(3)
    for number, entry in enumerate(ENTRIES):
        log.add(entry, number)
    assert list(log.candidates(parse(""))) == [38, 39, 40]
    assert len(list(log.candidates(parse('labels.request_id="r1"')))) == 3
