"""A certificate authority of the local cloud's own: for its servers, and for the clients of its clusters."""

from __future__ import annotations

import dataclasses
import datetime as dt
import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "Issued", "make_key", "write_private"]

# A clock set back a little, as a virtual machine's may be, must not make a new certificate look unborn.
_BACKDATED = dt.timedelta(hours=1)
_LIFETIME = dt.timedelta(days=365)


@dataclasses.dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, both PEM; the key is PKCS #8 and not encrypted."""

    certificate: bytes
    key: bytes = dataclasses.field(repr=False)

    def save(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Writes NAME.crt and NAME.key (the key for its owner only) and returns both paths."""
        paths = folder / f"{name}.crt", folder / f"{name}.key"
        paths[0].write_bytes(self.certificate)
        write_private(paths[1], self.key)
        return paths


class Authority:
    """Issues certificates with P-256 keys, valid for a year, from an hour before now."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, common_name: str) -> Self:
        """A new authority with a new key; its own certificate is self-signed."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(common_name, ())
        certificate = (
            _builder(subject, subject, key.public_key(), key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @property
    def pem(self) -> bytes:
        """The authority's certificate: what those who trust it need."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def issued(self) -> Issued:
        """The authority's certificate with its key, for a program that signs with it."""
        return Issued(self.pem, _key_pem(self._key))

    def server(self, names: Iterable[str]) -> Issued:
        """A server's certificate for DNS names and IP addresses, the first of which is its common name.

        Raises:
            ValueError: there are no names.
        """
        alternatives = list(dict.fromkeys(names))
        if not alternatives:
            raise ValueError("a server certificate needs at least one DNS name or IP address")
        san = x509.SubjectAlternativeName([_alternative(name) for name in alternatives])
        return self._issue(_name(alternatives[0], ()), ExtendedKeyUsageOID.SERVER_AUTH, san)

    def client(self, common_name: str, organisations: Iterable[str] = ()) -> Issued:
        """A client's certificate; Kubernetes reads the common name as the user and the organisations as its groups."""
        return self._issue(_name(common_name, organisations), ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def _issue(
        self,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None,
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject, self._certificate.subject, key.public_key(), self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def make_key() -> tuple[bytes, bytes]:
    """A new P-256 key pair for signing tokens: the private and the public PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo,
    )
    return _key_pem(key), public


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner can read, from its first byte on; replaces one that is there."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
        # Python 3.13 verifies strictly by RFC 5280: both key identifiers must be there.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _name(common_name: str, organisations: Iterable[str]) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation) for organisation in organisations),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ],
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
