"""How live objects differ from what a manifest says, path by path; pure.

A server-side dry run of an object's own manifest answers with the object as it would be; what differs between that
answer and the live object is drift. Fields that the manifest doesn't mention never differ, so defaults are no drift.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

_BOOKKEEPING = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink")
MISSING = "(missing)"
"""Path of an object that isn't there at all."""


class ObjectName(msgspec.Struct, frozen=True, order=True):
    """An object by kind, namespace ("" for a cluster's own) and name."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> ObjectName:
        """The name of a Kubernetes object given as JSON."""
        metadata = obj.get("metadata", {})
        return cls(str(obj.get("kind", "")), str(metadata.get("namespace", "")), str(metadata.get("name", "")))

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


class Drift(msgspec.Struct, frozen=True):
    """One object that isn't as its release rendered it.

    Attributes:
        object: which.
        paths: dotted paths that differ, sorted; `(missing)` alone where it isn't there.
        owners: (field manager, path) pairs that hold fields against the release; empty where nobody does.
    """

    object: ObjectName
    paths: tuple[str, ...]
    owners: tuple[tuple[str, str], ...] = ()


def owned_by_helm(obj: Mapping[str, Any], release: str, namespace: str, *, namespaced: bool) -> dict[str, Any]:
    """An object of a manifest with what Helm adds at apply: its ownership label and annotations, and the namespace.

    Source: helm pkg/action/validate.go, setMetadataVisitor.
    """
    metadata = dict(obj.get("metadata", {}))
    metadata["labels"] = {**(metadata.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        "meta.helm.sh/release-name": release,
        "meta.helm.sh/release-namespace": namespace,
    }
    if namespaced:
        metadata.setdefault("namespace", namespace)
    return {**obj, "metadata": metadata}


def differing_paths(live: Mapping[str, Any], wished: Mapping[str, Any], ignored: Sequence[str] = ()) -> tuple[str, ...]:
    """Dotted paths at which two states of one object differ, bookkeeping, status and `ignored` patterns left out.

    A pattern's `*` stands for one part of a path, and a pattern covers everything below it.
    """
    patterns = [pattern.split(".") for pattern in ignored]
    return tuple(
        sorted(".".join(path) for path in _walk(_clean(live), _clean(wished), ()) if not _covered(path, patterns))
    )


def _clean(obj: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if key not in _BOOKKEEPING}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def _walk(left: Any, right: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in left.keys() | right.keys():
            yield from _walk(left.get(key), right.get(key), (*path, str(key)))
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from _walk(one, other, (*path, str(index)))
    elif left != right:
        yield path


def _covered(path: tuple[str, ...], patterns: Sequence[Sequence[str]]) -> bool:
    return any(
        len(path) >= len(pattern) and all(part in ("*", at) for part, at in zip(pattern, path, strict=False))
        for pattern in patterns
    )
