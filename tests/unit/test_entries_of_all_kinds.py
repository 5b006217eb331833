"""Audit entries as other tools, services and sinks write them: what the enabler makes of each, in words."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cloudevents.http import CloudEvent

from shared import events
from shared.errors import Permanent
from shared.model import ClusterEvent, ClusterRef
from shared.outcome import Ignored

SERVICE = "container.googleapis.com"
SENT = "2026-05-04T09:10:20+00:00"
ID = "operation-1780000000000-0a1b2c3d"
ZONAL = ClusterRef("shop-prod", "europe-west1-b", "till")
REGIONAL = ClusterRef("shop-prod", "europe-west1", "till")
TERRAFORM = "google-api-go-client/0.5 Terraform/1.9.8 terraform-provider-google/6.50.0,gzip(gfe)"
CONNECTOR = "gcp-config-connector/1.130.0 cnrm"
CONSOLE = "Mozilla/5.0 (X11; Linux x86_64),gzip(gfe)"
GCLOUD = "google-cloud-sdk gcloud/540.0.0 command/gcloud.container.clusters.create-auto,gzip(gfe)"
AGENT = "service-123@container-engine-robot.iam.gserviceaccount.com"


def entry(ref: ClusterRef, method: str = "CreateCluster", version: str = "v1", **changes: Any) -> dict[str, Any]:
    kind = "zones" if ref.location.count("-") > 1 else "locations"
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "serviceName": SERVICE,
        "methodName": f"google.container.{version}.ClusterManager.{method}",
        "resourceName": f"projects/{ref.project}/{kind}/{ref.location}/clusters/{ref.name}",
        "status": {},
        "metadata": {"operationType": "CREATE_CLUSTER"},
    }
    labels = {"project_id": ref.project, "location": ref.location, "cluster_name": ref.name}
    known = {
        "protoPayload": payload,
        "operation": {"id": ID, "last": True, "producer": SERVICE},
        "resource": {"type": "gke_cluster", "labels": labels},
        "timestamp": "2026-05-04T09:10:11.123456789Z",
        "logName": f"projects/{ref.project}/logs/cloudaudit.googleapis.com%2Factivity",
    }
    return {**known, **changes}


def payload(found: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**found, "protoPayload": {**found["protoPayload"], **changes}}


def by_eventarc(data: Any) -> CloudEvent:
    return CloudEvent({"type": events.AUDIT_TYPE, "source": "//cloudaudit.googleapis.com/x", "time": SENT}, data)


def by_sink(data: Any) -> CloudEvent:
    message = {"data": base64.b64encode(json.dumps(data).encode()).decode(), "messageId": "1", "publishTime": SENT}
    return CloudEvent({"type": events.PUBSUB_TYPE, "source": "//pubsub.googleapis.com/"}, {"message": message})


ENVELOPES = pytest.mark.parametrize("envelope", [by_eventarc, by_sink])


@ENVELOPES
@pytest.mark.parametrize("ref", [ZONAL, REGIONAL])
@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
@pytest.mark.parametrize("caller", [TERRAFORM, CONNECTOR, CONSOLE, GCLOUD, ""])
def test_a_creation_counts_whoever_asked_for_it(envelope: Any, ref: ClusterRef, version: str, caller: str) -> None:
    found = payload(
        entry(ref, version=version),
        authenticationInfo={"principalEmail": AGENT},
        requestMetadata={"callerSuppliedUserAgent": caller},
    )
    event = events.cluster_event(envelope(found))
    assert isinstance(event, ClusterEvent)
    assert (event.cluster, event.request_id) == (ref, ID)


@ENVELOPES
@pytest.mark.parametrize(
    "resource",
    [{}, {"type": "gke_cluster"}, {"type": "audited_resource", "labels": {"project_id": "shop-prod"}}],
    ids=["none", "no labels", "only the project"],
)
@pytest.mark.parametrize("ref", [ZONAL, REGIONAL])
def test_a_cluster_is_known_by_its_resource_name_alone(envelope: Any, resource: Any, ref: ClusterRef) -> None:
    event = events.cluster_event(envelope(entry(ref, resource=resource)))
    assert isinstance(event, ClusterEvent)
    assert event.cluster == ref


def test_a_project_that_is_named_by_number_is_kept_so() -> None:
    numbered = ClusterRef("123456789012", "europe-west1", "till")
    event = events.cluster_event(by_eventarc(entry(numbered, resource={})))
    assert isinstance(event, ClusterEvent)
    assert event.cluster == numbered


@ENVELOPES
@pytest.mark.parametrize(
    ("found", "words"),
    [
        (entry(REGIONAL, "UpdateCluster"), "UpdateCluster asks for nothing here"),
        (entry(REGIONAL, "DeleteCluster"), "DeleteCluster asks for nothing here"),
        (entry(REGIONAL, "CreateNodePool"), "CreateNodePool asks for nothing here"),
        (entry(REGIONAL, "SetNodePoolAutoscaling", "v1beta1"), "SetNodePoolAutoscaling asks for nothing here"),
        (payload(entry(REGIONAL), serviceName="k8s.io"), "is no cluster's change"),
        (payload(entry(REGIONAL), methodName="google.cloud.gkehub.v1.GkeHub.CreateMembership"), "no cluster's change"),
        (payload(entry(REGIONAL), methodName="x\n" * 5_000), "is no cluster's change"),
        (entry(REGIONAL, operation={"id": ID, "first": True}), "has only begun"),
        (entry(REGIONAL, operation=None), "no operation began"),
        (payload(entry(REGIONAL), status={"code": 8, "message": "quota"}), "failed: code 8, quota"),
    ],
)
def test_what_is_no_creation_is_ignored_in_words(envelope: Any, found: Any, words: str) -> None:
    ignored = events.cluster_event(envelope(found))
    assert isinstance(ignored, Ignored)
    assert words in ignored.reason
    assert len(ignored.reason) < 1_000


@ENVELOPES
@pytest.mark.parametrize(
    ("found", "words"),
    [
        (entry(REGIONAL, protoPayload=json.dumps(entry(REGIONAL)["protoPayload"])), "Expected `object`, got `str`"),
        (entry(REGIONAL, protoPayload=[]), "Expected `object`, got `array`"),
        (entry(REGIONAL, operation={"id": "x" * 1_000, "last": True}), "length <= 256"),
        (entry(REGIONAL, operation={"id": "a\nb", "last": True}), "regex"),
        (entry(REGIONAL, timestamp="yesterday"), "Invalid RFC3339"),
        (payload(entry(REGIONAL, resource={}), resourceName="projects/p"), "is not a cluster's resource name"),
        (entry(ClusterRef("p" * 200, "l", "c")), "is not a cluster's resource name"),
        (entry(ClusterRef("p", "l", "c/../../x")), "is not a cluster's resource name"),
    ],
)
def test_what_is_no_entry_is_permanent_in_words(envelope: Any, found: Any, words: str) -> None:
    with pytest.raises(Permanent) as raised:
        events.cluster_event(envelope(found))
    assert words in str(raised.value)
