"""What taking custom resource definitions back to an earlier state would lose; pure.

A definition that goes takes every object of its kind with it, and one that no longer has a version in which objects are
stored makes them unreadable (Kubernetes, "Versions in CustomResourceDefinitions").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_KIND = "CustomResourceDefinition"


def definitions_of(manifest: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The definitions among rendered objects, by name, such as `servers.policy.linkerd.io`."""
    return {str(one["metadata"]["name"]): one for one in manifest if one.get("kind") == _KIND}


def lost_by(
    now: Iterable[Mapping[str, Any]], then: Iterable[Mapping[str, Any]], stored: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """What would be lost, in words, by going from the manifest `now` to the manifest `then`; empty where nothing.

    Args:
        now: the objects that are there.
        then: the objects that would be.
        stored: by definition, the versions in which the cluster may hold objects (`status.storedVersions`).
    """
    lost = []
    before = definitions_of(then)
    for name, definition in sorted(definitions_of(now).items()):
        if name not in before:
            lost.append(f"{name} and every object of it")
            continue
        served = _versions(definition, "served") - _versions(before[name], "served")
        lost += [f"{name} {version}, which clients may use" for version in sorted(served)]
        unknown = {*stored.get(name, ())} - _versions(before[name])
        lost += [f"{name} {version}, in which objects may be stored" for version in sorted(unknown - served)]
    return tuple(lost)


def _versions(definition: Mapping[str, Any], only: str = "") -> set[str]:
    versions = (definition.get("spec") or {}).get("versions") or ()
    return {str(one["name"]) for one in versions if not only or one.get(only)}
