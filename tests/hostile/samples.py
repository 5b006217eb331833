"""What is as it should be, before it is mutated; and YAML that means harm."""

from __future__ import annotations

import zlib

import yaml

POLICY = {
    "schema": 1,
    "rules": [
        {
            "name": "shops",
            "match": {
                "projects": ["shop-*"],
                "locations": ["europe-*"],
                "names": ["[a-c]*", "eu-?"],
                "labels": {"team": "pay*"},
                "autopilot": True,
                "releaseChannel": ["REGULAR"],
            },
            "mesh": "linkerd",
            "version": "edge-26.6.3",
            "netAdmin": "required",
            "mode": "enforce",
            "ha": True,
            "viz": False,
            "clusterNetworks": "computed",
        },
        {"name": "others", "mesh": "none", "mode": "audit", "reason": "not yet"},
    ],
}
CLUSTER = {
    "name": "checkout",
    "status": "RUNNING",
    "location": "europe-west1",
    "endpoint": "203.0.113.7",
    "autopilot": {"enabled": True, "workloadPolicyConfig": {"allowNetAdmin": True}},
    "resourceLabels": {"team": "pay"},
    "masterAuth": {"clusterCaCertificate": "QUFBQQ=="},
    "clusterIpv4Cidr": "10.4.0.0/14",
    "servicesIpv4Cidr": "34.118.224.0/20",
    "ipAllocationPolicy": {"clusterIpv4CidrBlock": "10.4.0.0/14", "servicesIpv4CidrBlock": "/20"},
    "nodePools": [{"name": "p", "networkConfig": {"podIpv4CidrBlock": "10.8.0.0/14"}}],
    "controlPlaneEndpointsConfig": {
        "dnsEndpointConfig": {"endpoint": "gke-1.europe-west1.gke.goog", "allowExternalTraffic": True},
        "ipEndpointsConfig": {"enabled": True, "enablePublicEndpoint": True, "publicEndpoint": "203.0.113.7"},
    },
    "releaseChannel": {"channel": "REGULAR"},
    "currentMasterVersion": "1.33.1-gke.1",
    "etag": "e1",
}
MANIFEST = "---\n# Source: a/b.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: linkerd\n"
RELEASE = {
    "name": "linkerd-control-plane",
    "version": 3,
    "info": {"status": "deployed"},
    "chart": {"metadata": {"name": "linkerd-control-plane", "version": "2026.6.3", "appVersion": "edge-26.6.3"}},
    "manifest": MANIFEST,
    "config": {"clusterNetworks": "10.0.0.0/8"},
}
NETWORKS = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8,::ffff:10.0.0.0/104"
LINKERD_CONFIG = yaml.safe_dump(
    {
        "clusterNetworks": NETWORKS,
        "cniEnabled": False,
        "highAvailability": False,
        "identity": {"issuer": {"scheme": "kubernetes.io/tls"}},
        "identityTrustAnchorsPEM": "PEM",
        "linkerdVersion": "edge-26.6.3",
        "proxyInit": {"runAsRoot": False},
    }
)
STDERR = (
    "Error: UPGRADE FAILED: conflict occurred while applying object linkerd/x: Apply failed with 1 conflict: conflict "
    'with "kubectl-edit" using v1: .data.values; admission webhook '
    '"warden-validating.common-webhooks.networking.gke.io"'
    " denied the request: GKE Warden rejected the request because it violates one or more constraints.\n"
)
STATUS = {
    "kind": "Status",
    "message": 'admission webhook "w" denied the request: no',
    "reason": "Conflict",
    "code": 409,
    "metadata": {"continue": "t"},
    "details": {"causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "x"', "field": ".a"}]},
}
BOMBS = (
    "a0: &a0 [x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
    "a: &a [*a]",
    "a: &a {b: *a}",
    "[" * 60_000,
    "{a: " * 30_000,
    "- " * 60_000 + "a",
    "? " * 60_000 + "a",
    "a: 1" + ":59" * 20_000,
    "a: 0x" + "f" * 20_000,
    "a: 2001-99-99",
    "a: !!timestamp x",
    "a: !!python/object/apply:os.system [id]",
    "a: !!binary '!'",
    "<<: x",
    "? [a]\n: b",
    "\n".join(" " * depth + "a:" for depth in range(300)),
)
"""YAML that means harm."""


def _zipped_bomb() -> bytes:
    """More of nothing than anything may unpack to."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunk = b"\0" * 1024 * 1024
    return b"".join([*(packing.compress(chunk) for _ in range(64)), packing.flush()])


ZIPPED_BOMB = _zipped_bomb()
