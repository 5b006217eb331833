from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from byomesh.local.describe import (
    cluster_of_entry,
    describe_entry,
    describe_message,
    describe_publish_request,
)

CLUSTER = "projects/p/locations/us-central1-a/clusters/blue"
TOPIC = "projects/p/topics/mesh-install"


def entry(**changes: Any) -> dict[str, Any]:
    known = {
        "resource": {
            "type": "gke_cluster",
            "labels": {"project_id": "p", "location": "us-central1-a", "cluster_name": "blue"},
        },
        "protoPayload": {
            "methodName": "google.container.v1.ClusterManager.CreateCluster",
            "resourceName": "projects/p/zones/us-central1-a/clusters/blue",
        },
    }
    return known | changes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"operation": {"id": "o", "first": True}}, "CreateCluster blue: first entry"),
        ({"operation": {"id": "o", "last": True}}, "CreateCluster blue: last entry"),
        ({}, "CreateCluster blue: only entry"),
        ({"protoPayload": {"status": {"code": 3, "message": "no  such\nversion"}}}, "? ?: rejected, no such version"),
        ({"protoPayload": {"status": {"code": 3}}}, "? ?: rejected, no message"),
    ],
)
def test_an_entry_in_one_line(changes: dict[str, Any], expected: str) -> None:
    assert describe_entry(entry(**changes)) == expected


def test_the_cluster_of_an_entry_says_locations_though_its_resource_name_says_zones() -> None:
    assert cluster_of_entry(entry()) == CLUSTER


@pytest.mark.parametrize("resource", [None, {}, {"labels": {"project_id": "p", "location": "l"}}, {"labels": "no"}])
def test_an_entry_without_all_three_labels_names_no_cluster(resource: object) -> None:
    assert cluster_of_entry(entry(resource=resource)) is None


@pytest.mark.parametrize(
    ("data", "attributes", "expected"),
    [
        (
            json.dumps({"cluster": CLUSTER, "mesh": "linkerd", "reason": "created", "attempt": 2}).encode(),
            {},
            ("mesh-install: linkerd, created, 2", CLUSTER),
        ),
        (b'{"cluster": 7}', {}, ("mesh-install", None)),
        (b'{"phase": "Ready"}', {"cluster": CLUSTER}, ("mesh-install: Ready", CLUSTER)),
        (b"\xff\xfe", {"cluster": CLUSTER}, ("mesh-install: 2 bytes that are no JSON object", CLUSTER)),
        (b"[1]", {}, ("mesh-install: 3 bytes that are no JSON object", None)),
        (b"", {"cluster": CLUSTER}, ("mesh-install: attributes only", CLUSTER)),
        (
            json.dumps(entry(operation={"last": True})).encode(),
            {},
            ("mesh-install: CreateCluster blue: last entry", CLUSTER),
        ),
    ],
)
def test_a_message_in_one_line(data: bytes, attributes: dict[str, str], expected: tuple[str, str | None]) -> None:
    assert describe_message(TOPIC, data, attributes) == expected


def test_a_line_is_cut_to_160_characters() -> None:
    line, _ = describe_message(TOPIC, json.dumps({"reason": "x" * 300}).encode(), {})
    assert len(line) == 160
    assert line.endswith("x…")


def test_a_publish_request_is_described_by_its_first_message() -> None:
    data = base64.b64encode(b'{"mesh": "linkerd"}').decode()
    body = json.dumps({"messages": [{"data": data, "attributes": {"cluster": CLUSTER}}]}).encode()
    url = "http://127.0.0.1:1/v1/projects/p/topics/mesh-install:publish?key=1"
    assert describe_publish_request(url, body) == ("mesh-install: linkerd", CLUSTER)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "mesh-install:publish"),
        (b'{"messages": []}', "mesh-install:publish"),
        (b'{"messages": [{"data": "%"}]}', "mesh-install: attributes only"),
    ],
)
def test_a_request_that_publishes_nothing_readable_is_described_all_the_same(body: bytes, expected: str) -> None:
    url = "http://127.0.0.1:1/v1/projects/p/topics/mesh-install:publish"
    assert describe_publish_request(url, body) == (expected, None)
