"""PEM as Go's encoding/pem reads it, and private keys read for their public halves (linkerd2 pkg/tls/codec.go)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shared.mesh.snapshot import PublicKey

_BLOCK = re.compile(
    r"(?:^|(?<=\n))-----BEGIN (?P<type>[^\n]*?)-----[ \t\r]*\n(?P<body>(?:(?!-----BEGIN ).)*?)"
    r"(?:(?<=\n))-----END (?P=type)-----[ \t\r]*(?:\n|$)",
    re.DOTALL,
)


_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)

_GO_STRUCTS = {"EC PRIVATE KEY": "ecPrivateKey", "RSA PRIVATE KEY": "pkcs1PrivateKey", "PRIVATE KEY": "pkcs8"}
"""The types of PEM blocks that may hold a key, and what Go reads each into."""


class Block(NamedTuple):
    """A PEM block: its type, its bytes, and the text after it."""

    type: str
    der: bytes
    rest: str


def next_block(text: str) -> Block | None:
    """The first block of a text; None where there is none."""
    for match in _BLOCK.finditer(text):
        lines = [line for line in match["body"].splitlines() if ":" not in line]
        try:
            der = base64.b64decode("".join("".join(lines).split()), validate=True)
        except (binascii.Error, ValueError):
            continue
        return Block(match["type"], der, text[match.end() :])
    return None


def certificate(der: bytes) -> x509.Certificate:
    """A certificate whose every part can be read; the library itself looks at most of them only when asked.

    Raises:
        ValueError: it is none, or a part of it is malformed or of a kind that isn't known.
    """
    try:
        found = x509.load_der_x509_certificate(der)
        # Go's crypto/x509 refuses such a certificate as a whole (parser.go, parseCertificate).
        _ = (found.extensions, found.subject, found.issuer, found.public_key(), found.signature_algorithm_oid)
        _ = (found.not_valid_before_utc, found.not_valid_after_utc, found.serial_number, found.version)
    except _UNREADABLE as error:
        raise ValueError(f"malformed certificate ({type(error).__name__})") from error
    return found


def public_half(pem: bytes) -> PublicKey:
    """The public half of the first block's private key, or why it can't be read; nothing of the text is repeated."""
    block = next_block(pem.decode(errors="replace"))
    if block is None:
        return PublicKey(fault="not PEM-encoded")
    if block.type not in _GO_STRUCTS:
        return PublicKey(fault=f"unsupported block type: '{block.type}'")
    try:
        key = serialization.load_der_private_key(block.der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return PublicKey(fault=_key_fault(block))
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        kind = type(key).__name__.removesuffix("PrivateKey").lstrip("_").lower()
        return PublicKey(
            fault=f"unsupported PKCS#8 encoded private key type: '{kind}.PrivateKey', "
            "linkerd2 only supports ECDSA and RSA private keys"
        )
    return PublicKey(spki(key.public_key()))


def _key_fault(block: Block) -> str:
    """Why Go's crypto/x509 can't read a key, as far as the DER's outermost header tells (encoding/asn1 parseField)."""
    prefix = "x509: failed to parse EC private key: " if block.type.startswith("EC") else ""
    if len(block.der) < 2:  # noqa: PLR2004 - a tag and a length
        return f"{prefix}asn1: syntax error: {'truncated tag or length' if block.der else 'sequence truncated'}"
    length = _sequence_length(block.der)
    if length is None:
        tag = block.der[0]
        return (
            f"{prefix}asn1: structure error: tags don't match (16 vs {{class:{tag >> 6} tag:{tag & 0x1F} "
            f"length:{int.from_bytes(block.der[1:2])} isCompound:{str(bool(tag & 0x20)).lower()}}}) "
            "{optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> stringType:0 "
            f"timeType:0 set:false omitEmpty:false}} {_GO_STRUCTS[block.type]} @2"
        )
    if length > len(block.der):
        return f"{prefix}asn1: syntax error: data truncated"
    return "x509: failed to parse private key"


def _sequence_length(der: bytes) -> int | None:
    """Bytes that a DER sequence says it has in all, its header too; None where it is none."""
    if der[:1] != b"\x30":
        return None
    first = der[1]
    more = first & 0x7F if first & 0x80 else 0
    return 2 + more + (int.from_bytes(der[2 : 2 + more]) if more else first)


def spki(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    """A public key as DER SubjectPublicKeyInfo."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
