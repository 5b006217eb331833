"""What a person types as a message of the request topics: read as it was meant, or refused with words that help."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cloudevents.http import CloudEvent

from shared import events, gke
from shared.errors import Permanent, Refused
from shared.model import ClusterRef, InstallRequest, Reason, VerifyRequest
from shared.policy import BUILT_IN, Policy, read
from shared.stages import asking
from tests.unit.doors import EU1, MemoryGke, autopilot

NAME = "projects/shop/locations/europe-west1/clusters/eu-1"
ZONAL = ClusterRef("shop", "europe-west1-b", "eu-1")
Decode = Callable[[events.Event], Any]
DECODERS: list[Decode] = [events.install_request, events.verify_request, events.cluster_event]


def typed(message: str | bytes) -> CloudEvent:
    """A message with no attributes, as `gcloud pubsub topics publish TOPIC --message MESSAGE` sends it."""
    raw = message if isinstance(message, bytes) else message.encode()
    body = {"data": base64.b64encode(raw).decode(), "messageId": "42", "publishTime": "2026-05-04T09:10:13.5Z"}
    attributes = {"type": events.PUBSUB_TYPE, "source": "//pubsub.googleapis.com/"}
    return CloudEvent(attributes, {"message": body, "subscription": "projects/p/subscriptions/s"})


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(
    ("message", "cluster"),
    [
        (f'{{"cluster": "{NAME}"}}', EU1),
        (f'{{"cluster": "{NAME}"}}\n', EU1),
        (f' {{"cluster": " {NAME}\\n"}}\r\n', EU1),
        (f'\ufeff{{"cluster": "{NAME}"}}', EU1),
        (f'{{"cluster": "{NAME}/"}}', EU1),
        (f'{{"cluster": "//container.googleapis.com/{NAME}"}}', EU1),
        (f'{{"cluster": "https://container.googleapis.com/v1/{NAME}"}}', EU1),
        ('{"cluster": "https://container.googleapis.com/v1/projects/shop/zones/europe-west1-b/clusters/eu-1"}', ZONAL),
        ('{"cluster": "projects/shop/zones/europe-west1-b/clusters/eu-1"}', ZONAL),
        (f'{{"cluster": "{NAME}", "mesh": null, "version": null, "note": "unknown fields are ignored"}}', EU1),
    ],
)
def test_the_smallest_message_is_read_as_it_was_meant(decode: Decode, message: str, cluster: ClusterRef) -> None:
    request = decode(typed(message))
    assert isinstance(request, InstallRequest | VerifyRequest)
    assert (request.cluster, request.mesh, request.reason) == (cluster, "", Reason.RERUN)
    assert request.request_id == "42"
    assert request.first_seen is not None


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(
    ("message", "words"),
    [
        (f"{{'cluster': '{NAME}'}}", "JSON's texts stand in double quotes"),
        (f"{{cluster: {NAME}}}", "its double quotes are gone"),
        (NAME, "it is only a name, which belongs into the field cluster"),
        ("eu-1", "is not JSON"),
        (f'"{NAME}"', "is a JSON str, not an object"),
        (f'{{"Cluster": "{NAME}"}}', "the field cluster must be a cluster's resource name; there is Cluster"),
        ("{}", "the field cluster must be"),
        ('{"cluster": "eu-1"}', "`byomesh rerun NAME --project PROJECT` finds a cluster by its name"),
        ('{"cluster": ""}', "is not a cluster's resource name"),
        ('{"cluster": "projects/shop/locations/europe-west1/clusters/EU-1"}', "is not a cluster's resource name"),
        (f'{{"cluster": "{NAME}", "version": 1.10}}', "Expected `str"),
        (f'{{"cluster": "{NAME}", "mesh": ["linkerd"]}}', "Expected `str`, got `array` - at `$.mesh`"),
        (f'{{"cluster": "{NAME}"'.encode("utf-16"), "is not JSON"),
    ],
)
def test_what_was_mistyped_is_told_with_what_to_write(decode: Decode, message: str | bytes, words: str) -> None:
    with pytest.raises(Permanent) as raised:
        decode(typed(message))
    assert words in str(raised.value)
    assert "projects/" in raised.value.remedy


def rules(keys: str) -> Policy:
    return read(f"schema: 1\nrules:\n  - {{name: r1, reason: it is so, {keys}}}\n", "p")


def with_mesh(request: InstallRequest, policy: Policy = BUILT_IN, **cluster: Any) -> InstallRequest:
    return asking.with_mesh(request, MemoryGke(autopilot(**cluster)), policy)


def test_the_policy_names_the_mesh_that_a_message_leaves_out() -> None:
    assert with_mesh(InstallRequest(cluster=EU1)).mesh == "linkerd"
    assert with_mesh(InstallRequest(cluster=EU1), rules("mesh: linkerd, mode: audit")).mesh == "linkerd"
    named = InstallRequest(cluster=EU1, mesh="other")
    unasked = MemoryGke(Permanent(gke.CLUSTER_GONE, "nobody asks for it"))
    assert asking.with_mesh(named, unasked, BUILT_IN) is named
    verify = asking.with_mesh(VerifyRequest(cluster=EU1), MemoryGke(autopilot()), BUILT_IN)
    assert verify.mesh == "linkerd"


def test_where_the_policy_names_none_a_mesh_must_be_named() -> None:
    with pytest.raises(Permanent) as raised:
        with_mesh(InstallRequest(cluster=EU1), autopilot=False)
    assert raised.value.reason == "NoMesh"
    assert 'add a mesh to the request, such as "mesh": "linkerd"' in raised.value.remedy
    with pytest.raises(Refused, match="it is so") as refused:
        with_mesh(InstallRequest(cluster=EU1), rules("mesh: none"))
    assert refused.value.reason == "OptedOut"
    with pytest.raises(Refused, match="names no known mesh") as unknown:
        with_mesh(InstallRequest(cluster=EU1), labels={"mesh": "lnkerd"})
    assert unknown.value.reason == "PolicyRefuses"
