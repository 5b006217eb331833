"""A policy's text: what is read of it, and every fault with its place and remedy."""

from __future__ import annotations

import textwrap
import time
from typing import Any, get_type_hints

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model import Images, MeshSettings, known_meshes
from shared.policy import (
    BadPolicy,
    Match,
    NetAdmin,
    Policy,
    Rule,
    RuleMode,
    document,
    faults,
    fleet,
    matching,
    nodes,
    read,
    reading,
)

MESHES = {"linkerd", "istio"}
DIGEST = f"sha256:{'0a' * 32}"
SECONDS = 20.0
"""For the longest text; some two on a machine that does nothing else."""


def of(text: str) -> Policy:
    return read(textwrap.dedent(text), "policy.yaml", MESHES)


def rule(text: str) -> Rule:
    """The one rule of a policy whose rule is `text`, at the indentation of its keys."""
    (found,) = of(f"schema: 1\nrules:\n  -\n{textwrap.indent(textwrap.dedent(text), '    ')}").rules
    return found


def told(text: str) -> list[str]:
    """The faults of a policy, each as a person reads it."""
    with pytest.raises(BadPolicy) as raised:
        of(text)
    return [fault.at(raised.value.source) for fault in raised.value.faults]


def fault(text: str) -> str:
    """The only fault of a rule that has this beside its name and its mesh, less its place and remedy."""
    (found,) = told(f"schema: 1\nrules:\n  - name: a\n    mesh: linkerd\n{textwrap.indent(text, '    ')}")
    return found


# What is read ---------------------------------------------------------------------------------------------------------


def test_every_key_is_read() -> None:
    assert of(f"""\
        schema: 1
        rules:
          - name: production
            reason: production is meshed
            match:
              projects: [shop-*, pay-prod]
              folders: folders/123
              locations: europe-*
              names: ["*-[0-9]"]
              labels: {{team: [shop, pay], env: "*"}}
              autopilot: true
              releaseChannel: [stable, REGULAR]
            mesh: linkerd
            netAdmin: leave
            mode: audit
            version: edge-26.6.3
            ha: true
            viz: false
            emojivoto: true
            clusterNetworks: chart
            restartWorkloads: true
            adopt: true
            iptablesMode: nft
            priorityClass: mesh-first
            images:
              registry: europe-docker.pkg.dev/p/mesh
              digests: {{proxy: "{DIGEST}"}}
            values:
              linkerd-control-plane: {{controllerReplicas: 3, heartbeatSchedule: "0 0 * * *", a: [1.5, null, off]}}
          - name: nothing else
            mesh: none
    """) == Policy(
        source="policy.yaml",
        meshes=frozenset(MESHES),
        rules=(
            Rule(
                name="production",
                reason="production is meshed",
                match=Match(
                    projects=("shop-*", "pay-prod"),
                    folders=("folders/123",),
                    locations=("europe-*",),
                    names=("*-[0-9]",),
                    labels={"team": ("shop", "pay"), "env": ("*",)},
                    autopilot=True,
                    release_channels=("STABLE", "REGULAR"),
                ),
                mesh="linkerd",
                net_admin=NetAdmin.LEAVE,
                mode=RuleMode.AUDIT,
                line=3,
                settings=MeshSettings(
                    version="edge-26.6.3",
                    ha=True,
                    viz=False,
                    emojivoto=True,
                    cluster_networks="chart",
                    restart_workloads=True,
                    adopt=True,
                    iptables_mode="nft",
                    priority_class="mesh-first",
                    images=Images(registry="europe-docker.pkg.dev/p/mesh", digests={"proxy": DIGEST}),
                    values={
                        "linkerd-control-plane": {
                            "controllerReplicas": 3,
                            "heartbeatSchedule": "0 0 * * *",
                            "a": [1.5, None, False],
                        }
                    },
                ),
            ),
            Rule(name="nothing else", reason="the rule nothing else asks for no mesh", line=30),
        ),
    )


def test_the_test_above_has_every_setting() -> None:
    wish = rule("name: a\nmesh: none").settings
    assert wish == MeshSettings()
    assert {*get_type_hints(MeshSettings)} == {
        *("version", "ha", "viz", "emojivoto", "cluster_networks", "restart_workloads", "adopt", "iptables_mode"),
        *("priority_class", "images", "values"),
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mesh: linkerd", "the rule a asks for linkerd"),
        ("mesh: none", "the rule a asks for no mesh"),
        ("mode: off", "the rule a leaves it alone"),
        ("mesh: linkerd\nmode: off", "the rule a leaves it alone"),
        ("mesh: {label: mesh}\nmatch: {labels: {mesh: '*'}}", "the rule a asks for the mesh that its label mesh names"),
    ],
)
def test_a_rule_without_a_reason_gets_one(text: str, reason: str) -> None:
    assert rule(f"name: a\n{text}").reason == reason


@pytest.mark.parametrize("written", ["on", "1.10", "0o7", "2026-05-04", "'on'", "no", "=", "12_0"])
def test_what_has_no_quotes_is_text_where_text_is_wanted(written: str) -> None:
    values = rule(f"name: a\nmesh: none\nmatch: {{labels: {{x: {written}}}}}") if written.isalnum() else None
    assert values is None or values.match.labels == {"x": (written,)}
    text = written.strip("'")
    assert rule(f"name: {written}\nmesh: none").name == text


@pytest.mark.parametrize("written", ["true", "True", "yes", "on"])
def test_a_flag_is_what_yaml_calls_one(written: str) -> None:
    assert rule(f"name: a\nmesh: linkerd\nha: {written}").settings.ha is True


def test_the_empty_label_is_a_value() -> None:
    assert rule("name: a\nmesh: none\nmatch: {labels: {x: ''}}").match.labels == {"x": ("",)}


@pytest.mark.parametrize("match", ["", "match: {}", "match: {labels: {}}"])
def test_a_rule_without_conditions_is_for_every_cluster(match: str) -> None:
    assert rule(f"name: a\nmesh: none\n{match}").match == Match()


def test_aliases_and_merges_are_written_out() -> None:
    first, second, third = of("""\
        schema: 1
        rules:
          - &first {name: a, mesh: linkerd, ha: true, match: &where {projects: [p]}}
          - {<<: *first, name: b, ha: false}
          - {<<: [{viz: true, adopt: true}, {viz: false, mesh: istio}], name: c, match: *where}
    """).rules
    assert (first.settings, second.settings) == (MeshSettings(ha=True), MeshSettings(ha=False))
    assert (second.name, second.mesh, second.match) == ("b", "linkerd", first.match)
    assert (third.mesh, third.settings, third.match) == ("istio", MeshSettings(viz=True, adopt=True), first.match)


def test_the_profiles_are_the_meshes_where_nobody_says_otherwise() -> None:
    assert read("schema: 1\nrules: []", "p").meshes == frozenset(known_meshes())


# Faults ---------------------------------------------------------------------------------------------------------------

WHOLE: dict[str, tuple[str, str]] = {
    "nothing": ("", "1:1: the policy is empty; write rules: and at least one rule"),
    "a comment": ("# nothing\n", "1:1: the policy is empty; write rules: and at least one rule"),
    "a text": ("rules", "1:1: the policy is a text, not a mapping; write KEY: VALUE pairs"),
    "a list": ("- rules", "1:1: the policy is a list, not a mapping; write KEY: VALUE pairs"),
    "no schema": ("rules: []", "1:1: the policy doesn't say its schema; write schema: 1 above the rules"),
    "another schema": (
        "rulez: 3\nschema: 2",
        "2:9: the policy has schema '2'; this version reads 1; write schema: 1",
    ),
    "no rules": ("schema: 1", "1:1: the policy has no rules; write rules: and a list of them"),
    "rules that are none": (
        "schema: 1\nrules:\n  a: b",
        "3:3: rules is a mapping, not a list; write each rule as `- name: …`",
    ),
    "rules that are empty": ("schema: 1\nrules:", "2:7: rules is empty, not a list; write each rule as `- name: …`"),
    "another key": (
        "schema: 1\nrules: []\nrule: []",
        "3:1: a policy has no key 'rule'; write rules",
    ),
    "a tab": ("schema: 1\n\trules: []", "2:1: there is a tab, and YAML is indented with spaces; "),
    "no YAML": ("schema: 1\nrules: [", "2:9: it isn't YAML: "),
    "two documents": ("schema: 1\n---\nrules: []", "2:1: expected a single document in the stream, but found"),
    "a control character": ("schema: 1\n# \x07", "2:3: the character '\\x07' isn't allowed in YAML; remove it"),
    "half a pair": ('schema: 1\nrules: ["\\ud800"]', "2:9: the text has half of a surrogate pair; write the character"),
    "no character": ('rules: "\\UFFFFFFFF"', "1:"),
    "a version that is none": (f"%YAML {'9' * 5000}.1\n---\n", "1:"),
    "too deep": (f"rules: {'[' * 64}", "1:72: lists and mappings are nested deeper than 64; nest 64 deep at most"),
    "aliases that explode": (
        "- &a0 [a]\n" + "".join(f"- &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 14)),
        "1:1: its aliases unfold to 49136 nodes; write out what differs, and alias only that",
    ),
    "a long text that aliases repeat": (
        f"- &a {'x' * 30_000}\n" + "- *a\n" * 50,
        "1:1: its aliases unfold to 15352 nodes; write out what differs, and alias only that",
    ),
    "too deep with aliases": (
        "\n".join(f"- &a{n} {'[' * 40}{'x' if n == 0 else f'*a{n - 1}'}{']' * 40}" for n in range(3)),
        "1:1: lists and mappings are nested deeper than 64, with its aliases written out; nest 64 deep at most",
    ),
    "an unknown alias": ("rules: *a", "1:8: it isn't YAML: found undefined alias"),
    "an alias to itself": ("rules: &a [*a]", "1:8: an alias leads back to the list or mapping that it is in; "),
    "too long": ("#" * (document.LIMIT + 1), "1:1: the policy has more than 64 KiB; write fewer rules, with globs"),
    "too long in bytes": ("#" + "ä" * (document.LIMIT // 2), "1:1: the policy has more than 64 KiB; "),
}


@pytest.mark.parametrize("case", WHOLE)
def test_what_is_no_policy_at_all_is_told(case: str) -> None:
    text, words = WHOLE[case]
    (found,) = told(text)
    assert found.startswith(f"policy.yaml:{words}")


RULES: dict[str, tuple[str, str]] = {
    "an unknown key": ("netadmin: leave", "5:5: a rule has no key 'netadmin'; write netAdmin"),
    "a key of nothing": (
        "x: 1",
        "5:5: a rule has no key 'x'; remove it, or write one of: name, reason, match, mesh, netAdmin, mode, version, ",
    ),
    "settings apart": ("settings: {}", "5:5: a rule has no key 'settings'; write its keys in the rule itself"),
    "a condition outside": ("projects: a", "5:5: a rule has no key 'projects'; write it under match: {projects: …}"),
    "a key twice": ("ha: true\nha: true", "6:5: the key 'ha' is written twice; keep one of them"),
    "a key that is a list": ("[a]: b", "5:5: a key of a rule is a list, not a text; write a text"),
    "netAdmin": ("netAdmin: require", "5:15: netAdmin is 'require', none of required, forbidden, leave; write requi"),
    "mode": ("mode: sometimes", "5:11: mode is 'sometimes', none of enforce, audit, off; write one of: enforce, audit"),
    "no mode": ("mode:", "5:10: mode is empty, not a text; write a value, or leave the key out"),
    "a flag in quotes": ('ha: "true"', "5:9: ha is a text, neither true nor false; write true, without quotes"),
    "a flag in numbers": ("adopt: 1", "5:12: adopt is a number, neither true nor false; write true or false"),
    "a flag by force": ("viz: !!bool maybe", "5:10: viz is true or false, neither true nor false; write true or false"),
    "a version": ("version: two words", "5:14: version is 'two words', which can't be one; write a version as"),
    "no version": ("version: ~", "5:14: version is empty, not a text; write a value, or leave the key out"),
    "clusterNetworks": (
        "clusterNetworks: all",
        "5:22: clusterNetworks is 'all', none of chart, computed; write one of: chart, computed",
    ),
    "a registry with a scheme": ("images: {registry: 'https://a'}", "5:24: images.registry is 'https://a', which ca"),
    "images as a text": ("images: here", "5:13: images is a text, not a mapping; write KEY: VALUE pairs"),
    "an image's digest": ("images: {digests: {proxy: abc}}", "5:31: images.digests is 'abc', which can't be one; wri"),
    "a key of images": ("images: {digest: {}}", "5:14: images has no key 'digest'; write digests"),
    "a priority": ("priorityClass: Mine", "5:20: priorityClass is 'Mine', which can't be one; write a PriorityClass's"),
    "values of no release": ("values: {a: b}", "5:17: values is a text, not a mapping; write KEY: VALUE pairs"),
    "values as a list": ("values: [a]", "5:13: values is a list, not a mapping; write KEY: VALUE pairs"),
    "no number": ("values: {a: {b: .nan}}", "5:21: values has '.nan', a number that JSON can't say; write it in quo"),
    "a huge number": (f"values: {{a: {{b: {2**64}}}}}", f"5:21: values has '{2**64}', a number that JSON can't say;"),
    "a number by force": ("values: {a: {b: !!int x}}", "5:21: values has 'x', a number that JSON can't say; write it"),
    "a tag": ("values: {a: {b: !Ref x}}", "5:21: values is tagged '!Ref', not a text; write a text"),
    "python": ("reason: !!python/name:os.system x", "5:13: reason is a text, not a text"),
    "a reason of two lines": ('reason: "a\\nb"', "5:13: reason isn't one line of 1 to 300 characters; write one line"),
    "an empty reason": ('reason: " "', "5:13: reason isn't one line of 1 to 300 characters; write one line of text"),
    "a list's reason": ("reason: [a]", "5:13: reason is a list, not a text; write a text"),
    "no match": ("match:", "5:11: match is empty; write {} for every cluster, or leave the key out"),
    "a match of text": ("match: all", "5:12: match is a text, not a mapping; write KEY: VALUE pairs"),
    "a condition": ("match: {project: a}", "5:13: match has no key 'project'; write projects"),
    "channels": ("match: {releaseChannels: RAPID}", "5:13: match has no key 'releaseChannels'; write releaseChannel"),
    "a channel": ("match: {releaseChannel: fast}", "5:29: there is no release channel 'fast'; write one of: RAPID, "),
    "a channel near": ("match: {releaseChannel: [Rapit]}", "5:30: there is no release channel 'Rapit'; write RAPID"),
    "a channel of nothing": ("match: {releaseChannel: [~]}", "5:30: releaseChannel is empty, not a text; write a val"),
    "autopilot": ("match: {autopilot: standard}", "5:24: autopilot is a text, neither true nor false; write true or"),
    "an empty list": ("match: {names: []}", "5:20: names is an empty list, which nothing can match; leave the key ou"),
    "a glob": ("match: {locations: Europe-*}", "5:24: 'E' in the glob 'Europe-*' never occurs in a location; write "),
    "a glob in a list": ("match: {names: [a, 'b c']}", "5:24: ' ' in the glob 'b c' never occurs in a cluster's nam"),
    "a glob of nothing": ("match: {names: [~]}", "5:21: names is empty, not a text; write a value, or leave the key "),
    "a label's value": ("match: {labels: {env: Prod}}", "5:27: 'P' in the glob 'Prod' never occurs in a label's val"),
    "a label's key": ("match: {labels: {Env: a}}", "5:22: 'Env' can't be a label of a cluster; write a lower-case"),
    "labels in a list": ("match: {labels: [env]}", "5:21: labels is a list, not a mapping; write KEY: VALUE pairs"),
    "a merge of nothing": ("<<: 3", "5:9: what << merges in is a number, not a mapping; write KEY: VALUE pairs"),
}


@pytest.mark.parametrize("case", RULES)
def test_a_fault_of_a_rule_is_told_where_it_stands(case: str) -> None:
    text, words = RULES[case]
    assert fault(text).startswith(f"policy.yaml:{words}")


NAMES: dict[str, tuple[str, str]] = {
    "no name": ("mesh: none", "3:5: the rule has no name; write name: and a name that logs and reports will show"),
    "an empty name": ("{name: '', mesh: none}", "3:12: name isn't one line of 1 to 300 characters; write one line of"),
    "a long name": (f"{{name: {'a' * 301}, mesh: none}}", "3:12: name isn't one line of 1 to 300 characters; write o"),
    "a taken name": ("{name: opted-out, mesh: none}", "3:12: the name 'opted-out' is taken by byomesh itself; write"),
    "no mesh": ("name: a", "3:5: the rule says no mesh; write mesh: and one of istio, linkerd, none"),
    "an empty mesh": ("{name: a, mesh: }", "3:20: mesh is empty, not a text; write a value, or leave the key out"),
    "an unknown mesh": (
        "{name: a, mesh: linkerd2}",
        "3:21: there is no mesh 'linkerd2'; known: istio, linkerd, none; write linkerd",
    ),
    "a far mesh": (
        "{name: a, mesh: spaghetti}",
        "3:21: there is no mesh 'spaghetti'; known: istio, linkerd, none; write one of: istio, linkerd, none",
    ),
    "a mesh of a label without its condition": (
        "{name: a, mesh: {label: mesh}}",
        "3:29: the rule is also for clusters without the label 'mesh'; write match: {labels: {mesh: '*'}} in this rule",
    ),
    "a mesh of no label": ("{name: a, mesh: {}}", "3:21: mesh is a mapping without label; write {label: KEY}, or the"),
    "a text": ("rule", "3:5: a rule is a text, not a mapping; write KEY: VALUE pairs"),
    "nothing": ("", "3:4: a rule is empty, not a mapping; write KEY: VALUE pairs"),
}


@pytest.mark.parametrize("case", NAMES)
def test_what_a_rule_must_have_is_told_at_its_beginning(case: str) -> None:
    text, words = NAMES[case]
    (found,) = told(f"schema: 1\nrules:\n  - {text}")
    assert found.startswith(f"policy.yaml:{words}")


def test_two_rules_of_one_name_are_told_with_both_lines() -> None:
    (found,) = told("schema: 1\nrules:\n- {name: a, mesh: none}\n- {name: a, mesh: none}")
    assert found == "policy.yaml:4:10: the name 'a' is that of the rule in line 3; write another name"


def test_all_faults_are_told_in_the_order_of_the_text() -> None:
    found = told("""\
        rules:
          - name: a
            mesh: linkered
            match: {locations: US-*, labels: {A: "{x,y}"}}
            ha: maybe
          - 3
          - {mode: audit, images: {registry: /}, netAdmin: no}
    """)
    places = [tuple(map(int, one.split(":")[1:3])) for one in found]
    assert places == [(1, 1), (3, 11), (4, 24), (4, 39), (4, 42), (5, 9), (6, 5), (7, 5), (7, 5), (7, 38), (7, 52)]


def test_an_alias_repeats_no_fault() -> None:
    found = told("schema: 1\nrules: [&a {name: b, mesh: linkerd, ha: 3}, {<<: *a, name: c}, {<<: *a, name: d}]")
    assert [one.split(": ", 1)[1] for one in found] == ["ha is a number, neither true nor false; write true or false"]


def test_thousands_of_faults_are_counted_as_more() -> None:
    found = told("schema: 1\nrules: []\n" + "".join(f"k{number}: 1\n" for number in range(5000)))
    assert len(found) == faults.LIMIT + 1
    assert found[-1] == "policy.yaml: there are more than 200 faults; correct these first"


def test_the_error_says_how_many_and_what_to_do() -> None:
    with pytest.raises(BadPolicy) as raised:
        of("schema: 1\nrules: [3, 4]")
    assert str(raised.value) == (
        "BadPolicy: the policy can't be used, 2 faults: policy.yaml:2:9: a rule is a number, not a mapping; write KEY: "
        "VALUE pairs | policy.yaml:2:12: a rule is a number, not a mapping; write KEY: VALUE pairs "
        "Next: correct it until `byomesh policy check FILE` finds nothing"
    )


# Hostile texts --------------------------------------------------------------------------------------------------------


def bombs() -> dict[str, str]:
    doubling = "".join(f"  - &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 200))
    chain = "".join(f"  - &a{n} {'[' * 50}*a{n - 1}{']' * 50}\n" for n in range(1, 100))
    merges = "".join(f"  - &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 200))
    return {
        "doubling aliases": f"schema: 1\nrules:\n  - &a0 [a]\n{doubling}",
        "doubling merges": f"schema: 1\nrules:\n  - &a0 {{a: b}}\n{merges}",
        "a long text, often": f"schema: 1\nrules:\n  - &a {'x' * 30_000}\n" + "  - *a\n" * 3_000,
        "a deep chain": f"schema: 1\nrules:\n  - &a0 [a]\n{chain}",
        "many keys": "a:\n" * (document.LIMIT // 3),
        "many items": f"[{'a,' * (document.LIMIT // 2 - 1)}]",
        "deep flow": "[" * document.LIMIT,
        "deep blocks": "- " * (document.LIMIT // 2),
        "unknown keys": "schema: 1\nrules: []\n" + "".join(f"{n}{'k' * 60}:\n" for n in range(900)),
        "a long key": f"{'k' * 60_000}: 1\nschema: 1\nrules: []",
        "a long number": f"schema: 1\nrules: [{{name: a, mesh: linkerd, values: {{a: {{b: {'9' * 60_000}}}}}}}]",
        "a long sum": f"schema: 1\nrules: [{{name: a, mesh: linkerd, values: {{a: {{b: 1{':59' * 20_000}}}}}}}]",
        "a long glob": f"schema: 1\nrules: [{{name: a, mesh: linkerd, match: {{names: '{'*a' * 30_000}'}}}}]",
    }


@pytest.mark.parametrize("case", bombs())
def test_a_hostile_text_is_told_soon(case: str) -> None:
    began = time.monotonic()
    for one in told(bombs()[case])[:20]:
        assert len(one) < 2_000
    assert time.monotonic() - began < SECONDS


def test_a_huge_number_is_no_power_of_yaml() -> None:
    assert fault("values: {a: {b: 1:59:59:59:59:59:59:59:59:59:59:59:59}}").startswith("policy.yaml:5:21: values has")


def usable(text: str) -> None:
    """A text is a policy, or is told to be none; what is read can be handed on as JSON."""
    error: BadPolicy | None = None
    found: Policy | None = None
    try:
        found = read(text, "policy.yaml", MESHES)
    except BadPolicy as caught:
        error = caught
    assert found is None or msgspec.json.encode(found)
    assert error is None or error.faults
    assert all(one.problem and one.remedy and one.line >= 0 for one in (error.faults if error else ()))
    assert "\x1b" not in str(error)


@given(st.text(max_size=300))
def test_any_text_is_read_or_told(text: str) -> None:
    usable(text)


_CHARACTERS = st.text("schema: 1rulnmthokd-{}[],&*<|>!?%@'\"\n\t #~\\\x1b\ud800ä", max_size=200)


@given(_CHARACTERS)
def test_any_text_of_yamls_characters_is_read_or_told(text: str) -> None:
    usable(text)
    usable(f"schema: 1\nrules:\n  - name: a\n    mesh: linkerd\n    {text}")


_WORDS = [*reading._KEYS, *matching.KEYS, *fleet.KEYS, "schema", "rules", "label", "registry", "digests", "<<", "x"]
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["linkerd", "none", "required", "off", "audit", "*", "a-*", "[", "RAPID", "edge-1", DIGEST])
    | st.text(max_size=8)
    | st.dates()
    | st.binary(max_size=4)
)
_TREES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=6),
    max_leaves=25,
)


@given(_TREES, st.lists(st.dictionaries(st.sampled_from(_WORDS), _TREES, max_size=8), max_size=4))
def test_any_tree_of_a_policys_words_is_read_or_told(tree: Any, rules: list[Any]) -> None:
    usable(yaml.safe_dump(tree, allow_unicode=True))
    usable(yaml.safe_dump({"schema": 1, "rules": rules}, allow_unicode=True))


GOOD = """\
schema: 1
rules:
  - name: production
    match: &where {projects: [shop-*], labels: {team: "*"}, autopilot: true, releaseChannel: RAPID}
    mesh: linkerd
    netAdmin: required
    images: {registry: europe-docker.pkg.dev/p/mesh}
    values: {linkerd-control-plane: {controllerReplicas: 3}}
  - {name: rest, mesh: none, match: *where}
"""


@given(st.integers(0, len(GOOD)), st.integers(0, 12), st.text(max_size=6))
@settings(max_examples=300)
def test_any_policy_with_a_damage_is_read_or_told(at: int, cut: int, put: str) -> None:
    usable(GOOD[:at] + put + GOOD[at + cut :])


def test_what_was_meant_is_found_whatever_its_case() -> None:
    assert [nodes.nearest(one, reading._KEYS) for one in ("NETADMIN", "restartworkload", "zzz", "")] == [
        "netAdmin",
        "restartWorkloads",
        None,
        None,
    ]
