"""How this system marks what it made."""

from __future__ import annotations

from collections.abc import Mapping

MANAGED_BY = {"app.kubernetes.io/managed-by": "byomesh"}
"""The label that tells a namespace or a Secret of ours."""
LEFT_OUT = "byomesh/left-out"
"""Annotation of an extension's namespace: the part of it that the cluster refuses, or ""."""
FIELD_MANAGER = "byomesh"
"""Field manager of everything that this system writes itself; Helm's objects are Helm's."""


def is_ours(labels: Mapping[str, str] | None) -> bool:
    """Whether an object's labels say that this system made it."""
    return all((labels or {}).get(key) == value for key, value in MANAGED_BY.items())
