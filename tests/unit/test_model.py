from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import model
from shared.errors import Permanent
from shared.model import (
    CategoryReport,
    CheckOutcome,
    CheckReport,
    CheckResult,
    CheckSummary,
    ClusterRef,
    FailingCheck,
    InstallRequest,
    MeshStatus,
    Phase,
    Reason,
    Release,
    VerifyRequest,
    decode,
    encode,
)

REF = ClusterRef("shop-prod", "europe-west1", "checkout")
NAME = "projects/shop-prod/locations/europe-west1/clusters/checkout"
SEEN = dt.datetime(2026, 5, 4, 9, 10, 11, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "text",
    [
        NAME,
        "projects/shop-prod/zones/europe-west1/clusters/checkout",
        "projects/shop-prod/regions/europe-west1/clusters/checkout",
        f"//container.googleapis.com/{NAME}",
    ],
)
def test_a_clusters_name_is_read_in_all_its_forms(text: str) -> None:
    ref = ClusterRef.parse(text)
    assert ref == REF
    assert str(ref) == NAME
    assert ref.parent == "projects/shop-prod/locations/europe-west1"


@pytest.mark.parametrize(
    "text", ["", "checkout", f"{NAME}/", f"{NAME}\n", NAME.upper(), "projects/p/locations/../clusters/c"]
)
def test_what_names_no_cluster_is_permanent(text: str) -> None:
    with pytest.raises(Permanent, match="is not a cluster's resource name"):
        ClusterRef.parse(text)


def test_a_domain_scoped_project_is_one() -> None:
    assert ClusterRef.parse("projects/example.com:shop/locations/l/clusters/c").project == "example.com:shop"


def test_a_request_is_json_with_the_clusters_name_and_without_defaults() -> None:
    data = encode(InstallRequest(cluster=REF, mesh="linkerd", first_seen=SEEN))
    assert json.loads(data) == {"cluster": NAME, "mesh": "linkerd", "first_seen": "2026-05-04T09:10:11Z"}


def test_the_same_message_is_the_same_bytes() -> None:
    status = MeshStatus(cluster=REF, phase=Phase.READY, reason="Ready", message="m", timings={"b": 1.0, "a": 2.0})
    keys = list(json.loads(encode(status)))
    assert keys == sorted(keys)
    assert json.loads(encode(MeshStatus(cluster=None, phase=Phase.FAILED, reason="r", message="m")))["cluster"] is None


def test_requests_survive_the_way() -> None:
    install = InstallRequest(cluster=REF, mesh="linkerd", reason=Reason.REPAIR, attempt=2, operation="operation-1")
    assert decode(encode(install), InstallRequest) == install
    release = Release("linkerd-crds", "linkerd-crds-2026.6.3", "", 1)
    verify = VerifyRequest(cluster=REF, mesh="linkerd", release=(release,), first_seen=SEEN)
    assert decode(encode(verify), VerifyRequest) == verify


def test_the_least_that_works_by_hand() -> None:
    found = decode(f'{{"cluster": "{NAME}", "mesh": "linkerd", "unknown": 1}}'.encode(), InstallRequest)
    assert found == InstallRequest(cluster=REF, mesh="linkerd")


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"", "MalformedMessage", "not JSON"),
        (b"\xff", "MalformedMessage", "not JSON"),
        (b"[]", "MalformedMessage", "a JSON list, not an object"),
        (b"{}", "MalformedMessage", "missing required field `cluster`"),
        (b'{"cluster": "x", "mesh": "linkerd"}', "MalformedCluster", "'x' is not"),
        (f'{{"cluster": "{NAME}", "mesh": 1}}'.encode(), "MalformedMessage", "Expected `str`"),
        (f'{{"cluster": "{NAME}", "mesh": "m", "schema": 2}}'.encode(), "SchemaTooNew", "understands up to 1"),
    ],
)
def test_malformed_messages_are_permanent(data: bytes, reason: str, words: str) -> None:
    with pytest.raises(Permanent) as raised:
        decode(data, InstallRequest)
    assert raised.value.reason == reason
    assert words in raised.value.problem


def test_an_error_about_a_readable_cluster_names_it() -> None:
    with pytest.raises(Permanent) as raised:
        decode(f'{{"cluster": "{NAME}", "attempt": "x"}}'.encode(), InstallRequest)
    assert raised.value.cluster == NAME


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda i: st.lists(i) | st.dictionaries(st.text(), i)
    )
)
def test_random_json_is_permanent(raw: Any) -> None:
    with pytest.raises(Permanent):
        decode(json.dumps(raw).encode(), InstallRequest)


def test_a_report_in_numbers() -> None:
    results = (
        CheckResult("a", CheckOutcome.PASS),
        CheckResult("b", CheckOutcome.WARN, "old"),
        CheckResult("c", CheckOutcome.FAIL, "broken", "https://example.com/c"),
        CheckResult("d", CheckOutcome.SKIP),
    )
    report = CheckReport((CategoryReport("one", results[:2]), CategoryReport("two", results[2:])))
    assert [category for category, _ in report] == ["one", "one", "two", "two"]
    assert not report.healthy
    assert CheckSummary.of(report) == CheckSummary(1, 1, 1, 1, (FailingCheck("two", "c", "broken"),))


def test_warnings_and_skips_are_healthy() -> None:
    results = (CheckResult("b", CheckOutcome.WARN), CheckResult("d", CheckOutcome.SKIP))
    assert CheckReport((CategoryReport("one", results),)).healthy
    assert CheckReport().healthy


def test_a_status_without_a_cluster_is_plain_too() -> None:
    found = model.to_builtins(MeshStatus(cluster=None, phase=Phase.FAILED, reason="r", message="m"))
    assert (found["cluster"], found["phase"]) == (None, "Failed")


def test_a_status_without_a_cluster_survives_the_way() -> None:
    status = MeshStatus(cluster=None, phase=Phase.FAILED, reason="r", message="m")
    assert decode(encode(status), MeshStatus) == status
