"""docs/policy.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from byomesh.cli.main import app
from shared.cluster import ClusterFacts
from shared.model import ClusterRef
from shared.policy import (
    BUILT_IN,
    CHANNELS,
    NetAdmin,
    RuleMode,
    decide,
    document,
    explain,
    fleet,
    matching,
    read,
    reading,
)

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
EXAMPLE, WHOLE, AS_BUILT_IN = EXAMPLES


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_of_the_page_passes_the_check(text: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    result = CliRunner().invoke(app, ["policy", "check", str(file)])
    assert result.exit_code == 0, result.stdout
    assert ("remark" in result.stdout) == ("paused" in text)


def test_the_limits_are_on_the_page() -> None:
    usual = read("schema: 1\nrules: []", "p").limits
    assert f"{usual.undone_within_a_day} if nothing is said" in PAGE
    for number in (fleet.CLUSTERS, fleet.UNDOINGS, fleet.PROJECTS):
        assert f"{number:,}" in PAGE


def test_every_key_and_every_word_is_on_the_page() -> None:
    keys = {
        *reading._KEYS,
        *reading._WHOLE,
        *matching.KEYS,
        *fleet.SWEEP,
        *fleet.LIMITS,
        *fleet.PAUSE,
        "registry",
        "digests",
    }
    words = {*CHANNELS, *(one.value for one in NetAdmin), *(one.value for one in RuleMode), "label"}
    assert {one for one in keys | words if not re.search(rf"`{{?{one}\b", PAGE)} == set()


def test_the_size_is_on_the_page() -> None:
    assert f"{document.LIMIT // 1024} KiB" in PAGE


_LABELS = st.dictionaries(
    st.sampled_from(["byomesh", "mesh", "team"]), st.sampled_from(["off", "on", "none", "linkerd", "istia", ""])
)


@given(st.booleans(), _LABELS, st.sampled_from(CHANNELS), st.sampled_from([(), ("folders/1",)]))
def test_the_built_in_policy_is_the_one_on_the_page(
    autopilot: bool, labels: dict[str, str], channel: str, folders: tuple[str, ...]
) -> None:
    facts = ClusterFacts(
        cluster=ClusterRef("shop", "europe-west1", "eu-1"),
        autopilot=autopilot,
        labels=labels,
        release_channel=channel,
        folders=folders,
    )
    written = read(AS_BUILT_IN, BUILT_IN.source)
    assert decide(facts, written) == decide(facts, BUILT_IN)
    matching = [(one.conditions, one.matches, one.decides) for one in explain(facts, written)]
    assert matching == [(one.conditions, one.matches, one.decides) for one in explain(facts, BUILT_IN)]


def test_the_page_has_the_built_in_rules_themselves() -> None:
    rules = [msgspec.structs.replace(rule, line=0) for rule in read(AS_BUILT_IN, "p").rules]
    assert rules == list(BUILT_IN.rules)
