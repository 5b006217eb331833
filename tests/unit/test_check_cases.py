"""Cluster states of our own making, and what `linkerd check` would say of them by what is known of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.mesh.linkerd import checks
from shared.mesh.observe import from_objects
from shared.model import CheckOutcome
from tests.unit.cluster_objects import NOW, VERSION, State, objects

_CASES = sorted((Path(__file__).resolve().parents[1] / "data" / "check-cases").glob("*.json"))
_ALL = ["gateway-api-crd", "linkerd-existence", "linkerd-config", "linkerd-identity"]
_ALL += ["linkerd-webhooks-and-apisvc-tls", "linkerd-version", "control-plane-version", "linkerd-control-plane-proxy"]


@pytest.mark.parametrize("path", _CASES, ids=lambda path: path.stem)
def test_says_what_the_cli_says(path: Path) -> None:
    case: dict[str, Any] = json.loads(path.read_text())
    state = msgspec.convert(case["state"], State)
    report = checks.run(from_objects(objects(state)), NOW, expected_version=VERSION)
    shown = checks.render(report)
    faults = [
        {"categoryName": category["categoryName"], **check}
        for category in shown["categories"]
        for check in category["checks"]
        if check["result"] != "success"
    ]
    assert faults == case["faults"]
    assert checks.exit_code(report) == case["exitCode"]
    assert shown["success"] == (case["exitCode"] == 0)
    assert shown["categories"][-1]["categoryName"] == case["lastCategory"]


def test_finds_the_cases() -> None:
    assert len(_CASES) >= 40


def test_a_healthy_cluster_passes_everything_in_the_cli_s_order() -> None:
    report = checks.run(from_objects(objects()), NOW, expected_version=VERSION)
    shown = checks.render(report)
    assert [category["categoryName"] for category in shown["categories"]] == [*_ALL, "linkerd-extension-checks"]
    assert report.count(CheckOutcome.PASS) == 40
    assert report.count(CheckOutcome.SKIP) == 7
    assert report.count(CheckOutcome.WARN) == report.count(CheckOutcome.FAIL) == 0
    assert shown["categories"][0]["checks"] == [{"description": "Gateway API CRDs are installed", "result": "success"}]
