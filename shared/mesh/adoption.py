"""Taking over a mesh that others installed: what is kept of theirs, and what makes it unsafe; pure.

Nothing that runs may notice: the mesh is taken over at the version that it has, with its own values where ours say
nothing and its own certificates; an upgrade comes afterwards, as any other. Whoever still applies the mesh would take
it back, so such an owner has to let go of it first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from shared.mesh.drift import ObjectName
from shared.mesh.ownership import MANAGED_BY

NAMESPACE, NAME = "byomesh-system", "byomesh-adopted"
PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{NAME}"
"""The ConfigMap that keeps the former owner's values, by release, as JSON; edit or delete it to be rid of them."""
RELEASE, _RELEASE_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
"""Annotations by which Helm knows its objects (helm pkg/action/validate.go)."""
_APPLIERS = re.compile(
    r"argocd|argo-cd|kustomize-controller|helm-controller|flux|configsync|config-sync|fleetagent|pulumi|terraform|"
    r"hashicorp|crossplane|rancher|kapp",
    re.IGNORECASE,
)
"""Field managers of programs that apply the same objects again and again."""
_APPLIERS_MARKS = (
    "argocd.argoproj.io/tracking-id",
    "config.k8s.io/owning-inventory",
    "helm.toolkit.fluxcd.io/name",
    "kustomize.toolkit.fluxcd.io/name",
    "configmanagement.gke.io/managed",
    "cert-manager.io/certificate-name",
)
"""Labels and annotations that such programs set, and that of cert-manager on a Secret that it renews."""
_SHOWN = 3


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """What a mesh of others is made of.

    Attributes:
        version: the mesh's version as it runs; "" where it doesn't tell.
        values: the owner's own values by release, certificates and pinned versions left out.
    """

    version: str
    values: dict[str, dict[str, Any]]


def obstacles(
    objects: Iterable[Mapping[str, Any]], releases: Sequence[str], namespace: str, running: str, chart: str
) -> tuple[str, ...]:
    """What keeps a mesh from being taken over, each with what to do about it; empty where nothing does.

    Args:
        objects: those live objects that our releases would have.
        releases: names of our releases.
        namespace: their namespace.
        running: the version of the mesh that runs.
        chart: the version that the charts at hand would install.
    """
    found = []
    if running and running != chart:
        found.append(
            f"{running} runs and the charts at hand are of {chart}: put the charts of {running} into the folder, and "
            "those of another version once it is taken over"
        )
    others: dict[str, None] = {}
    appliers: dict[str, None] = {}
    for obj in objects:
        metadata = obj.get("metadata") or {}
        annotations = metadata.get("annotations") or {}
        release, inside = annotations.get(RELEASE), annotations.get(_RELEASE_NAMESPACE)
        if release is not None and (release not in releases or inside != namespace):
            others[f"{release} in {inside} (of {ObjectName.of(obj)})"] = None
        appliers.update({f"{who} (of {ObjectName.of(obj)})": None for who in _appliers(metadata)})
    if others:
        found.append(
            f"it belongs to another Helm release, {_first(others)}: Helm can't rename a release; delete its records, "
            f"the Secrets sh.helm.release.v1.NAME.v*, and the annotations {RELEASE} and {_RELEASE_NAMESPACE} of its "
            "objects, which keeps the objects themselves"
        )
    if appliers:
        found.append(f"it is still applied by {_first(appliers)}: take the mesh out of what that applies, unpruned")
    return tuple(found)


def _appliers(metadata: Mapping[str, Any]) -> Iterable[str]:
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    yield from (mark for mark in _APPLIERS_MARKS if mark in marks)
    for entry in metadata.get("managedFields") or ():
        if _APPLIERS.search(str(entry.get("manager", ""))):
            yield str(entry["manager"])


def _first(found: Iterable[str]) -> str:
    named = list(found)
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return ", ".join(named[:_SHOWN]) + more


def without(values: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Values less those at dotted `paths`, and less what is empty then."""
    result: dict[str, Any] = json.loads(json.dumps(values))
    for path in paths:
        _drop(result, path.split("."))
    return result


def _drop(values: dict[str, Any], parts: list[str]) -> None:
    inner = values.get(parts[0])
    if len(parts) == 1:
        values.pop(parts[0], None)
    elif isinstance(inner, dict):
        _drop(inner, parts[1:])
        if not inner:
            values.pop(parts[0])


def to_write(owned: Owned) -> dict[str, Any]:
    """The ConfigMap that keeps the owner's values."""
    data = {release: json.dumps(values, sort_keys=True) for release, values in owned.values.items()}
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": dict(MANAGED_BY)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def kept_values(config: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The former owner's values by release, from the ConfigMap that keeps them; those that are no JSON are left out."""
    found = {}
    for release, text in ((config or {}).get("data") or {}).items():
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict):
            found[release] = values
    return found
