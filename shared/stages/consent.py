"""Whether the policy lets a request go on at a cluster, by who asks for it; pure."""

from __future__ import annotations

from shared import policy
from shared.cluster import Cluster, gcloud_update
from shared.errors import Refused
from shared.mesh.profile import load_profile
from shared.model import InstallRequest, Reason, VerifyRequest
from shared.outcome import Ignored

AUTOMATIC = frozenset({Reason.CREATED, Reason.DRIFT, Reason.SWEEP})
"""Reasons of requests that nobody made by hand: they ask for what the policy says, and for nothing else."""


def withheld(request: InstallRequest | VerifyRequest, decision: policy.Decision) -> Ignored | None:
    """Why a request is left alone; None where it may go on.

    The policy is asked again at every stage, so that what was queued before it, or a label, changed stops there. A
    request by hand goes on wherever nobody opted out; to verify changes nothing where the policy only audits; and an
    upgrade that had begun before is taken back in any case, rather than left half done.

    Raises:
        Refused: the cluster's owner or the policy wants no mesh on it, whoever asks.
    """
    if request.reason is Reason.ROLLBACK:
        return None
    if decision.opted_out:
        raise Refused(
            "OptedOut",
            f"no mesh is wanted here: {decision.reason}",
            cluster=str(request.cluster),
            remedy=f"change the label, or the rule {decision.rule} of the policy, then publish the request again",
        )
    changes = isinstance(request, InstallRequest)
    audited = decision.mode is policy.Mode.AUDIT and changes and request.reason is not Reason.RERUN
    ignored = decision.mode is policy.Mode.IGNORE and request.reason in AUTOMATIC
    if audited or ignored:
        verb = "only audits" if audited else "leaves it alone"
        return Ignored(f"{request.cluster}: the rule {decision.rule} {verb}: {decision.reason}")
    return None


def no_way(decision: policy.Decision, mesh: str, *, autopilot: bool, allowed: bool) -> str:
    """Why the policy lets a mesh's pods never run on a cluster, in words; "" where it doesn't.

    Args:
        decision: what the policy says of the cluster.
        mesh: the mesh that is asked for.
        autopilot: whether it is an Autopilot cluster; another needs no permission of GKE's.
        allowed: whether allow-net-admin is on.

    Raises:
        Permanent: there is no such mesh.
    """
    if not autopilot or decision.net_admin_required or not load_profile(mesh).needs_net_admin:
        return ""
    if decision.net_admin is policy.NetAdmin.FORBIDDEN:
        return f"{mesh} needs NET_ADMIN, which the rule {decision.rule} forbids"
    if not allowed:
        return f"{mesh} needs NET_ADMIN, which is off, and the rule {decision.rule} leaves it as it is"
    return ""


def way_to_net_admin(cluster: Cluster) -> str:
    """What a person may do so that the cluster admits pods with NET_ADMIN."""
    if not cluster.autopilot:
        return "let what denies it admit NET_ADMIN"
    return gcloud_update(cluster.ref, "--workload-policies=allow-net-admin")
