"""Which version a mesh goes to, and which one it stays at."""

from __future__ import annotations

import pytest

from shared.mesh.versions import FailedUpgrade, Wish, is_older, why_kept

FAILED = FailedUpgrade(
    version="edge-2", charts="linkerd-2.0.0", from_version="edge-1", cause="pods denied", request_id="r"
)

ORDERED = ["2025.12.9", "2026.6.3-rc.2", "2026.6.3-rc.10", "2026.6.3-rc.a", "2026.6.3", "2026.10.1"]


@pytest.mark.parametrize("older", range(len(ORDERED)))
@pytest.mark.parametrize("newer", range(len(ORDERED)))
def test_versions_are_ordered_by_number_and_suffix(older: int, newer: int) -> None:
    assert is_older(ORDERED[older], ORDERED[newer]) is (older < newer)


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        ("edge-26.6.3", "edge-26.8.1", True),
        ("v1.2.3", "v1.2.4+build", True),
        ("1.2.3+a", "1.2.3+b", False),
        ("main", "1.2.3", False),
        ("1.2.3", "", False),
        ("1.2", "1.3", False),
    ],
)
def test_other_forms_of_versions(one: str, other: str, *, older: bool) -> None:
    assert is_older(one, other) is older


@pytest.mark.parametrize(
    ("installed", "wished", "wish"),
    [
        ("", "1.0.0", Wish()),
        ("1.0.0", "1.0.0", Wish()),
        ("1.0.0", "2.0.0", Wish()),
        ("2.0.0", "1.0.0", Wish(version="edge-1")),
        ("2.0.0", "1.0.0", Wish(by_operator=True)),
        ("some", "other", Wish()),
    ],
)
def test_a_wish_is_followed(installed: str, wished: str, wish: Wish) -> None:
    assert why_kept(installed, wished, f"linkerd-{wished}", wish, None) == ""


def test_an_older_profile_is_no_wish_to_go_back() -> None:
    assert why_kept("2.0.0", "1.0.0", "c", Wish(), None) == (
        "chart 2.0.0 runs, which is newer than the 1.0.0 of the profile; ask for a version to go back"
    )


@pytest.mark.parametrize(
    "wish", [Wish(), Wish(by_operator=True), Wish(version="edge-2", request_id="r"), Wish(version="edge-3")]
)
def test_what_was_rolled_back_is_not_tried_again_by_itself(wish: Wish) -> None:
    assert why_kept("1.0.0", "2.0.0", "linkerd-2.0.0", wish, FAILED) == (
        "edge-2 is skipped, for the upgrade to it was rolled back to edge-1 (pods denied); ask for it by version to "
        "try it again"
    )


@pytest.mark.parametrize("wish", [Wish(version="edge-2", request_id="other"), Wish(version="edge-2")])
def test_what_was_rolled_back_is_tried_again_when_asked_for(wish: Wish) -> None:
    assert why_kept("1.0.0", "2.0.0", "linkerd-2.0.0", wish, FAILED) == ""


def test_other_charts_are_another_wish() -> None:
    assert why_kept("1.0.0", "2.0.0", "linkerd-2.0.0@mended", Wish(), FAILED) == ""
    assert why_kept("1.0.0", "3.0.0", "linkerd-3.0.0", Wish(), FAILED) == ""
