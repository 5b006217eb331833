"""Whose hand an object bears last."""

from __future__ import annotations

from typing import Any

import pytest

from shared.mesh.hands import last_hand


def held(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"managedFields": list(entries)}}


HELM = {"manager": "helm", "time": "2026-05-04T09:00:00Z"}
EDIT = {"manager": "kubectl-edit", "time": "2026-05-04T08:00:00Z"}
PATCH = {"manager": "kubectl-patch", "time": "2026-05-04T07:00:00Z"}
STATUS = {"manager": "kube-controller-manager", "time": "2026-05-04T10:00:00Z", "subresource": "status"}


@pytest.mark.parametrize(
    ("live", "hand"),
    [
        (held(PATCH, HELM, EDIT, STATUS), "kubectl-edit at 2026-05-04T08:00:00Z"),
        (held(HELM, {"manager": "byomesh"}), ""),
        (held({"operation": "Update"}), "somebody at an unknown time"),
        ({"metadata": {"managedFields": None}}, ""),
        ({}, ""),
    ],
)
def test_the_newest_of_others_counts(live: dict[str, Any], hand: str) -> None:
    assert last_hand(live) == hand


def test_a_long_name_is_cut() -> None:
    assert len(last_hand(held({"manager": "m" * 1000}))) < 200
