"""The JSON that Secret Manager keeps: the fleet's trust.

    {"schema": 1, "trust_anchors": "<PEM bundle>", "signing": {"certificate": "<PEM>", "private_key": "<PEM>"}}

A bundle and not one certificate, so that a new anchor can be trusted everywhere before it signs its first issuer.
"""

from __future__ import annotations

from typing import Any

import msgspec
from cryptography import x509

from shared.decoding import prepare
from shared.mesh.linkerd.certificates.credentials import AnchorPayload, TrustAnchor
from shared.mesh.linkerd.certificates.pem import UnreadableCertificate, certificate_of, certificates_of, check_pair

SCHEMA = 1
"""Newest form that this version understands."""
_PAYLOAD = "the fleet's trust payload"
_REMEDY = "look at the newest version of the secret named by BYOMESH_TRUST_ANCHOR_SECRET"


class _Signing(msgspec.Struct):
    certificate: str
    private_key: str


class _Payload(msgspec.Struct):
    schema: int
    trust_anchors: str
    signing: _Signing


prepare(_Payload)


def encode_anchor(fleet: AnchorPayload) -> bytes:
    """The payload of a fleet's trust; it holds the signing key, so it goes nowhere but into Secret Manager."""
    signing = _Signing(fleet.signing.certificate_pem, fleet.signing.private_key_pem)
    return msgspec.json.encode(_Payload(SCHEMA, fleet.trust_anchors, signing))


def decode_anchor(payload: bytes) -> AnchorPayload:
    """Read the payload; unknown fields are ignored.

    Raises:
        UnreadableCertificate: it isn't such a payload, comes from the future, its key isn't its certificate's, or the
            signing anchor is no CA or missing from the bundle.
    """
    try:
        # The schema before the shape: another schema may have other fields.
        version = msgspec.json.decode(payload, type=dict[str, Any]).get("schema")
        if isinstance(version, int) and version > SCHEMA:
            raise UnreadableCertificate(f"{_PAYLOAD} has schema {version}", remedy="deploy a newer version of byomesh")
        read = msgspec.json.decode(payload, type=_Payload)
    except msgspec.ValidationError as error:
        # msgspec names types and paths, never a value.
        raise UnreadableCertificate(f"{_PAYLOAD} can't be used: {error}", remedy=_REMEDY) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UnreadableCertificate(f"{_PAYLOAD} is not JSON", remedy=_REMEDY) from None
    signing = TrustAnchor(read.signing.certificate, read.signing.private_key)
    check_pair(signing.certificate_pem, signing.private_key_pem, "the signing trust anchor")
    certificate = certificate_of(signing.certificate_pem, "the signing trust anchor")
    if certificate not in certificates_of(read.trust_anchors, "the bundle of trust anchors"):
        raise UnreadableCertificate("the signing trust anchor isn't among the trust anchors", remedy=_REMEDY)
    if not _is_authority(certificate):
        raise UnreadableCertificate("the signing trust anchor is no CA", remedy=_REMEDY)
    return AnchorPayload(read.trust_anchors, signing)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
