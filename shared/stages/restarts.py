"""Workloads were asked to be restarted: one pass, which starts a few, and says what it waits for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import msgspec

from shared import telemetry
from shared.config import Settings
from shared.kube import Kube
from shared.mesh import lease, readiness, restarting
from shared.mesh.hooks import restart_hooks
from shared.mesh.profile import Profile
from shared.mesh.rollouts import Progress, State, words
from shared.model import InstallRequest, MeshStatus, Phase, Repair
from shared.outcome import Done, Later

Clock = Callable[[], dt.datetime]


def restart(
    request: InstallRequest, status: MeshStatus, api: Kube, profile: Profile, settings: Settings, clock: Clock
) -> Done | Later | None:
    """Restart what is next; None where nobody asked, or nothing is left to restart.

    The request names `restartWorkloads` where the policy has it done, or where somebody publishes it by hand.

    Raises:
        Temporary: the API server can't answer.
    """
    if Repair.RESTART_WORKLOADS not in request.repairs:
        return None
    waits_for = readiness.look(api, profile)
    if waits_for:
        # A pod that starts before the new injector gets what the old one gives.
        return _later(status, settings, "PodsNotReady", waits_for)
    hooks = restart_hooks(profile)
    stale = hooks.stale(api, profile)
    progress = restarting.look(api, stale, clock(), settings.restart_deadline)
    coming = progress.next(settings.restarts_at_once)
    if coming:
        why = hooks.injected(api, profile, coming[0].namespace)
        if why:
            return _later(
                status, settings, "InjectorOutdated", f"the injector to give new pods what is current ({why})"
            )
        taken = lease.take(api, lease.holder_of(request.request_id), settings.lease_duration, clock)
        if isinstance(taken, lease.HeldBy):
            return _later(status, settings, "LeaseHeld", f"{taken.holder}, who works on the cluster")
        with taken, telemetry.stage_timer("restart"):
            restarting.start(api, coming, stale.key, clock())
    if progress.pending:
        return _later(status, settings, "WorkloadsRestarting", _waits_for(progress))
    stuck = progress.of(State.STUCK)
    return _stuck(status, progress) if stuck else None


def limit(request: InstallRequest, settings: Settings) -> float:
    """Seconds after which a request that waits is Stuck: one that restarts may have restarted for hours by then."""
    restarting_too = Repair.RESTART_WORKLOADS in request.repairs
    return max(settings.operation_limit, settings.restart_limit) if restarting_too else settings.operation_limit


def _waits_for(progress: Progress) -> str:
    """What is under way, in words that stay the same while nothing changes."""
    left = (*progress.of(State.RUNNING), *progress.of(State.TO_DO))
    return f"{len(left)} workloads to be restarted: {words(left)}"


def _stuck(status: MeshStatus, progress: Progress) -> Done:
    stuck, left = progress.of(State.STUCK), progress.of(State.TO_DO)
    rest = f"; {len(left)} others are left as they are" if left else ""
    message = (
        f"{words(stuck)} was restarted for new proxies and doesn't get ready{rest}; what to do: see `kubectl describe` "
        "of its pods, mend or undo it (`kubectl rollout undo`), then publish the request again"
    )
    told = msgspec.structs.replace(status, phase=Phase.DEGRADED, reason="RestartStuck", message=message)
    return Done(status=told)


def _later(status: MeshStatus, settings: Settings, reason: str, waits_for: str) -> Later:
    message = f"{status.mesh} waits for {waits_for}"
    return Later(
        delay=settings.readiness_step,
        reason=reason,
        waits_for=waits_for,
        limit=settings.restart_limit,
        status=msgspec.structs.replace(status, phase=Phase.VERIFYING, message=message),
    )
