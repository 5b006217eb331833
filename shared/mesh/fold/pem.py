"""PEM as Go's encoding/pem reads it, and private keys read for their public halves (linkerd2 pkg/tls/codec.go)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shared.mesh.snapshot import PublicKey

_BLOCK = re.compile(
    r"(?:^|(?<=\n))-----BEGIN (?P<type>[^\n]*?)-----[ \t\r]*\n(?P<body>(?:(?!-----BEGIN ).)*?)"
    r"(?:(?<=\n))-----END (?P=type)-----[ \t\r]*(?:\n|$)",
    re.DOTALL,
)


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


def public_half(pem: bytes) -> PublicKey:
    """The public half of the first block's private key, or why it can't be read; nothing of the text is repeated."""
    block = next_block(pem.decode(errors="replace"))
    if block is None:
        return PublicKey(fault="not PEM-encoded")
    if block.type not in ("EC PRIVATE KEY", "RSA PRIVATE KEY", "PRIVATE KEY"):
        return PublicKey(fault=f"unsupported block type: '{block.type}'")
    try:
        key = serialization.load_der_private_key(block.der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return PublicKey(fault="x509: failed to parse private key")
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        kind = type(key).__name__.removesuffix("PrivateKey").lstrip("_").lower()
        return PublicKey(
            fault=f"unsupported PKCS#8 encoded private key type: '{kind}.PrivateKey', "
            "linkerd2 only supports ECDSA and RSA private keys"
        )
    return PublicKey(spki(key.public_key()))


def spki(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    """A public key as DER SubjectPublicKeyInfo."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
