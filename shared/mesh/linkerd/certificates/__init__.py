"""Linkerd's certificates: the fleet's trust anchor, a cluster's issuer, what the webhooks serve; pure, clock passed in.

    trust anchor (one a fleet, 10 years) -> issuer (one a cluster, 1 year) -> each proxy's, a day, by Linkerd
    serving certificates (one a webhook, 10 years): self-signed, trusted by the webhook's own caBundle

Everything is ECDSA P-256 with SHA-256, the only kind that Linkerd takes of an issuer (pkg/issuercerts/issuercerts.go,
CheckIssuerCertAlgoRequirements). Private keys are PKCS#8 PEM (pkg/tls/codec.go, DecodePEMKey, reads it) and stay out of
every repr and error. Renewal is early: `linkerd check` warns 60 days before expiry, an issuer is renewed 120 days
before, so an automation that is dead for 30 days lets nothing expire and no warning appear.
"""

from shared.mesh.linkerd.certificates.credentials import (
    AnchorPayload,
    Issuer,
    IssuerRequest,
    ServingCertificate,
    TrustAnchor,
    Webhook,
)
from shared.mesh.linkerd.certificates.issuing import (
    ISSUER_NAME,
    current_serving_certificate,
    issued_by,
    new_anchor_payload,
    new_issuer,
    new_issuer_request,
    new_serving_certificate,
    new_trust_anchor,
    public_key_of,
    sign_issuer,
)
from shared.mesh.linkerd.certificates.payload import decode_anchor, encode_anchor
from shared.mesh.linkerd.certificates.pem import (
    UnreadableCertificate,
    certificate_of,
    certificates_of,
    check_pair,
    expiry,
    needs_renewal,
    pem_of,
    valid_at,
)
from shared.mesh.linkerd.certificates.succession import RotationStep, next_step, stepped
from shared.mesh.linkerd.lifetimes import (
    ANCHOR_LIFETIME,
    ISSUER_LIFETIME,
    ISSUER_THRESHOLD,
    PREDECESSOR_THRESHOLD,
    SERVING_LIFETIME,
    SERVING_THRESHOLD,
)

__all__ = [
    "ANCHOR_LIFETIME",
    "ISSUER_LIFETIME",
    "ISSUER_NAME",
    "ISSUER_THRESHOLD",
    "PREDECESSOR_THRESHOLD",
    "SERVING_LIFETIME",
    "SERVING_THRESHOLD",
    "AnchorPayload",
    "Issuer",
    "IssuerRequest",
    "RotationStep",
    "ServingCertificate",
    "TrustAnchor",
    "UnreadableCertificate",
    "Webhook",
    "certificate_of",
    "certificates_of",
    "check_pair",
    "current_serving_certificate",
    "decode_anchor",
    "encode_anchor",
    "expiry",
    "issued_by",
    "needs_renewal",
    "new_anchor_payload",
    "new_issuer",
    "new_issuer_request",
    "new_serving_certificate",
    "new_trust_anchor",
    "next_step",
    "pem_of",
    "public_key_of",
    "sign_issuer",
    "stepped",
    "valid_at",
]
