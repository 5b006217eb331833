"""A mesh was installed or is to be looked at: judge it, mend what may be mended here, and say how it is."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from shared import gke, kube, policy, telemetry
from shared.config import Settings
from shared.mesh import apply, extensions, readiness, record, restarting
from shared.mesh.hands import last_hand
from shared.mesh.hooks import Stale, Verification, verify_hooks
from shared.mesh.loss import find_loss
from shared.mesh.patch import Patch
from shared.mesh.profile import Profile, load_profile
from shared.mesh.snapshot import SHOWN
from shared.model import CheckSummary, MeshStatus, OutdatedWorkloads, Phase, Repair, VerifyRequest
from shared.outcome import Later, Outcome
from shared.stages import asking, consent
from shared.stages.braking import RELEASED, Brake, Gate
from shared.stages.concluding import DRIFTED, Found, conclude, named
from shared.stages.watching import Watch

Connect = Callable[[gke.Cluster], kube.Kube]
Clock = Callable[[], dt.datetime]
Seen = TypeVar("Seen")
_POLL = 0.1
"""Seconds between two looks at the Deployments while one verification waits for them."""
_REPAIR_TRIES = 5
_GLANCES = 8
"""Steps between two looks through all checks at pods that aren't ready."""


def run(
    request: VerifyRequest,
    *,
    google: gke.Gke,
    connect: Connect,
    rules: policy.Policy,
    settings: Settings,
    clock: Clock,
    brake: Brake = RELEASED,
) -> Outcome:
    """Wait a moment for readiness, check, repair clusterNetworks, look again, and report.

    Raises:
        Temporary: an API can't answer now.
        Refused: no mesh is wanted on the cluster, or there is no way to the control plane.
        Permanent: the cluster is gone or the mesh unknown.
    """
    request = asking.with_mesh(request, google, rules)
    profile = load_profile(request.mesh)
    cluster = google.get(request.cluster)
    decision = policy.decide(cluster.facts, rules)
    left_alone = consent.withheld(request, decision)
    if left_alone is not None:
        return left_alone
    status = MeshStatus(
        cluster=request.cluster,
        mesh=request.mesh,
        version=request.version or "",
        request_id=request.request_id,
        phase=Phase.VERIFYING,
        reason="Verifying",
        message=f"{request.mesh} is being checked",
        net_admin=cluster.allow_net_admin if cluster.autopilot else None,
    )
    if cluster.status in gke.UNSETTLED:
        return _later(status, "ClusterNotSettled", f"the cluster, which is {cluster.status}", settings)
    api = connect(cluster)
    age = _age(request, clock())
    thorough = is_thorough(age, settings)
    with telemetry.stage_timer("readiness"):
        waits_for = wait_until_ready(api, profile, settings.readiness_poll if _is_first(age, settings) else 0.0)
    if waits_for and not thorough:
        watch = Watch(api, request, settings, clock())
        return _glanced(waits_for, watch, status, settings, readiness.why(api, profile))
    gate = Gate(brake=brake, rules=rules, settings=settings)
    return _looked_through(
        request, cluster, api, decision, waits_for, status=status, settings=settings, clock=clock, gate=gate
    )


def _looked_through(
    request: VerifyRequest,
    cluster: gke.Cluster,
    api: kube.Kube,
    decision: policy.Decision,
    waits_for: str,
    *,
    status: MeshStatus,
    settings: Settings,
    clock: Clock,
    gate: Gate,
) -> Outcome:
    """All checks, what may be mended here, and what follows from both."""
    profile = load_profile(request.mesh)
    wish = decision.settings_of(request.mesh)
    auditor = decision.rule if decision.mode is policy.Mode.AUDIT else ""
    hooks = verify_hooks(profile)

    def look() -> Verification:
        return hooks.look(api, profile, cluster, clock(), request.version or wish.version, wish)

    with telemetry.stage_timer("checks"):
        seen = look()
    repaired: tuple[str, ...] = ()
    patched: frozenset[str] = frozenset()
    networks = bool(seen.repairs)
    hands = _hands(api, seen.repairs) if not seen.foreign else ()
    mends = seen.repairs and not seen.foreign and not auditor and request.attempt < settings.repair_attempts
    if mends and not gate.shut(cluster.facts):
        telemetry.warning(
            "checks failed; repairing", failing="; ".join(one.error for one in CheckSummary.of(seen.report).failing)
        )
        patched = frozenset(one.path for one in seen.repairs)
        with telemetry.stage_timer("repair"):
            seen = _repaired(api, seen, look)
        repaired = (Repair.CLUSTER_NETWORKS.value,)
    with telemetry.stage_timer("extensions"):
        states = wait_until(
            lambda: extensions.look(api, profile, wish.options),
            extensions.waits_for,
            settings.readiness_poll if not waits_for else 0.0,
        )
    status = msgspec.structs.replace(
        status,
        version=request.version or seen.version,
        options={one.option or one.name: one.words for one in states},
        checks=CheckSummary.of(seen.report),
        repaired=repaired,
        remedies=seen.remedies,
        outdated=_outdated(seen.stale),
    )
    found = _found(api, profile, seen, waits_for, patched, looked=bool(request.release))
    if wish.restart_workloads and seen.stale.workloads and not seen.foreign:
        progress = restarting.look(api, seen.stale, clock(), settings.restart_deadline)
        found = msgspec.structs.replace(found, restart=progress.pending)
    missing = api.get(profile.marker) is None
    found = msgspec.structs.replace(found, auditor=auditor, missing=missing, networks=networks, hands=hands)
    watch = Watch(api, request, settings, clock())
    if waits_for and not repaired and not (found.mendable and request.attempt < settings.repair_attempts):
        return _glanced(waits_for, watch, status, settings, readiness.why(api, profile))
    told, following = conclude(request, status, profile, settings, found)
    done = watch.conclude(told, following, waits_for)
    if told.phase is Phase.READY and not done.next and (late := extensions.waits_for(states)):
        return _later(status, "PodsNotReady", late, settings)
    if done.status is not None and done.status.reason != DRIFTED and not auditor:
        # What the installer will find, or will find to be nothing, is told once it did.
        record.write(api, done.status)
    if done.status is None:
        return done
    return msgspec.structs.replace(done, status=named(done.status, found))


def _hands(api: kube.Kube, repairs: tuple[Patch, ...]) -> tuple[str, ...]:
    """Who changed the objects that are to be mended, as far as the cluster remembers: `NAME by MANAGER at TIME`."""
    found = ((path.rpartition("/")[2], api.get(path)) for path in dict.fromkeys(one.path for one in repairs))
    named = ((name, last_hand(live)) for name, live in found if live is not None)
    return tuple(f"{name} by {hand}" for name, hand in named if hand)


def _age(request: VerifyRequest, now: dt.datetime) -> float:
    return (now - request.first_seen).total_seconds() if request.first_seen is not None else 0.0


def _is_first(age: float, settings: Settings) -> bool:
    return age <= settings.readiness_step


def is_thorough(age: float, settings: Settings) -> bool:
    """Whether a look at pods that aren't ready goes through all checks, which cost forty times a glance.

    The first one does, one of about eight after it, so that what broke meanwhile is mended, and the last one.
    """
    step = settings.readiness_step
    return _is_first(age, settings) or not step or age % (_GLANCES * step) < step or age > settings.readiness_limit


def _glanced(waits_for: str, watch: Watch, status: MeshStatus, settings: Settings, why: str) -> Outcome:
    """What becomes of a cluster whose pods aren't ready: it waits, or its upgrade is given up."""
    given_up = watch.pods(waits_for, why, status)
    return given_up or _later(status, "PodsNotReady", _with_reason(waits_for, why), settings)


def _outdated(stale: Stale) -> OutdatedWorkloads:
    named = tuple(map(str, restarting.targets(stale)))[:SHOWN]
    return OutdatedWorkloads(sum(one.pods for one in stale.workloads) + stale.other_pods, named)


def _found(
    api: kube.Kube, profile: Profile, seen: Verification, waits_for: str, patched: frozenset[str], *, looked: bool
) -> Found:
    """What one look found beside the checks; what the installer has just looked through isn't compared again.

    What was patched a moment ago differs from its release by that, and the installer is asked about it anyway.
    """
    there = api.get(f"/api/v1/namespaces/{profile.namespace.name}") is not None
    drift, releases = find_loss(api, profile) if there and not looked and not seen.foreign else ((), ())
    drift = tuple(
        one
        for one in drift
        if not any(path.endswith(f"/{one.object.kind.lower()}s/{one.object.name}") for path in patched)
    )
    return Found(
        foreign=seen.foreign,
        remedies=seen.remedies,
        notes=seen.notes,
        due=seen.due,
        drift=drift,
        releases=releases,
        waits_for=waits_for,
    )


def _repaired(api: kube.Kube, seen: Verification, look: Callable[[], Verification]) -> Verification:
    """Make the repairs and look again; what changed since it was looked at is looked at, and mended, anew.

    A Deployment changes with every pod that comes up, so its first patch may well be too late.
    """
    for _ in range(_REPAIR_TRIES - 1):
        try:
            apply.patch(api, seen.repairs)
        except kube.Conflict:
            seen = look()
        else:
            return look()
    apply.patch(api, seen.repairs)
    return look()


def wait_until_ready(
    api: kube.Kube,
    profile: Profile,
    seconds: float,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Look at the mesh's Deployments until they are ready, for `seconds` at most; what isn't ready then, or "".

    A mesh that isn't there at all has nothing to wait for: the checks say so. Where the cluster says why pods are
    missing (a denial, no node), a few seconds don't help, and nobody looks on.
    """
    if api.get(profile.marker) is None:
        return ""
    waits_for = readiness.look(api, profile)
    if not waits_for or not seconds or readiness.why(api, profile):
        return waits_for
    return wait_until(lambda: readiness.look(api, profile), str, seconds, monotonic=monotonic, sleep=sleep)


def wait_until(
    look: Callable[[], Seen],
    waits_for: Callable[[Seen], str],
    seconds: float,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Seen:
    """Look until nothing is waited for any more, for `seconds` at most; what was seen last."""
    end = monotonic() + seconds
    while waits_for(seen := look()) and monotonic() < end:
        sleep(_POLL)
    return seen


def _with_reason(waits_for: str, why: str) -> str:
    return f"{waits_for}: {why}" if why else waits_for


def _later(status: MeshStatus, reason: str, waits_for: str, settings: Settings) -> Later:
    return Later(
        delay=settings.readiness_step,
        reason=reason,
        waits_for=waits_for,
        limit=settings.readiness_limit,
        patient=True,
        status=msgspec.structs.replace(status, message=f"{status.mesh} waits for {waits_for}"),
    )
