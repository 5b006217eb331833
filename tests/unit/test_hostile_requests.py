"""Hostile requests, as functions-framework hands them on; `python -m tests.hostile` sends more of them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile.requests import Requests
from tests.hostile.served import Served, names, served

REQUEST = Requests()


@pytest.fixture(scope="module")
def functions() -> Iterator[dict[str, Served]]:
    with served() as found:
        yield found


@pytest.mark.parametrize("name", names())
@settings(max_examples=400, derandomize=True)
@given(seed=st.integers(0, 2**40))
def test_a_mutated_request_is_acknowledged_or_no_event(functions: dict[str, Served], name: str, seed: int) -> None:
    headers, body = REQUEST.make(Random(seed))  # noqa: S311 - it is to be repeated
    verdict = functions[name].post(headers, body)
    assert verdict.faults == ()
