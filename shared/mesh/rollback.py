"""Takes an upgrade back: each release to the revision that it had before, the last one that was upgraded first.

Definitions of kinds are left at the newer chart where going back would lose objects or a version that clients use
(`shared.mesh.definitions`); the older control plane works with them, as it does in the middle of every upgrade. May be
killed anywhere and run again: what is back already is left alone.
"""

from __future__ import annotations

from typing import Any

import msgspec

from shared import telemetry
from shared.errors import Refused
from shared.helm import Helm
from shared.kube import Kube
from shared.mesh.apply import find_conflicts, takeable, taken_from_people
from shared.mesh.definitions import lost_by
from shared.mesh.installation import stored_versions
from shared.mesh.lease import Lease
from shared.mesh.releases import DeployedRelease, decode_release, newest
from shared.mesh.upgrade import Previous, Upgrade


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """How one release goes back.

    Attributes:
        previous: to where.
        target: that revision.
        forget: Secret of an unfinished revision to remove first, or "".
        run: whether Helm has to be run; False where the release is back already.
        kept: what would be lost, where it stays as it is for that.
    """

    previous: Previous
    target: DeployedRelease
    forget: str = ""
    run: bool = True
    kept: tuple[str, ...] = ()


def way_back(
    previous: Previous, now: DeployedRelease, target: DeployedRelease, stored: dict[str, tuple[str, ...]]
) -> Return:
    """How a release goes back; pure.

    Args:
        previous: to where.
        now: its newest revision.
        target: the revision to go back to.
        stored: by definition, the versions in which the cluster may hold objects.
    """
    forget = now.secret if now.pending else ""
    lost = lost_by(now.manifest, target.manifest, stored)
    if lost:
        return Return(previous=previous, target=target, forget=forget, run=False, kept=lost)
    back = now.status == "deployed" and _contents(now) == _contents(target)
    return Return(previous=previous, target=target, forget=forget, run=not back)


def _contents(release: DeployedRelease) -> tuple[Any, ...]:
    return release.chart, release.version, release.values, release.manifest


def roll_back(
    upgrade: Upgrade, kube: Kube, helm: Helm, ours: tuple[tuple[str, str, str], ...], lease: Lease
) -> tuple[str, ...]:
    """Take an upgrade back, holding the cluster's Lease; returns what of it is kept, in words.

    Raises:
        Temporary: an API can't answer now, or Helm ran out of time; what was done stays done.
        Refused: the cluster rejects an object, or another manager holds a field that must be changed back.
        Permanent: a revision to go back to isn't there any more.
        LeaseLost: another worker took the cluster.
    """
    kept = []
    for previous in reversed(upgrade.previous):
        lease.keep()
        found = _find(kube, previous)
        if found is None:
            continue
        if found.forget:
            kube.delete(f"/api/v1/namespaces/{previous.namespace}/secrets/{found.forget}")
        if found.kept:
            kept.append(f"release {previous.release} stays, for going back would lose {', '.join(found.kept)}")
        if found.run:
            telemetry.info(f"step: roll {previous.release} back to revision {previous.revision}")
            kept += _run(found, kube, helm, ours, lease)
    return tuple(kept)


def _find(kube: Kube, previous: Previous) -> Return | None:
    secrets = f"/api/v1/namespaces/{previous.namespace}/secrets"
    records = list(kube.list_items(secrets, label_selector=f"owner=helm,name={previous.release}"))
    now = newest(records).get(previous.release)
    if now is None:
        return None
    target = next((one for one in records if one["metadata"]["labels"].get("version") == str(previous.revision)), None)
    if target is None:
        raise Refused(
            "RevisionMissing",
            f"the release {previous.release} has no revision {previous.revision} any more, to go back to",
            tried="to take an upgrade back",
            remedy="ask for the version that is wished by a request that names it",
        )
    return way_back(previous, now, decode_release(target), stored_versions(kube, now.manifest))


def _run(
    found: Return, kube: Kube, helm: Helm, ours: tuple[tuple[str, str, str], ...], lease: Lease
) -> tuple[str, ...]:
    previous = found.previous
    conflicting = find_conflicts(kube, found.target.manifest, previous.release, previous.namespace)
    held = takeable(conflicting, ours, previous.release)
    # Helm may take nearly as long as the Lease lasts.
    lease.renew()
    with telemetry.stage_timer(f"helm {previous.release}"):
        helm.rollback(previous.release, previous.revision, namespace=previous.namespace, force_conflicts=bool(held))
    return taken_from_people(held, ours)
