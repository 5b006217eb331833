"""A cluster made of recorded objects: answers the same requests as an API server, from memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

_PLURALS = {"Endpoints": "endpoints", "NetworkPolicy": "networkpolicies"}
"""Kinds whose plural isn't just an s (or es after an s)."""


class RecordedCluster:
    """Objects by path, in the API server's order: by namespace and name as its storage keys compare.

    Args:
        objects: Kubernetes objects as JSON, each with apiVersion, kind and metadata.name.
    """

    def __init__(self, objects: Iterable[Mapping[str, Any]]) -> None:
        self._objects: dict[str, Mapping[str, Any]] = {}
        self._lists: dict[str, list[Mapping[str, Any]]] = {}
        for found in sorted(objects, key=_storage_key):
            base, namespaced = _collections(found)
            name = found["metadata"]["name"]
            self._objects[f"{namespaced}/{name}"] = found
            for path in {base, namespaced}:
                self._lists.setdefault(path, []).append(found)

    def get_raw(self, path: str) -> bytes | None:
        """One object as JSON; None where it wasn't recorded."""
        found = self._objects.get(path)
        return None if found is None else msgspec.json.encode(found)

    def list_raw(
        self, path: str, *, label_selector: str = "", field_selector: str = "", limit: int = 500
    ) -> Iterator[bytes]:
        """A list's pages as JSON, at least one; only labels that must exist, or with `!` must not, can be selected.

        Raises:
            ValueError: a field selector, or a label selector by value.
        """
        if field_selector or "=" in label_selector:
            raise ValueError(f"recorded objects can't be selected by {field_selector or label_selector!r}")
        items = [found for found in self._lists.get(path, ()) if _selected(found, label_selector)]
        for start in range(0, max(len(items), 1), limit):
            yield msgspec.json.encode({"items": items[start : start + limit]})


def _storage_key(found: Mapping[str, Any]) -> str:
    metadata = found["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


def _collections(found: Mapping[str, Any]) -> tuple[str, str]:
    """The paths of an object's list over all namespaces and in its own."""
    group, kind = found["apiVersion"], found["kind"]
    plural = _PLURALS.get(kind, kind.lower() + ("es" if kind.endswith("s") else "s"))
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    namespace = found["metadata"].get("namespace", "")
    return f"{root}/{plural}", f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def _selected(found: Mapping[str, Any], selector: str) -> bool:
    labels = found["metadata"].get("labels") or {}
    wanted = [term for term in selector.split(",") if term]
    return all(term[1:] not in labels if term.startswith("!") else term in labels for term in wanted)
