"""Reads what a cluster holds of a mesh's installation: namespace, Helm releases, drift.

Drift is found by a server-side dry run of each object of the stored manifest under Helm's own name, held against the
live object: two requests an object, eight at a time. Nothing is written.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.kube import AdmissionDenied, FieldConflict, Kube
from shared.mesh.definitions import definitions_of
from shared.mesh.drift import MISSING, Drift, ObjectName, differing_paths, owned_by_helm
from shared.mesh.plan import DesiredRelease, Installation, difference
from shared.mesh.profile import OwnedElsewhere, Profile
from shared.mesh.releases import DeployedRelease, newest

HELM_MANAGER = "helm"
"""Field manager under which Helm 4 applies (helm pkg/kube/client.go, ManagedFieldsManager)."""
_WORKERS = 8


def read_installation(kube: Kube, profile: Profile, desired: Sequence[DesiredRelease]) -> Installation:
    """Read what is there of a mesh.

    Args:
        kube: the cluster.
        profile: the mesh.
        desired: the releases as they should be; only those that agree are looked through for drift, since the others
            are installed again anyway.

    Raises:
        Temporary: the API server can't be reached or isn't ready.
        Permanent: a release's Secret can't be read.
    """
    namespace = profile.namespace.name
    there = read_namespace(kube, namespace, profile.marker)
    return with_drift(kube, there, namespace, desired, profile.platform_owned)


def read_namespace(kube: Kube, name: str, marker: str) -> Installation:
    """Read what is there, its drift left out; raises as `read_installation` does.

    Args:
        kube: the cluster.
        name: the namespace.
        marker: path of the object that tells that the mesh or the extension is there.
    """
    namespace = kube.get(f"/api/v1/namespaces/{name}")
    if namespace is None:
        return Installation(namespace_labels=None, releases={}, drift={}, marked=None)
    secrets = kube.list_items(f"/api/v1/namespaces/{name}/secrets", field_selector="type=helm.sh/release.v1")
    return Installation(
        namespace_labels=dict(namespace["metadata"].get("labels") or {}),
        namespace_annotations=dict(namespace["metadata"].get("annotations") or {}),
        releases=newest(secrets),
        drift={},
        marked=_managers(kube.get(marker)),
    )


def with_drift(
    kube: Kube,
    there: Installation,
    namespace: str,
    desired: Sequence[DesiredRelease],
    platform_owned: Sequence[OwnedElsewhere],
) -> Installation:
    """The same with the drift of the releases that agree with the desired ones; raises as `read_installation` does."""
    agreeing = [
        there.releases[release.name]
        for release in desired
        if release.name in there.releases and not difference(there.releases[release.name], release)
    ]
    return msgspec.structs.replace(
        there,
        drift={release.name: find_drift(kube, release, namespace, platform_owned) for release in agreeing},
    )


def stored_versions(kube: Kube, manifest: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The versions in which a cluster may hold objects (`status.storedVersions`), by definition of a manifest."""
    found = {}
    for name in definitions_of(manifest):
        live = kube.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
        found[name] = tuple(((live or {}).get("status") or {}).get("storedVersions") or ())
    return found


def _managers(obj: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    if obj is None:
        return None
    return tuple(sorted({str(entry.get("manager", "")) for entry in obj["metadata"].get("managedFields") or ()}))


def find_drift(
    kube: Kube, release: DeployedRelease, namespace: str, platform_owned: Sequence[OwnedElsewhere]
) -> tuple[Drift, ...]:
    """The objects of a release that aren't as it rendered them; raises as `read_installation` does."""
    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        found = pool.map(lambda obj: _drift_of(kube, obj, release.name, namespace, platform_owned), release.manifest)
        return tuple(drift for drift in found if drift is not None)


def _drift_of(
    kube: Kube, obj: Mapping[str, Any], release: str, namespace: str, platform_owned: Sequence[OwnedElsewhere]
) -> Drift | None:
    resource = kube.resource(str(obj["apiVersion"]), str(obj["kind"]))
    if resource is None:
        return Drift(ObjectName.of(obj), (MISSING,))
    wished = owned_by_helm(obj, release, namespace, namespaced=resource.namespaced)
    path = kube.path_of(wished)
    live = kube.get(path)
    if live is None:
        return Drift(ObjectName.of(wished), (MISSING,))
    ignored = [entry.path for entry in platform_owned if entry.kind == obj["kind"]]
    try:
        answer = kube.apply(path, wished, field_manager=HELM_MANAGER, force=True, dry_run=True)
    except AdmissionDenied as denied:
        return Drift(ObjectName.of(wished), (f"(denied: {denied.problem})",))
    paths = differing_paths(live, answer, ignored)
    return Drift(ObjectName.of(wished), paths, conflicts(kube, path, wished)) if paths else None


def conflicts(kube: Kube, path: str, wished: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(field manager, path) pairs that stand against applying `wished` under Helm's name; empty where nobody does."""
    try:
        kube.apply(path, dict(wished), field_manager=HELM_MANAGER, force=False, dry_run=True)
    except FieldConflict as conflict:
        return conflict.managers
    return ()
