"""Certificates as Linkerd's own tools judge them: PEM as Go reads it, chains as Go's crypto/x509 builds them.

Pure; the clock is passed in. Facts: linkerd2 pkg/tls/{codec,cred}.go and pkg/issuercerts/issuercerts.go; Go's
encoding/pem and crypto/x509 verify.go, whose sentences `linkerd check` prints. Name constraints and certificate policies
are not looked at. The only importer of the certificate library among the checks.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

from shared.mesh.linkerd.words import quoted
from shared.mesh.snapshot import PublicKey

Certificate = x509.Certificate

SOON = dt.timedelta(days=60)
"""From here on an expiry is worth a warning (issuercerts.go, expirationWarningThresholdInDays)."""
_MOST_SIGNATURES = 100
"""Signature checks that one verification makes at most, as in Go."""
_P256 = 256
_RSA_SIZES = (2048, 4096)

_BLOCK = re.compile(
    r"(?:^|(?<=\n))-----BEGIN (?P<type>[^\n]*?)-----[ \t\r]*\n(?P<body>(?:(?!-----BEGIN ).)*?)"
    r"(?:(?<=\n))-----END (?P=type)-----[ \t\r]*(?:\n|$)",
    re.DOTALL,
)
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


class _Block(NamedTuple):
    type: str
    der: bytes
    rest: str


def _next_block(text: str) -> _Block | None:
    for match in _BLOCK.finditer(text):
        lines = [line for line in match["body"].splitlines() if ":" not in line]
        try:
            der = base64.b64decode("".join("".join(lines).split()), validate=True)
        except (binascii.Error, ValueError):
            continue
        return _Block(match["type"], der, text[match.end() :])
    return None


@functools.lru_cache(maxsize=64)
def read_certificates(pem: str) -> tuple[Certificate, ...]:
    """The certificates of a PEM text up to the first block that is none.

    Raises:
        PemError: something that is no PEM block is left, a blank line at the end too; or a certificate is malformed.
    """
    found: list[Certificate] = []
    rest = pem
    while rest:
        block = _next_block(rest)
        if block is None:
            raise PemError("not a PEM certificate")
        if block.type != "CERTIFICATE":
            break
        try:
            found.append(x509.load_der_x509_certificate(block.der))
        except ValueError as error:
            raise PemError(f"x509: malformed certificate: {error}") from error
        rest = block.rest
    return tuple(found)


def public_half(pem: bytes) -> PublicKey:
    """The public half of the first block's private key, or why it can't be read; nothing of the text is repeated."""
    block = _next_block(pem.decode(errors="replace"))
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
    return PublicKey(_spki(key.public_key()))


def _spki(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def belongs(key: PublicKey, certificate: Certificate) -> bool:
    """Whether a key is its certificate's."""
    public = certificate.public_key()
    return isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) and _spki(public) == key.spki


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


class _Invalid(Exception):  # noqa: N818  # a verdict inside this module
    """A sentence of Go's."""


def verify_fault(
    leaf: Certificate,
    intermediates: Sequence[Certificate],
    roots: Sequence[Certificate],
    name: str,
    now: dt.datetime,
) -> str:
    """Why `leaf` isn't trusted by `roots` for a TLS server called `name` (any, where ""), in Go's words; "" where it is."""
    try:
        _check_time(leaf, now)
        if name:
            _check_name(leaf, name)
        chains = [(leaf,)] if leaf in roots else _Search(intermediates, roots, now).chains((leaf,))
        if not any(_for_servers(chain) for chain in chains):
            raise _Invalid("x509: certificate specifies an incompatible key usage")
    except _Invalid as fault:
        return str(fault)
    return ""


def _check_time(certificate: Certificate, now: dt.datetime) -> None:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    words = "x509: certificate has expired or is not yet valid: current time"
    if now < start:
        raise _Invalid(f"{words} {rfc3339(now)} is before {rfc3339(start)}")
    if now > end:
        raise _Invalid(f"{words} {rfc3339(now)} is after {rfc3339(end)}")


def _dns_names(certificate: Certificate) -> list[str] | None:
    """The subjectAltName's DNS names; None without the extension."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None
    return found.value.get_values_for_type(x509.DNSName)


def _matches(pattern: str, host: list[str]) -> bool:
    parts = pattern.lower().split(".")
    if len(parts) != len(host):
        return False
    return all(part == wanted or (at == 0 and part == "*") for at, (part, wanted) in enumerate(zip(parts, host)))


def _check_name(leaf: Certificate, name: str) -> None:
    names = _dns_names(leaf)
    host = name.lower().split(".")
    if any(_matches(pattern, host) for pattern in names or ()):
        return
    if names is None and _matches(common_name(leaf), host):
        raise _Invalid("x509: certificate relies on legacy Common Name field, use SANs instead")
    if not names:
        raise _Invalid(f"x509: certificate is not valid for any names, but wanted to match {name}")
    raise _Invalid(f"x509: certificate is valid for {', '.join(names)}, not {name}")


class _Search:
    """Looks for chains from a certificate to a root."""

    def __init__(self, intermediates: Sequence[Certificate], roots: Sequence[Certificate], now: dt.datetime) -> None:
        self._pools = ((True, roots), (False, intermediates))
        self._now = now
        self._checks = 0

    def chains(self, chain: tuple[Certificate, ...]) -> list[tuple[Certificate, ...]]:
        """Every way on from the last of `chain`; raises _Invalid if there is none."""
        child = chain[-1]
        found: list[tuple[Certificate, ...]] = []
        hint: tuple[str, Certificate] | None = None
        fault: str | None = None
        for is_root, pool in self._pools:
            for parent in _likely_parents(child, pool):
                self._checks += 1
                if self._checks > _MOST_SIGNATURES:
                    raise _Invalid("x509: signature check attempts limit reached while verifying certificate chain")
                if _same_holder(parent, chain):
                    continue
                wrong = self._parent_fault(child, parent, chain, is_root=is_root)
                if wrong:
                    hint = hint or (wrong, parent)
                elif is_root:
                    found.append((*chain, parent))
                else:
                    try:
                        found += self.chains((*chain, parent))
                    except _Invalid as deeper:
                        fault = str(deeper)
        if not found:
            raise _Invalid(fault or _unknown_authority(hint))
        return found

    def _parent_fault(
        self, child: Certificate, parent: Certificate, chain: tuple[Certificate, ...], *, is_root: bool
    ) -> str:
        try:
            _check_signature(child, parent)
            _check_time(parent, self._now)
        except _Invalid as fault:
            return str(fault)
        constraints = _constraints(parent)
        if not is_root and (constraints is None or not constraints.ca):
            return "x509: certificate is not authorized to sign other certificates"
        if constraints is not None and constraints.path_length is not None and len(chain) - 1 > constraints.path_length:
            return "x509: too many intermediates for path length constraint"
        return ""


def _unknown_authority(hint: tuple[str, Certificate] | None) -> str:
    words = "x509: certificate signed by unknown authority"
    if hint is None:
        return words
    fault, parent = hint
    organizations = parent.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    name = common_name(parent) or (str(organizations[0].value) if organizations else f"serial:{parent.serial_number}")
    return (
        f"{words} (possibly because of {quoted(fault)} while trying to verify "
        f"candidate authority certificate {quoted(name)})"
    )


def _likely_parents(child: Certificate, pool: Sequence[Certificate]) -> list[Certificate]:
    """Those whose subject is the child's issuer; the ones whose key ids agree first, those that disagree last."""
    wanted = _authority_key_id(child)

    def rank(parent: Certificate) -> int:
        given = _subject_key_id(parent)
        if given == wanted:
            return 0
        return 1 if not given or not wanted else 2

    return sorted((one for one in dict.fromkeys(pool) if one.subject == child.issuer), key=rank)


def _authority_key_id(certificate: Certificate) -> bytes:
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return b""
    return found.value.key_identifier or b""


def _subject_key_id(certificate: Certificate) -> bytes:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return b""


def _constraints(certificate: Certificate) -> x509.BasicConstraints | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return None


def _same_holder(candidate: Certificate, chain: Sequence[Certificate]) -> bool:
    names = _dns_names(candidate)
    return any(
        candidate.subject == one.subject and candidate.public_key() == one.public_key() and names == _dns_names(one)
        for one in chain
    )


def _check_signature(child: Certificate, parent: Certificate) -> None:
    constraints = _constraints(parent)
    may_sign = constraints is not None and constraints.ca
    if parent.version is x509.Version.v1:
        may_sign = constraints is None or constraints.ca
    try:
        usage = parent.extensions.get_extension_for_class(x509.KeyUsage).value
        may_sign = may_sign and usage.key_cert_sign
    except x509.ExtensionNotFound:
        pass
    if not may_sign:
        raise _Invalid("x509: invalid signature: parent certificate cannot sign this kind of certificate")
    signature, key = signature_name(child), parent.public_key()
    by_rsa = isinstance(key, rsa.RSAPublicKey)
    family = "RSA" if signature.endswith("-RSA") else signature.partition("-")[0]
    if (family == "RSA") != by_rsa:
        go_type = "*rsa.PublicKey" if by_rsa else "*ecdsa.PublicKey"
        article = "an" if family[0] in "RE" else "a"
        raise _Invalid(
            f"x509: signature algorithm specifies {article} {family} public key, but have public key of type {go_type}"
        )
    try:
        child.verify_directly_issued_by(parent)
    except InvalidSignature:
        words = "crypto/rsa: verification error" if by_rsa else f"x509: {family} verification failure"
        raise _Invalid(words) from None
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise _Invalid("x509: cannot verify signature: algorithm unimplemented") from None


def _for_servers(chain: Sequence[Certificate]) -> bool:
    for certificate in chain:
        try:
            usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            continue
        if ExtendedKeyUsageOID.SERVER_AUTH not in usages and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usages:
            return False
    return True
