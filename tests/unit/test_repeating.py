from __future__ import annotations

from typing import Any

import pytest

from shared.kube.repeating import LONGEST_PAUSE, PAUSES, is_harmless, pause

MERGE, JSON = "application/merge-patch+json", "application/json-patch+json"


@pytest.mark.parametrize(
    ("method", "query", "body", "kind", "harmless"),
    [
        ("GET", {}, None, "", True),
        ("DELETE", {}, None, "", True),
        ("POST", {}, {}, "application/json", False),
        ("PUT", {}, {}, "application/json", False),
        ("POST", {"dryRun": "All"}, {}, "application/json", True),
        ("PATCH", {}, {}, MERGE, True),
        ("PATCH", {}, {"metadata": {"resourceVersion": "7"}}, MERGE, False),
        ("PATCH", {}, {"metadata": None}, MERGE, True),
        ("PATCH", {}, [], JSON, False),
        ("PATCH", {"dryRun": "All"}, [], JSON, True),
    ],
)
def test_what_may_be_carried_out_twice(method: str, query: Any, body: Any, kind: str, harmless: bool) -> None:
    assert is_harmless(method, query, body, kind) is harmless


@pytest.mark.parametrize(
    ("code", "harmless", "seconds"),
    [(200, True, None), (404, True, None), (409, True, None), (503, True, 0.2), (503, False, None), (429, False, 0.2)],
)
def test_which_answers_are_asked_for_again(code: int, harmless: bool, seconds: float | None) -> None:
    assert pause(code, b"", "", 1, harmless=harmless) == seconds


def test_pauses_grow_and_end() -> None:
    found = [pause(503, b"", "", tries, harmless=True) for tries in range(1, 6)]
    assert found == [*PAUSES, None, None]


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("1", 1.0), ("0", 0.2), ("3600", LONGEST_PAUSE), ("Wed, 21 Oct 2026", 0.2), ("\u00b2", 0.2)],
)
def test_a_retry_after_is_obeyed_within_reason(asked: str, seconds: float) -> None:
    assert pause(429, b"", asked, 1, harmless=False) == seconds
