"""A policy as data: rules in order, what each asks of a cluster, and what follows; pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from shared.cluster import ClusterFacts
from shared.model import MeshSettings
from shared.policy import globs

CHANNELS = ("RAPID", "REGULAR", "STABLE", "EXTENDED", "UNSPECIFIED")
"""Release channels (google.container.v1.ReleaseChannel.Channel); a cluster without one is UNSPECIFIED."""

_FOLDER = "folders/"


class NetAdmin(enum.StrEnum):
    """What is to be done about GKE's allow-net-admin."""

    REQUIRED = "required"
    FORBIDDEN = "forbidden"
    LEAVE = "leave"


class RuleMode(enum.StrEnum):
    """How far a rule goes."""

    ENFORCE = "enforce"
    AUDIT = "audit"
    OFF = "off"


class Condition(msgspec.Struct, frozen=True):
    """One condition of a rule, held against a cluster.

    Attributes:
        key: the key of `match`, such as `projects` or `labels.team`.
        wanted: what the rule names, any of which will do.
        found: what the cluster has; empty where it has nothing, or nobody knows.
        holds: whether it is so.
    """

    key: str
    wanted: tuple[str, ...]
    found: tuple[str, ...]
    holds: bool

    def __str__(self) -> str:
        there = ", ".join(one or '""' for one in self.found) or ("unknown" if self.key == "folders" else "absent")
        wanted = " or ".join(one or '""' for one in self.wanted)
        return f"{self.key}: {there} {'is' if self.holds else 'is not'} {wanted}"


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """Which clusters a rule is for: every key that it names must hold, and of a key's globs any one.

    Attributes:
        projects: globs of project ids.
        folders: globs of the folders above the project, as `ClusterFacts.folders` has them; `folders/` is no part.
        locations: globs of regions and zones.
        names: globs of clusters' names.
        labels: globs of values by label; the label must be there.
        autopilot: True is for Autopilot clusters only, False for Standard ones, None for both.
        release_channels: some of `CHANNELS`; () is any.
    """

    projects: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    labels: dict[str, tuple[str, ...]] = {}
    autopilot: bool | None = None
    release_channels: tuple[str, ...] = ()

    def conditions(self, facts: ClusterFacts) -> Iterator[Condition]:
        """Each condition that the rule names, held against a cluster."""
        ref = facts.cluster
        yield from _named("projects", self.projects, (ref.project,))
        wanted = tuple(one.removeprefix(_FOLDER) for one in self.folders)
        yield from _named("folders", wanted, tuple(one.removeprefix(_FOLDER) for one in facts.folders))
        yield from _named("locations", self.locations, (ref.location,))
        yield from _named("names", self.names, (ref.name,))
        for label, values in self.labels.items():
            there = facts.labels.get(label)
            yield from _named(f"labels.{label}", values, () if there is None else (there,))
        if self.autopilot is not None:
            pair = (str(self.autopilot).lower(),), (str(facts.autopilot).lower(),)
            yield Condition("autopilot", *pair, self.autopilot is facts.autopilot)
        if self.release_channels:
            holds = facts.release_channel in self.release_channels
            yield Condition("releaseChannel", self.release_channels, (facts.release_channel,), holds)

    def holds(self, facts: ClusterFacts) -> bool:
        """Whether the rule is for this cluster."""
        return all(condition.holds for condition in self.conditions(facts))


def _named(key: str, wanted: tuple[str, ...], found: tuple[str, ...]) -> Iterator[Condition]:
    if wanted:
        yield Condition(key, wanted, found, any(globs.matches(glob, one) for glob in wanted for one in found))


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule.

    Attributes:
        name: for logs and reports; no two rules of a policy have the same.
        reason: why what follows does, in a sentence for people.
        match: which clusters it is for.
        mesh: the profile to install; None is no mesh.
        mesh_label: a label, which `match` names, whose value names the mesh in place of `mesh`; "" for none.
        net_admin: what is to be done about allow-net-admin; None is what the mesh needs.
        mode: how far it goes.
        settings: how the mesh should be.
        line: where it begins in the policy's text, from 1; 0 in the built-in policy.
    """

    name: str
    reason: str
    match: Match = Match()
    mesh: str | None = None
    mesh_label: str = ""
    net_admin: NetAdmin | None = None
    mode: RuleMode = RuleMode.ENFORCE
    settings: MeshSettings = MeshSettings()
    line: int = 0


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """Which projects the sweep looks at; both kinds together where both are named, its own project where neither is.

    Attributes:
        projects: project ids, in their order, each once; no globs.
        scope: `folders/NUMBER` or `organizations/NUMBER`, for every project under it; "" for none.
    """

    projects: tuple[str, ...] = ()
    scope: str = ""


UNDONE_WITHIN_A_DAY = 3
"""`Limits.undone_within_a_day` where nothing is said."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be done.

    Attributes:
        clusters_at_once: clusters that are worked on at once, the others wait; 0 is any number.
        undone_within_a_day: how often somebody may undo a setting within 24 hours before it is left alone and
            reported as a conflict; 1 or more.
    """

    clusters_at_once: int = 0
    undone_within_a_day: int = UNDONE_WITHIN_A_DAY


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Clusters that wait until the pause is taken out of the policy.

    Attributes:
        reason: why, in a sentence for people.
        match: which clusters wait; without conditions, all.
        line: where it begins in the policy's text, from 1.
    """

    reason: str
    match: Match = Match()
    line: int = 0


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """An ordered list of rules, the first that matches decides; and what holds for the whole fleet.

    Attributes:
        rules: in their order.
        meshes: the profiles that may be asked for.
        source: where it is from, for people: a path, or words.
        sweep: which projects the sweep looks at.
        limits: how much may be done.
        paused: which clusters wait, in the order of the text.
    """

    rules: tuple[Rule, ...]
    meshes: frozenset[str]
    source: str
    sweep: Sweep = Sweep()
    limits: Limits = Limits()
    paused: tuple[Pause, ...] = ()
