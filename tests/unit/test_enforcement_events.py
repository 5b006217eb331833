"""What the enforcer is sent: updates of clusters in both envelopes, looks at one cluster, and sweeps."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from shared import events
from shared.errors import Permanent
from shared.model import ClusterEvent, EnforceRequest, Reason, SweepRequest
from shared.outcome import Ignored
from tests.unit.test_events import CHECKOUT, ENTRY_TIME, audit, changed, pubsub, sample

PUBLISHED = dt.datetime(2026, 5, 4, 9, 10, 13, 500000, tzinfo=dt.UTC)
UPDATED = ClusterEvent(
    cluster=CHECKOUT,
    method="UpdateCluster",
    operation="operation-1780000000001-0a1b2c3d",
    request_id="operation-1780000000001-0a1b2c3d",
    time=ENTRY_TIME,
)


def method(name: str) -> dict[str, Any]:
    return changed(sample("updated-last"), methodName=name)


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
@pytest.mark.parametrize("envelope", [audit, pubsub])
def test_a_successful_last_entry_of_an_update_is_an_event(version: str, envelope: Any) -> None:
    entry = method(f"google.container.{version}.ClusterManager.UpdateCluster")
    assert events.enforcement(envelope(entry)) == UPDATED


@pytest.mark.parametrize("envelope", [audit, pubsub])
@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (sample("created-last"), "CreateCluster asks for nothing here"),
        (method("google.container.v1.ClusterManager.SetLabels"), "SetLabels asks for nothing here"),
        (method("google.container.v1.ClusterManager.UpdateNodePool"), "UpdateNodePool asks for nothing here"),
        ({**sample("updated-last"), "operation": {"id": "o", "first": True}}, "has only begun"),
        (changed(sample("updated-last"), status={"code": 9, "message": "busy"}), "failed: code 9, busy"),
        (
            {**changed(sample("updated-last"), status={"code": 7, "message": "no"}), "operation": None},
            "was rejected, so no operation began: code 7, no",
        ),
    ],
)
def test_other_entries_are_ignored_with_a_reason(entry: Any, words: str, envelope: Any) -> None:
    found = events.enforcement(envelope(entry))
    assert isinstance(found, Ignored)
    assert words in found.reason


def test_a_cluster_is_one_to_look_at() -> None:
    asked = {"cluster": "projects/shop-prod/zones/europe-west1/clusters/checkout", "project": "p", "unknown": 1}
    assert events.enforcement(pubsub(asked)) == EnforceRequest(
        cluster=CHECKOUT, reason=Reason.RERUN, request_id="42", first_seen=PUBLISHED
    )


def test_an_update_that_waited_keeps_its_operation_and_its_end() -> None:
    asked = {
        "cluster": str(CHECKOUT),
        "reason": "drift",
        "request_id": "o-1",
        "operation": "o-1",
        "ended": "2026-05-04T09:00:00Z",
        "first_seen": "2026-05-04T09:01:00Z",
    }
    assert events.enforcement(pubsub(asked)) == EnforceRequest(
        cluster=CHECKOUT,
        reason=Reason.DRIFT,
        request_id="o-1",
        operation="o-1",
        ended=dt.datetime(2026, 5, 4, 9, tzinfo=dt.UTC),
        first_seen=dt.datetime(2026, 5, 4, 9, 1, tzinfo=dt.UTC),
    )


@pytest.mark.parametrize("asked", [{}, {"sweep": True}, {"project": None}, {"cluster": None}, {"schema": 1}])
def test_the_smallest_messages_sweep_everything(asked: Any) -> None:
    assert events.enforcement(pubsub(asked)) == SweepRequest(
        project=None, reason=Reason.SWEEP, request_id="42", first_seen=PUBLISHED
    )


@pytest.mark.parametrize("project", ["shop-prod", "example.com:shop", "123456789012"])
def test_a_project_is_one_to_sweep(project: str) -> None:
    asked = {"project": project, "request_id": "s-1", "reason": "rerun", "actor": "ann@example.com"}
    found = events.enforcement(pubsub(asked, attributes={"first_seen": "2026-05-04T09:00:00Z"}))
    assert found == SweepRequest(
        project=project,
        reason=Reason.RERUN,
        request_id="s-1",
        first_seen=dt.datetime(2026, 5, 4, 9, tzinfo=dt.UTC),
        actor="ann@example.com",
    )


@pytest.mark.parametrize(
    "asked",
    [
        {"project": ""},
        {"project": 5},
        {"project": ["a"]},
        {"project": "projects/shop-prod"},
        {"project": "shop-prod\n"},
        {"project": "a" * 64},
        {"project": "*"},
        {"request_id": "x" * 257},
        {"actor": "x" * 257},
        {"reason": "boredom"},
        {"first_seen": "yesterday"},
        {"schema": "one"},
    ],
)
def test_what_is_no_sweep_is_malformed_and_told_what_to_write(asked: Any) -> None:
    with pytest.raises(Permanent) as raised:
        events.enforcement(pubsub(asked))
    assert raised.value.reason == "MalformedMessage"
    assert "write {} to sweep all projects" in raised.value.remedy


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (pubsub({"schema": 2}), "SchemaTooNew"),
        (pubsub({"cluster": 5}), "MalformedMessage"),
        (pubsub({"cluster": "blue"}), "MalformedCluster"),
        (pubsub([]), "MalformedEvent"),
        (pubsub(b"\xff"), "MalformedEvent"),
        (pubsub({"protoPayload": 1}), "MalformedEvent"),
        (audit(None), "MalformedEvent"),
        (audit({"protoPayload": {}}), "MalformedEvent"),
    ],
)
def test_what_cannot_be_read_is_permanent(event: Any, reason: str) -> None:
    with pytest.raises(Permanent) as raised:
        events.enforcement(event)
    assert raised.value.reason == reason
