"""What becomes of a fault that one cluster alone suffers from: a wait, longer each time, and Stuck in the end; pure."""

from __future__ import annotations

import datetime as dt

from shared.config import Settings
from shared.errors import shorten
from shared.kube_errors import ClusterFault
from shared.model import ClusterEvent, EnforceRequest, InstallRequest, MeshStatus, Phase, VerifyRequest
from shared.outcome import Later

AboutOne = ClusterEvent | InstallRequest | VerifyRequest | EnforceRequest
"""What asks for something about one cluster."""
FIRST, LONGEST = 5.0, 300.0
"""Seconds until the second try, and between the last ones; each wait is twice as long as the one before it."""
_LONG = 600.0
"""Seconds after which a request counts as one of a cluster that may well never answer as it should."""
_SHARE = 4
_WORDS = 600
_DOUBLINGS = 16


def wait_out(error: ClusterFault, request: AboutOne, times: int, settings: Settings) -> Later:
    """The wait for a cluster's fault to pass.

    A hundred clusters that nobody can reach then take one look each every five minutes, and time out in it.

    Args:
        error: what the cluster, or nobody in its place, answered.
        request: what was asked.
        times: how often this request has waited already.
        settings: how long the cluster may wait, as for an operation of GKE's, which may well be the cause.
    """
    passes = "" if error.remedy.startswith("none;") else f"; what may help: {error.remedy}"
    waits_for = f"a fault of the cluster to pass: {shorten(error.problem, _WORDS)} (tried: {error.tried}){passes}"
    mesh: str = getattr(request, "mesh", "")
    status = MeshStatus(
        cluster=request.cluster,
        mesh=mesh,
        version=getattr(request, "version", None) or "",
        request_id=request.request_id,
        phase=Phase.VERIFYING if isinstance(request, VerifyRequest) else Phase.PENDING,
        reason=error.reason,
        message=f"{mesh or 'the cluster'} waits for {waits_for}",
    )
    return Later(
        delay=min(FIRST * 2.0 ** min(times, _DOUBLINGS), LONGEST),
        reason=error.reason,
        waits_for=waits_for,
        limit=settings.operation_limit,
        status=status,
    )


def patience(request: AboutOne, settings: Settings, now: dt.datetime) -> float:
    """Seconds that a delivery's requests to the cluster's API server may take together.

    A quarter, once the request has waited for long: an API server that has got well needs less, and one that stays slow
    must not keep a thread from the others for a minute again and again.
    """
    first_seen = request.first_seen or now
    return settings.cluster_patience / (_SHARE if (now - first_seen).total_seconds() > _LONG else 1)
