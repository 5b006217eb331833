"""What a policy says of the whole fleet: the sweep, the limits and the pauses."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from byomesh.cli.main import app
from shared.cluster import ClusterFacts
from shared.model import ClusterRef
from shared.policy import BUILT_IN, BadPolicy, Limits, Match, Pause, Policy, Sweep, fleet, paused, read, remarks


def of(text: str) -> Policy:
    return read(f"schema: 1\nrules: []\n{textwrap.dedent(text)}", "policy.yaml")


def told(text: str) -> list[str]:
    """The faults of a policy with these keys, without its source; they begin in line 3."""
    with pytest.raises(BadPolicy) as raised:
        of(text)
    return [fault.at("").lstrip(":") for fault in raised.value.faults]


def facts(name: str = "checkout", project: str = "shop-prod", **labels: str) -> ClusterFacts:
    return ClusterFacts(cluster=ClusterRef(project, "europe-west1", name), autopilot=True, labels=labels)


# What is read ---------------------------------------------------------------------------------------------------------


def test_every_key_is_read() -> None:
    found = of("""\
        sweep:
          projects: [shop-prod, "example.com:old-one", shop-prod]
          scope: organizations/123456789012
        limits: {clustersAtOnce: 20, undoneWithinADay: 5}
        paused:
          - reason: the audit
            match: {projects: pay-*, labels: {tier: a}}
          - reason: nobody works today
    """)
    assert found.sweep == Sweep(projects=("shop-prod", "example.com:old-one"), scope="organizations/123456789012")
    assert found.limits == Limits(clusters_at_once=20, undone_within_a_day=5)
    assert found.paused == (
        Pause(reason="the audit", match=Match(projects=("pay-*",), labels={"tier": ("a",)}), line=8),
        Pause(reason="nobody works today", line=10),
    )


def test_without_them_it_is_the_own_project_without_a_cap_and_nothing_waits() -> None:
    for rules in (of(""), of("limits: {}\npaused: []"), BUILT_IN):
        assert (rules.sweep, rules.limits, rules.paused) == (Sweep(), Limits(), ())
    assert (of("").limits.clusters_at_once, of("").limits.undone_within_a_day) == (0, 3)


@pytest.mark.parametrize("written", ["folders/1", "'folders/1'", "organizations/99999999999999999999"])
def test_a_scope_is_a_folder_or_an_organization(written: str) -> None:
    assert of(f"sweep: {{scope: {written}}}").sweep.scope == written.strip("'")


@pytest.mark.parametrize(("written", "number"), [("0", 0), ("1", 1), ("'7'", 7), ("5000", fleet.CLUSTERS)])
def test_no_cap_is_0(written: str, number: int) -> None:
    assert of(f"limits: {{clustersAtOnce: {written}}}").limits.clusters_at_once == number


# Faults ---------------------------------------------------------------------------------------------------------------

_PROJECT = "write a project's id, such as shop-prod; scope: folders/NUMBER is for all projects of a folder"
_SCOPE = "neither a folder nor an organization; write folders/NUMBER or organizations/NUMBER"
_MOST = "write a number from 0 to 5000; 0 is no cap"
FAULTS: dict[str, tuple[str, list[str]]] = {
    "another key": ("pause: []", ["3:1: a policy has no key 'pause'; write paused"]),
    "a key in upper case": ("Limits: {}", ["3:1: a policy has no key 'Limits'; write limits"]),
    "a sweep of nothing": (
        "sweep: {}",
        ["3:8: sweep is empty; write projects: or scope:, or leave the key out for the project it is in"],
    ),
    "no sweep": ("sweep:", ["3:7: sweep is empty, not a mapping; write KEY: VALUE pairs"]),
    "a sweep of a list": ("sweep: [shop]", ["3:8: sweep is a list, not a mapping; write KEY: VALUE pairs"]),
    "folders": (
        "sweep: {folders: [12]}",
        ["3:9: sweep has no key 'folders'; write scope: folders/NUMBER"],
    ),
    "no projects": (
        "sweep: {projects: []}",
        ["3:19: sweep.projects is an empty list; write a project's id, or leave the key out"],
    ),
    "a glob": (
        "sweep: {projects: 'shop-*'}",
        [f"3:19: 'shop-*' is a glob, and a sweep needs whole ids; {_PROJECT}"],
    ),
    "a number of a project": (
        "sweep: {projects: [123456]}",
        [f"3:20: '123456' is a project's number, and clusters are named by its id; {_PROJECT}"],
    ),
    "a path of a project": (
        "sweep: {projects: [projects/shop-prod]}",
        [f"3:20: 'projects/shop-prod' can't be a project's id; {_PROJECT}"],
    ),
    "no project": ("sweep: {projects: [~]}", ["3:20: sweep.projects is empty, not a text; write a value, or leave"]),
    "a project as a scope": (
        "sweep: {scope: projects/a}",
        ["3:16: sweep.scope is 'projects/a', neither a folder nor an organization; write it under projects, as its id"],
    ),
    "a British organisation": (
        "sweep: {scope: organisations/1}",
        [f"3:16: sweep.scope is 'organisations/1', {_SCOPE}"],
    ),
    "a named folder": ("sweep: {scope: folders/shop}", [f"3:16: sweep.scope is 'folders/shop', {_SCOPE}"]),
    "scopes": ("sweep: {scope: [folders/1]}", ["3:16: sweep.scope is a list, not a text; write a text"]),
    "a scope with a line": ('sweep: {scope: "folders/1\\n"}', [f"3:16: sweep.scope is 'folders/1', {_SCOPE}"]),
    "another limit": (
        "limits: {clusterAtOnce: 1}",
        ["3:10: limits has no key 'clusterAtOnce'; write clustersAtOnce"],
    ),
    "less than nothing": (
        "limits: {clustersAtOnce: -1}",
        [f"3:26: limits.clustersAtOnce is '-1', no number from 0 to 5000; {_MOST}"],
    ),
    "half a cluster": (
        "limits: {clustersAtOnce: 1.5}",
        [f"3:26: limits.clustersAtOnce is '1.5', no number from 0 to 5000; {_MOST}"],
    ),
    "octal": (
        "limits: {clustersAtOnce: 010}",
        [f"3:26: limits.clustersAtOnce is '010', no number from 0 to 5000; {_MOST}"],
    ),
    "other digits": (
        "limits: {clustersAtOnce: ١٢}",
        [f"3:26: limits.clustersAtOnce is '١٢', no number from 0 to 5000; {_MOST}"],
    ),
    "too many": (
        f"limits: {{clustersAtOnce: {'9' * 5000}}}",
        [f"3:26: limits.clustersAtOnce is '{'9' * 50}"],
    ),
    "a flag": (
        "limits: {clustersAtOnce: true}",
        [f"3:26: limits.clustersAtOnce is 'true', no number from 0 to 5000; {_MOST}"],
    ),
    "no number": ("limits: {clustersAtOnce: }", ["3:25: limits.clustersAtOnce is empty, not a text; write a value"]),
    "a fight": (
        "limits: {undoneWithinADay: 0}",
        ["3:28: limits.undoneWithinADay is '0', no number from 1 to 100; write a number from 1 to 100, such as 3"],
    ),
    "a pause of all": (
        "paused: true",
        ["3:9: paused is true or false, not a list; write each pause as `- reason: …`, with a match where it isn't"],
    ),
    "a pause that is no list": ("paused: {reason: a}", ["3:9: paused is a mapping, not a list; write each pause as"]),
    "a pause that is a text": ("paused: [now]", ["3:10: a pause is a text, not a mapping; write KEY: VALUE pairs"]),
    "no reason": (
        "paused: [{match: {}}]",
        ["3:10: the pause has no reason; write reason: and a sentence that every waiting cluster shows"],
    ),
    "an empty reason": ("paused: [{reason: ' '}]", ["3:19: reason isn't one line of 1 to 300 characters; write one"]),
    "an end": (
        "paused: [{reason: a, until: 2026-01-01}]",
        ["3:22: a pause has no key 'until'; write it into the reason, and take the pause out when it is over"],
    ),
    "a condition outside": (
        "paused: [{reason: a, projects: shop}]",
        ["3:22: a pause has no key 'projects'; write it under match: {projects: …}"],
    ),
    "a match of nothing": (
        "paused: [{reason: a, match: }]",
        ["3:28: match is empty; write {} for every cluster, or leave the key out"],
    ),
    "faults of a match": (
        "paused: [{reason: a, match: {locations: EU-1, cluster: b}}]",
        [
            "3:41: 'E' in the glob 'EU-1' never occurs in a location; write it in lower case: eu-1",
            "3:47: match has no key 'cluster'; remove it, or write one of: projects, folders, ",
        ],
    ),
    "all at once": (
        "sweep: 1\nlimits: 2\npaused: 3",
        [
            "3:8: sweep is a number, not a mapping; write KEY: VALUE pairs",
            "4:9: limits is a number, not a mapping; write KEY: VALUE pairs",
            "5:9: paused is a number, not a list; write each pause as",
        ],
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_says_where_what_and_what_instead(case: str) -> None:
    text, expected = FAULTS[case]
    found = told(text)
    assert len(found) == len(expected), found
    assert [one[: len(words)] for one, words in zip(found, expected, strict=True)] == expected


def test_more_projects_than_a_list_is_for() -> None:
    many = ", ".join(f"shop-{number:05}" for number in range(fleet.PROJECTS + 1))
    assert told(f"sweep: {{projects: [{many}]}}") == [
        "3:19: sweep.projects has 1001 projects; write 1000 at most, or a scope"
    ]


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*fleet.SWEEP, *fleet.LIMITS, *fleet.PAUSE, "projects", "labels"]) | st.text(max_size=9),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(fleet.KEYS), _ANYTHING, min_size=1))
def test_anything_else_is_read_or_told_and_never_breaks(whole: dict[str, object]) -> None:
    text = json.dumps({"schema": 1, "rules": [], **whole})
    try:
        found = read(text, "p")
    except BadPolicy as error:
        faults = error.faults
    else:
        assert found.source == "p"
        return
    assert faults
    assert all(fault.line and fault.column and fault.problem and fault.remedy for fault in faults)


# Who waits ------------------------------------------------------------------------------------------------------------

PAUSED = """\
paused:
  - reason: the audit
    match: {projects: pay-*}
  - reason: the freeze
    match: {labels: {tier: a}}
"""


def test_the_first_pause_that_matches_holds_a_cluster() -> None:
    rules = of(PAUSED)
    first, second = rules.paused
    assert paused(facts(project="pay-prod", tier="a"), rules) == first
    assert paused(facts(tier="a"), rules) == second
    assert paused(facts(), rules) is None


def test_a_pause_without_a_match_holds_every_cluster() -> None:
    rules = of("paused: [{reason: all}]")
    assert paused(facts(), rules) == Pause(reason="all", line=3)
    assert paused(facts()) is None


def test_no_pause_holds_a_cluster_that_opted_out() -> None:
    rules = of("paused: [{reason: all}]")
    assert paused(facts(byomesh="off"), rules) is None
    assert paused(facts(byomesh="on"), rules) is not None


def test_a_pause_is_remarked_on() -> None:
    rules = read(
        "schema: 1\nrules: [{name: a, mesh: none}]\npaused: [{reason: all}, {reason: one, match: {folders: f}}]", "p"
    )
    assert remarks(rules) == (
        "line 3: every cluster waits until the pause is taken out: all",
        "line 3: the clusters that it matches wait until the pause is taken out: one",
        "line 3: the pause matches only clusters whose folders are known",
    )


def test_the_command_says_which_pause_holds_a_cluster(tmp_path: Path) -> None:
    file, event = tmp_path / "policy.yaml", tmp_path / "event.json"
    file.write_text(f"schema: 1\nrules: [{{name: all, mesh: linkerd}}]\n{PAUSED}")
    event.write_text(json.dumps({"cluster": str(facts(project="pay-prod").cluster), "autopilot": True, "labels": {}}))
    result = CliRunner().invoke(app, ["policy", "test", str(file), str(event)], env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.output
    assert f"until the pause is taken out ({file}:4): the audit" in result.stdout
    result = CliRunner().invoke(app, ["policy", "test", str(file), str(event), "-o", "json"])
    assert json.loads(result.stdout)["paused"] == {"reason": "the audit", "line": 4}
    event.write_text(json.dumps({"cluster": str(facts().cluster), "autopilot": True, "labels": {}}))
    result = CliRunner().invoke(app, ["policy", "test", str(file), str(event), "-o", "json"])
    assert json.loads(result.stdout)["paused"] is None
