"""Which cluster gets which mesh: a list of rules, the first that matches decides; pure.

The built-in policy: every Autopilot cluster gets Linkerd, except with the label `byomesh=off`; a Standard cluster only
with the label `mesh=linkerd`. `mesh=none` opts out like `byomesh=off`, and `mesh=NAME` asks for a mesh by name.
"""

from __future__ import annotations

import enum

import msgspec

from shared.cluster import ClusterFacts


class NetAdmin(enum.StrEnum):
    """What is to be done about GKE's allow-net-admin."""

    REQUIRED = "required"
    LEAVE = "leave"


class Mode(enum.StrEnum):
    """What is to be done about a cluster."""

    INSTALL = "install"
    IGNORE = "ignore"
    OPT_OUT = "opt-out"
    REFUSE = "refuse"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy says of one cluster.

    Attributes:
        mesh: the profile to install; None for every mode but INSTALL.
        net_admin: whether allow-net-admin must be on; only Autopilot has it.
        mode: what to do.
        reason: why, in a sentence for people.
        rule: name of the rule that decided.
    """

    mesh: str | None
    net_admin: NetAdmin
    mode: Mode
    reason: str
    rule: str

    @property
    def opted_out(self) -> bool:
        """Whether the cluster's owner wants no mesh."""
        return self.mode is Mode.OPT_OUT

    @property
    def net_admin_required(self) -> bool:
        """Whether allow-net-admin must be on before the mesh is installed."""
        return self.net_admin is NetAdmin.REQUIRED


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: every condition that it names must hold.

    Attributes:
        name: for logs and reports.
        mode: what follows from a match.
        reason: why, in a sentence for people.
        autopilot: True matches only Autopilot clusters, False only Standard ones, None both.
        label: a label that must be there, or "".
        value: the value that the label must have; None matches any.
        mesh: the profile to install; "" takes the label's value.
    """

    name: str
    mode: Mode
    reason: str
    autopilot: bool | None = None
    label: str = ""
    value: str | None = None
    mesh: str = ""

    def matches(self, facts: ClusterFacts) -> bool:
        """Whether the rule is for this cluster."""
        if self.autopilot is not None and self.autopilot is not facts.autopilot:
            return False
        if not self.label:
            return True
        there = facts.labels.get(self.label)
        return there is not None and (self.value is None or there == self.value)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """An ordered list of rules.

    Attributes:
        rules: tried in order; the last one must match every cluster.
        meshes: the profiles that may be asked for.
    """

    rules: tuple[Rule, ...]
    meshes: frozenset[str]


BUILT_IN = Policy(
    meshes=frozenset({"linkerd"}),
    rules=(
        Rule(
            name="opted-out",
            label="byomesh",
            value="off",
            mode=Mode.OPT_OUT,
            reason="its label byomesh=off asks for no mesh",
        ),
        Rule(
            name="no-mesh",
            label="mesh",
            value="none",
            mode=Mode.OPT_OUT,
            reason="its label mesh=none asks for no mesh",
        ),
        Rule(name="asked-for", label="mesh", mode=Mode.INSTALL, reason="its label mesh asks for it"),
        Rule(
            name="autopilot",
            autopilot=True,
            mode=Mode.INSTALL,
            mesh="linkerd",
            reason="every Autopilot cluster gets linkerd",
        ),
        Rule(
            name="standard",
            mode=Mode.IGNORE,
            reason="a Standard cluster gets a mesh only with the label mesh=linkerd",
        ),
    ),
)
"""What holds where nobody wrote a policy."""


def decide(facts: ClusterFacts, policy: Policy = BUILT_IN) -> Decision:
    """What `policy` says of a cluster: the first matching rule decides."""
    rule = next(rule for rule in policy.rules if rule.matches(facts))
    if rule.mode is not Mode.INSTALL:
        return Decision(mesh=None, net_admin=NetAdmin.LEAVE, mode=rule.mode, reason=rule.reason, rule=rule.name)
    mesh = rule.mesh or facts.labels[rule.label]
    if mesh not in policy.meshes:
        reason = f"its label {rule.label}={mesh} names no known mesh; known: {', '.join(sorted(policy.meshes))}, none"
        return Decision(mesh=None, net_admin=NetAdmin.LEAVE, mode=Mode.REFUSE, reason=reason, rule=rule.name)
    net_admin = NetAdmin.REQUIRED if facts.autopilot else NetAdmin.LEAVE
    return Decision(mesh=mesh, net_admin=net_admin, mode=Mode.INSTALL, reason=rule.reason, rule=rule.name)
