"""Everything else that is decoded, mutated; `python -m tests.hostile` tries more of it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile.decoders import DECODERS, taken


@pytest.mark.parametrize("target", DECODERS)
@settings(max_examples=60, derandomize=True)
@given(seed=st.integers(0, 2**40))
def test_what_cannot_be_read_is_told(target: str, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - it is to be repeated
    assert taken(DECODERS[target], random).faults == ()
