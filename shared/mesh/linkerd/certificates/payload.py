"""The JSON that Secret Manager keeps: the fleet's trust.

    {"schema": 1, "trust_anchors": "<PEM bundle>", "signing": {"certificate": "<PEM>", "private_key": "<PEM>"},
     "standby": [{"certificate": "<PEM>", "private_key": "<PEM>"}]}

A bundle and not one certificate, so that a new anchor can be trusted everywhere before it signs its first issuer.
`standby` is there during a rotation only: who takes over next, or who still signs where a cluster isn't ready yet.
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


class _Payload(msgspec.Struct, omit_defaults=True):
    schema: int
    trust_anchors: str
    signing: _Signing
    standby: tuple[_Signing, ...] = ()


prepare(_Payload)


def encode_anchor(fleet: AnchorPayload) -> bytes:
    """The payload of a fleet's trust; it holds the signing key, so it goes nowhere but into Secret Manager."""
    signing, *standby = (_Signing(one.certificate_pem, one.private_key_pem) for one in (fleet.signing, *fleet.standby))
    return msgspec.json.encode(_Payload(SCHEMA, fleet.trust_anchors, signing, tuple(standby)))


def decode_anchor(payload: bytes) -> AnchorPayload:
    """Read the payload; unknown fields are ignored.

    Raises:
        UnreadableCertificate: it isn't such a payload, comes from the future, its key isn't its certificate's, or the
            signing anchor, or one on standby, is no CA or missing from the bundle.
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
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise UnreadableCertificate(f"{_PAYLOAD} is not JSON", remedy=_REMEDY) from None
    bundle = certificates_of(read.trust_anchors, "the bundle of trust anchors")
    signing = _anchor(read.signing, bundle, "the signing trust anchor")
    standby = tuple(_anchor(one, bundle, "a trust anchor on standby") for one in read.standby)
    return AnchorPayload(read.trust_anchors, signing, standby)


def _anchor(read: _Signing, bundle: list[x509.Certificate], what: str) -> TrustAnchor:
    check_pair(read.certificate, read.private_key, what)
    certificate = certificate_of(read.certificate, what)
    if certificate not in bundle:
        raise UnreadableCertificate(f"{what} isn't among the trust anchors", remedy=_REMEDY)
    if not _is_authority(certificate):
        raise UnreadableCertificate(f"{what} is no CA", remedy=_REMEDY)
    return TrustAnchor(read.certificate, read.private_key)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
