"""What a message's attributes say of the waits behind it."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.waited import Waited

NOON = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "times"), [(None, 0), ("", 0), ("7", 7), ("x", 0), ("-1", 0), ("²", 0), ("9" * 5_000, 0)]
)
def test_waits_are_counted_from_what_the_message_says(text: str | None, times: int) -> None:
    assert Waited.of({} if text is None else {"waits": text}, NOON).times == times


@pytest.mark.parametrize(
    ("attributes", "held"),
    [
        ({}, 0.0),
        ({"due": "2026-05-04T11:59:00+00:00"}, 60.0),
        ({"due": "2026-05-04T11:59:00Z", "held": "7.5"}, 67.5),
        ({"due": "2026-05-04T12:30:00+00:00", "held": "7.5"}, 7.5),
        ({"due": "2026-05-04T11:59:00"}, 0.0),
        ({"due": "yesterday", "held": "long"}, 0.0),
        ({"held": "-5"}, 0.0),
        ({"held": "inf"}, 0.0),
        ({"held": "nan"}, 0.0),
    ],
)
def test_what_a_queue_held_longer_than_was_asked_for_is_added_up(attributes: dict[str, str], held: float) -> None:
    assert Waited.of(attributes, NOON).held == pytest.approx(held)


def test_an_event_without_a_publication_was_held_by_nobody() -> None:
    assert Waited.of({"due": "2026-05-04T11:59:00+00:00"}, None) == Waited()


def test_the_first_wait_says_no_more_than_it_must() -> None:
    assert Waited().again(NOON) == {"waits": "1", "due": "2026-05-04T12:00:00+00:00"}


@given(st.dictionaries(st.sampled_from(["waits", "due", "held"]), st.text()), st.none() | st.just(NOON))
def test_random_attributes_are_read(attributes: dict[str, str], published: dt.datetime | None) -> None:
    found = Waited.of(attributes, published)
    assert found.times >= 0
    assert found.held >= 0


@given(
    st.integers(0, 10**6),
    st.floats(0, 1e9),
    st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)),  # noqa: DTZ001 - Hypothesis wants naive bounds
)
def test_what_is_written_is_read(times: int, held: float, due: dt.datetime) -> None:
    again = Waited(times, held).again(due)
    found = Waited.of(again, due)
    assert found.times == times + 1
    assert found.held == pytest.approx(held, abs=1e-3)
