"""What to do about a mesh, or an extension of it: what is there, held against what is wished; pure.

    installation + desired -> install | upgrade | repair | nothing | refuse

Rules, first to last: somebody else's mesh is refused; a namespace, label or Secret that is missing is written; a
release that is missing, unfinished, failed, or of another chart, version or values is installed by Helm; of a release
that agrees, only the objects that drifted are applied again. A field that another manager holds is taken back only
where it belongs to what this system repairs (`Desired.ours`); elsewhere it is left alone and reported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shared.mesh.drift import Drift, ObjectName
from shared.mesh.ownership import FIELD_MANAGER, MANAGED_BY
from shared.mesh.plan.desired import Desired, DesiredRelease, Installation
from shared.mesh.plan.steps import (
    ForgetRevision,
    Kind,
    Plan,
    Reapply,
    RemoveNamespace,
    RemoveRelease,
    RunHelm,
    Step,
    WriteNamespace,
    WriteObject,
    WriteSecret,
)
from shared.mesh.releases import DeployedRelease

_KUBECTL = re.compile(r"kubectl(-.+)?")
"""Field managers of kubectl's commands, by hand: kubectl-edit, kubectl-set, kubectl for `scale`, and so on."""


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
    if _lacks(installation.namespace_labels, labels) or _lacks(installation.namespace_annotations, desired.annotations):
        steps.append(WriteNamespace(desired.namespace, labels, desired.annotations))
    steps.extend(WriteSecret(secret) for secret in desired.secrets)
    steps.extend(WriteObject(obj) for obj in desired.objects)
    left_alone: list[Drift] = []
    for release in desired.releases:
        more, alone = _release_steps(release, installation, desired)
        steps.extend(more)
        left_alone.extend(alone)
    kind = _kind(steps, installation, desired)
    fine = "all that may be repaired is as it should be" if left_alone else "everything is as it should be"
    reason = "; ".join(words(steps)) or fine
    return Plan(kind=kind, steps=tuple(steps), reason=reason, left_alone=tuple(left_alone))


def _lacks(there: Mapping[str, str] | None, wished: Mapping[str, str]) -> bool:
    return any((there or {}).get(key) != value for key, value in wished.items())


def _release_steps(
    release: DesiredRelease, installation: Installation, desired: Desired
) -> tuple[list[Step], list[Drift]]:
    deployed = installation.releases.get(release.name)
    take_over = desired.taken_over and (deployed is None or deployed.revision == 1)
    if deployed is None:
        why = "not installed by Helm, and there: it is taken over" if take_over else "not installed"
        return [RunHelm(release, desired.namespace, installed=False, why=why, take_over=take_over)], []
    if deployed.pending:
        why = f"left {deployed.status} by a run that was killed"
        return [
            ForgetRevision(release.name, desired.namespace, deployed.secret),
            RunHelm(release, desired.namespace, installed=True, why=why, take_over=take_over),
        ], []
    why = difference(deployed, release)
    if why:
        cut_off = take_over and deployed.status != "deployed"
        return [RunHelm(release, desired.namespace, installed=True, why=why, take_over=cut_off)], []
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


def may_take_back(drift: Drift, ours: tuple[tuple[str, str, str], ...], *, by_hand: bool = False) -> bool:
    """Whether every field that another manager holds against a release may be taken back.

    Args:
        drift: what is held.
        ours: what this system repairs, as `Desired.ours`.
        by_hand: whether what people edited with kubectl may be taken, too: nothing would put it back.
    """
    return all(
        manager == FIELD_MANAGER
        or (by_hand and _KUBECTL.fullmatch(manager) is not None)
        or any(
            drift.object.kind == kind and name in ("", drift.object.name) and _is_within(path, above)
            for kind, name, above in ours
        )
        for manager, path in drift.owners
    )


def _is_within(path: str, above: str) -> bool:
    """Whether a field, as conflicts name it (`.webhooks[name="x"].rules`), is the one at `above` or below it."""
    if not above:
        return True
    pattern = re.escape(above).replace(r"\[\*\]", r"\[[^\]]*\]")
    return re.match(rf"{pattern}(?![^.\[])", path.lstrip(".")) is not None


def _kind(steps: list[Step], installation: Installation, desired: Desired) -> Kind:
    if not steps:
        return Kind.NOTHING
    if any(release.name not in installation.releases for release in desired.releases):
        return Kind.INSTALL
    return Kind.UPGRADE if any(isinstance(step, RunHelm) for step in steps) else Kind.REPAIR


def words(steps: Sequence[Step]) -> list[str]:
    """What each step is for."""
    found = []
    for step in steps:
        match step:
            case WriteNamespace(name):
                found.append(f"namespace {name} lacks labels")
            case RemoveRelease(release):
                found.append(f"release {release} isn't wished")
            case RemoveNamespace(name):
                found.append(f"namespace {name} isn't needed")
            case WriteSecret(body):
                found.append(f"{ObjectName.of(body)} is missing or due")
            case WriteObject(body):
                found.append(f"{ObjectName.of(body)} is missing")
            case ForgetRevision():
                pass
            case RunHelm(release, why=why):
                found.append(f"release {release.name}: {why}")
            case Reapply(drift=drift):
                found.append(f"{drift.object} drifted at {', '.join(drift.paths[:5])}")
    return found
