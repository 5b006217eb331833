"""Certificates as Linkerd's own tools read and judge them, one at a time; chains are next door.

Pure; the clock is passed in. Facts: linkerd2 pkg/tls/{codec,cred}.go and pkg/issuercerts/issuercerts.go.
"""

from __future__ import annotations

import datetime as dt
import functools

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from shared.mesh.fold.pem import certificate, next_block, spki
from shared.mesh.snapshot import PublicKey

Certificate = x509.Certificate

SOON = dt.timedelta(days=60)
"""From here on an expiry is worth a warning (issuercerts.go, expirationWarningThresholdInDays)."""
_P256 = 256
_RSA_SIZES = (2048, 4096)

_SIGNATURES = {
    SignatureAlgorithmOID.RSA_WITH_SHA1: "SHA1-RSA",
    SignatureAlgorithmOID.RSA_WITH_SHA256: "SHA256-RSA",
    SignatureAlgorithmOID.RSA_WITH_SHA384: "SHA384-RSA",
    SignatureAlgorithmOID.RSA_WITH_SHA512: "SHA512-RSA",
    SignatureAlgorithmOID.ECDSA_WITH_SHA1: "ECDSA-SHA1",
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: "ECDSA-SHA256",
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: "ECDSA-SHA384",
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: "ECDSA-SHA512",
    SignatureAlgorithmOID.ED25519: "Ed25519",
}


class PemError(ValueError):
    """A text that can't be read as PEM certificates; `str()` is the sentence that `linkerd check` prints."""


@functools.lru_cache(maxsize=64)
def read_certificates(pem: str) -> tuple[Certificate, ...]:
    """The certificates of a PEM text up to the first block that is none.

    Raises:
        PemError: something that is no PEM block is left, a blank line at the end too; or a certificate is malformed.
    """
    found: list[Certificate] = []
    rest = pem
    while rest:
        block = next_block(rest)
        if block is None:
            raise PemError("not a PEM certificate")
        if block.type != "CERTIFICATE":
            break
        try:
            found.append(certificate(block.der))
        except ValueError as error:
            raise PemError("x509: malformed certificate") from error
        rest = block.rest
    return tuple(found)


def readable(pem: str) -> tuple[Certificate, ...]:
    """The certificates of a PEM text; none where it can't be read, which is somebody else's to say."""
    try:
        return read_certificates(pem)
    except PemError:
        return ()


def belongs(key: PublicKey, certificate: Certificate) -> bool:
    """Whether a key is its certificate's."""
    public = certificate.public_key()
    return isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) and spki(public) == key.spki


def signed_by(certificate: Certificate, anchor: Certificate) -> bool:
    """Whether `anchor` itself signed a certificate; times are not looked at."""
    try:
        certificate.verify_directly_issued_by(anchor)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def listed(certificate: Certificate, fault: str) -> str:
    """A line about one of several certificates: its serial number, its common name, what is wrong."""
    return f"* {certificate.serial_number} {common_name(certificate)} {fault}"


def common_name(certificate: Certificate) -> str:
    """The last CN of its subject; "" where it has none."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[-1].value) if found else ""


def rfc3339(moment: dt.datetime) -> str:
    """A UTC moment in whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def validity_fault(certificate: Certificate, now: dt.datetime) -> str:
    """Why it isn't valid at `now`; "" where it is."""
    if certificate.not_valid_before_utc > now:
        return f"not valid before: {rfc3339(certificate.not_valid_before_utc)}"
    if certificate.not_valid_after_utc < now:
        return f"not valid anymore. Expired on {rfc3339(certificate.not_valid_after_utc)}"
    return ""


def expiry_fault(certificate: Certificate, now: dt.datetime) -> str:
    """When it expires, if within `SOON`; else ""."""
    expiry = certificate.not_valid_after_utc
    return f"will expire on {rfc3339(expiry)}" if now + SOON > expiry else ""


def anchor_algorithm_fault(certificate: Certificate) -> str:
    """Why Linkerd can't use it as a trust anchor: ECDSA P-256 or RSA 2048/4096, signed with SHA-256."""
    key, signature = certificate.public_key(), signature_name(certificate)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _ecdsa_fault(key, signature)
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size not in _RSA_SIZES:
            return f"RSA must use a 2048 or 4096 bit public key, instead {key.key_size} bit public key was used"
        if signature != "SHA256-RSA":
            return f"must be signed by an RSA 2048/4096 bit key, instead {signature} was used"
        return ""
    return f"trust anchor must use ECDSA or RSA for public key algorithm, instead {_key_name(key)} was used"


def issuer_algorithm_fault(certificate: Certificate) -> str:
    """Why Linkerd can't use it as an issuer: ECDSA P-256, signed with SHA-256."""
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _ecdsa_fault(key, signature_name(certificate))
    return f"issuer certificate must use ECDSA for public key algorithm, instead {_key_name(key)} was used"


def _ecdsa_fault(key: ec.EllipticCurvePublicKey, signature: str) -> str:
    if key.curve.key_size != _P256:
        return f"must use P-256 curve for public key, instead P-{key.curve.key_size} was used"
    if signature not in ("ECDSA-SHA256", "SHA256-RSA"):
        return f"must be signed by an ECDSA P-256 key, instead {signature} was used"
    return ""


def signature_name(certificate: Certificate) -> str:
    """The signature algorithm as Go names it; an unknown one by its OID."""
    oid = certificate.signature_algorithm_oid
    return _SIGNATURES.get(oid, oid.dotted_string)


def _key_name(key: object) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA"
    return type(key).__name__.removesuffix("PublicKey").lstrip("_")
