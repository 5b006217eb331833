"""A pause written into a policy's text and taken out again."""

from __future__ import annotations

from typing import Any

import pytest

from byomesh.reruns.policy_text import with_pause, without_pause
from shared.errors import Permanent
from shared.policy import BadPolicy, read

PLAIN = """\
# who owns this: the platform team
schema: 1
rules:
  - name: all   # every cluster
    mesh: linkerd
"""
FROZEN = """\
schema: 1
paused:   # see the calendar
    # the audit
  - reason: audit
    match: {projects: pay-*}   # until Friday
  # others
  - reason: quarter's end
    match:
      labels: {tier: dev}

rules: [{name: all, mesh: linkerd}]
"""
MATCH: dict[str, Any] = {"names": ["shop-*"], "labels": {"team": "shop"}}


@pytest.mark.parametrize("text", [PLAIN, FROZEN, PLAIN + "# the end\n"])
@pytest.mark.parametrize("match", [MATCH, {}])
def test_a_pause_comes_and_goes_and_leaves_every_other_line_as_it_is(text: str, match: dict[str, Any]) -> None:
    paused = with_pause(text, "p", 'say "why": #1', match)
    assert [line for line in paused.splitlines() if line in text.splitlines()] == text.splitlines()
    assert 'say "why": #1' in [one.reason for one in read(paused, "p").paused]
    assert with_pause(paused, "p", "again", match) == paused
    assert without_pause(paused, "p", match) == text


def test_only_the_pause_with_this_match_is_taken_out() -> None:
    rest = without_pause(FROZEN, "p", {"labels": {"tier": "dev"}})
    assert [one.reason for one in read(rest, "p").paused] == ["audit"]
    assert "# others" in rest
    with pytest.raises(Permanent, match="no pause with this match") as raised:
        without_pause(FROZEN, "p", {"names": "x"})
    assert raised.value.remedy == "its pauses are: audit; quarter's end"
    with pytest.raises(Permanent, match="no pause"):
        without_pause(PLAIN, "p", {})


@pytest.mark.parametrize(
    "text",
    [
        "{schema: 1, rules: []}",
        "schema: 1\nrules: []\npaused: [{reason: r}]\n",
        "schema: 1\nrules: []\n...\n",
    ],
)
def test_what_lines_cannot_be_put_into_is_left_to_people(text: str) -> None:
    with pytest.raises(Permanent, match="by hand"):
        with_pause(text, "p", "r", MATCH)


def test_a_policy_that_is_or_would_be_broken_is_not_edited() -> None:
    with pytest.raises(BadPolicy):
        with_pause("schema: 1\n", "p", "r", MATCH)
    with pytest.raises(BadPolicy):
        with_pause(PLAIN, "p", "r", {"names": ["["]})
