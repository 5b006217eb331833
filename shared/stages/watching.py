"""What an upgrade adds to a verification: whatever newly fails is its fault, and it is given up."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared import telemetry
from shared.config import Settings
from shared.kube import Kube
from shared.mesh import upgrade
from shared.mesh.upgrade import Memory, Upgrade
from shared.mesh.upgrade_record import UpgradeRecord
from shared.model import InstallRequest, MeshStatus, Phase, Reason, VerifyRequest
from shared.outcome import Done


def give_up(
    record: UpgradeRecord, going: Upgrade, cause: str, status: MeshStatus, request: InstallRequest | VerifyRequest
) -> Done:
    """Decide to take an upgrade back, and queue that; raises Temporary where the cluster can't be made to remember."""
    telemetry.warning("the upgrade is taken back", cause=cause)
    record.write(msgspec.structs.replace(record.memory, upgrade=msgspec.structs.replace(going, cause=cause)))
    words = f"the upgrade from {going.from_version} to {going.to_version} is taken back, because: {cause}"
    told = msgspec.structs.replace(
        status, phase=Phase.DEGRADED, reason="RollingBack", version=going.to_version, message=words
    )
    return Done(status=told, next=(_rollback(request),))


def _rollback(request: InstallRequest | VerifyRequest) -> InstallRequest:
    return InstallRequest(
        cluster=request.cluster,
        mesh=request.mesh,
        reason=Reason.ROLLBACK,
        request_id=request.request_id,
        actor=request.actor,
    )


class Watch:
    """A verification's look at the upgrade that is under way, or was rolled back; harmless where there is neither."""

    def __init__(self, kube: Kube, request: VerifyRequest, settings: Settings, now: dt.datetime) -> None:
        """Read what the cluster remembers.

        Raises:
            Temporary: the API server can't answer.
            Permanent: what it remembers can't be read.
        """
        self._record = UpgradeRecord(kube)
        self._request = request
        # A wait that may end in a rollback must end before the one that ends in Stuck.
        self._limit = min(settings.upgrade_limit, settings.readiness_limit / 2)
        self._repairs = settings.repair_attempts
        self._now = now

    def pods(self, waits_for: str, why: str, status: MeshStatus) -> Done | None:
        """The end of an upgrade whose pods can't become ready; None where they may, or where there is no upgrade."""
        going = self._record.memory.upgrade
        if going is None or not waits_for:
            return None
        cause = going.cause or upgrade.blame_pods(going, waits_for, why, self._now, self._limit)
        return give_up(self._record, going, cause, status, self._request) if cause else None

    def conclude(self, told: MeshStatus, following: tuple[InstallRequest, ...], waits_for: str) -> Done:
        """What a verification says and queues, the upgrade considered.

        What fails newly gets one repair first: if somebody broke the mesh meanwhile, that mends it, and the upgrade
        isn't to blame.
        """
        memory = self._record.memory
        going = memory.upgrade
        if going is not None:
            cause = going.cause or upgrade.blame_checks(going, told.checks)
            mendable = following and self._request.attempt < min(1, self._repairs)
            if going.going_back or (cause and not mendable):
                return give_up(self._record, going, cause, told, self._request)
            if not cause and not waits_for and not told.repaired:
                kept = memory.failed if memory.failed and memory.failed.charts != going.charts else None
                self._record.write(Memory(failed=kept))
        return Done(status=_remembering(told, self._record.memory), next=following)


def _remembering(told: MeshStatus, memory: Memory) -> MeshStatus:
    """A status that says that the version is another than the one wished, and why."""
    past = memory.failed
    if memory.upgrade is not None or past is None or told.version != past.from_version:
        return told
    words = f"{told.message}; the upgrade from {past.from_version} to {past.version} was rolled back, because: "
    reason = "RolledBack" if told.phase in (Phase.READY, Phase.DEGRADED) else told.reason
    return msgspec.structs.replace(told, reason=reason, message=words + past.cause)
