"""What to do about a mesh: the installation that is there, held against the one that is wished; pure.

    installation + desired -> install | upgrade | repair | nothing | refuse

Rules, first to last: somebody else's mesh is refused; a namespace, label or Secret that is missing is written; a
release that is missing, unfinished, failed, or of another chart, version or values is installed by Helm; of a release
that agrees, only the objects that drifted are applied again. A field that another manager holds is taken back only
where it belongs to what this system repairs (`Desired.ours`); elsewhere it is left alone and reported.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from shared.mesh.charts import Chart
from shared.mesh.drift import Drift, ObjectName
from shared.mesh.ownership import FIELD_MANAGER, MANAGED_BY, is_ours
from shared.mesh.releases import DeployedRelease


class DesiredRelease(msgspec.Struct, frozen=True, kw_only=True):
    """A release as it should be.

    Attributes:
        name: the release's name.
        chart: the chart on this machine.
        values: all of the user's values, static and computed.
    """

    name: str
    chart: Chart
    values: dict[str, Any]


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """A whole mesh as it should be on one cluster.

    Attributes:
        namespace: the control plane's namespace.
        labels: labels that the namespace must bear.
        secrets: Secrets that are missing or due to be replaced, as JSON; empty on a healthy cluster.
        releases: in the order of installation.
        ours: (kind, name, path) of the fields that may be taken back from others, all below the path included: what
            this system itself repairs, and what the platform edits after every apply. A name of "" is any object of
            the kind, and `[*]` in a path is any item of a list.
    """

    namespace: str
    labels: dict[str, str]
    secrets: tuple[dict[str, Any], ...]
    releases: tuple[DesiredRelease, ...]
    ours: tuple[tuple[str, str, str], ...] = ()


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """What a cluster holds of a mesh.

    Attributes:
        namespace_labels: labels of the control plane's namespace; None where it doesn't exist.
        releases: newest revision of each Helm release in it, by name.
        drift: by release, the objects that aren't as it rendered them.
        marked: field managers of the object that tells that the mesh is there; None where it isn't.
    """

    namespace_labels: dict[str, str] | None
    releases: dict[str, DeployedRelease]
    drift: dict[str, tuple[Drift, ...]]
    marked: tuple[str, ...] | None

    @property
    def foreign(self) -> bool:
        """Whether the mesh, or a Helm release of it, is there and this system didn't install it."""
        labels = self.namespace_labels or {}
        there = self.marked is not None or bool(self.releases)
        return there and not is_ours(labels)


class Kind(enum.StrEnum):
    """What a plan amounts to."""

    INSTALL = "install"
    UPGRADE = "upgrade"
    REPAIR = "repair"
    NOTHING = "nothing"
    REFUSE = "refuse"


class WriteNamespace(msgspec.Struct, frozen=True):
    """Create the namespace, or set the labels that it lacks."""

    name: str
    labels: dict[str, str]


class WriteSecret(msgspec.Struct, frozen=True):
    """Write one Secret; its contents stay out of every text form."""

    body: dict[str, Any]

    def __repr__(self) -> str:
        return f"WriteSecret({ObjectName.of(self.body)})"


class ForgetRevision(msgspec.Struct, frozen=True):
    """Remove the record of a revision that a killed Helm never finished; its objects stay and are adopted."""

    release: str
    namespace: str
    secret: str


class RunHelm(msgspec.Struct, frozen=True):
    """Install or upgrade one release."""

    release: DesiredRelease
    namespace: str
    installed: bool
    why: str

    def __repr__(self) -> str:
        return f"RunHelm({self.release.name}: {self.why})"


class Reapply(msgspec.Struct, frozen=True):
    """Apply one object of an agreeing release again, by Helm's own field manager."""

    release: DeployedRelease
    namespace: str
    drift: Drift
    force: bool

    def __repr__(self) -> str:
        return f"Reapply({self.drift.object}: {', '.join(self.drift.paths)})"


Step = WriteNamespace | WriteSecret | ForgetRevision | RunHelm | Reapply


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, in order.

    Attributes:
        kind: what it amounts to.
        steps: empty for `nothing` and `refuse`.
        reason: a sentence for people.
        left_alone: drift that other field managers hold and that isn't ours to take back.
    """

    kind: Kind
    steps: tuple[Step, ...] = ()
    reason: str = ""
    left_alone: tuple[Drift, ...] = ()


def make_plan(installation: Installation, desired: Desired, *, adopt: bool = False) -> Plan:
    """Decide what to do.

    Args:
        installation: what is there.
        desired: what should be.
        adopt: whether a mesh that others installed may be taken over.
    """
    if installation.foreign and not adopt:
        releases = (f"helm, release {name}" for name in installation.releases)
        managers = ", ".join(sorted(installation.marked or releases)) or "nobody known"
        return Plan(
            kind=Kind.REFUSE,
            reason=f"the namespace {desired.namespace} holds a mesh that byomesh didn't install (of {managers})",
        )
    steps: list[Step] = []
    labels = {**desired.labels, **MANAGED_BY}
    if any((installation.namespace_labels or {}).get(key) != value for key, value in labels.items()):
        steps.append(WriteNamespace(desired.namespace, labels))
    steps.extend(WriteSecret(secret) for secret in desired.secrets)
    left_alone: list[Drift] = []
    for release in desired.releases:
        more, alone = _release_steps(release, installation, desired)
        steps.extend(more)
        left_alone.extend(alone)
    kind = _kind(steps, installation, desired)
    fine = "all that may be repaired is as it should be" if left_alone else "everything is as it should be"
    reason = "; ".join(_words(steps)) or fine
    return Plan(kind=kind, steps=tuple(steps), reason=reason, left_alone=tuple(left_alone))


def _release_steps(
    release: DesiredRelease, installation: Installation, desired: Desired
) -> tuple[list[Step], list[Drift]]:
    deployed = installation.releases.get(release.name)
    if deployed is None:
        return [RunHelm(release, desired.namespace, installed=False, why="not installed")], []
    if deployed.pending:
        return [
            ForgetRevision(release.name, desired.namespace, deployed.secret),
            RunHelm(release, desired.namespace, installed=True, why=f"left {deployed.status} by a run that was killed"),
        ], []
    why = difference(deployed, release)
    if why:
        return [RunHelm(release, desired.namespace, installed=True, why=why)], []
    steps: list[Step] = []
    left_alone: list[Drift] = []
    for drift in installation.drift.get(release.name, ()):
        if drift.owners and not may_take_back(drift, desired.ours):
            left_alone.append(drift)
        else:
            steps.append(Reapply(deployed, desired.namespace, drift, force=bool(drift.owners)))
    return steps, left_alone


def difference(deployed: DeployedRelease, release: DesiredRelease) -> str:
    """Why a deployed release isn't the desired one, in words without values; "" where it is."""
    if deployed.status != "deployed":
        return f"its last run ended {deployed.status}"
    if (deployed.chart, deployed.version) != (release.chart.name, release.chart.version):
        return f"chart {deployed.chart} {deployed.version} is installed, {release.chart.version} is wished"
    changed = sorted(differing_keys(deployed.values, release.values))
    return f"values differ: {', '.join(changed)}" if changed else ""


def differing_keys(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> set[str]:
    """Dotted names of the values that differ; the values themselves stay out, for some of them are large."""
    found: set[str] = set()
    for key in one.keys() | other.keys():
        left, right = one.get(key), other.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found |= differing_keys(left, right, f"{prefix}{key}.")
        elif left != right:
            found.add(f"{prefix}{key}")
    return found


def may_take_back(drift: Drift, ours: tuple[tuple[str, str, str], ...]) -> bool:
    """Whether every field that another manager holds against a release is one that this system repairs."""
    return all(
        manager == FIELD_MANAGER
        or any(
            drift.object.kind == kind and name in ("", drift.object.name) and _is_within(path, above)
            for kind, name, above in ours
        )
        for manager, path in drift.owners
    )


def _is_within(path: str, above: str) -> bool:
    """Whether a field, as conflicts name it (`.webhooks[name="x"].rules`), is the one at `above` or below it."""
    pattern = re.escape(above).replace(r"\[\*\]", r"\[[^\]]*\]")
    return re.match(rf"{pattern}(?![^.\[])", path.lstrip(".")) is not None


def _kind(steps: list[Step], installation: Installation, desired: Desired) -> Kind:
    if not steps:
        return Kind.NOTHING
    if any(release.name not in installation.releases for release in desired.releases):
        return Kind.INSTALL
    return Kind.UPGRADE if any(isinstance(step, RunHelm) for step in steps) else Kind.REPAIR


def _words(steps: list[Step]) -> list[str]:
    words = []
    for step in steps:
        match step:
            case WriteNamespace(name):
                words.append(f"namespace {name} lacks labels")
            case WriteSecret(body):
                words.append(f"{ObjectName.of(body)} is missing or due")
            case ForgetRevision():
                pass
            case RunHelm(release, why=why):
                words.append(f"release {release.name}: {why}")
            case Reapply(drift=drift):
                words.append(f"{drift.object} drifted at {', '.join(drift.paths[:5])}")
    return words
