"""Whether the policy lets a request go on at a cluster, by who asks for it; pure."""

from __future__ import annotations

from shared import gke, policy
from shared.cluster import gcloud_update
from shared.errors import Refused
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


def way_to_net_admin(cluster: gke.Cluster) -> str:
    """What a person may do so that the cluster admits pods with NET_ADMIN."""
    if not cluster.autopilot:
        return "let what denies it admit NET_ADMIN"
    return gcloud_update(cluster.ref, "--workload-policies=allow-net-admin")
