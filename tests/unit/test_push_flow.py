from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byomesh.local.pace import Pace
from byomesh.local.pubsub.backoff import ACKNOWLEDGING_STATUSES, DeadLetterPolicy, PushFlow, RetryPolicy


def test_a_retry_policy_doubles_from_its_minimum_to_its_maximum() -> None:
    policy = RetryPolicy(10, 100)
    assert [policy.delay(attempt) for attempt in range(1, 7)] == [10, 20, 40, 80, 100, 100]


def test_the_backoff_of_a_message_refused_for_ever_stays_at_the_maximum() -> None:
    assert RetryPolicy().delay(100_000) == 600


def test_a_retry_policy_of_no_delay_is_allowed() -> None:
    assert RetryPolicy(0, 0).delay(50) == 0


@pytest.mark.parametrize(("minimum", "maximum"), [(-1, 10), (20, 10), (10, 601)])
def test_a_retry_policy_that_pubsub_would_not_take_is_refused(minimum: float, maximum: float) -> None:
    with pytest.raises(ValueError, match="a retry policy needs"):
        RetryPolicy(minimum, maximum)


@pytest.mark.parametrize("attempts", [4, 101])
def test_max_delivery_attempts_outside_5_to_100_is_refused(attempts: int) -> None:
    with pytest.raises(ValueError, match=f"between 5 and 100, not {attempts}"):
        DeadLetterPolicy("projects/p/topics/dead", attempts)


def test_a_message_is_forwarded_after_its_last_attempt_and_not_before() -> None:
    policy = DeadLetterPolicy("projects/p/topics/dead", 5)
    assert [policy.exhausted(attempt) for attempt in (4, 5, 6)] == [False, True, True]


def test_a_push_endpoint_acknowledges_by_five_statuses() -> None:
    assert sorted(ACKNOWLEDGING_STATUSES) == [102, 200, 201, 202, 204]


def started(flow: PushFlow, now: float) -> int:
    count = 0
    while flow.begin(now):
        count += 1
    return count


def test_the_window_begins_at_a_single_digit_and_doubles_with_each_round_of_acknowledgements() -> None:
    flow = PushFlow(Pace())
    rounds = []
    for _ in range(3):
        rounds.append(started(flow, 0))
        for _ in range(rounds[-1]):
            flow.acknowledged()
    assert rounds == [8, 16, 32]


def test_from_3000_on_the_window_grows_by_one_a_round() -> None:
    flow = PushFlow(Pace())
    while flow.window < 3000:
        flow.begin(0)
        flow.acknowledged()
    for _ in range(3000):
        flow.begin(0)
        flow.acknowledged()
    assert flow.window in (3000, 3001)


def test_a_refusal_halves_the_window_down_to_the_first_one() -> None:
    flow = PushFlow(Pace())
    for _ in range(24):
        flow.begin(0)
        flow.acknowledged()
    sizes = []
    for now in (0, 100, 200):
        flow.begin(now)
        flow.refused(now)
        sizes.append(flow.window)
    assert sizes == [16, 8, 8]


def test_refusals_double_the_backoff_from_100_ms_to_60_s() -> None:
    flow = PushFlow(Pace())
    backoffs = []
    now = 0.0
    for _ in range(12):
        assert flow.begin(now)
        flow.refused(now)
        backoffs.append(flow.backoff)
        now += 60
    assert backoffs == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60]


def test_nothing_is_pushed_during_the_backoff_which_the_pace_divides() -> None:
    flow = PushFlow(Pace(10))
    flow.begin(5.0)
    flow.refused(5.0)
    assert flow.opens_in(5.0) == pytest.approx(0.01)
    assert not flow.begin(5.009)
    assert flow.begin(5.0101)
    assert flow.opens_in(6.0) == 0


def test_a_later_refusal_never_ends_the_backoff_earlier() -> None:
    flow = PushFlow(Pace())
    for _ in range(3):
        flow.begin(0)
    flow.refused(10.0)
    flow.acknowledged()
    flow.refused(0.0)
    assert flow.opens_in(10.0) == pytest.approx(0.1)


def test_acknowledgements_bring_the_backoff_back_to_none() -> None:
    flow = PushFlow(Pace())
    for now in (0, 60, 120):
        flow.begin(now)
        flow.refused(now)
    backoffs = []
    for _ in range(3):
        flow.begin(200)
        flow.acknowledged()
        backoffs.append(flow.backoff)
    assert backoffs == [0.2, 0.1, 0.0]


def test_a_full_window_opens_only_by_an_answer() -> None:
    flow = PushFlow(Pace())
    assert started(flow, 0) == flow.outstanding == 8
    assert flow.opens_in(0) is None
    flow.acknowledged()
    assert flow.opens_in(0) == 0


@given(st.lists(st.booleans(), max_size=200))
def test_whatever_is_answered_the_flow_stays_inside_its_bounds(answers: list[bool]) -> None:
    flow = PushFlow(Pace())
    now = 0.0
    for acknowledged in answers:
        now += 61
        assert flow.begin(now)
        if acknowledged:
            flow.acknowledged()
        else:
            flow.refused(now)
        assert flow.window >= 8
        assert flow.backoff == 0 or 0.1 <= flow.backoff <= 60
        assert flow.outstanding == 0
