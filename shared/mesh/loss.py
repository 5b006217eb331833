"""What of a mesh's Helm releases the cluster lost or has otherwise, found by reading alone.

The installer finds drift by dry runs, which need the right to write. A verification has only the right to read, so it
compares: every field of the stored manifest must be in the live object with the same value. What the API server writes
differently (quantities, absent and empty values) counts as the same. It may miss a drift, and what it finds is only
handed to the installer, who looks again.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Mapping, Sequence
from typing import Any

from shared.kube import Kube
from shared.mesh.drift import MISSING, Drift, ObjectName
from shared.mesh.hands import last_hand
from shared.mesh.profile import Profile
from shared.mesh.quantity import same_quantity
from shared.mesh.releases import DeployedRelease, newest
from shared.model import Repair

_WORKERS = 8
_EMPTY: tuple[Any, ...] = (None, "", 0, False)
_UNSAID: tuple[Any, ...] = (None, [], {})


def find_loss(kube: Kube, profile: Profile) -> tuple[tuple[Drift, ...], tuple[Repair, ...]]:
    """The drifted objects of the mesh's deployed releases, and `releaseReapplied` where a release is not deployed.

    Raises:
        Temporary: the API server can't answer.
        Permanent: a release's Secret can't be read.
    """
    path = f"/api/v1/namespaces/{profile.namespace.name}/secrets"
    releases = newest(kube.list_items(path, field_selector="type=helm.sh/release.v1"))
    wanted = [releases.get(release.name) for release in profile.releases]
    deployed = [one for one in wanted if one is not None and one.status == "deployed"]
    found: list[Drift] = []
    for release in deployed:
        found += _lost(kube, release, profile)
    return tuple(found), (() if len(deployed) == len(wanted) else (Repair.RELEASE_REAPPLIED,))


def _lost(kube: Kube, release: DeployedRelease, profile: Profile) -> list[Drift]:
    namespace = profile.namespace.name

    def look(obj: Mapping[str, Any]) -> Drift | None:
        resource = kube.resource(str(obj["apiVersion"]), str(obj["kind"]))
        if resource is None:
            return Drift(ObjectName.of(obj), (MISSING,))
        live = kube.get(kube.path_of(obj, namespace=namespace))
        if live is None:
            return Drift(ObjectName.of(obj), (MISSING,))
        ignored = [entry.path for entry in profile.platform_owned if entry.kind == obj["kind"]]
        paths = lost_paths(obj, live, ignored)
        if not paths:
            return None
        hand = last_hand(live)
        return Drift(ObjectName.of({**live, "kind": obj["kind"]}), paths, ((hand, paths[0]),) if hand else ())

    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        return [drift for drift in pool.map(look, release.manifest) if drift is not None]


def lost_paths(wished: Mapping[str, Any], live: Mapping[str, Any], ignored: Sequence[str] = ()) -> tuple[str, ...]:
    """Dotted paths of what `wished` says and `live` doesn't, `ignored` patterns (`*` is one part) left out; pure."""
    patterns = [pattern.split(".") for pattern in ignored]
    found = [".".join(path) for path in _differing(wished, live, ()) if not _covered(path, patterns)]
    return tuple(sorted(found))


def _differing(wished: Any, live: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    if path == ("status",) or wished in _UNSAID:
        return []
    if isinstance(wished, Mapping) and isinstance(live, Mapping):
        return [found for key, value in wished.items() for found in _differing(value, live.get(key), (*path, str(key)))]
    if isinstance(wished, list) and isinstance(live, list):
        return _items(wished, live, path)
    if wished == live or (wished in _EMPTY and live in _EMPTY) or same_quantity(wished, live):
        return []
    return [path]


def _items(wished: list[Any], live: list[Any], path: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Lists of named things are held together by name, since the platform adds to them; others by position."""
    if all(isinstance(one, Mapping) and one.get("name") for one in (*wished, *live)):
        there = {str(one["name"]): one for one in live}
        return [
            found for one in wished for found in _differing(one, there.get(str(one["name"])), (*path, str(one["name"])))
        ]
    if len(wished) != len(live):
        return [path]
    return [
        found
        for index, (one, other) in enumerate(zip(wished, live, strict=True))
        for found in _differing(one, other, (*path, str(index)))
    ]


def _covered(path: tuple[str, ...], patterns: Sequence[Sequence[str]]) -> bool:
    return any(
        len(path) >= len(pattern) and all(part in ("*", at) for part, at in zip(pattern, path, strict=False))
        for pattern in patterns
    )
