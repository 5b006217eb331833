"""A certificate with its chain and key, as a TLS Secret holds them (pkg/tls/cred.go, ValidateAndCreateCreds)."""

from __future__ import annotations

from typing import NamedTuple

from shared.mesh.linkerd import trust
from shared.mesh.linkerd.checks.check import Fault
from shared.mesh.snapshot import Credential


class Pair(NamedTuple):
    """A certificate whose key belongs to it.

    Attributes:
        certificate: the first certificate of the text.
        chain: the others, from the root to the direct issuer.
    """

    certificate: trust.Certificate
    chain: tuple[trust.Certificate, ...]


def read_pair(secret: Credential, certificate_key: str, key_key: str) -> Pair | Fault:
    """The pair under two keys that a Secret has, or why it can't be used."""
    key = secret.keys[key_key]
    if key.fault:
        return Fault(key.fault)
    try:
        found = trust.read_certificates(secret.certificates[certificate_key])
    except trust.PemError as error:
        return Fault(str(error))
    if not found:
        return Fault("No certificates found")
    if not trust.belongs(key, found[0]):
        return Fault("tls: Public and private key do not match")
    return Pair(found[0], found[:0:-1])
