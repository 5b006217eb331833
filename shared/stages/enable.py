"""A cluster was created: decide by policy, allow NET_ADMIN, queue the mesh."""

from __future__ import annotations

import msgspec

from shared import gke, policy
from shared.config import Settings
from shared.errors import Permanent, Refused
from shared.model import ClusterEvent, InstallRequest, MeshStatus, Phase, Reason
from shared.outcome import Done, Ignored, Later, Outcome
from shared.stages import asking, braking, consent
from shared.stages.braking import RELEASED, Brake


def run(
    request: ClusterEvent | InstallRequest,
    *,
    google: gke.Gke,
    rules: policy.Policy,
    settings: Settings,
    brake: Brake = RELEASED,
) -> Outcome:
    """Allow NET_ADMIN where the policy wants a mesh, and queue its installation.

    Args:
        request: an audit entry's event, or a request to begin here.
        google: the GKE API.
        rules: which cluster gets which mesh.
        settings: delays and limits.
        brake: whether a cluster may be changed now.

    Raises:
        Temporary: the GKE API can't answer now.
        Refused: the organisation's policy or byomesh's own forbids the change, or wants no mesh on the cluster.
        Permanent: a request names a cluster that doesn't exist.
    """
    # An event that had to wait comes back as a request with the reason `created`: it asks for what the policy says.
    asked = request if isinstance(request, InstallRequest) and request.reason not in consent.AUTOMATIC else None
    try:
        cluster = google.get(request.cluster)
    except Permanent as error:
        if asked is None and error.reason == gke.CLUSTER_GONE:
            return Ignored(f"{request.cluster} was deleted before anybody looked")
        raise
    decision = policy.decide(cluster.facts, rules)
    if decision.mode is policy.Mode.REFUSE:
        raise Refused("PolicyRefuses", decision.reason, cluster=str(request.cluster), remedy="correct the label")
    if asked is not None:
        consent.withheld(asked, decision)
    mesh = asking.mesh_of(asked, decision) if asked is not None else decision.mesh
    if mesh is None:
        return Ignored(f"{request.cluster}: {decision.reason}")
    status = MeshStatus(
        cluster=request.cluster,
        mesh=mesh,
        request_id=request.request_id,
        phase=Phase.PENDING,
        reason="Queued",
        message=f"{mesh} is queued: {decision.reason}",
        net_admin=cluster.allow_net_admin if cluster.autopilot else None,
    )
    if asked is None and decision.mode is policy.Mode.AUDIT:
        return _audited(cluster, decision, status)
    if asked is not None and decision.mode is policy.Mode.IGNORE and cluster.autopilot:
        # Nothing is said of the cluster, and who asks to begin here asks for NET_ADMIN too.
        decision = msgspec.structs.replace(decision, net_admin=policy.NetAdmin.REQUIRED)
    _hold_to_net_admin(cluster, mesh, decision)
    install = InstallRequest(
        cluster=request.cluster,
        mesh=mesh,
        version=request.version if isinstance(request, InstallRequest) else None,
        reason=request.reason if isinstance(request, InstallRequest) else Reason.CREATED,
        request_id=request.request_id,
        actor=request.actor if isinstance(request, InstallRequest) else None,
    )
    if not _must_allow(cluster, decision):
        return Done(status=status, next=(install,))
    gate = braking.Gate(brake=brake, rules=rules, settings=settings)
    return gate.paused(request, cluster.facts, status) or _allow(
        cluster, install, status, google=google, settings=settings
    )


def _must_allow(cluster: gke.Cluster, decision: policy.Decision) -> bool:
    return cluster.autopilot and not cluster.allow_net_admin and decision.net_admin_required


def _hold_to_net_admin(cluster: gke.Cluster, mesh: str, decision: policy.Decision) -> None:
    """Refuse a mesh whose pods the policy gives no way to run."""
    words = _no_way(cluster, mesh, decision)
    if not words:
        return
    if decision.net_admin is policy.NetAdmin.FORBIDDEN:
        remedy = f"have the rule {decision.rule} ask for no mesh, or not forbid NET_ADMIN"
        raise Refused("NetAdminForbidden", words, cluster=str(cluster.ref), remedy=remedy)
    remedy = f"{consent.way_to_net_admin(cluster)}, then publish the request again; or have the rule require it"
    raise Refused("NetAdminNotAllowed", words, cluster=str(cluster.ref), remedy=remedy)


def _no_way(cluster: gke.Cluster, mesh: str, decision: policy.Decision) -> str:
    return consent.no_way(decision, mesh, autopilot=cluster.autopilot, allowed=cluster.allow_net_admin)


def _audited(cluster: gke.Cluster, decision: policy.Decision, status: MeshStatus) -> Done:
    """What would be done, were the rule enforced; nothing is changed or queued."""
    no_way = _no_way(cluster, status.mesh, decision)
    allow = "turn on allow-net-admin and " if _must_allow(cluster, decision) else ""
    would = f"refuse {status.mesh} ({no_way})" if no_way else f"{allow}queue {status.mesh}"
    message = f"the rule {decision.rule} only audits; enforced, it would {would}: {decision.reason}"
    return Done(status=msgspec.structs.replace(status, phase=Phase.REFUSED, reason="AuditOnly", message=message))


def _allow(
    cluster: gke.Cluster, install: InstallRequest, status: MeshStatus, *, google: gke.Gke, settings: Settings
) -> Outcome:
    match google.allow_net_admin(cluster.ref, cluster.etag):
        case gke.Busy(text):
            waiting = msgspec.structs.replace(
                status, phase=Phase.ENABLING, message=f"GKE is busy with the cluster, so NET_ADMIN waits: {text}"
            )
            return Later(
                delay=settings.operation_step,
                reason="ClusterBusy",
                waits_for="the operation that GKE is running on the cluster",
                limit=settings.operation_limit,
                patient=True,
                status=waiting,
            )
        case gke.Started(operation):
            enabling = msgspec.structs.replace(
                status,
                phase=Phase.ENABLING,
                reason="AllowingNetAdmin",
                message=f"allow-net-admin is being turned on ({operation.rpartition('/')[2]}); {status.message}",
            )
            return Done(status=enabling, next=(msgspec.structs.replace(install, operation=operation),))
