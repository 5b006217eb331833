from __future__ import annotations

import pytest

from shared.cluster import ClusterFacts
from shared.model import ClusterRef
from shared.policy import Decision, Match, Mode, NetAdmin, Policy, Rule, RuleMode, decide

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
