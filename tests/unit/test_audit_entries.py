from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from byomesh.local.gke import audit
from shared.model import ClusterRef

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "data" / "audit-logs"
RECORDED = ROOT.parent / "shared" / "audit-logs"
NOON = dt.datetime(2026, 11, 2, 12, 0, 0, 250_000, dt.UTC)
OPERATION = audit.AuditedOperation("operation-1-a", "CREATE_CLUSTER", NOON)
DENIED = audit.Failure(7, "no")

ONLY_SOMETIMES = {"serviceAccountDelegationInfo"}
"""Keys that a recorded entry has by its caller's kind, not by its own."""


def called(method: str = "CreateCluster", location: str = "europe-west1", version: str = "v1") -> audit.Audited:
    ref = ClusterRef("shop-prod", location, "till")
    request = {"parent": ref.parent, "cluster": {"name": "till"}}
    return audit.Audited(ref, method, version, "ops@example.com", "curl", "127.0.0.1", request)


def shape(value: Any) -> Any:
    """The keys of an entry, all the way down; a cluster that was asked for is somebody's own."""
    if isinstance(value, dict):
        return {
            key: "asked" if key == "cluster" else shape(part)
            for key, part in value.items()
            if key not in ONLY_SOMETIMES
        }
    if isinstance(value, list):
        return [shape(part) for part in value]
    return type(value).__name__


STARTED, FINISHED, REJECTED = (
    audit.first(called(), OPERATION),
    audit.last(called(), OPERATION, NOON),
    audit.rejected(called(), DENIED, NOON),
)


@pytest.mark.parametrize(
    ("file", "entry"),
    [
        ("creation_started.yaml", STARTED),
        ("creation_finished.yaml", FINISHED),
        ("creation_rejected.yaml", REJECTED),
        ("update_finished.yaml", FINISHED),
    ],
)
def test_entries_are_shaped_as_the_samples(file: str, entry: dict[str, Any]) -> None:
    assert shape(yaml.safe_load((SAMPLES / file).read_text())) == shape(entry)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded entries are not on this machine")
@pytest.mark.parametrize(
    ("file", "entry"),
    [
        ("cluster_creation_started.yaml", STARTED),
        ("cluster_creation_finished.yaml", FINISHED),
        ("cluster_creation_started_with_error.yaml", REJECTED),
    ],
)
def test_entries_are_shaped_as_the_recorded_ones(file: str, entry: dict[str, Any]) -> None:
    assert shape(yaml.safe_load((RECORDED / file).read_text())) == shape(entry)


def test_a_started_operation_tells_who_asked_for_what() -> None:
    payload = STARTED["protoPayload"]
    assert STARTED["operation"] == {"first": True, "id": "operation-1-a", "producer": "container.googleapis.com"}
    assert payload["request"] == {
        "@type": "type.googleapis.com/google.container.v1alpha1.CreateClusterRequest",
        "parent": "projects/shop-prod/locations/europe-west1",
        "cluster": {"name": "till"},
    }
    assert payload["authenticationInfo"]["principalSubject"] == "user:ops@example.com"
    assert payload["response"]["status"] == "RUNNING"
    assert "status" not in payload
    assert STARTED["timestamp"] == "2026-11-02T12:00:00.250000000Z"
    assert STARTED["receiveTimestamp"] > STARTED["timestamp"]
    assert json.loads(json.dumps(STARTED)) == STARTED


def test_a_finished_operation_tells_only_its_outcome() -> None:
    assert FINISHED["operation"] == {"last": True, "id": "operation-1-a", "producer": "container.googleapis.com"}
    assert FINISHED["protoPayload"]["status"] == {}
    assert FINISHED["severity"] == "NOTICE"
    failed = audit.last(called(), OPERATION, NOON, DENIED)
    assert failed["protoPayload"]["status"] == {"code": 7, "message": "no"}
    assert failed["severity"] == "ERROR"


def test_a_rejected_call_has_no_operation() -> None:
    assert "operation" not in REJECTED
    assert REJECTED["severity"] == "ERROR"
    assert REJECTED["protoPayload"]["response"] == {"@type": "type.googleapis.com/google.container.v1alpha1.Operation"}


@pytest.mark.parametrize(
    ("location", "word"), [("europe-west1", "locations"), ("europe-west1-b", "zones"), ("us-central1-a", "zones")]
)
def test_a_zonal_cluster_says_zones(location: str, word: str) -> None:
    entry = audit.last(called(location=location), OPERATION, NOON)
    assert entry["protoPayload"]["resourceName"] == f"projects/shop-prod/{word}/{location}/clusters/till"
    assert entry["resource"]["labels"]["location"] == location


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize("method", sorted(audit.PERMISSIONS))
def test_the_method_carries_its_version_and_permission(method: str, version: str) -> None:
    payload = audit.first(called(method, version=version), OPERATION)["protoPayload"]
    assert payload["methodName"] == f"google.container.{version}.ClusterManager.{method}"
    assert payload["request"]["@type"].endswith(f".v1alpha1.{method}Request")
    assert payload["authorizationInfo"][0]["permission"].startswith("container.clusters.")


def test_a_service_account_is_named_as_one() -> None:
    call = audit.Audited(called().ref, "DeleteCluster", "v1", "x@p.iam.gserviceaccount.com", "", "127.0.0.1", {})
    info = audit.first(call, OPERATION)["protoPayload"]["authenticationInfo"]
    assert info["principalSubject"] == "serviceAccount:x@p.iam.gserviceaccount.com"
