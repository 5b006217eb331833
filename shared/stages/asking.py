"""What a request leaves open: the mesh, where whoever asked named none, is the one that the policy names."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from shared import gke, policy
from shared.errors import Permanent, Refused
from shared.model import InstallRequest, VerifyRequest
from shared.stages import consent

_R = TypeVar("_R", InstallRequest, VerifyRequest)


def with_mesh(request: _R, google: gke.Gke, rules: policy.Policy) -> _R:
    """The request as it is, or with the policy's mesh for the cluster where it names none.

    GKE is asked only where the policy must be.

    Raises:
        Permanent: the policy names no mesh for the cluster, or the cluster is gone.
        Refused: the cluster's owner or the policy wants no mesh there.
        Temporary: the GKE API can't answer.
    """
    if request.mesh:
        return request
    decision = policy.decide(google.get(request.cluster).facts, rules)
    consent.withheld(request, decision)
    return msgspec.structs.replace(request, mesh=mesh_of(request, decision))


def mesh_of(request: InstallRequest | VerifyRequest, decision: policy.Decision) -> str:
    """The mesh that a request asks for; pure.

    Raises:
        Permanent: it names none, and the policy neither.
        Refused: it names none, and the policy one that doesn't exist.
    """
    mesh = request.mesh or decision.mesh
    if mesh is not None:
        return mesh
    if decision.mode is policy.Mode.REFUSE:
        raise Refused("PolicyRefuses", decision.reason, cluster=str(request.cluster), remedy="correct the label")
    raise Permanent(
        "NoMesh",
        f"neither the request nor the policy names a mesh for the cluster: {decision.reason}",
        cluster=str(request.cluster),
        remedy='add a mesh to the request, such as "mesh": "linkerd", or have a rule of the policy name one',
    )
