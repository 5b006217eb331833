"""Helm values for Linkerd's control plane that depend on the cluster; pure.

Paths are those of charts/linkerd-control-plane/values.yaml. Together with the profile's static values they leave the
chart nothing to make up: webhook certificates come from Secrets (`externalSecret`), the heartbeat's minute from the
cluster's name instead of from the clock, so that the same facts render the same bytes. No private key is among them,
for Helm keeps values in its release Secret and Linkerd copies them into the ConfigMap linkerd-config.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from shared.mesh.linkerd.certificates import ServingCertificate, Webhook
from shared.model import MeshSettings

ISSUER_SCHEME = "kubernetes.io/tls"
"""Linkerd's word for an issuer that others put into the Secret linkerd-identity-issuer."""


def computed_values(
    *, cluster: str, cluster_networks: str, trust_anchors: str, webhooks: Mapping[Webhook, ServingCertificate]
) -> dict[str, Any]:
    """The values, to be laid over the profile's static ones; equal facts give equal values.

    Args:
        cluster: the cluster's full resource name.
        cluster_networks: CIDRs with commas between, no spaces; "" leaves what the chart says.
        trust_anchors: PEM bundle.
        webhooks: what every webhook serves; only the CA bundles get into the values.
    """
    return {
        **({"clusterNetworks": cluster_networks} if cluster_networks else {}),
        "identityTrustAnchorsPEM": trust_anchors,
        "identity": {"issuer": {"scheme": ISSUER_SCHEME}},
        "heartbeatSchedule": heartbeat_schedule(cluster),
        **{
            webhook.values_key: {"externalSecret": True, "caBundle": webhooks[webhook].ca_bundle} for webhook in Webhook
        },
    }


def example_values() -> dict[str, Any]:
    """Values of the same form without a cluster: they render, and would install nothing that works."""
    words = "an example"
    certificate = ServingCertificate(certificate_pem="", private_key_pem="", ca_bundle=words)
    webhooks = dict.fromkeys(Webhook, certificate)
    return computed_values(cluster="", cluster_networks="", trust_anchors=words, webhooks=webhooks)


def settings_values(wish: MeshSettings) -> dict[str, Any]:
    """The values that the policy's own keys stand for; what they leave open is the chart's."""
    return {
        **({"proxyInit": {"iptablesMode": wish.iptables_mode}} if wish.iptables_mode else {}),
        **({"priorityClassName": wish.priority_class} if wish.priority_class else {}),
    }


def heartbeat_schedule(cluster: str) -> str:
    """A cron line: once a day, at a minute that the cluster's name decides, a fleet spread over the day."""
    minute = int.from_bytes(hashlib.sha256(cluster.encode()).digest()[:4], "big") % (24 * 60)
    return f"{minute % 60} {minute // 60} * * *"
