from __future__ import annotations

import math

import pytest

from shared.kube.patience import ANSWER, CONNECT, FIRST_ANSWER, Exhausted, Patience


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def taken(patience: Patience, time: Time, seconds: float) -> tuple[float, float]:
    with patience.request() as timeouts:
        time.now += seconds
    return timeouts


def test_little_patience_until_the_first_answer_and_more_after_it() -> None:
    time = Time()
    patience = Patience(math.inf, monotonic=time)
    assert taken(patience, time, 1.0) == (CONNECT, FIRST_ANSWER)
    patience.answered = True
    assert taken(patience, time, 1e9) == (CONNECT, ANSWER)
    assert taken(patience, time, 1.0) == (CONNECT, ANSWER)


def test_what_is_left_bounds_each_request_and_nothing_follows_when_it_is_used_up() -> None:
    time = Time()
    patience = Patience(10.0, monotonic=time)
    patience.answered = True
    assert taken(patience, time, 4.0) == (CONNECT, 10.0)
    time.now += 500  # Helm's time, say: no request was under way
    assert taken(patience, time, 4.0) == (CONNECT, 6.0)
    assert taken(patience, time, 4.0) == (2.0, 2.0)
    with pytest.raises(Exhausted, match="10 s together"), patience.request():
        pass


def test_requests_side_by_side_take_their_time_once() -> None:
    time = Time()
    patience = Patience(10.0, monotonic=time)
    patience.answered = True
    with patience.request() as first:
        time.now += 3
        with patience.request() as second:
            time.now += 3
    assert (first[1], second[1]) == (10.0, 7.0)
    assert taken(patience, time, 0.0)[1] == 4.0


def test_a_failed_request_counts_too() -> None:
    time = Time()
    patience = Patience(10.0, monotonic=time)

    def cut() -> None:
        time.now += 6
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"), patience.request():
        cut()
    assert taken(patience, time, 0.0)[1] == 4.0


def test_who_never_answered_is_repeated_once_and_pauses_count() -> None:
    time = Time()
    patience = Patience(10.0, monotonic=time)
    assert not patience.lasting
    patience.spend(4.0)
    assert taken(patience, time, 0.0)[1] == FIRST_ANSWER
    patience.answered = True
    assert patience.lasting
    assert taken(patience, time, 0.0)[1] == 6.0
    assert Patience(math.inf).lasting
