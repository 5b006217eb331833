"""What a fleet of clusters trusts together, and what is signed for one of them: data only."""

from __future__ import annotations

import msgspec


class FleetTrust(msgspec.Struct, frozen=True, kw_only=True):
    """What the whole fleet trusts; certificates only.

    Attributes:
        trust_anchors: PEM bundle; two anchors while one takes over from the other.
        signers: PEM of each anchor that can sign issuers, the one that should sign new ones first; at least one.
    """

    trust_anchors: str
    signers: tuple[str, ...]


class Issued(msgspec.Struct, frozen=True):
    """A new issuer; its private key was made in memory and is in no text form."""

    certificate_pem: str
    private_key_pem: str

    def __repr__(self) -> str:
        return f"Issued({self.certificate_pem!r})"
