from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloudevents.http import CloudEvent
from hypothesis import example, given
from hypothesis import strategies as st

from shared import events
from shared.errors import Permanent
from shared.model import ClusterEvent, ClusterRef, InstallRequest, Reason, VerifyRequest
from shared.outcome import Ignored

DATA = Path(__file__).parents[1] / "data" / "events"
RECORDED = Path(__file__).parents[3] / "shared" / "audit-logs"

CHECKOUT = ClusterRef("shop-prod", "europe-west1", "checkout")
ENTRY_TIME = dt.datetime(2026, 5, 4, 9, 10, 11, 123457, tzinfo=dt.UTC)
SENT = "2026-05-04T09:10:20+00:00"


def audit(data: Any) -> CloudEvent:
    attributes = {"type": events.AUDIT_TYPE, "source": "//cloudaudit.googleapis.com/x", "id": "ce-1", "time": SENT}
    return CloudEvent(attributes, data)


def pubsub(content: Any, /, **message: Any) -> CloudEvent:
    attributes = {"type": events.PUBSUB_TYPE, "source": "//pubsub.googleapis.com/", "id": "ce-2", "time": SENT}
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    body = {"data": base64.b64encode(raw).decode(), "messageId": "42", "publishTime": "2026-05-04T09:10:13.5Z"}
    return CloudEvent(attributes, {"message": {**body, **message}})


def sample(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())


def changed(entry: dict[str, Any], **payload: Any) -> dict[str, Any]:
    return {**entry, "protoPayload": {**entry["protoPayload"], **payload}}


CREATED = ClusterEvent(
    cluster=CHECKOUT,
    method="CreateCluster",
    operation="operation-1780000000000-0a1b2c3d",
    request_id="operation-1780000000000-0a1b2c3d",
    time=ENTRY_TIME,
)


def test_a_successful_last_entry_is_an_event() -> None:
    assert events.cluster_event(audit(sample("created-last"))) == CREATED


def test_a_body_that_was_not_declared_json_is_read_all_the_same() -> None:
    assert events.cluster_event(audit((DATA / "created-last.json").read_bytes())) == CREATED
    assert events.cluster_event(audit((DATA / "created-last.json").read_text())) == CREATED


def test_the_same_entry_in_a_pubsub_message_is_the_same_event() -> None:
    attributes = {"type": events.PUBSUB_TYPE, "source": "//pubsub.googleapis.com/"}
    assert events.cluster_event(CloudEvent(attributes, sample("created-last-pubsub"))) == CREATED


def test_first_seen_comes_from_the_messages_attribute() -> None:
    event = pubsub(sample("created-last"), attributes={"first_seen": "2026-05-04T09:00:00Z"})
    found = events.cluster_event(event)
    assert isinstance(found, ClusterEvent)
    assert found.first_seen == dt.datetime(2026, 5, 4, 9, tzinfo=dt.UTC)


def test_a_bad_first_seen_is_malformed() -> None:
    with pytest.raises(Permanent, match="first_seen is no RFC 3339 time: 'yesterday'"):
        events.cluster_event(pubsub(sample("created-last"), attributes={"first_seen": "yesterday"}))


def test_v1beta1_and_zones_and_missing_labels_are_understood() -> None:
    found = events.cluster_event(audit(sample("created-last-v1beta1-zonal")))
    assert isinstance(found, ClusterEvent)
    assert found.cluster == ClusterRef("shop-prod", "europe-west1-b", "checkout")


def test_v1alpha1_is_understood() -> None:
    entry = changed(sample("created-last"), methodName="google.container.v1alpha1.ClusterManager.CreateCluster")
    assert events.cluster_event(audit(entry)) == CREATED


def test_resource_labels_win_over_the_resource_name() -> None:
    entry = changed(sample("created-last"), resourceName="projects/12345/zones/somewhere-a/clusters/other")
    assert events.cluster_event(audit(entry)) == CREATED


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("created-first", "has only begun"),
        ("created-rejected", 'was rejected, so no operation began: code 3, No valid versions with the prefix "1.99"'),
        ("created-failed-last", "failed: code 8, Insufficient quota"),
        ("updated-last", "UpdateCluster asks for nothing here"),
    ],
)
def test_other_entries_are_ignored_with_a_reason(name: str, words: str) -> None:
    found = events.cluster_event(audit(sample(name)))
    assert isinstance(found, Ignored)
    assert words in found.reason


@pytest.mark.parametrize(
    "payload",
    [
        {"methodName": "google.container.v1.ClusterManager.DeleteCluster"},
        {"methodName": "google.container.v1.ClusterManager.CreateNodePool"},
        {"methodName": "io.k8s.core.v1.pods.create", "serviceName": "k8s.io"},
        {"methodName": "google.container.v1.ClusterManager.CreateCluster", "serviceName": "evil.example.com"},
        {"methodName": "google.container.v2.ClusterManager.CreateCluster"},
    ],
)
def test_other_methods_and_services_are_ignored(payload: dict[str, Any]) -> None:
    assert isinstance(events.cluster_event(audit(changed(sample("created-last"), **payload))), Ignored)


def test_an_entry_that_is_first_and_last_counts() -> None:
    entry = sample("created-last")
    entry["operation"]["first"] = True
    assert events.cluster_event(audit(entry)) == CREATED


def test_an_entry_with_an_empty_operation_is_ignored() -> None:
    found = events.cluster_event(audit({**sample("created-last"), "operation": {}}))
    assert isinstance(found, Ignored)
    assert found.reason.endswith("was rejected, so no operation began")


def test_the_time_of_an_entry_without_one_is_the_messages() -> None:
    entry = sample("created-last")
    del entry["timestamp"]
    by_message = events.cluster_event(pubsub(entry))
    by_event = events.cluster_event(audit(entry))
    assert isinstance(by_message, ClusterEvent)
    assert isinstance(by_event, ClusterEvent)
    assert by_message.time == dt.datetime(2026, 5, 4, 9, 10, 13, 500000, tzinfo=dt.UTC)
    assert by_event.time == dt.datetime(2026, 5, 4, 9, 10, 20, tzinfo=dt.UTC)


def test_the_enabler_takes_a_request_too() -> None:
    assert events.cluster_event(pubsub({"cluster": str(CHECKOUT), "mesh": "linkerd"})) == InstallRequest(
        cluster=CHECKOUT,
        mesh="linkerd",
        request_id="42",
        first_seen=dt.datetime(2026, 5, 4, 9, 10, 13, 500000, tzinfo=dt.UTC),
    )


def test_a_request_keeps_what_it_says_itself() -> None:
    body = {
        "cluster": "//container.googleapis.com/projects/shop-prod/zones/europe-west1/clusters/checkout",
        "mesh": "linkerd",
        "reason": "repair",
        "request_id": "r-1",
        "attempt": 2,
        "first_seen": "2026-05-04T08:00:00Z",
        "actor": "dana@example.com",
        "unknown": [1],
    }
    expected = {"cluster": CHECKOUT, "mesh": "linkerd", "reason": Reason.REPAIR, "request_id": "r-1", "attempt": 2}
    seen = dt.datetime(2026, 5, 4, 8, tzinfo=dt.UTC)
    actor = "dana@example.com"
    assert events.install_request(pubsub(body)) == InstallRequest(**expected, first_seen=seen, actor=actor)  # type: ignore[arg-type]
    assert events.verify_request(pubsub(body)) == VerifyRequest(**expected, first_seen=seen, actor=actor)  # type: ignore[arg-type]


def test_a_request_without_publish_time_or_message_id_falls_back_to_the_event() -> None:
    event = pubsub({"cluster": str(CHECKOUT), "mesh": "linkerd"}, messageId="", publishTime=None)
    found = events.install_request(event)
    assert (found.request_id, found.first_seen) == ("ce-2", dt.datetime.fromisoformat(SENT))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (audit(None), "the audit entry is absent, not an object"),
        (audit(b""), "the audit entry is empty"),
        (audit(b"\xff\xfe"), "the audit entry is not JSON"),
        (audit("hello"), "the audit entry is not JSON"),
        (audit([]), "the audit entry is a JSON list, not an object"),
        (audit({}), "missing required field `protoPayload`"),
        (audit({"protoPayload": {"methodName": 7, "serviceName": "x"}}), "Expected `str`, got `int`"),
        (pubsub(b"[1]"), "the message's data is a JSON list"),
        (pubsub(b"["), "the message's data is not JSON"),
        (pubsub(b"[" * 100_000), "the message's data is not JSON"),
        (pubsub({}, data=""), "the message's data is empty"),
        (pubsub({}, data="!"), "Invalid base64"),
        (pubsub({"cluster": {"project": "p", "location": "l", "name": "../x"}, "mesh": "linkerd"}), "resource name"),
        (pubsub({"mesh": "linkerd"}), "the field cluster must be a cluster's resource name"),
        (pubsub({"cluster": "projects/p", "mesh": "linkerd"}), "is not a cluster's resource name"),
        (pubsub({"cluster": str(CHECKOUT), "mesh": "linkerd", "schema": 2}), "schema 2"),
        (CloudEvent({"type": "other", "source": "x"}, {}), "an event of type 'other' is neither"),
        (
            CloudEvent({"type": events.PUBSUB_TYPE, "source": "x"}, {"no": "message"}),
            "missing required field `message`",
        ),
    ],
)
def test_what_cannot_be_read_is_permanent_with_words(event: CloudEvent, words: str) -> None:
    with pytest.raises(Permanent) as raised:
        events.cluster_event(event)
    assert words in str(raised.value)


def test_a_cluster_name_that_is_none_is_permanent() -> None:
    entry = changed(sample("created-last-v1beta1-zonal"), resourceName="")
    with pytest.raises(Permanent, match="not a cluster's resource name"):
        events.cluster_event(audit(entry))


def test_an_audit_event_is_no_request() -> None:
    with pytest.raises(Permanent, match="is neither"):
        events.install_request(audit(sample("created-last")))


def test_what_delivery_asks_of_an_event() -> None:
    event = pubsub({}, attributes={"traceparent": "00-1", "cluster": "c"})
    assert events.attributes(event) == {"traceparent": "00-1", "cluster": "c"}
    assert events.message_id(event) == "42"
    assert events.trace(event) == "00-1"


def test_what_delivery_asks_of_an_event_without_a_message() -> None:
    event = audit({})
    assert events.attributes(event) == {}
    assert events.message_id(event) == "ce-1"
    assert events.trace(event) is None
    event["traceparent"] = "00-2"
    assert events.trace(event) == "00-2"


def test_what_delivery_asks_of_a_message_with_nothing() -> None:
    event = pubsub({}, messageId="", attributes=None)
    assert events.attributes(event) == {}
    assert events.message_id(event) == "ce-2"


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["cluster", "mesh", "schema", "reason", "attempt", "first_seen", "protoPayload", "operation"])
NAMED = st.dictionaries(FIELDS, JSON | st.just(str(CHECKOUT)) | st.just("linkerd"), max_size=5)


@given(body=JSON | NAMED | st.binary() | st.text(), attributes=JSON)
@example(body={"protoPayload": {"methodName": "", "serviceName": ""}}, attributes={"first_seen": "0"})
def test_random_input_is_decoded_or_permanent(body: Any, attributes: Any) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    decoders = (events.cluster_event, events.install_request, events.verify_request)
    for event in (audit(body), pubsub(content), pubsub(content, attributes=attributes)):
        events.attributes(event)
        events.message_id(event)
        events.trace(event)
        for decode in decoders:
            with contextlib.suppress(Permanent):
                decode(event)


@given(message=JSON)
def test_random_pushes_are_decoded_or_permanent(message: Any) -> None:
    event = CloudEvent({"type": events.PUBSUB_TYPE, "source": "x"}, {"message": message})
    with pytest.raises(Permanent):
        events.install_request(event)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded entries are not here")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cluster_creation_finished", ClusterEvent),
        ("cluster_creation_started", Ignored),
        ("cluster_creation_started_with_error", Ignored),
    ],
)
def test_recorded_entries(name: str, kind: type) -> None:
    entry = yaml.safe_load((RECORDED / f"{name}.yaml").read_text())
    found = events.cluster_event(audit(json.loads(json.dumps(entry, default=str))))
    assert type(found) is kind
    if isinstance(found, ClusterEvent):
        assert found.cluster == ClusterRef("khi-testing", "us-central1-a", "gke-basic-1")
        assert found.request_id == "operation-1726191072114-d3db4945-ad7b-4fff-aff7-55a867e4bc54"
