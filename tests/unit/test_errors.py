from __future__ import annotations

import pytest

from shared.errors import ByomeshError, Permanent, Refused, Temporary, shorten


def test_an_error_tells_where_what_was_tried_and_what_to_do() -> None:
    error = Permanent("ClusterGone", "it is gone", cluster="projects/p", tried="GetCluster", remedy="look again")
    assert str(error) == "ClusterGone on projects/p: it is gone Tried: GetCluster. Next: look again"


def test_an_error_says_no_more_than_it_knows() -> None:
    assert str(Temporary("Cut", "the connection was cut")) == "Cut: the connection was cut"


def test_a_problem_is_cut() -> None:
    error = Refused("No", "x" * 3_000)
    assert error.problem == f"{'x' * 2_000}… (1000 more characters)"


@pytest.mark.parametrize(("text", "cut"), [("abc ", "abc"), ("abcd", "abcd"), ("abcdef", "abcd… (2 more characters)")])
def test_shorten(text: str, cut: str) -> None:
    assert shorten(text, 4) == cut


def test_the_three_kinds_exclude_each_other() -> None:
    kinds = (Temporary, Permanent, Refused)
    assert all(issubclass(kind, ByomeshError) for kind in kinds)
    assert not any(issubclass(one, other) for one in kinds for other in kinds if one is not other)
