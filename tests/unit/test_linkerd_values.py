"""Linkerd's Helm values, computed from a cluster."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from shared.mesh.linkerd.certificates import ServingCertificate, Webhook, new_serving_certificate
from shared.mesh.linkerd.values import computed_values, heartbeat_schedule

CLUSTER = "projects/shop/locations/europe-west1/clusters/eu-1"
NETWORKS = "10.0.0.0/8,34.118.224.0/20"


@pytest.fixture(scope="module")
def webhooks() -> dict[Webhook, ServingCertificate]:
    now = dt.datetime(2026, 8, 21, tzinfo=dt.UTC)
    return {webhook: new_serving_certificate(webhook.service, "linkerd", now) for webhook in Webhook}


def test_the_values_are_the_charts(webhooks: dict[Webhook, ServingCertificate]) -> None:
    found = computed_values(cluster=CLUSTER, cluster_networks=NETWORKS, trust_anchors="PEM", webhooks=webhooks)
    assert found == {
        "clusterNetworks": NETWORKS,
        "identityTrustAnchorsPEM": "PEM",
        "identity": {"issuer": {"scheme": "kubernetes.io/tls"}},
        "heartbeatSchedule": heartbeat_schedule(CLUSTER),
        "proxyInjector": {"externalSecret": True, "caBundle": webhooks[Webhook.PROXY_INJECTOR].ca_bundle},
        "profileValidator": {"externalSecret": True, "caBundle": webhooks[Webhook.SP_VALIDATOR].ca_bundle},
        "policyValidator": {"externalSecret": True, "caBundle": webhooks[Webhook.POLICY_VALIDATOR].ca_bundle},
    }


def test_no_private_key_is_among_the_values(webhooks: dict[Webhook, ServingCertificate]) -> None:
    found = computed_values(cluster=CLUSTER, cluster_networks=NETWORKS, trust_anchors="PEM", webhooks=webhooks)
    text = json.dumps(found)
    assert "PRIVATE" not in text
    assert "BEGIN CERTIFICATE" in text


def test_the_heartbeats_minute_is_the_clusters_own() -> None:
    assert heartbeat_schedule(CLUSTER) == "40 18 * * *"
    others = {heartbeat_schedule(f"{CLUSTER}{number}") for number in range(200)}
    assert len(others) > 150
    for line in others:
        minute, hour, *rest = line.split()
        assert (0 <= int(minute) < 60, 0 <= int(hour) < 24, rest) == (True, True, ["*", "*", "*"])
