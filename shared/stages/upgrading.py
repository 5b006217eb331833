"""What an upgrade adds to the installing stage: it is noted before Helm runs, and taken back where that was decided."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared import telemetry
from shared.errors import ByomeshError
from shared.helm import Helm
from shared.kube import Kube
from shared.mesh import rollback, upgrade
from shared.mesh.engine import Mesh
from shared.mesh.lease import Lease
from shared.mesh.plan import Plan, RunHelm
from shared.mesh.releases import DeployedRelease, last_deployed
from shared.mesh.upgrade import Memory, Previous, Upgrade
from shared.mesh.upgrade_record import UpgradeRecord
from shared.mesh.versions import NOBODY, Wish
from shared.model import CheckSummary, InstallRequest, MeshStatus, Reason
from shared.outcome import Done
from shared.stages.watching import give_up

_OWN = (Reason.REPAIR, Reason.ROLLBACK)
"""Reasons of requests that this system makes itself: their version is what was there, and nobody's wish."""


def wish_of(request: InstallRequest) -> Wish:
    """Who wishes the version that a request names."""
    if request.version is None or request.reason in _OWN:
        return NOBODY
    return Wish(version=request.version, request_id=request.request_id)


def take_back(record: UpgradeRecord, mesh: Mesh, kube: Kube, helm: Helm, lease: Lease) -> tuple[str, ...]:
    """Take an upgrade back where that was decided; returns what was done, in words, empty where nothing was.

    Raises:
        ByomeshError: as `rollback.roll_back` does.
    """
    going = record.memory.upgrade
    if going is None or not going.going_back:
        return ()
    with telemetry.stage_timer("rollback"):
        kept = rollback.roll_back(going, kube, helm, mesh.ours(), lease)
    record.write(Memory(failed=upgrade.rolled_back(going)))
    return (f"the upgrade from {going.from_version} to {going.to_version} was taken back", *kept)


def begin(record: UpgradeRecord, plan: Plan, mesh: Mesh, kube: Kube, request: InstallRequest, now: dt.datetime) -> None:
    """Note what an upgrade of the mesh will go back to, before it begins; nothing is written where there is none.

    Raises:
        Temporary: the API server can't answer, or another worker has written meanwhile.
    """
    found = [(step, _deployed(kube, step)) for step in plan.steps if isinstance(step, RunHelm) and step.installed]
    noted = [(one, deployed) for step, deployed in found if (one := upgrade.previous_of(step, deployed))]
    known = record.memory.upgrade
    # What is kept after a rollback is the mesh's version: an extension alone would be tried again and again.
    if not noted or (known is None and not any(_is_core(one, mesh) for one, _ in noted)):
        return
    # Of a release that is a part of the mesh, the last one tells the version of the whole.
    versions = [deployed.app_version for one, deployed in noted if deployed and _is_core(one, mesh)]
    begun = Upgrade(
        from_version=versions[-1] if versions else mesh.version,
        to_version=mesh.version,
        charts=mesh.charts,
        previous=tuple(one for one, _ in noted),
        failing_before=() if known is not None else _failing(mesh),
        begun=now,
        request_id=request.request_id,
    )
    record.write(msgspec.structs.replace(record.memory, upgrade=upgrade.began(known, begun)))


def _deployed(kube: Kube, step: RunHelm) -> DeployedRelease | None:
    path = f"/api/v1/namespaces/{step.namespace}/secrets"
    return last_deployed(kube.list_items(path, label_selector=f"owner=helm,name={step.release.name}"))


def _is_core(one: Previous, mesh: Mesh) -> bool:
    return one.namespace == mesh.desired.namespace


def _failing(mesh: Mesh) -> tuple[str, ...]:
    with telemetry.stage_timer("checks before the upgrade"):
        report, waits_for = mesh.look()
    names = upgrade.failing(CheckSummary.of(report))
    return (*names, upgrade.NOT_READY) if waits_for else names


def failed(error: ByomeshError, record: UpgradeRecord, status: MeshStatus, request: InstallRequest) -> Done | None:
    """What follows from an error in the middle of Helm's work: a rollback; None where the error is to be raised."""
    going = record.memory.upgrade
    cause = upgrade.blame_error(error) if going is not None else ""
    return give_up(record, going, cause, status, request) if going is not None and cause else None


def forget(record: UpgradeRecord, mesh: Mesh, request: InstallRequest) -> None:
    """Forget a failed upgrade once other charts are wished.

    A request that names a version says nothing of that, and one of this system's own neither: the rollback itself
    would forget an upgrade that only a request had wished, and nobody would be told.
    """
    past = record.memory.failed
    if past is not None and request.version is None and request.reason not in _OWN and past.charts != mesh.charts:
        record.write(msgspec.structs.replace(record.memory, failed=None))
