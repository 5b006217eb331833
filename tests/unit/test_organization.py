"""The aggregated sinks' filters, as docs/organization.md gives them, held against recorded entries."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from byomesh.local.cloud_logging.query import compile_query
from byomesh.local.sink import FILTERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "organization.md").read_text(encoding="utf-8")
CREATIONS, UPDATES = re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "events" / name).read_text())
    return json.loads(base64.b64decode(found["message"]["data"])) if "message" in found else found


def changed(**payload: Any) -> dict[str, Any]:
    entry = recorded("created-last.json")
    entry["protoPayload"] |= payload
    return entry


def test_the_local_sinks_have_the_filters_of_the_page() -> None:
    assert FILTERS == {"cluster-events": CREATIONS, "mesh-enforce": UPDATES}


@pytest.mark.parametrize(
    ("name", "creation", "update"),
    [
        ("created-last.json", True, False),
        ("created-last-pubsub.json", True, False),
        ("created-last-v1beta1-zonal.json", True, False),
        ("updated-last.json", False, True),
        ("created-first.json", False, False),
        ("created-failed-last.json", False, False),
        ("created-rejected.json", False, False),
    ],
)
def test_each_takes_what_is_worth_a_delivery(name: str, *, creation: bool, update: bool) -> None:
    entry = recorded(name)
    assert (compile_query(CREATIONS)(entry), compile_query(UPDATES)(entry)) == (creation, update)


@pytest.mark.parametrize(
    "payload",
    [
        {"methodName": "google.container.v1.ClusterManager.DeleteCluster"},
        {"methodName": "google.container.v1.ClusterManager.CreateClusterX"},
        {"methodName": "google.container.v1alpha1.ClusterManager.CreateCluster"},
        {"methodName": "xgoogle.container.v1.ClusterManager.CreateCluster"},
        {"serviceName": "gkehub.googleapis.com"},
    ],
)
def test_other_methods_and_services_are_left_out(payload: dict[str, str]) -> None:
    entry = changed(**payload)
    assert not compile_query(CREATIONS)(entry)
    assert not compile_query(UPDATES)(entry)


def test_other_logs_and_resources_are_left_out() -> None:
    for other in (
        {"logName": "projects/p/logs/cloudaudit.googleapis.com%2Fdata_access"},
        {"resource": {"type": "gke_nodepool"}},
    ):
        assert not compile_query(CREATIONS)({**recorded("created-last.json"), **other})
