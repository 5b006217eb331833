"""Reading PEM: certificates, their times and their keys."""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.errors import Permanent
from shared.mesh.fold.pem import certificate


class UnreadableCertificate(Permanent):
    """PEM or a payload that can't be used; the text says which part, never what it holds."""

    def __init__(self, problem: str, *, remedy: str = "") -> None:
        super().__init__("UnreadableCertificate", problem, remedy=remedy)


def certificates_of(pem: str, what: str) -> list[x509.Certificate]:
    """The certificates of a PEM text, at least one.

    Raises:
        UnreadableCertificate: there is none, or one can't be parsed; `what` names the text.
    """
    try:
        found = x509.load_pem_x509_certificates(pem.encode(errors="replace"))
        return [certificate(one.public_bytes(serialization.Encoding.DER)) for one in found]
    except (ValueError, x509.InvalidVersion):
        raise UnreadableCertificate(f"{what} can't be read as PEM") from None


def certificate_of(pem: str, what: str) -> x509.Certificate:
    """The first certificate of a PEM text, which is the leaf of a chain; raises as `certificates_of` does."""
    return certificates_of(pem, what)[0]


def pem_of(certificate: x509.Certificate) -> str:
    """A certificate as PEM, with a newline at its end."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def private_key_of(pem: str, what: str) -> ec.EllipticCurvePrivateKey:
    """The EC key of a PEM text.

    Raises:
        UnreadableCertificate: there is none; nothing of the text is repeated.
    """
    try:
        key = serialization.load_pem_private_key(pem.encode(errors="replace"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnreadableCertificate(f"{what} can't be read as PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UnreadableCertificate(f"{what} is no elliptic-curve key")
    return key


def check_pair(certificate_pem: str, private_key_pem: str, what: str) -> None:
    """Make sure that a key is its certificate's.

    Raises:
        UnreadableCertificate: one can't be read, or they don't belong together.
    """
    public = certificate_of(certificate_pem, f"{what}'s certificate").public_key()
    if private_key_of(private_key_pem, f"{what}'s private key").public_key() != public:
        raise UnreadableCertificate(f"{what}'s private key doesn't belong to its certificate")


def expiry(certificate_pem: str) -> dt.datetime:
    """When a certificate ends, in UTC."""
    return certificate_of(certificate_pem, "the certificate").not_valid_after_utc


def valid_at(certificate_pem: str, now: dt.datetime) -> bool:
    """Whether `now` lies within a certificate's time."""
    certificate = certificate_of(certificate_pem, "the certificate")
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def needs_renewal(certificate_pem: str, now: dt.datetime, threshold: dt.timedelta) -> bool:
    """Whether less than `threshold` is left of a certificate's time."""
    return expiry(certificate_pem) - now < threshold
