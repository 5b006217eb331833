"""What would mend a mesh that is there, whoever installed it, without installing anything: found, shown, done.

Three kinds of repair: the mesh's own writes (for Linkerd, clusterNetworks wherever held); the values that its Helm
release remembers, as the revision that `helm upgrade --reuse-values` would make of them; and objects of its releases
that drifted or are gone, applied again from the stored manifest. An operator who asks for it gives consent, so a mesh
of others is mended too; a field that another manager holds is left alone where the mesh's own repair isn't about it.
What a release has is written under Helm's own name, so that the owner's next upgrade meets no conflict.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec

from shared.kube import Kube
from shared.mesh import stored
from shared.mesh.apply import manifest_object, reapply
from shared.mesh.drift import Drift
from shared.mesh.hooks import Ranges, Verification, verify_hooks
from shared.mesh.installation import HELM_MANAGER, find_drift
from shared.mesh.naming import of_step
from shared.mesh.ownership import FIELD_MANAGER
from shared.mesh.plan import Reapply
from shared.mesh.profile import Profile
from shared.mesh.releases import DeployedRelease, decode_release, newest
from shared.model import UNDECIDED, MeshSettings, Repair

NETWORKS = "clusterNetworks"
HELM_STORAGE = "Helm"
"""Field manager of Helm's release Secrets: the program's own name."""
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The whole object again, a Secret's contents too: bookkeeping of `kubectl apply`, and not to be shown."""


class ObservedRanges(msgspec.Struct, frozen=True):
    """A cluster's ranges as far as the cluster itself tells them: its nodes' podCIDRs and its ServiceCIDRs."""

    pod_ranges: tuple[str, ...]
    service_ranges: tuple[str, ...]


class Remember(msgspec.Struct, frozen=True, kw_only=True):
    """A release's next revision, which differs from the present one by a value, and by what that value decides.

    Attributes:
        release: the release as it will be remembered.
        present: the value of the present revision; None where it has none and the chart's default holds.
        wished: the value of the next one.
        secret: the next revision's Secret.
        before: the present revision's, as it was looked at.
    """

    release: DeployedRelease
    present: str | None
    wished: str
    secret: dict[str, Any]
    before: dict[str, Any]


class Mending(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    Attributes:
        seen: the checks, and the mesh's own repairs.
        remember: revisions of its releases that have the right values.
        reapply: objects of its releases to apply again.
        left_alone: drift in fields that managers other than Helm hold, this system among them.
    """

    seen: Verification
    remember: tuple[Remember, ...] = ()
    reapply: tuple[Reapply, ...]
    left_alone: tuple[Drift, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.seen.repairs and not self.reapply and not self.remember


class Change(msgspec.Struct, frozen=True):
    """One object before and after, as the API server says that it would be.

    Attributes:
        what: the object and the repair in words.
        before: the live object less its bookkeeping; empty where it is missing.
        after: what a dry run answers, likewise; Secrets' contents are hidden in both.
        repair: the repair's name.
    """

    what: str
    before: dict[str, Any]
    after: dict[str, Any]
    repair: Repair = Repair.OTHER_OBJECT


def observed_ranges(kube: Kube) -> ObservedRanges:
    """Read the ranges from the cluster, where no GKE API is asked; raises Temporary where it can't answer.

    ServiceCIDR is networking.k8s.io/v1 since Kubernetes 1.33; an older cluster tells no Service range.
    """
    pods: dict[str, None] = {}
    for node in kube.list_items("/api/v1/nodes"):
        pods.update(dict.fromkeys(node.get("spec", {}).get("podCIDRs") or ()))
    services: dict[str, None] = {}
    if kube.resource("networking.k8s.io/v1", "ServiceCIDR") is not None:
        for one in kube.list_items("/apis/networking.k8s.io/v1/servicecidrs"):
            services.update(dict.fromkeys(one["spec"]["cidrs"]))
    return ObservedRanges(tuple(pods), tuple(services))


def find(
    kube: Kube,
    profile: Profile,
    ranges: Ranges,
    now: dt.datetime,
    expected_version: str | None,
    wish: MeshSettings = UNDECIDED,
) -> Mending:
    """Look for everything that could be mended; writes nothing.

    Raises:
        Temporary: the API server can't answer.
        Permanent: a Helm release can't be read.
    """
    hooks = verify_hooks(profile)
    seen = hooks.look(kube, profile, ranges, now, expected_version, wish)
    path = f"/api/v1/namespaces/{profile.namespace.name}/secrets"
    secrets = list(kube.list_items(path, field_selector="type=helm.sh/release.v1"))
    remember: list[Remember] = []
    again: list[Reapply] = []
    left_alone: list[Drift] = []
    for release in newest(secrets).values():
        if release.status != "deployed":
            continue
        named = [one for one in secrets if one["metadata"]["name"] == release.secret]
        amended = hooks.amended(release.manifest, seen.networks) if seen.networks else ()
        kept = [_remember(release, named[0], seen.networks, amended, now)] if amended else []
        remember += kept
        more, alone = _drifted(kube, kept[0].release if kept else release, profile, seen)
        again += more
        left_alone += alone
    applied = {manifest_object(step, kube)[0] for step in again}
    # What its release has is applied as Helm's; the rest by the mesh's own repair.
    seen = msgspec.structs.replace(seen, repairs=tuple(one for one in seen.repairs if one.path not in applied))
    return Mending(seen=seen, remember=tuple(remember), reapply=tuple(again), left_alone=tuple(left_alone))


def _remember(
    release: DeployedRelease,
    secret: dict[str, Any],
    networks: str,
    amended: tuple[dict[str, Any], ...],
    now: dt.datetime,
) -> Remember:
    why = "clusterNetworks set by byomesh repair"
    made = stored.next_revision(secret, {NETWORKS: networks}, amended, why, now)
    present = release.values.get(NETWORKS)
    return Remember(
        release=decode_release(made),
        present=str(present) if present is not None else None,
        wished=networks,
        secret=made,
        before=secret,
    )


def _drifted(
    kube: Kube, release: DeployedRelease, profile: Profile, seen: Verification
) -> tuple[list[Reapply], list[Drift]]:
    """What of a release is applied again, and what is left alone because another manager holds it."""
    again: list[Reapply] = []
    left_alone: list[Drift] = []
    namespace = profile.namespace.name
    mended = {one.path for one in seen.repairs}
    for drift in find_drift(kube, release, namespace, profile.platform_owned):
        step = Reapply(release, namespace, drift, force=bool(drift.owners))
        if all(manager == FIELD_MANAGER for manager, _ in drift.owners):
            # An earlier repair of ours, or nobody: the release is right, and Helm is to hold what it has.
            again.append(step)
        elif manifest_object(step, kube)[0] not in mended:
            left_alone.append(drift)
    return again, left_alone


def changes(kube: Kube, mending: Mending) -> tuple[Change, ...]:
    """What each repair would change, by server-side dry runs."""
    found = []
    for one in mending.seen.repairs:
        after = kube.patch(one.path, one.body, kind=one.kind, field_manager=FIELD_MANAGER, dry_run=True)
        found.append(Change(one.what, _shown(kube.get(one.path)), _shown(after), one.repair))
    for made in mending.remember:
        name, revision = made.release.name, made.release.revision
        before = {NETWORKS: made.present} if made.present is not None else {}
        what = f"Helm release {name}: {NETWORKS} in its values, as revision {revision}"
        found.append(Change(what, before, {NETWORKS: made.wished}, Repair.HELM_VALUES))
    for step in mending.reapply:
        path, body = manifest_object(step, kube)
        after = kube.apply(path, body, field_manager=HELM_MANAGER, force=step.force, dry_run=True)
        what = f"{step.drift.object} of release {step.release.name}"
        found.append(Change(what, _shown(kube.get(path)), _shown(after), of_step(step)))
    return tuple(found)


def carry_out(kube: Kube, mending: Mending) -> None:
    """Write every repair; raises Conflict (Temporary) where an object changed since it was looked at."""
    # Not by `apply.patch`, which logs each as the functions do, on the stdout that is a command's own here.
    for made in mending.remember:
        namespace, name = (made.before["metadata"][key] for key in ("namespace", "name"))
        secrets = f"/api/v1/namespaces/{namespace}/secrets"
        # The new one first: of two deployed revisions Helm takes the newer.
        kube.create(secrets, made.secret, field_manager=HELM_STORAGE)
        kube.patch(f"{secrets}/{name}", stored.superseded(made.before), field_manager=HELM_STORAGE)
    for patch in mending.seen.repairs:
        kube.patch(patch.path, patch.body, kind=patch.kind, field_manager=FIELD_MANAGER)
    for step in mending.reapply:
        reapply(step, kube)


def _shown(obj: Mapping[str, Any] | None) -> dict[str, Any]:
    if obj is None:
        return {}
    metadata = {
        key: obj["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in obj["metadata"]
    }
    if "annotations" in metadata:
        metadata["annotations"] = {key: text for key, text in metadata["annotations"].items() if key != _LAST_APPLIED}
    kept = {key: value for key, value in obj.items() if key not in ("metadata", "status")}
    if obj.get("kind") == "Secret":
        kept["data"] = {
            key: f"({len(base64.b64decode(value))} bytes)" for key, value in (obj.get("data") or {}).items()
        }
    return {**kept, "metadata": metadata}
