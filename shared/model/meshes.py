"""Which meshes there are: those that have a profile."""

from __future__ import annotations

import functools
import importlib.resources

_SUFFIX = ".yaml"


@functools.cache
def known_meshes() -> tuple[str, ...]:
    """Names of all profiles, sorted: the files of `shared/mesh/profiles/`, which are data here and read elsewhere."""
    folder = importlib.resources.files("shared") / "mesh" / "profiles"
    return tuple(sorted(entry.name.removesuffix(_SUFFIX) for entry in folder.iterdir() if entry.name.endswith(_SUFFIX)))
