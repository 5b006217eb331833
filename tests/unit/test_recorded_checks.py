"""The answers of the real `linkerd check` on recorded cluster states, against ours."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from shared.mesh.linkerd import checks
from shared.mesh.observe import from_objects

_CASES = sorted((Path(__file__).resolve().parents[3] / "shared" / "linkerd-check-cases").glob("*.json"))
"""Recorded beside the project; without them there is nothing to compare."""
_OF_THE_CLIENT = ("kubernetes-api", "kubernetes-version")
_WHERE_MORE_IS_SAID = ("cluster networks contains all pods", "cluster networks contains all services")


def _ours(case: dict[str, Any]) -> dict[str, Any]:
    report = checks.run(
        from_objects(case["objects"]),
        dt.datetime.fromisoformat(case["now"]),
        expected_version=case["expectedVersion"],
    )
    assert checks.exit_code(report) == case["exitCode"]
    return checks.render(report)


def _cut(check: dict[str, Any]) -> dict[str, Any]:
    """A check without what we say beyond the CLI's own sentence."""
    if check["description"] in _WHERE_MORE_IS_SAID and "error" in check:
        return {**check, "error": check["error"].partition("; and ")[0]}
    return check


@pytest.mark.parametrize("path", _CASES, ids=lambda path: path.stem)
def test_judges_as_the_cli_does(path: Path) -> None:
    case = json.loads(path.read_text())
    theirs = [one for one in case["check"]["categories"] if one["categoryName"] not in _OF_THE_CLIENT]
    ours = _ours(case)
    assert [one["categoryName"] for one in ours["categories"]] == [one["categoryName"] for one in theirs]
    for expected, actual in zip(theirs, ours["categories"], strict=True):
        assert [_cut(check) for check in actual["checks"]] == expected["checks"]
    assert ours["success"] == case["check"]["success"]
