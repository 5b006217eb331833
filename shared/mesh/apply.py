"""Carries out a plan: the only writer of a mesh's objects.

Every step may be cut off and run again: the namespace and the Secrets are applied by server-side apply, an unfinished
Helm revision is forgotten before Helm runs again, and Helm adopts whatever bears its own ownership marks.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable
from typing import Any

from shared import telemetry
from shared.errors import Refused
from shared.helm import Helm
from shared.kube import Kube
from shared.mesh.contents import foreign_objects
from shared.mesh.drift import Drift, ObjectName, owned_by_helm
from shared.mesh.installation import HELM_MANAGER, conflicts
from shared.mesh.lease import Lease
from shared.mesh.naming import of_step
from shared.mesh.ownership import FIELD_MANAGER
from shared.mesh.patch import Patch
from shared.mesh.plan import (
    ForgetRevision,
    Plan,
    Reapply,
    RemoveNamespace,
    RemoveRelease,
    RunHelm,
    Step,
    WriteNamespace,
    WriteObject,
    WriteSecret,
    may_take_back,
)
from shared.mesh.releases import parse_manifest

_WORKERS = 8


def _logged(step: Step) -> None:
    telemetry.info(f"step: {step!r}", repair=of_step(step).value)


def carry_out(
    plan: Plan,
    kube: Kube,
    helm: Helm,
    ours: tuple[tuple[str, str, str], ...],
    lease: Lease,
    tell: Callable[[Step], None] = _logged,
) -> tuple[str, ...]:
    """Do what a plan says, in its order, holding the cluster's Lease; returns what people's edits lost by it, in words.

    Whether Helm may run is found out before anything is written: a certificate without the caBundle that goes with it,
    which is Helm's to write, would be worse than none. `tell` is called before each step.

    Raises:
        Temporary: an API can't answer now, or Helm ran out of time; what was done stays done.
        Refused: the cluster rejects an object, or another manager holds a field that the plan doesn't mean to take.
        LeaseLost: another worker took the cluster.
    """
    held = {
        step.release.name: _held(step, kube, helm, ours)
        for step in plan.steps
        if isinstance(step, RunHelm) and step.installed and not step.take_over
    }
    for step in plan.steps:
        tell(step)
        lease.keep()
        match step:
            case WriteNamespace():
                _write_namespace(kube, step)
            case WriteSecret(body):
                _write_secret(kube, body)
            case WriteObject(body):
                _apply(kube, body)
            case ForgetRevision(_, namespace, secret):
                kube.delete(f"/api/v1/namespaces/{namespace}/secrets/{secret}")
            case RunHelm():
                _run_helm(step, helm, lease, force=bool(held.get(step.release.name)))
            case Reapply():
                reapply(step, kube)
            case RemoveRelease(release, namespace):
                # Helm may take nearly as long as the Lease lasts.
                lease.renew()
                with telemetry.stage_timer(f"helm uninstall {release}"):
                    helm.uninstall(release, namespace=namespace)
            case RemoveNamespace():
                _remove_namespace(kube, step)
    return taken_from_people([drift for drifts in held.values() for drift in drifts], ours)


def _write_namespace(kube: Kube, step: WriteNamespace) -> None:
    metadata: dict[str, Any] = {"name": step.name, "labels": step.labels}
    if step.annotations:
        metadata["annotations"] = step.annotations
    _apply(kube, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def _remove_namespace(kube: Kube, step: RemoveNamespace) -> None:
    # Something may have been put there since the plan was made.
    if not foreign_objects(kube, step.name, step.release):
        kube.delete(f"/api/v1/namespaces/{step.name}")


def _apply(kube: Kube, body: dict[str, Any]) -> None:
    # Force takes these few fields from whoever held them: the namespace's labels and the Secrets are this system's own.
    kube.apply(kube.path_of(body), body, field_manager=FIELD_MANAGER, force=True)


def _write_secret(kube: Kube, body: dict[str, Any]) -> None:
    path = kube.path_of(body)
    there = kube.get(path)
    if there is not None and there.get("type") != body["type"]:
        # A Secret's type can't be changed, and somebody else's Linkerd may have chosen another for the same name. What
        # it reads stays beside what ours will read, until the next write: its pods run until Helm has replaced them.
        body = {**body, "data": {**(there.get("data") or {}), **body["data"]}}
        kube.delete(path)
    # Helm would remove one that the release rendered before it was handed over (helm pkg/kube/client.go, update).
    annotations = {"helm.sh/resource-policy": "keep"}
    _apply(kube, {**body, "metadata": {**body["metadata"], "annotations": annotations}})


def _held(step: RunHelm, kube: Kube, helm: Helm, ours: tuple[tuple[str, str, str], ...]) -> tuple[Drift, ...]:
    release = step.release
    rendered = parse_manifest(helm.template(release.chart.path, release.values, step.namespace, release.name))
    return takeable(find_conflicts(kube, rendered, release.name, step.namespace), ours, release.name)


def takeable(held: tuple[Drift, ...], ours: tuple[tuple[str, str, str], ...], release: str) -> tuple[Drift, ...]:
    """What others hold against a release, where Helm may take all of it; raises Refused where it may not."""
    foreign = [drift for drift in held if not may_take_back(drift, ours, by_hand=True)]
    if foreign:
        raise held_by_others(foreign, release)
    return held


def taken_from_people(held: Iterable[Drift], ours: tuple[tuple[str, str, str], ...]) -> tuple[str, ...]:
    """Sentences about the fields that were edited by hand and that a run of Helm sets back to the release's."""
    words = [
        f"{drift.object} at {path}, held by {manager}"
        for drift in held
        if not may_take_back(drift, ours)
        for manager, path in drift.owners
    ]
    return (f"taken back: {'; '.join(words)}",) if words else ()


def _run_helm(step: RunHelm, helm: Helm, lease: Lease, *, force: bool) -> None:
    release = step.release
    # Helm may take nearly as long as the Lease lasts.
    lease.renew()
    with telemetry.stage_timer(f"helm {release.name}"):
        helm.upgrade_install(
            release.name,
            release.chart.path,
            namespace=step.namespace,
            values=release.values,
            # The former owner's fields are taken with its consent, or the policy's: see `shared.mesh.adoption`.
            force_conflicts=force or step.take_over,
            take_ownership=step.take_over,
        )


def held_by_others(foreign: Iterable[Drift], release: str) -> Refused:
    """The refusal of a release that must change fields which other field managers hold."""
    words = "; ".join(
        f"{drift.object} at {path}, held by {manager}" for drift in foreign for manager, path in drift.owners
    )
    return Refused(
        "FieldsHeldByOthers",
        f"the release {release} must change fields that another field manager holds: {words}",
        tried="a server-side dry run of every object of the new release",
        remedy="take the change out of what that manager applies, or give the field up there; then publish again",
    )


def find_live(kube: Kube, rendered: Iterable[dict[str, Any]], namespace: str) -> tuple[dict[str, Any], ...]:
    """Those objects of a rendered release that are there, as they are."""

    def look(obj: dict[str, Any]) -> dict[str, Any] | None:
        known = kube.resource(str(obj["apiVersion"]), str(obj["kind"]))
        return kube.get(kube.path_of(obj, namespace=namespace)) if known is not None else None

    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        return tuple(obj for obj in pool.map(look, rendered) if obj is not None)


def find_conflicts(kube: Kube, rendered: Iterable[dict[str, Any]], release: str, namespace: str) -> tuple[Drift, ...]:
    """The objects of a rendered release on which another field manager stands against Helm; nothing is written."""

    def look(obj: dict[str, Any]) -> Drift | None:
        resource = kube.resource(str(obj["apiVersion"]), str(obj["kind"]))
        if resource is None:
            return None
        wished = owned_by_helm(obj, release, namespace, namespaced=resource.namespaced)
        path = kube.path_of(wished)
        if kube.get(path) is None:
            return None
        owners = conflicts(kube, path, wished)
        return Drift(ObjectName.of(wished), tuple(path for _, path in owners), owners) if owners else None

    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        return tuple(drift for drift in pool.map(look, rendered) if drift is not None)


def manifest_object(step: Reapply, kube: Kube) -> tuple[str, dict[str, Any]]:
    """The path of a drifted object, and the object as Helm would apply it.

    Raises:
        LookupError: the release has no such object, which is a defect of the caller.
    """
    for obj in step.release.manifest:
        resource = kube.resource(str(obj["apiVersion"]), str(obj["kind"]))
        namespaced = resource is not None and resource.namespaced
        wished = owned_by_helm(obj, step.release.name, step.namespace, namespaced=namespaced)
        # A custom resource bears no namespace in a drift that was found while its CRD was missing.
        if step.drift.object in (ObjectName.of(wished), ObjectName.of(obj)):
            return kube.path_of(wished), wished
    raise LookupError(f"the release {step.release.name} has no {step.drift.object}; this is a defect")


def reapply(step: Reapply, kube: Kube) -> None:
    """Apply one object of a release again, under Helm's own name."""
    path, wished = manifest_object(step, kube)
    kube.apply(path, wished, field_manager=HELM_MANAGER, force=step.force)


def patch(kube: Kube, patches: Iterable[Patch]) -> None:
    """Make a verification's repairs; raises Conflict (Temporary) where an object changed since it was looked at."""
    for one in patches:
        telemetry.info(f"repair: {one.what}", repair=one.repair.value)
        kube.patch(one.path, one.body, kind=one.kind, field_manager=FIELD_MANAGER)
