"""What an uninstallation must know of a cluster; the only reader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from shared.kube import Kube
from shared.mesh import lease
from shared.mesh.contents import foreign_objects
from shared.mesh.definitions import definitions_of
from shared.mesh.drift import ObjectName
from shared.mesh.installation import read_namespace
from shared.mesh.ownership import MANAGED_BY, is_ours
from shared.mesh.plan import Installation
from shared.mesh.profile import Profile

_OVER = ("Succeeded", "Failed")
"""Phases of pods whose containers have ended."""
_KINDS = (("v1", "ConfigMap"), ("v1", "Secret"))
"""Kinds of what this system writes into namespaces itself."""
_KEEP = "helm.sh/resource-policy"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The mesh, or an extension of it.

    Attributes:
        name: what to call it.
        namespace: its namespace.
        there: what the namespace holds.
        releases: its releases that are there, in the order of installation.
        ours: paths of the objects in its namespace that this system wrote itself.
        foreign: objects in it that belong to nobody known.
    """

    name: str
    namespace: str
    there: Installation
    releases: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    foreign: tuple[ObjectName, ...] = ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is there.

    Attributes:
        mesh: the mesh itself.
        extensions: its extensions, in the order of installation.
        definitions: the release that holds definitions of kinds; "" where none is there.
        objects: by definition that would go with it, how many objects there are that no release of the mesh owns.
        meshed: workloads that run with the mesh's proxy, as `namespace/name`, those of the mesh's own left out.
        own: paths of this system's objects outside of the mesh's namespaces.
        own_foreign: objects of others in this system's own namespace.
        own_namespace: whether that namespace is there.
    """

    mesh: Part
    extensions: tuple[Part, ...] = ()
    definitions: str = ""
    objects: dict[str, int] = {}
    meshed: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    own_foreign: tuple[ObjectName, ...] = ()
    own_namespace: bool = False


def find(kube: Kube, profile: Profile) -> Found:
    """Look; writes nothing.

    Raises:
        Temporary: the API server can't answer.
        Permanent: a Helm release can't be read.
    """
    names = [release.name for release in profile.releases]
    mesh = _part(kube, profile.mesh, profile.namespace.name, profile.marker, names)
    extensions = tuple(_part(kube, one.name, one.namespace.name, one.marker, [one.name]) for one in profile.extensions)
    holder = next((name for name in mesh.releases if definitions_of(mesh.there.releases[name].manifest)), "")
    ours = {mesh.namespace, *(part.namespace for part in extensions if is_ours(part.there.namespace_labels))}
    system = kube.get(f"/api/v1/namespaces/{lease.NAMESPACE}")
    return Found(
        mesh=mesh,
        extensions=extensions,
        definitions=holder,
        objects=_objects(kube, mesh.there, holder, names, ours) if holder else {},
        meshed=_meshed(kube, profile.proxy_label, mesh.namespace, ours) if profile.proxy_label else (),
        own=_own(kube),
        own_foreign=foreign_objects(kube, lease.NAMESPACE) if system is not None else (),
        own_namespace=system is not None,
    )


def _part(kube: Kube, name: str, namespace: str, marker: str, releases: Iterable[str]) -> Part:
    there = read_namespace(kube, namespace, marker)
    known = tuple(release for release in releases if release in there.releases)
    if not is_ours(there.namespace_labels):
        return Part(name=name, namespace=namespace, there=there, releases=known)
    return Part(
        name=name,
        namespace=namespace,
        there=there,
        releases=known,
        ours=_labelled(kube, namespace),
        foreign=foreign_objects(kube, namespace, *known),
    )


def _labelled(kube: Kube, namespace: str) -> tuple[str, ...]:
    """Paths of what this system wrote into a namespace."""
    ((key, value),) = MANAGED_BY.items()
    found = []
    for version, kind in _KINDS:
        path = kube.collection_of(version, kind, namespace=namespace)
        items = kube.list_items(path, label_selector=f"{key}={value}")
        found += [f"{path}/{one['metadata']['name']}" for one in items]
    return tuple(found)


def _own(kube: Kube) -> tuple[str, ...]:
    found = list(_labelled(kube, lease.NAMESPACE))
    ((key, value),) = MANAGED_BY.items()
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    found += [f"{path}/{one['metadata']['name']}" for one in kube.list_items(path, label_selector=f"{key}={value}")]
    return tuple(found)


def _objects(
    kube: Kube, there: Installation, holder: str, releases: Iterable[str], namespaces: Iterable[str]
) -> dict[str, int]:
    known = {*releases}
    found = {}
    for name, definition in definitions_of(there.releases[holder].manifest).items():
        if (definition["metadata"].get("annotations") or {}).get(_KEEP) == "keep":
            continue
        spec = definition["spec"]
        version = next(str(one["name"]) for one in spec["versions"] if one.get("storage"))
        items = kube.list_items(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}")
        count = sum(not _goes_anyway(one, known, {*namespaces}) for one in items)
        if count:
            found[name] = count
    return found


def _goes_anyway(obj: Mapping[str, Any], releases: set[str], namespaces: set[str]) -> bool:
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    helms = "meta.helm.sh/release-name" in annotations
    return annotations.get("meta.helm.sh/release-name") in releases or (
        helms and metadata.get("namespace") in namespaces
    )


def _meshed(kube: Kube, label: str, control_plane: str, ours: Iterable[str]) -> tuple[str, ...]:
    left_out = {*ours}
    found: dict[str, None] = {}
    for pod in kube.list_items("/api/v1/pods", label_selector=f"{label}={control_plane}"):
        metadata = pod["metadata"]
        if metadata["namespace"] in left_out or (pod.get("status") or {}).get("phase") in _OVER:
            continue
        found[f"{metadata['namespace']}/{_workload(metadata)}"] = None
    return tuple(sorted(found))


def _workload(metadata: Mapping[str, Any]) -> str:
    """The name of what a pod belongs to; of a ReplicaSet, the Deployment's, which is its name less the hash."""
    owner = next((one for one in metadata.get("ownerReferences") or () if one.get("controller")), None)
    if owner is None:
        return str(metadata["name"])
    suffix = f"-{(metadata.get('labels') or {}).get('pod-template-hash', '')}"
    name = str(owner["name"])
    return name.removesuffix(suffix) if owner.get("kind") == "ReplicaSet" else name
