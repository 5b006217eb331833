from __future__ import annotations

from typing import Any

import pytest

from shared.cluster import ClusterFacts
from shared.model import ClusterRef, MeshSettings
from shared.policy import (
    BUILT_IN,
    Decision,
    Match,
    Mode,
    NetAdmin,
    Policy,
    Rule,
    RuleMode,
    decide,
    explain,
    remarks,
)

REF = ClusterRef("shop-prod", "europe-west1", "checkout")


def facts(*, autopilot: bool, **labels: str) -> ClusterFacts:
    return ClusterFacts(cluster=REF, autopilot=autopilot, labels=labels)


def test_an_autopilot_cluster_gets_linkerd_and_needs_net_admin() -> None:
    assert decide(facts(autopilot=True, team="shop")) == Decision(
        mesh="linkerd",
        net_admin=NetAdmin.REQUIRED,
        mode=Mode.INSTALL,
        reason="every Autopilot cluster gets linkerd",
        rule="autopilot",
    )


@pytest.mark.parametrize("autopilot", [True, False])
@pytest.mark.parametrize(
    ("labels", "rule"),
    [
        ({"byomesh": "off"}, "opted-out"),
        ({"mesh": "none"}, "no-mesh"),
        ({"byomesh": "off", "mesh": "linkerd"}, "opted-out"),
    ],
)
def test_owners_opt_out_by_label(autopilot: bool, labels: dict[str, str], rule: str) -> None:
    decision = decide(facts(autopilot=autopilot, **labels))
    assert (decision.mesh, decision.opted_out, decision.rule) == (None, True, rule)


def test_another_value_of_the_label_does_not_opt_out() -> None:
    assert decide(facts(autopilot=True, byomesh="on")).mesh == "linkerd"


def test_a_standard_cluster_is_left_alone() -> None:
    decision = decide(facts(autopilot=False))
    assert (decision.mesh, decision.mode, decision.opted_out) == (None, Mode.IGNORE, False)


@pytest.mark.parametrize(("autopilot", "net_admin"), [(True, True), (False, False)])
def test_the_label_asks_for_a_mesh(autopilot: bool, net_admin: bool) -> None:
    decision = decide(facts(autopilot=autopilot, mesh="linkerd"))
    assert (decision.mesh, decision.rule, decision.net_admin_required) == ("linkerd", "asked-for", net_admin)


@pytest.mark.parametrize("autopilot", [True, False])
def test_an_unknown_mesh_is_refused(autopilot: bool) -> None:
    decision = decide(facts(autopilot=autopilot, mesh="spaghetti"))
    assert (decision.mesh, decision.mode, decision.net_admin_required) == (None, Mode.REFUSE, False)
    assert decision.reason == "its label mesh=spaghetti names no known mesh; known: linkerd, none"


def test_the_first_rule_that_matches_decides() -> None:
    everything = Rule(name="all", mesh="linkerd", reason="all")
    nothing = Rule(name="none", mode=RuleMode.OFF, reason="none")
    standard = Rule(name="standard", mode=RuleMode.OFF, reason="standard", match=Match(autopilot=False))
    policy = Policy(rules=(standard, everything, nothing), meshes=frozenset({"linkerd"}), source="here")
    assert decide(facts(autopilot=True), policy).rule == "all"
    assert decide(facts(autopilot=False), policy).rule == "standard"


# What a rule asks -----------------------------------------------------------------------------------------------------

SOME = ClusterFacts(
    cluster=REF,
    autopilot=True,
    labels={"team": "shop", "empty": ""},
    release_channel="STABLE",
    folders=("folders/12", "folders/1"),
)
NAMED = ClusterFacts(cluster=REF, autopilot=True, labels={}, folders=("Shops", "Europe"))

CONDITIONS: list[tuple[Match, ClusterFacts, bool]] = [
    (Match(), SOME, True),
    (Match(projects=("shop-*",)), SOME, True),
    (Match(projects=("pay-*", "*-prod")), SOME, True),
    (Match(projects=("pay-*",)), SOME, False),
    (Match(locations=("europe-*",)), SOME, True),
    (Match(locations=("us-*",)), SOME, False),
    (Match(names=("check???",)), SOME, True),
    (Match(names=("check",)), SOME, False),
    (Match(labels={"team": ("shop",)}), SOME, True),
    (Match(labels={"team": ("pay", "sh*")}), SOME, True),
    (Match(labels={"team": ("pay",)}), SOME, False),
    (Match(labels={"absent": ("*",)}), SOME, False),
    (Match(labels={"empty": ("",)}), SOME, True),
    (Match(labels={"empty": ("*",)}), SOME, True),
    (Match(labels={"team": ("",)}), SOME, False),
    (Match(labels={"team": ("*",), "absent": ("*",)}), SOME, False),
    (Match(autopilot=True), SOME, True),
    (Match(autopilot=False), SOME, False),
    (Match(release_channels=("RAPID", "STABLE")), SOME, True),
    (Match(release_channels=("RAPID",)), SOME, False),
    (Match(release_channels=("UNSPECIFIED",)), NAMED, True),
    (Match(folders=("folders/1",)), SOME, True),
    (Match(folders=("12",)), SOME, True),
    (Match(folders=("folders/2",)), SOME, False),
    (Match(folders=("Sho*",)), NAMED, True),
    (Match(folders=("*",)), facts(autopilot=True), False),
    (Match(projects=("shop-*",), names=("other",)), SOME, False),
]


@pytest.mark.parametrize(("match", "about", "holds"), CONDITIONS)
def test_every_key_must_hold_and_of_its_globs_any_one(match: Match, about: ClusterFacts, *, holds: bool) -> None:
    assert match.holds(about) is holds


WORDS: list[tuple[Match, str]] = [
    (Match(projects=("pay-*", "p")), "projects: shop-prod is not pay-* or p"),
    (Match(labels={"team": ("shop",)}), "labels.team: shop is shop"),
    (Match(labels={"absent": ("",)}), 'labels.absent: absent is not ""'),
    (Match(labels={"empty": ("",)}), 'labels.empty: "" is ""'),
    (Match(autopilot=False), "autopilot: true is not false"),
    (Match(release_channels=("RAPID",)), "releaseChannel: STABLE is not RAPID"),
    (Match(folders=("folders/1",)), "folders: 12, 1 is 1"),
]


@pytest.mark.parametrize(("match", "words"), WORDS)
def test_a_condition_says_what_is_there_and_what_is_wanted(match: Match, words: str) -> None:
    assert [str(one) for one in match.conditions(SOME)] == [words]


def test_folders_that_nobody_asked_for_are_unknown() -> None:
    (condition,) = Match(folders=("1",)).conditions(facts(autopilot=True))
    assert str(condition) == "folders: unknown is not 1"


# What follows ---------------------------------------------------------------------------------------------------------

WISH = MeshSettings(ha=True)


def one(**keys: Any) -> Policy:
    """A policy of one rule for every cluster."""
    made = Rule(**{"name": "r", "reason": "it is so", "mesh": "linkerd", "settings": WISH, **keys})
    return Policy(rules=(made,), meshes=frozenset({"linkerd"}), source="p.yaml")


FOLLOWS: dict[str, tuple[dict[str, Any], Decision]] = {
    "a mesh": (
        {},
        Decision(
            mesh="linkerd",
            net_admin=NetAdmin.REQUIRED,
            mode=Mode.INSTALL,
            reason="it is so",
            rule="r",
            settings=WISH,
        ),
    ),
    "a mesh without NET_ADMIN": (
        {"net_admin": NetAdmin.FORBIDDEN},
        Decision(
            mesh="linkerd",
            net_admin=NetAdmin.FORBIDDEN,
            mode=Mode.INSTALL,
            reason="it is so",
            rule="r",
            settings=WISH,
        ),
    ),
    "a mesh to report on": (
        {"mode": RuleMode.AUDIT, "net_admin": NetAdmin.LEAVE},
        Decision(
            mesh="linkerd",
            net_admin=NetAdmin.LEAVE,
            mode=Mode.AUDIT,
            reason="it is so",
            rule="r",
            settings=WISH,
            enforce=False,
        ),
    ),
    "off": (
        {"mode": RuleMode.OFF, "net_admin": NetAdmin.REQUIRED},
        Decision(mesh=None, net_admin=NetAdmin.LEAVE, mode=Mode.IGNORE, reason="it is so", rule="r", enforce=False),
    ),
    "no mesh": (
        {"mesh": None},
        Decision(mesh=None, net_admin=NetAdmin.LEAVE, mode=Mode.OPT_OUT, reason="it is so", rule="r"),
    ),
    "no mesh and no NET_ADMIN": (
        {"mesh": None, "net_admin": NetAdmin.FORBIDDEN},
        Decision(mesh=None, net_admin=NetAdmin.FORBIDDEN, mode=Mode.OPT_OUT, reason="it is so", rule="r"),
    ),
    "no mesh, to report on": (
        {"mesh": None, "net_admin": NetAdmin.FORBIDDEN, "mode": RuleMode.AUDIT},
        Decision(mesh=None, net_admin=NetAdmin.FORBIDDEN, mode=Mode.IGNORE, reason="it is so", rule="r", enforce=False),
    ),
    "the mesh of a label": (
        {"mesh": None, "mesh_label": "team", "match": Match(labels={"team": ("*",)})},
        Decision(
            mesh=None,
            net_admin=NetAdmin.LEAVE,
            mode=Mode.REFUSE,
            reason="its label team=shop names no known mesh; known: linkerd, none",
            rule="r",
        ),
    ),
    "a mesh without a profile": (
        {"mesh": "istio"},
        Decision(
            mesh=None,
            net_admin=NetAdmin.LEAVE,
            mode=Mode.REFUSE,
            reason="the rule r, with mesh istio, names no known mesh; known: linkerd, none",
            rule="r",
        ),
    ),
}


@pytest.mark.parametrize("case", FOLLOWS)
def test_what_follows_from_a_rule(case: str) -> None:
    keys, decision = FOLLOWS[case]
    assert decide(SOME, one(**keys)) == decision


@pytest.mark.parametrize(
    ("value", "mesh", "mode"),
    [("linkerd", "linkerd", Mode.INSTALL), ("none", None, Mode.OPT_OUT), ("istia", None, Mode.REFUSE)],
)
def test_a_label_may_name_the_mesh_or_none(value: str, mesh: str | None, mode: Mode) -> None:
    policy = one(mesh=None, mesh_label="m", match=Match(labels={"m": ("*",)}))
    decision = decide(facts(autopilot=True, m=value), policy)
    assert (decision.mesh, decision.mode) == (mesh, mode)


@pytest.mark.parametrize("net_admin", [None, *NetAdmin])
@pytest.mark.parametrize("mesh", ["linkerd", None])
def test_a_standard_cluster_has_no_net_admin_to_decide_about(net_admin: NetAdmin | None, mesh: str | None) -> None:
    decision = decide(facts(autopilot=False), one(mesh=mesh, net_admin=net_admin))
    assert decision.net_admin is NetAdmin.LEAVE


def test_where_no_rule_matches_the_cluster_is_left_alone() -> None:
    policy = Policy(rules=(), meshes=frozenset({"linkerd"}), source="p.yaml")
    assert decide(SOME, policy) == Decision(
        mesh=None,
        net_admin=NetAdmin.LEAVE,
        mode=Mode.IGNORE,
        reason="no rule of p.yaml matches it",
        rule="(none)",
        enforce=False,
    )


@pytest.mark.parametrize("policy", [BUILT_IN, one(), one(mode=RuleMode.AUDIT), one(mode=RuleMode.OFF)])
def test_the_label_byomesh_off_always_wins(policy: Policy) -> None:
    decision = decide(facts(autopilot=True, byomesh="off", mesh="linkerd"), policy)
    assert (decision.mode, decision.rule, decision.enforce) == (Mode.OPT_OUT, "opted-out", True)


def test_a_rules_settings_are_those_of_its_own_mesh() -> None:
    decision = decide(SOME, one())
    assert (decision.settings_of("linkerd"), decision.settings_of("istio")) == (WISH, MeshSettings())


# Explained ------------------------------------------------------------------------------------------------------------


def test_every_rule_is_explained_and_the_first_that_matches_decides() -> None:
    rules = tuple(
        Rule(name=name, reason=name, mesh="linkerd", match=match)
        for name, match in {
            "us": Match(locations=("us-*",)),
            "team": Match(labels={"team": ("*",)}),
            "all": Match(),
        }.items()
    )
    verdicts = explain(SOME, Policy(rules=rules, meshes=frozenset({"linkerd"}), source="p"))
    assert [(one.rule.name, one.matches, one.decides, [str(each) for each in one.conditions]) for one in verdicts] == [
        ("opted-out", False, False, ["labels.byomesh: absent is not off"]),
        ("us", False, False, ["locations: europe-west1 is not us-*"]),
        ("team", True, True, ["labels.team: shop is *"]),
        ("all", True, False, []),
    ]


# Remarks --------------------------------------------------------------------------------------------------------------

REMARKS: dict[str, tuple[list[Rule], list[str]]] = {
    "nothing to remark on": ([Rule(name="a", reason="a", mesh="linkerd", line=3)], []),
    "no rules": ([], ["there are no rules: every cluster is left alone"]),
    "never reached": (
        [
            Rule(name="all", reason="a", mesh="linkerd", line=3),
            Rule(name="b", reason="b", mesh="linkerd", match=Match(autopilot=True), line=4),
            Rule(name="c", reason="c", mesh="linkerd", line=5),
        ],
        [
            "line 4: the rule 'b' is never reached: 'all' before it matches every cluster",
            "line 5: the rule 'c' is never reached: 'all' before it matches every cluster",
        ],
    ),
    "settings of no mesh": (
        [Rule(name="a", reason="a", settings=WISH, line=3)],
        ["line 3: the rule 'a' has settings of a mesh, and asks for none"],
    ),
    "settings that are off": ([Rule(name="a", reason="a", settings=WISH, mode=RuleMode.OFF, line=3)], []),
    "settings of a label's mesh": (
        [Rule(name="a", reason="a", settings=WISH, mesh_label="m", match=Match(labels={"m": ("*",)}), line=3)],
        [],
    ),
    "folders": (
        [Rule(name="a", reason="a", mesh="linkerd", match=Match(folders=("1",)), line=3)],
        ["line 3: the rule 'a' matches only clusters whose folders are known"],
    ),
    "forbidden": (
        [Rule(name="a", reason="a", mesh="linkerd", net_admin=NetAdmin.FORBIDDEN, line=3)],
        ["line 3: the rule 'a' forbids NET_ADMIN, which a mesh may need on Autopilot: it would be refused there"],
    ),
    "forbidden on Standard clusters": (
        [
            Rule(
                name="a",
                reason="a",
                mesh="linkerd",
                net_admin=NetAdmin.FORBIDDEN,
                match=Match(autopilot=False),
                line=3,
            )
        ],
        [],
    ),
}


@pytest.mark.parametrize("case", REMARKS)
def test_what_is_hardly_meant_is_remarked_on(case: str) -> None:
    rules, remarked = REMARKS[case]
    assert list(remarks(Policy(rules=tuple(rules), meshes=frozenset({"linkerd"}), source="p"))) == remarked
