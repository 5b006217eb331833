"""Globs: what they match, and which of them can match nothing."""

from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy import globs

MATCHES: list[tuple[str, str, bool]] = [
    ("*", "", True),
    ("*", "anything-at-all", True),
    ("shop-*", "shop-prod", True),
    ("shop-*", "shop-", True),
    ("shop-*", "my-shop-prod", False),
    ("shop", "shop-prod", False),
    ("*-prod", "shop-prod", True),
    ("*-prod", "shop-prod-2", False),
    ("a?c", "abc", True),
    ("a?c", "ac", False),
    ("a[bc]d", "acd", True),
    ("a[bc]d", "aed", False),
    ("a[!bc]d", "aed", True),
    ("a[!bc]d", "abd", False),
    ("z[0-9]", "z7", True),
    ("z[0-9]", "zz", False),
    ("a.c", "abc", False),
    ("a.c", "a.c", True),
    ("Abc", "abc", False),
    ("", "", True),
    ("", "a", False),
    ("a*", "a\nb", True),
]


@pytest.mark.parametrize(("glob", "text", "matches"), MATCHES)
def test_a_glob_is_for_the_whole_text(glob: str, text: str, *, matches: bool) -> None:
    assert globs.matches(glob, text) is matches


def test_a_glob_of_many_stars_takes_no_time() -> None:
    began = time.monotonic()
    assert not globs.matches("*a" * 100 + "b", "a" * 5_000)
    assert time.monotonic() - began < 5


GOOD: dict[str, list[str]] = {
    "projects": ["shop-prod", "shop-*", "example.com:shop-prod", "p?", "p[0-9]", "[!a]*"],
    "folders": ["folders/123", "123", "Shops of Europe", "*"],
    "locations": ["europe-west1", "europe-*", "*-b", "us-east[14]"],
    "names": ["a", "checkout-[0-9]*", "[]a]"],
    "labels": ["", "a_b-c", "größe", "日本", "*", "1"],
}


@pytest.mark.parametrize(("key", "glob"), [(key, glob) for key, found in GOOD.items() for glob in found])
def test_a_glob_that_can_match_is_no_fault(key: str, glob: str) -> None:
    assert globs.fault(glob, key) is None


FAULTS: list[tuple[str, str, str, str]] = [
    ("names", "", "the glob is empty", "write * for any, or leave the key out"),
    ("names", "a" * 257, "the glob has 257 characters", "write 256 at most"),
    ("names", "{a,b}", "braces and commas stand for nothing in the glob '{a,b}'", "write a list: [one-*, other-*]"),
    ("labels", "a,b", "braces and commas stand for nothing in the glob 'a,b'", "write a list: [one-*, other-*]"),
    ("names", "a[bc", "a [ of the glob 'a[bc' isn't closed", "write the closing ], as in shop-[0-9]"),
    ("names", "a[^bc]", "[^ isn't how the glob 'a[^bc]' can say none of them", "write [!bc]"),
    ("names", "a[9-0]", "the range in [9-0] of the glob 'a[9-0]' is backwards", "write the lower end first: [a-z]"),
    (
        "projects",
        "Shop-*",
        "'S' in the glob 'Shop-*' never occurs in a project's id",
        "write it in lower case: shop-*",
    ),
    ("locations", "europe_west1", "'_' in the glob 'europe_west1' never occurs in a location", "write what may occur"),
    ("names", "a.b", "'.' in the glob 'a.b' never occurs in a cluster's name", "write what may occur there, or *"),
    ("names", "a]", "']' in the glob 'a]' never occurs in a cluster's name", "write what may occur there, or *"),
    ("labels", "Prod", "'P' in the glob 'Prod' never occurs in a label's value", "write it in lower case: prod"),
    ("labels", "a b", "' ' in the glob 'a b' never occurs in a label's value", "write what may occur there, or *"),
    ("folders", "a\tb", "'\\t' in the glob 'a\\tb' never occurs in a folder", "write what may occur there, or *"),
]


@pytest.mark.parametrize(("key", "glob", "problem", "remedy"), FAULTS)
def test_a_glob_that_can_match_nothing_is_told(key: str, glob: str, problem: str, remedy: str) -> None:
    found = globs.fault(glob, key)
    assert found is not None
    assert found[0] == problem
    assert found[1].startswith(remedy)


@given(st.text("ab-*?[]!^", max_size=12), st.sampled_from(sorted(globs.OCCURS)))
def test_a_glob_that_is_no_fault_can_be_matched(glob: str, key: str) -> None:
    if globs.fault(glob, key) is None:
        assert globs.matches(glob, "ab") is fnmatch.fnmatchcase("ab", glob)


@given(st.text("ab-", min_size=1, max_size=12))
def test_a_glob_without_wildcards_matches_itself_only(name: str) -> None:
    assert globs.fault(name, "names") is None
    assert globs.matches(name, name)
    assert not globs.matches(name, f"{name}a")


@given(st.text("ab", max_size=6), st.text("ab*?", max_size=6))
def test_stars_and_question_marks_mean_what_a_pattern_of_them_means(text: str, glob: str) -> None:
    pattern = glob.replace("*", ".*").replace("?", ".")
    assert globs.matches(glob, text) is bool(re.fullmatch(pattern, text))
