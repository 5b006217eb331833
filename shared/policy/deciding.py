"""What a policy says of one cluster, and why; pure."""

from __future__ import annotations

import enum

import msgspec

from shared.cluster import ClusterFacts
from shared.model import UNDECIDED, MeshSettings, known_meshes
from shared.policy.rules import Condition, Match, NetAdmin, Pause, Policy, Rule, RuleMode

NO_RULE = "(none)"
"""The rule of a decision that no rule made."""
NO_MESH = "none"
"""How a rule or a label says that no mesh is wanted."""


class Mode(enum.StrEnum):
    """What is to be done about a cluster."""

    INSTALL = "install"
    AUDIT = "audit"
    IGNORE = "ignore"
    OPT_OUT = "opt-out"
    REFUSE = "refuse"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy says of one cluster.

    Attributes:
        mesh: the profile that is wished for: to install where `mode` is INSTALL, only to report on where it is AUDIT;
            None for every other mode.
        net_admin: what is to be done about allow-net-admin; LEAVE on a Standard cluster, which has no such thing.
        mode: what to do. AUDIT installs and changes nothing, and says what INSTALL would do. IGNORE leaves the cluster
            alone, and so does a rule that would have no mesh in the mode audit; a person may ask for more there.
            OPT_OUT wants no mesh, whoever asks.
        reason: why, in a sentence for people.
        rule: name of the rule that decided, or `NO_RULE`.
        settings: how the mesh should be.
        enforce: whether what is said may be carried out; False is only to be reported on (a rule in the mode audit or
            off, or no rule at all).
    """

    mesh: str | None
    net_admin: NetAdmin
    mode: Mode
    reason: str
    rule: str
    settings: MeshSettings = MeshSettings()
    enforce: bool = True

    @property
    def opted_out(self) -> bool:
        """Whether the cluster's owner, or the policy, wants no mesh."""
        return self.mode is Mode.OPT_OUT

    def settings_of(self, mesh: str) -> MeshSettings:
        """How a mesh should be that somebody asks for; the rule's settings are those of its own mesh only."""
        return self.settings if mesh == self.mesh else UNDECIDED

    @property
    def net_admin_required(self) -> bool:
        """Whether allow-net-admin must be on before the mesh is installed."""
        return self.net_admin is NetAdmin.REQUIRED


OPTED_OUT = Rule(
    name="opted-out",
    match=Match(labels={"byomesh": ("off",)}),
    reason="its label byomesh=off asks for no mesh",
)
"""Stands before the first rule of every policy."""
RESERVED = frozenset({NO_RULE, OPTED_OUT.name})
"""Names that no rule of a policy may have."""

BUILT_IN = Policy(
    source="the built-in policy",
    meshes=frozenset(known_meshes()),
    rules=(
        Rule(name="no-mesh", match=Match(labels={"mesh": ("none",)}), reason="its label mesh=none asks for no mesh"),
        Rule(
            name="asked-for",
            match=Match(labels={"mesh": ("*",)}),
            mesh_label="mesh",
            reason="its label mesh asks for it",
        ),
        Rule(
            name="autopilot",
            match=Match(autopilot=True),
            mesh="linkerd",
            reason="every Autopilot cluster gets linkerd",
        ),
        Rule(
            name="standard",
            mode=RuleMode.OFF,
            reason="a Standard cluster gets a mesh only with the label mesh=linkerd",
        ),
    ),
)
"""What holds where nobody wrote a policy."""


def decide(facts: ClusterFacts, policy: Policy = BUILT_IN) -> Decision:
    """What `policy` says of a cluster: the label byomesh=off, else the first rule that matches, else leave it alone."""
    for rule in (OPTED_OUT, *policy.rules):
        if rule.match.holds(facts):
            return _follows(rule, facts, policy)
    return Decision(
        mesh=None,
        net_admin=NetAdmin.LEAVE,
        mode=Mode.IGNORE,
        reason=f"no rule of {policy.source} matches it",
        rule=NO_RULE,
        enforce=False,
    )


def _follows(rule: Rule, facts: ClusterFacts, policy: Policy) -> Decision:
    enforce = rule.mode is RuleMode.ENFORCE
    decision = Decision(
        mesh=None,
        net_admin=NetAdmin.LEAVE,
        mode=Mode.IGNORE,
        reason=rule.reason,
        rule=rule.name,
        enforce=enforce,
    )
    if rule.mode is RuleMode.OFF:
        return decision
    named = facts.labels[rule.mesh_label] if rule.mesh_label else rule.mesh
    mesh = None if named == NO_MESH else named
    needed = NetAdmin.LEAVE if mesh is None else NetAdmin.REQUIRED
    net_admin = (rule.net_admin or needed) if facts.autopilot else NetAdmin.LEAVE
    if mesh is None:
        mode = Mode.OPT_OUT if enforce else Mode.IGNORE
        return msgspec.structs.replace(decision, mode=mode, net_admin=net_admin)
    if mesh not in policy.meshes:
        words = f"its label {rule.mesh_label}={mesh}" if rule.mesh_label else f"the rule {rule.name}, with mesh {mesh},"
        reason = f"{words} names no known mesh; known: {', '.join(sorted(policy.meshes))}, {NO_MESH}"
        return msgspec.structs.replace(decision, mode=Mode.REFUSE, reason=reason)
    return msgspec.structs.replace(
        decision,
        mesh=mesh,
        net_admin=net_admin,
        mode=Mode.INSTALL if enforce else Mode.AUDIT,
        settings=rule.settings,
    )


def paused(facts: ClusterFacts, policy: Policy = BUILT_IN) -> Pause | None:
    """The first pause that makes a cluster wait; None where it may go on.

    What it waits with is what `decide` says. A cluster with the label byomesh=off has nothing to wait for, so that
    no pause keeps it from being left alone.
    """
    if OPTED_OUT.match.holds(facts):
        return None
    return next((pause for pause in policy.paused if pause.match.holds(facts)), None)


class Verdict(msgspec.Struct, frozen=True):
    """What one rule says of one cluster.

    Attributes:
        rule: the rule.
        conditions: every condition that it names; none where it is for every cluster.
        matches: whether all of them hold.
        decides: whether it is the first that matches.
    """

    rule: Rule
    conditions: tuple[Condition, ...]
    matches: bool
    decides: bool


def explain(facts: ClusterFacts, policy: Policy = BUILT_IN) -> tuple[Verdict, ...]:
    """What every rule says of a cluster, in their order; the first is `OPTED_OUT`, and at most one decides."""
    verdicts: list[Verdict] = []
    decided = False
    for rule in (OPTED_OUT, *policy.rules):
        conditions = tuple(rule.match.conditions(facts))
        matches = all(condition.holds for condition in conditions)
        verdicts.append(Verdict(rule, conditions, matches, decides=matches and not decided))
        decided = decided or matches
    return tuple(verdicts)


def remarks(policy: Policy) -> tuple[str, ...]:
    """What is allowed in a policy and yet hardly meant, a sentence each; pure."""
    found: list[str] = []
    everyone: Rule | None = None
    if not policy.rules:
        found.append("there are no rules: every cluster is left alone")
    for pause in policy.paused:
        who = "every cluster waits" if pause.match == Match() else "the clusters that it matches wait"
        found.append(f"line {pause.line}: {who} until the pause is taken out: {pause.reason}")
        if pause.match.folders:
            found.append(f"line {pause.line}: the pause matches only clusters whose folders are known")
    for rule in policy.rules:
        where = f"line {rule.line}: the rule {rule.name!r}"
        if everyone is not None:
            found.append(f"{where} is never reached: {everyone.name!r} before it matches every cluster")
        elif rule.match == Match():
            everyone = rule
        off = rule.mode is RuleMode.OFF
        meshed = rule.mesh is not None or rule.mesh_label != ""
        if not off and not meshed and rule.settings != UNDECIDED:
            found.append(f"{where} has settings of a mesh, and asks for none")
        if rule.match.folders:
            found.append(f"{where} matches only clusters whose folders are known")
        if not off and meshed and rule.net_admin is NetAdmin.FORBIDDEN and rule.match.autopilot is not False:
            found.append(f"{where} forbids NET_ADMIN, which a mesh may need on Autopilot: it would be refused there")
    return tuple(found)
