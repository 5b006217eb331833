"""Certificates of a mesh of ours that are gone or can't be read, where no check of `linkerd check` looks; pure.

The policy validator's certificate is only checked where its Secret exists, and a Secret that lost one of its keys is
noticed by pods that start, not by a check. An issuer that others keep (scheme kubernetes.io/tls) is held against the
ca.crt of its own Secret (pkg/issuercerts/issuercerts.go, FetchExternalIssuerData), not against what proxies trust.
"""

from __future__ import annotations

from shared.mesh.linkerd import trust
from shared.mesh.linkerd.certificates import Webhook
from shared.mesh.linkerd.secrets import ISSUER_SECRET, webhook_secret_name
from shared.mesh.snapshot import Credential, MeshSnapshot
from shared.model import Repair

_CERTIFICATE, _KEY, _AUTHORITY = "tls.crt", "tls.key", "ca.crt"


def lacking(snapshot: MeshSnapshot) -> tuple[Repair, ...]:
    """The repairs of the Secrets that don't hold what the installer writes into them."""
    found = []
    issuer = snapshot.credentials.get(ISSUER_SECRET)
    if not _whole(issuer) or not _trusted(issuer, snapshot.trust_roots or ""):
        found.append(Repair.ISSUER_RENEWAL)
    if not all(_whole(snapshot.credentials.get(webhook_secret_name(webhook))) for webhook in Webhook):
        found.append(Repair.SERVING_CERTIFICATE_RENEWAL)
    return tuple(found)


def _whole(credential: Credential | None) -> bool:
    if credential is None:
        return False
    key = credential.keys.get(_KEY)
    return key is not None and not key.fault and all(map(trust.readable, _pems(credential)))


def _trusted(issuer: Credential | None, roots: str) -> bool:
    """Whether one of the trust roots signed the issuer; True where they can't be read, which is another repair."""
    anchors = trust.readable(roots)
    (certificate, *_) = trust.readable(issuer.certificates.get(_CERTIFICATE, "") if issuer else "") or (None,)
    return certificate is None or not anchors or any(trust.signed_by(certificate, one) for one in anchors)


def _pems(credential: Credential) -> list[str]:
    return [credential.certificates.get(entry, "") for entry in (_CERTIFICATE, _AUTHORITY)]
