"""What is removed of a mesh, in which order, and what is kept; pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from shared.mesh import lease
from shared.mesh.drift import ObjectName
from shared.mesh.ownership import is_ours
from shared.mesh.uninstall.finding import Found, Part

_SHOWN = 5


class Uninstall(msgspec.Struct, frozen=True):
    """Let Helm uninstall a release."""

    release: str
    namespace: str

    def __str__(self) -> str:
        return f"Helm release {self.release} in {self.namespace}"


class DeleteObject(msgspec.Struct, frozen=True):
    """Delete an object that this system wrote itself."""

    path: str

    def __str__(self) -> str:
        parts = self.path.split("/")
        inside = f"{parts[-3]}/" if "namespaces" in parts else ""
        return f"{parts[-2]} {inside}{parts[-1]}"


class RemoveNamespace(msgspec.Struct, frozen=True):
    """Delete a namespace, unless something of others has come into it."""

    name: str
    releases: tuple[str, ...]

    def __str__(self) -> str:
        return f"namespace {self.name}"


Step = Uninstall | DeleteObject | RemoveNamespace


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        refused: why nothing may be done, in a sentence; "" where it may.
        steps: in order.
        kept: what stays, and why, in sentences.
        meshed: workloads that run with the mesh's proxy.
        objects: how many objects by definition go with the definitions.
    """

    refused: str = ""
    steps: tuple[Step, ...] = ()
    kept: tuple[str, ...] = ()
    meshed: tuple[str, ...] = ()
    objects: dict[str, int] = {}


def decide(found: Found, *, with_crds: bool = False, force: bool = False) -> Removal:
    """Decide what to remove.

    Args:
        found: what is there.
        with_crds: whether objects that users made go with the definitions of their kinds.
        force: whether workloads that run with the mesh's proxy don't matter.
    """
    refused = _refused(found, force=force)
    if refused:
        return Removal(refused=refused, meshed=found.meshed)
    keeps_definitions = bool(found.objects) and not with_crds
    steps: list[Step] = []
    kept: list[str] = []
    for part in reversed(found.extensions):
        steps += _part_steps(part, ())
        kept += _part_words(part)
    holding = (found.definitions,) if keeps_definitions else ()
    steps += _part_steps(found.mesh, holding)
    kept += _part_words(found.mesh)
    if keeps_definitions:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(found.objects.items()))
        kept.append(
            f"release {found.definitions} and the namespace {found.mesh.namespace} that records it: "
            f"objects would go with the definitions of their kinds ({counts}); --with-crds removes all of it"
        )
    steps += [DeleteObject(path) for path in found.own]
    if found.own_namespace and not found.own_foreign:
        steps.append(RemoveNamespace(lease.NAMESPACE, ()))
    elif found.own_foreign:
        kept.append(_foreign_words(lease.NAMESPACE, found.own_foreign))
    gone = found.objects if not keeps_definitions else {}
    return Removal(steps=tuple(steps), kept=tuple(kept), meshed=found.meshed, objects=gone)


def _refused(found: Found, *, force: bool) -> str:
    there = found.mesh.there
    if there.foreign:
        releases = [f"helm, release {name}" for name in there.releases]
        managers = ", ".join(sorted(there.marked or releases)) or "nobody known"
        return f"byomesh didn't install the mesh in the namespace {found.mesh.namespace} (of {managers})"
    if found.meshed and not force and found.mesh.releases:
        named = ", ".join(found.meshed[:_SHOWN])
        more = f" and {len(found.meshed) - _SHOWN} more" if len(found.meshed) > _SHOWN else ""
        return (
            f"{len(found.meshed)} workloads still run with the mesh's proxy, which would lose its identity and, at the "
            f"next restart, its way out: {named}{more}"
        )
    return ""


def _part_steps(part: Part, holding: tuple[str, ...]) -> Iterator[Step]:
    """Steps that remove a part as far as it is ours; releases that are `holding` stay, and so does the namespace."""
    if not is_ours(part.there.namespace_labels):
        return
    for release in reversed(part.releases):
        if release not in holding:
            yield Uninstall(release, part.namespace)
    yield from (DeleteObject(path) for path in part.ours)
    if not part.foreign and not holding:
        yield RemoveNamespace(part.namespace, part.releases)


def _part_words(part: Part) -> Iterator[str]:
    if is_ours(part.there.namespace_labels):
        if part.foreign:
            yield _foreign_words(part.namespace, part.foreign)
    elif part.there.foreign:
        yield f"{part.name} in the namespace {part.namespace}: byomesh didn't install it"


def _foreign_words(namespace: str, foreign: tuple[ObjectName, ...]) -> str:
    named = ", ".join(str(one) for one in foreign[:_SHOWN])
    more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
    return f"the namespace {namespace}, for it holds objects of others: {named}{more}"
