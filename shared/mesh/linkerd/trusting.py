"""What a cluster trusts at the moment, read; and what it should, decided with the store that signs."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import msgspec

from shared.kube import Kube
from shared.mesh.fleet_trust import FleetTrust
from shared.mesh.fold import names
from shared.mesh.hooks import TrustStore
from shared.mesh.linkerd import proxy_trust, rotation, secrets
from shared.mesh.linkerd.certificates import Issuer

_ROOTS = "linkerd-identity-trust-roots"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a cluster's trust.

    Attributes:
        fleet: what the fleet trusted at that moment.
        kept: the TLS Secrets of the mesh's namespace, and the issuer's whatever its type, by name; never shown.
        cluster: issuer and published anchors.
        proxies: what the running proxies trust; empty where `rotation.needs_proxies` says no.
    """

    fleet: FleetTrust
    kept: dict[str, dict[str, Any]]
    cluster: rotation.ClusterTrust
    proxies: proxy_trust.ProxyTrust

    def __repr__(self) -> str:
        return f"Found({self.cluster!r}, {self.proxies!r})"


def look(kube: Kube, namespace: str, fleet: FleetTrust, *, always_proxies: bool = False) -> Found:
    """Read what a cluster trusts; raises Temporary where the API server can't answer.

    Args:
        kube: the cluster's API server.
        namespace: the control plane's.
        fleet: what the fleet trusts.
        always_proxies: whether to look at the proxies even where no decision depends on them.
    """
    kept = _kept_secrets(kube, namespace)
    roots = kube.get(f"/api/v1/namespaces/{namespace}/configmaps/{_ROOTS}")
    published = str(((roots or {}).get("data") or {}).get("ca-bundle.crt", ""))
    had = secrets.kept_issuer(kept, published)
    cluster = rotation.ClusterTrust(
        issuer=had,
        issued=secrets.issued(kept.get(secrets.ISSUER_SECRET), had),
        published=published or (had.trust_anchors if had is not None else ""),
    )
    proxies = proxy_trust.ProxyTrust()
    if always_proxies or rotation.needs_proxies(cluster, fleet):
        pods = kube.list_items("/api/v1/pods", label_selector=f"{names.CONTROL_PLANE_NS}={namespace}")
        texts = [cluster.published, fleet.trust_anchors, *([had.trust_anchors] if had is not None else [])]
        proxies = proxy_trust.fold(pods, texts)
    return Found(fleet=fleet, kept=kept, cluster=cluster, proxies=proxies)


def wished(found: Found, cluster: str, store: TrustStore, now: dt.datetime) -> tuple[rotation.TrustDecision, Issuer]:
    """What the cluster is to publish, and its issuer with that bundle: the present one, or one that the store signs.

    Raises:
        Temporary: the store can't sign now.
        Permanent: the signing anchor has expired.
    """
    decision = rotation.decide(found.cluster, found.fleet, found.proxies, now)
    had = found.cluster.issuer
    if had is not None and not decision.signer:
        return decision, dataclasses.replace(had, trust_anchors=decision.trust_anchors)
    made = store.issue(cluster, decision.signer, now)
    return decision, Issuer(made.certificate_pem, made.private_key_pem, decision.trust_anchors)


def standing(kube: Kube, namespace: str, fleet: FleetTrust, now: dt.datetime) -> rotation.Standing:
    """How far a cluster has followed the fleet; raises as `look` does."""
    found = look(kube, namespace, fleet, always_proxies=True)
    return rotation.standing(found.cluster, fleet, found.proxies, now)


def _kept_secrets(kube: Kube, namespace: str) -> dict[str, dict[str, Any]]:
    path = f"/api/v1/namespaces/{namespace}/secrets"
    found = kube.list_items(path, field_selector="type=kubernetes.io/tls")
    kept = {str(secret["metadata"]["name"]): secret for secret in found}
    if secrets.ISSUER_SECRET not in kept:
        # One that Linkerd's own tools made is of another type.
        theirs = kube.get(f"{path}/{secrets.ISSUER_SECRET}")
        kept |= {secrets.ISSUER_SECRET: theirs} if theirs is not None else {}
    return kept
