"""Which extensions of a mesh are installed, kept, removed or left alone, and how their plans become part of its own.

An extension is planned as a mesh is, in its own namespace; here is what only holds for extensions.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.mesh.drift import ObjectName
from shared.mesh.ownership import is_ours
from shared.mesh.plan.deciding import words
from shared.mesh.plan.desired import Installation
from shared.mesh.plan.steps import Kind, Plan, RemoveNamespace, RemoveRelease, Step


def wished(option: bool | None, there: Installation) -> bool:
    """Whether an extension should be there.

    Args:
        option: what the policy's settings say; None where they say nothing, which keeps what byomesh installed.
        there: what the extension's namespace holds.
    """
    return option if option is not None else is_ours(there.namespace_labels) and bool(there.releases)


def untouched(name: str, there: Installation) -> Plan:
    """Nothing to do about an extension that others installed, which is said."""
    managers = ", ".join(there.marked or (f"helm, release {release}" for release in there.releases)) or "nobody known"
    return Plan(kind=Kind.NOTHING, notes=(f"{name} is left alone: byomesh didn't install it (of {managers})",))


def removal(name: str, namespace: str, there: Installation, foreign: Sequence[ObjectName]) -> Plan:
    """What removes an extension, as far as byomesh installed it.

    Args:
        name: the extension's release.
        namespace: its namespace.
        there: what the namespace holds.
        foreign: objects in it that belong neither to the release nor to the cluster; they keep the namespace.
    """
    if not is_ours(there.namespace_labels):
        return Plan(kind=Kind.NOTHING)
    steps: list[Step] = [RemoveRelease(name, namespace)] if name in there.releases else []
    notes: tuple[str, ...] = ()
    if foreign:
        kept = ", ".join(str(one) for one in foreign[:5])
        notes = (f"the namespace {namespace} is kept, for it holds {len(foreign)} objects of others: {kept}",)
    else:
        steps.append(RemoveNamespace(namespace, name))
    kind = Kind.REMOVE if steps else Kind.NOTHING
    return Plan(kind=kind, steps=tuple(steps), reason="; ".join(words(steps)), notes=notes)


def joined(mesh: Plan, extensions: Sequence[Plan]) -> Plan:
    """The plan of a mesh and those of its extensions as one; of a mesh that is refused, no extension is planned."""
    acting = [mesh, *extensions]
    busy = [plan for plan in acting if plan.steps]
    return Plan(
        kind=busy[0].kind if busy else Kind.NOTHING,
        steps=tuple(step for plan in acting for step in plan.steps),
        reason="; ".join(plan.reason for plan in busy) or mesh.reason,
        left_alone=tuple(drift for plan in acting for drift in plan.left_alone),
        notes=tuple(note for plan in acting for note in plan.notes),
        waiting=tuple(name for plan in acting for name in plan.waiting),
    )
