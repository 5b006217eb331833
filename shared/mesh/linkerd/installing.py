"""What Linkerd needs before Helm: its certificates, and values computed from the cluster."""

from __future__ import annotations

import datetime as dt
from typing import Any

from shared import gke
from shared.kube import Kube
from shared.mesh import priority_class
from shared.mesh.hooks import Prepared, Ranges, TrustStore
from shared.mesh.linkerd import networks, repairs, secrets, trusting, values
from shared.mesh.profile import ExtensionProfile, Profile
from shared.model import MeshSettings

VIZ = "linkerd-viz"
_CONFIG = "linkerd-config"
_CONTROL_PLANE = "linkerd-control-plane"
_VIZ_SERVICES = {"tap": "tap", "tap-injector": "tapInjector"}
"""What serves TLS of its own, by Service: its key in the chart's values."""


def chart_version(version: str) -> str:
    """The chart version of an edge release: `edge-26.6.3` is chart `2026.6.3` (bin/helm-build); others are as is."""
    return f"20{version.removeprefix('edge-')}" if version.startswith("edge-") else version


def example_values(wish: MeshSettings) -> dict[str, dict[str, Any]]:
    """What the control plane is given, with words in place of certificates, for a chart to be rendered by."""
    return {_CONTROL_PLANE: values.settings_values(wish) | values.example_values()}


def prepare(
    kube: Kube, profile: Profile, cluster: gke.Cluster, store: TrustStore, now: dt.datetime, wish: MeshSettings
) -> Prepared:
    """Read or make the certificates, and compute the values of the control plane.

    The fleet's trust anchors come from the store; the cluster's issuer and the webhooks' certificates live in the
    cluster, so that every rerun renders the same bytes.

    Raises:
        Temporary: an API can't answer now.
        Permanent: the fleet's trust can't be read or has expired.
    """
    namespace = profile.namespace.name
    found = trusting.look(kube, namespace, store.trust(now))
    trust, issuer = trusting.wished(found, str(cluster.ref), store, now)
    wished = secrets.wished(found.kept, issuer, namespace, now)
    config = kube.get(f"/api/v1/namespaces/{namespace}/configmaps/{_CONFIG}")
    computed = values.settings_values(wish) | values.computed_values(
        cluster=str(cluster.ref),
        cluster_networks=_networks(cluster, _live_networks(config), wish),
        trust_anchors=trust.trust_anchors,
        webhooks=wished.webhooks,
    )
    return Prepared(
        secrets=wished.to_write,
        values={_CONTROL_PLANE: computed},
        ours=repairs.fields(profile.deployments),
        objects=_priority_class(kube, wish),
        waits_for=trust.waits_for,
    )


def _priority_class(kube: Kube, wish: MeshSettings) -> tuple[dict[str, Any], ...]:
    name = wish.priority_class
    made = priority_class.to_write(name, kube.get(priority_class.path_of(name))) if name else None
    return (made,) if made is not None else ()


def prepare_extension(kube: Kube, extension: ExtensionProfile, now: dt.datetime) -> Prepared:
    """Read or make what an extension serves: of viz, tap's API server and the tap injector's webhook.

    The chart would make certificates for a year at every rendering (viz/charts/linkerd-viz/templates/tap-rbac.yaml).

    Raises:
        Temporary: the API server can't answer now.
    """
    if extension.name != VIZ:
        return Prepared(secrets=(), values={}, ours=())
    namespace = extension.namespace.name
    listed = kube.list_items(f"/api/v1/namespaces/{namespace}/secrets", field_selector="type=kubernetes.io/tls")
    kept = {str(secret["metadata"]["name"]): secret for secret in listed}
    serving, to_write = secrets.wished_serving(kept, _VIZ_SERVICES, namespace, now)
    computed = {
        key: {"externalSecret": True, "caBundle": serving[service].ca_bundle} for service, key in _VIZ_SERVICES.items()
    }
    return Prepared(secrets=to_write, values={VIZ: computed}, ours=())


def _networks(cluster: Ranges, live: str, wish: MeshSettings) -> str:
    return wished_networks(cluster, live) if wish.cluster_networks == "computed" else ""


def _live_networks(config: dict[str, Any] | None) -> str:
    if config is None:
        return ""
    return repairs.networks_in(str((config.get("data") or {}).get("values", "")))


def wished_networks(cluster: Ranges, live: str, extra: tuple[str, ...] = ()) -> str:
    """The chart's networks, the cluster's pod and Service ranges, what the cluster already says, and `extra`.

    A live value that Linkerd itself can't read is left out: the union mends it.
    """
    try:
        kept = [str(member) for member in networks.parse(live).members]
    except networks.NetworksError:
        kept = []
    ranges = [*cluster.pod_ranges, *cluster.service_ranges, *kept, *extra]
    return networks.union(networks.DEFAULT_NETWORKS, ranges)
