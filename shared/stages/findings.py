"""What differs between a cluster and the policy, as far as GKE and the log tell without a look inside; pure.

What only a look inside tells (networks, certificates, objects) is found by a verification, and stands in the findings
of its status.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from shared.cluster import Cluster
from shared.config import Settings
from shared.mesh.profile import load_profile
from shared.mesh.versions import is_older
from shared.model import Finding, MeshStatus, Phase, Repair
from shared.policy import Decision, NetAdmin

_CERTIFICATES = frozenset({Repair.ISSUER_RENEWAL.value, Repair.SERVING_CERTIFICATE_RENEWAL.value})
_NO_DRIFT = frozenset({Repair.RESTART_WORKLOADS.value, Repair.CLUSTER_NETWORKS.value, *_CERTIFICATES})
_KEPT_BACK = "RolledBack"
_CARRIED = frozenset(
    {
        Finding.MESH_MISSING,
        Finding.MESH_DRIFTED,
        Finding.CLUSTER_NETWORKS_DRIFTED,
        Finding.CERTIFICATE_NEAR_END,
    }
)
"""Findings that hold until another look inside says otherwise."""
GIVEN_UP = dt.timedelta(days=1)
"""How long after the last word on a cluster that never got so far as its checks it is tried again."""

_SETTLED = frozenset({Phase.READY, Phase.DEGRADED})


def net_admin(cluster: Cluster, decision: Decision) -> Finding | None:
    """Whether allow-net-admin is as the policy has it; a Standard cluster has no such thing."""
    if not cluster.autopilot:
        return None
    if decision.net_admin is NetAdmin.REQUIRED and not cluster.allow_net_admin:
        return Finding.NET_ADMIN_REQUIRED_BUT_OFF
    if decision.net_admin is NetAdmin.FORBIDDEN and cluster.allow_net_admin:
        return Finding.NET_ADMIN_FORBIDDEN_BUT_ON
    return None


def judge(
    cluster: Cluster, decision: Decision, newest: MeshStatus | None, settings: Settings, now: dt.datetime
) -> tuple[Finding, ...]:
    """Everything that differs, the gravest first.

    Args:
        cluster: as GKE's API has it.
        decision: what the policy says of it.
        newest: what was said last of its mesh; None where nothing ever was, as far as the log goes back.
        settings: whether charts of a folder have a version of their own.
        now: the present.
    """
    found = net_admin(cluster, decision)
    rest: Iterable[Finding] = ()
    if decision.mesh is not None and newest is None:
        rest = (Finding.NEVER_PROCESSED,)
    elif decision.mesh is not None and newest is not None:
        rest = _of_mesh(decision.mesh, decision, newest, settings, now)
    return (*((found,) if found else ()), *rest)


def _of_mesh(
    mesh: str, decision: Decision, newest: MeshStatus, settings: Settings, now: dt.datetime
) -> Iterable[Finding]:
    if newest.phase not in _SETTLED and newest.time is not None and now - newest.time > GIVEN_UP:
        # Whatever it waited for, or was refused for, may be otherwise now.
        yield Finding.MESH_MISSING
    elif newest.reason == "AuditOnly" and decision.enforce and not newest.version:
        # The policy only audited it when it was looked at, so it never got its mesh.
        yield Finding.MESH_MISSING
    elif newest.phase in _SETTLED and newest.mesh not in ("", mesh):
        yield Finding.MESH_MISSING
    else:
        yield from (one for one in Finding if one in _CARRIED and one.value in newest.findings and _open(newest))
    if newest.phase in _SETTLED and newest.mesh == mesh and outdated(newest, decision, settings):
        yield Finding.MESH_OUTDATED


def _open(newest: MeshStatus) -> bool:
    """Whether what a status found is still so: a Ready one tells of what it has mended."""
    return newest.phase is not Phase.READY


def outdated(status: MeshStatus, decision: Decision, settings: Settings) -> bool:
    """Whether a mesh is of another version than the policy names, or older than the profile's.

    One that was rolled back stays as it is until somebody asks, and charts of a folder have a version of their own.
    """
    if not status.version or status.reason == _KEPT_BACK:
        return False
    wished = decision.settings.version
    if wished is not None:
        return status.version != wished
    return not settings.charts and is_older(status.version, load_profile(status.mesh).version)


def of_repairs(repairs: Iterable[str], *, missing: bool) -> tuple[Finding, ...]:
    """What a look inside found, by the names of the repairs that it makes, wants or would want.

    Args:
        repairs: names of `Repair`.
        missing: whether the mesh isn't there at all.
    """
    names = frozenset(repairs)
    if missing:
        return (Finding.MESH_MISSING,)
    found = {
        Finding.MESH_DRIFTED: bool(names - _NO_DRIFT),
        Finding.CLUSTER_NETWORKS_DRIFTED: Repair.CLUSTER_NETWORKS.value in names,
        Finding.CERTIFICATE_NEAR_END: bool(names & _CERTIFICATES),
    }
    return tuple(finding for finding, there in found.items() if there)
