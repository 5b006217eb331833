from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byomesh.local.pace import Pace
from byomesh.local.tasks.schedule import RateLimits, RetryConfig, TokenBucket, due_in


def test_retries_double_then_grow_linearly_then_stay_at_the_maximum() -> None:
    # The example in the description of google.cloud.tasks.v2.RetryConfig.max_doublings.
    retry = RetryConfig(min_backoff=10, max_backoff=300, max_doublings=3)
    assert [retry.delay(attempt) for attempt in range(1, 9)] == [10, 20, 40, 80, 160, 240, 300, 300]


def test_without_doublings_retries_grow_linearly_from_the_start() -> None:
    retry = RetryConfig(min_backoff=10, max_backoff=35, max_doublings=0)
    assert [retry.delay(attempt) for attempt in range(1, 6)] == [10, 20, 30, 35, 35]


@pytest.mark.parametrize(
    ("attempts", "duration", "attempt", "seconds", "given_up"),
    [
        (3, 0, 2, 1000, False),
        (3, 0, 3, 0, True),
        (3, 60, 3, 59, False),
        (3, 60, 3, 60, True),
        (3, 60, 2, 61, False),
        (-1, 60, 1000, 1000, False),
    ],
)
def test_a_task_is_given_up_when_its_attempts_and_its_time_are_both_used_up(
    attempts: int, duration: float, attempt: int, seconds: float, *, given_up: bool
) -> None:
    retry = RetryConfig(max_attempts=attempts, max_retry_duration=duration)
    assert retry.exhausted(attempt, seconds) is given_up


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(RateLimits(max_dispatches_per_second=2), Pace(), now=100.0)
    assert [bucket.take(100.0) for _ in range(3)] == [True, True, False]
    assert bucket.refilled_in(100.0) == pytest.approx(0.5)
    assert not bucket.take(100.4)
    assert bucket.take(100.5)
    assert bucket.refilled_in(100.5) == pytest.approx(0.5)


def test_a_rate_below_one_a_second_still_has_a_burst_of_one() -> None:
    bucket = TokenBucket(RateLimits(max_dispatches_per_second=0.1), Pace(), now=0.0)
    assert bucket.take(0.0)
    assert bucket.refilled_in(0.0) == pytest.approx(10)


def test_the_pace_divides_the_time_between_two_dispatches() -> None:
    bucket = TokenBucket(RateLimits(max_dispatches_per_second=1), Pace(10), now=0.0)
    assert bucket.take(0.0)
    assert bucket.refilled_in(0.0) == pytest.approx(0.1)


def test_a_full_bucket_takes_no_more() -> None:
    bucket = TokenBucket(RateLimits(max_dispatches_per_second=3), Pace(), now=0.0)
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]


@given(rate=st.floats(0.01, 500), waits=st.lists(st.floats(0, 10), max_size=50))
def test_a_bucket_never_gives_more_than_a_burst_and_its_rate(rate: float, waits: list[float]) -> None:
    limits = RateLimits(max_dispatches_per_second=rate)
    bucket, now, taken = TokenBucket(limits, Pace(), now=0.0), 0.0, 0
    for wait in waits:
        now += wait
        taken += bucket.take(now)
        assert taken <= limits.max_burst_size + rate * now + 1e-6


@pytest.mark.parametrize(
    ("scheduled", "divisor", "expected"), [(160.0, 1, 60), (160.0, 60, 1), (100.0, 60, 0), (40.0, 1, 0)]
)
def test_only_the_distance_from_the_creation_is_divided(scheduled: float, divisor: float, expected: float) -> None:
    assert due_in(scheduled, created=100.0, pace=Pace(divisor)) == pytest.approx(expected)
