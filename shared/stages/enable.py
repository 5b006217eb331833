"""A cluster was created: decide by policy, allow NET_ADMIN, queue the mesh."""

from __future__ import annotations

import msgspec

from shared import gke, policy
from shared.config import Settings
from shared.errors import Permanent, Refused
from shared.model import ClusterEvent, InstallRequest, MeshStatus, Phase, Reason
from shared.outcome import Done, Ignored, Later, Outcome


def run(
    request: ClusterEvent | InstallRequest, *, google: gke.Gke, rules: policy.Policy, settings: Settings
) -> Outcome:
    """Allow NET_ADMIN where the policy wants a mesh, and queue its installation.

    Args:
        request: an audit entry's event, or a request to begin here.
        google: the GKE API.
        rules: which cluster gets which mesh.
        settings: delays and limits.

    Raises:
        Temporary: the GKE API can't answer now.
        Refused: the organisation's policy forbids the change.
        Permanent: a request names a cluster that doesn't exist.
    """
    # An event that had to wait comes back as a request with the reason `created`: it asks for what the policy says.
    asked = request if isinstance(request, InstallRequest) and request.reason is not Reason.CREATED else None
    try:
        cluster = google.get(request.cluster)
    except Permanent as error:
        if asked is None and error.reason == gke.CLUSTER_GONE:
            return Ignored(f"{request.cluster} was deleted before anybody looked")
        raise
    decision = policy.decide(cluster.facts, rules)
    if decision.mode is policy.Mode.REFUSE:
        raise Refused("PolicyRefuses", decision.reason, cluster=str(request.cluster), remedy="correct the label")
    mesh = asked.mesh if asked is not None and not decision.opted_out else decision.mesh
    if mesh is None:
        return Ignored(f"{request.cluster}: {decision.reason}")
    install = InstallRequest(
        cluster=request.cluster,
        mesh=mesh,
        version=request.version if isinstance(request, InstallRequest) else None,
        reason=asked.reason if asked is not None else Reason.CREATED,
        request_id=request.request_id,
        actor=request.actor if isinstance(request, InstallRequest) else None,
    )
    status = MeshStatus(
        cluster=request.cluster,
        mesh=mesh,
        request_id=request.request_id,
        phase=Phase.PENDING,
        reason="Queued",
        message=f"{mesh} is queued: {decision.reason}",
        net_admin=cluster.allow_net_admin if cluster.autopilot else None,
    )
    if not cluster.autopilot or cluster.allow_net_admin or not decision.net_admin_required:
        return Done(status=status, next=(install,))
    return _allow(cluster, install, status, google=google, settings=settings)


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
