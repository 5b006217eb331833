"""A mesh was asked for: wait for GKE, make sure that its pods may run, and bring the cluster to the plan."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable

import msgspec

from shared import gke, kube, policy, telemetry
from shared.config import Settings
from shared.errors import ByomeshError, Refused, shorten
from shared.helm import Helm
from shared.mesh import admission, apply, lease, naming
from shared.mesh.engine import Mesh
from shared.mesh.hooks import TrustStore
from shared.mesh.plan import Kind, Plan
from shared.mesh.profile import Profile, load_profile
from shared.mesh.upgrade_record import UpgradeRecord
from shared.model import InstallRequest, MeshStatus, Phase, Reason, Release, Repair, VerifyRequest
from shared.outcome import Done, Later, Outcome
from shared.stages import asking, braking, consent, restarts, upgrading
from shared.stages.braking import RELEASED, Brake

Connect = Callable[[gke.Cluster], kube.Kube]
HelmFor = Callable[[gke.Cluster], Helm]
Clock = Callable[[], dt.datetime]


def run(
    request: InstallRequest,
    *,
    google: gke.Gke,
    connect: Connect,
    helm_for: HelmFor,
    store: TrustStore,
    rules: policy.Policy,
    settings: Settings,
    clock: Clock,
    brake: Brake = RELEASED,
) -> Outcome:
    """Install, upgrade or repair a mesh, or find that there is nothing to do; then queue its verification.

    Raises:
        Temporary: an API can't answer now, or Helm ran out of time.
        Refused: no mesh is wanted on the cluster, no way to the control plane, a mesh of others, a chart that the
            cluster rejects.
        Permanent: the cluster is gone, the mesh unknown, the chart unusable.
    """
    request = asking.with_mesh(request, google, rules)
    profile = load_profile(request.mesh)
    status = MeshStatus(
        cluster=request.cluster,
        mesh=request.mesh,
        version=request.version or profile.version,
        request_id=request.request_id,
        phase=Phase.INSTALLING,
        reason="Installing",
        message=f"{request.mesh} is being installed",
    )
    limit = restarts.limit(request, settings)
    waited = _operation_wait(request, google, Waiting(settings, status, limit))
    if waited is not None:
        return waited
    cluster = google.get(request.cluster)
    decision = policy.decide(cluster.facts, rules)
    wish = decision.settings_of(request.mesh)
    status = msgspec.structs.replace(
        status,
        version=request.version or wish.version or profile.version,
        net_admin=cluster.allow_net_admin if cluster.autopilot else None,
    )
    waiting = Waiting(settings, status, limit)
    gate = braking.Gate(brake=brake, rules=rules, settings=settings)
    not_now = (
        consent.withheld(request, decision)
        or _unsettled(cluster, waiting)
        or gate.paused(request, cluster.facts, status)
        or gate.full(request, status)
    )
    if not_now is not None:
        return not_now
    api = connect(cluster)
    record = UpgradeRecord(api)
    going_back = record.memory.upgrade is not None and record.memory.upgrade.going_back
    verdict = (
        admission.net_admin_verdict(api, profile.pod_labels) if profile.needs_net_admin and not going_back else None
    )
    if verdict is not None:
        return _denied(cluster, verdict, waiting, settings)
    helm = helm_for(cluster)
    mesh = Mesh(profile, cluster, api, helm, settings, store, clock, wish)
    plan = _plan(mesh, request, cluster, record) if not going_back else None
    work = _Work(
        request=request, cluster=cluster, api=api, helm=helm, mesh=mesh, profile=profile, waiting=waiting, clock=clock
    )
    if plan is not None and plan.kind is Kind.NOTHING and Repair.RESTART_WORKLOADS not in request.repairs:
        upgrading.forget(record, mesh, request)
        return _verify(request, status, mesh, plan)
    place = gate.place(request, status, clock())
    if isinstance(place, Later):
        return place
    with place:
        return place.kept(work.carry_out(plan, record))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What changes one cluster.

    Attributes:
        request: what was asked for.
        cluster: the cluster.
        api: its API server.
        helm: Helm for it.
        mesh: how the mesh should be there.
        profile: the mesh as its file describes it.
        waiting: makes waits.
        clock: tells the time.
    """

    request: InstallRequest
    cluster: gke.Cluster
    api: kube.Kube
    helm: Helm
    mesh: Mesh
    profile: Profile
    waiting: Waiting
    clock: Clock

    def carry_out(self, plan: Plan | None, record: UpgradeRecord) -> Outcome:
        """Bring the cluster to a plan, if it isn't there; None where an upgrade is to be taken back first."""
        request, settings, status = self.request, self.waiting.settings, self.waiting.status
        if plan is None or plan.kind is not Kind.NOTHING:
            taken = lease.take(self.api, lease.holder_of(request.request_id), settings.lease_duration, self.clock)
            if isinstance(taken, lease.HeldBy):
                return self.waiting.later("LeaseHeld", f"{taken.holder}, who works on the cluster", settings.lease_step)
            with taken:
                # Somebody else may have finished between the first look and the Lease.
                record = UpgradeRecord(self.api)
                kept = upgrading.take_back(record, self.mesh, self.api, self.helm, taken)
                plan = _plan(self.mesh, request, self.cluster, record)
                plan = msgspec.structs.replace(plan, notes=kept + plan.notes)
                upgrading.begin(record, plan, self.mesh, self.api, request, self.clock())
                try:
                    with telemetry.stage_timer("apply"):
                        taken_back = apply.carry_out(plan, self.api, self.helm, self.mesh.desired.ours, taken)
                except ByomeshError as error:
                    given_up = upgrading.failed(error, record, status, request)
                    if given_up is None:
                        raise
                    return given_up
                plan = msgspec.structs.replace(plan, notes=plan.notes + taken_back)
        upgrading.forget(record, self.mesh, request)
        under_way = restarts.restart(request, status, self.api, self.profile, settings, self.clock)
        return under_way or _verify(request, status, self.mesh, plan)


def _operation_wait(request: InstallRequest, google: gke.Gke, waiting: Waiting) -> Later | None:
    """A wait for the operation that the request names; None where there is none, or it has ended well."""
    if not request.operation:
        return None
    operation = google.operation(request.operation, request.cluster)
    if not operation.done:
        return waiting.later("OperationRunning", f"operation {operation.name}", waiting.settings.operation_step)
    if operation.error:
        raise Refused(
            "OperationFailed",
            f"GKE ended the operation {operation.name} with: {operation.error}",
            cluster=str(request.cluster),
            tried="to allow NET_ADMIN on the cluster",
            remedy="mend what GKE names, then publish the request again",
        )
    return None


def _unsettled(cluster: gke.Cluster, waiting: Waiting) -> Later | None:
    if cluster.status not in gke.UNSETTLED:
        return None
    words = f"the cluster, which is {cluster.status}"
    return waiting.later("ClusterNotSettled", words, waiting.settings.operation_step)


def _plan(mesh: Mesh, request: InstallRequest, cluster: gke.Cluster, record: UpgradeRecord) -> Plan:
    with telemetry.stage_timer("plan"):
        asked = upgrading.wish_of(request)
        plan = mesh.plan(request.version, request=asked, failed=record.memory.failed, repairs=request.repairs)
    if plan.kind is Kind.REFUSE:
        raise _foreign(plan, cluster)
    return plan


class Waiting(msgspec.Struct, frozen=True):
    """Makes this stage's waits, which all end `limit` seconds after the request was first seen."""

    settings: Settings
    status: MeshStatus
    limit: float

    def later(self, reason: str, waits_for: str, delay: float) -> Later:
        """A wait of `delay` seconds for what `waits_for` says."""
        status = msgspec.structs.replace(
            self.status, phase=Phase.PENDING, message=f"{self.status.mesh} waits for {waits_for}"
        )
        return Later(delay=delay, reason=reason, waits_for=waits_for, limit=self.limit, patient=True, status=status)


def _denied(cluster: gke.Cluster, verdict: admission.Verdict, waiting: Waiting, settings: Settings) -> Outcome:
    if verdict.not_ready:
        return waiting.later("ClusterNotReady", f"the cluster to admit pods ({verdict.words})", settings.operation_step)
    if cluster.allow_net_admin:
        return waiting.later(
            "NetAdminPropagating",
            f"Warden to learn that NET_ADMIN is allowed ({shorten(verdict.words, 300)})",
            settings.operation_step,
        )
    raise Refused(
        "NetAdminNotAllowed",
        f"the cluster rejects pods with NET_ADMIN: {verdict.words}",
        cluster=str(cluster.ref),
        tried="a server-side dry run of a pod that asks for NET_ADMIN",
        remedy=f"{consent.way_to_net_admin(cluster)}, then publish the request again",
    )


def _foreign(plan: Plan, cluster: gke.Cluster) -> Refused:
    return Refused(
        "ForeignMesh",
        plan.reason,
        cluster=str(cluster.ref),
        remedy="uninstall that mesh, or label its namespace app.kubernetes.io/managed-by=byomesh to hand it over",
    )


def _verify(request: InstallRequest, status: MeshStatus, mesh: Mesh, plan: Plan) -> Done:
    releases = tuple(
        Release(release.name, f"{release.chart.name}-{release.chart.version}", release.chart.digest, 0)
        for release in mesh.releases
    )
    left_alone = "; ".join(
        f"{drift.object} at {path}, held by {manager}" for drift in plan.left_alone for manager, path in drift.owners
    )
    verify = VerifyRequest(
        cluster=request.cluster,
        mesh=request.mesh,
        version=mesh.version,
        reason=request.reason,
        request_id=request.request_id,
        attempt=request.attempt,
        actor=request.actor,
        release=releases,
        waiting=plan.waiting,
    )
    if plan.kind is Kind.NOTHING and request.reason is Reason.REPAIR and not left_alone and not plan.notes:
        return Done(next=(verify,))
    message = f"{plan.kind}: {plan.reason}" + (f"; left alone: {left_alone}" if left_alone else "")
    waits = (f"{' and '.join(plan.waiting)} follow once {status.mesh} is ready",) if plan.waiting else ()
    message = "; ".join((message, *plan.notes, *waits))
    fresh = plan.kind is Kind.INSTALL and request.reason is not Reason.REPAIR
    repaired = () if fresh else tuple(one.value for one in naming.of_steps(plan.steps))
    told = msgspec.structs.replace(
        status, phase=Phase.VERIFYING, reason="Verifying", version=mesh.version, message=message, repaired=repaired
    )
    return Done(status=told, next=(verify,))
