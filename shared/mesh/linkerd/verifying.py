"""Linkerd judged and mended: what `linkerd check` asks, and the one repair that needs no Helm."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from shared.cluster import Cluster
from shared.kube import Kube
from shared.mesh.hooks import Ranges, Verification
from shared.mesh.linkerd import checks, networks, renewals, repairs
from shared.mesh.linkerd.checks.viz import answers
from shared.mesh.linkerd.injecting import stale_of
from shared.mesh.linkerd.installing import wished_networks
from shared.mesh.linkerd.lacking import lacking
from shared.mesh.linkerd.proving import proven
from shared.mesh.linkerd.remedies import About, remedies
from shared.mesh.observe import observe
from shared.mesh.ownership import is_ours
from shared.mesh.patch import Patch
from shared.mesh.profile import Profile
from shared.mesh.snapshot import MeshSnapshot
from shared.model import MeshSettings, Repair

_CONFIG = "linkerd-config"
_OVERRIDES = "linkerd-config-overrides"


def look(
    kube: Kube, profile: Profile, ranges: Ranges, now: dt.datetime, expected_version: str | None, wish: MeshSettings
) -> Verification:
    """Observe, judge, and find the network repair; raises Temporary where the API server can't answer."""
    snapshot = proven(kube, observe(kube, namespace=profile.namespace.name))
    version = snapshot.config.version if snapshot.config is not None else ""
    wanted = (*checks.POST_INSTALL, *checks.BEYOND)
    expected = expected_version or version or None
    report = checks.run(snapshot, now, expected_version=expected, categories=wanted)
    if snapshot.viz is not None and snapshot.viz.ours and answers(snapshot.viz):
        # One of others is theirs to mend, and one that starts is waited for.
        report = checks.with_viz(report, snapshot, now, expected_version=expected)
    foreign = _foreign(snapshot)
    computed = wish.cluster_networks == "computed"
    about = About(
        ours=not foreign,
        computed=computed,
        autopilot=ranges.autopilot if isinstance(ranges, Cluster) else None,
        cluster=ranges.ref if isinstance(ranges, Cluster) else None,
    )
    wished = _wished(profile, ranges, snapshot) if computed else ""
    return Verification(
        report=report,
        repairs=_network_repairs(kube, profile, snapshot, wished) if wished else (),
        networks=wished,
        version=version,
        foreign=foreign,
        remedies=remedies(report, about),
        due=() if foreign or snapshot.config is None else _due(snapshot, profile, now),
        stale=stale_of(snapshot),
        notes=() if foreign else tuple(str(one) for one in renewals.due(snapshot, now) if not one.automatic),
    )


_RENEWALS = {
    renewals.Credential.ISSUER: Repair.ISSUER_RENEWAL,
    renewals.Credential.SERVING: Repair.SERVING_CERTIFICATE_RENEWAL,
}


def _due(snapshot: MeshSnapshot, profile: Profile, now: dt.datetime) -> tuple[Repair, ...]:
    """What is to be repaired though no check says so."""
    labels = next((one.labels for one in snapshot.namespaces if one.name == snapshot.namespace), {})
    unlabelled = any(labels.get(key) != value for key, value in profile.namespace.labels.items())
    ending = (_RENEWALS[one.credential] for one in renewals.due(snapshot, now) if one.automatic)
    found = ((Repair.NAMESPACE_LABELS,) if unlabelled else ()) + lacking(snapshot)
    return tuple(dict.fromkeys((*found, *ending)))


def _foreign(snapshot: MeshSnapshot) -> tuple[str, ...]:
    if snapshot.config is None:
        return ()
    labels = next((one.labels for one in snapshot.namespaces if one.name == snapshot.namespace), {})
    return () if is_ours(labels) else (snapshot.config.managers or ("nobody known",))


def _wished(profile: Profile, ranges: Ranges, snapshot: MeshSnapshot) -> str:
    """The networks that every place should say: what the cluster says where that will do; "" where there is no mesh."""
    if snapshot.config is None or snapshot.config.values is None:
        return ""
    live = snapshot.config.networks or ""
    wished = wished_networks(ranges, live, _uncovered(snapshot, ranges, live))
    return live if repairs.covers(live, wished) and _held(snapshot, profile) <= {live} else wished


def _held(snapshot: MeshSnapshot, profile: Profile) -> set[str]:
    """The networks that the control plane's Deployments and the CLI's overrides hold."""
    ours = [one for one in snapshot.deployments if one.name in profile.deployments]
    held = {copy.value for deployment in ours for copy in deployment.networks}
    # What the overrides don't say, the chart's default says at the next `linkerd upgrade`.
    overrides = snapshot.overrides
    return held | ({overrides.networks or networks.DEFAULT_NETWORKS} if overrides is not None else set())


def _network_repairs(kube: Kube, profile: Profile, snapshot: MeshSnapshot, wished: str) -> tuple[Patch, ...]:
    config = snapshot.config
    if config is None or _held(snapshot, profile) | {config.networks or ""} == {wished}:
        return ()
    base = f"/api/v1/namespaces/{profile.namespace.name}"
    found = kube.get(f"{base}/configmaps/{_CONFIG}")
    if found is None:
        return ()
    overrides = kube.get(f"{base}/secrets/{_OVERRIDES}") if snapshot.overrides is not None else None
    deployments = kube.list_items(f"/apis/apps/v1/namespaces/{profile.namespace.name}/deployments")
    return repairs.network_patches(
        found, [one for one in deployments if one["metadata"]["name"] in profile.deployments], overrides, wished
    )


def amended(manifest: Iterable[Mapping[str, Any]], wished: str) -> tuple[dict[str, Any], ...]:
    """The objects of a release's stored manifest that say other networks, as they are when they say `wished`."""
    return repairs.amended(manifest, wished)


def _uncovered(snapshot: MeshSnapshot, ranges: Ranges, live: str) -> tuple[str, ...]:
    """Ranges that cover every node, pod and Service of the cluster that `live` leaves out."""
    try:
        parsed = networks.parse(live)
    except networks.NetworksError:
        parsed = networks.parse(networks.DEFAULT_NETWORKS)
    node_ranges = [node.pod_cidr for node in snapshot.nodes if node.pod_cidr]
    addresses = [
        *node_ranges,
        *(pod.ip for pod in snapshot.pods.first),
        *(service.ip for service in snapshot.services.first),
    ]
    return networks.missing(parsed, addresses, [*ranges.pod_ranges, *ranges.service_ranges], node_ranges)
