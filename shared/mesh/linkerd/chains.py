"""Chains of certificates, built and refused as Go's crypto/x509 does (verify.go), in its sentences; pure.

Name constraints and certificate policies are not looked at. Names are compared as bytes: a PrintableString is not the
same name as a UTF8String.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.mesh.linkerd.trust import Certificate, common_name, rfc3339, signature_name
from shared.mesh.linkerd.words import quoted

_OUT_OF_TIME = "x509: certificate has expired or is not yet valid"
_MOST_SIGNATURES = 100
"""Signature checks that one verification makes at most."""


class _Invalid(Exception):
    """A sentence of Go's."""


def verify_fault(
    leaf: Certificate,
    intermediates: Sequence[Certificate],
    roots: Sequence[Certificate],
    name: str,
    now: dt.datetime,
) -> str:
    """Why `leaf` isn't trusted by `roots` for a TLS server called `name` (any where ""); "" where it is."""
    try:
        _check_time(leaf, now)
        if name:
            _check_name(leaf, name)
        chains = [(leaf,)] if leaf in roots else _Search(intermediates, roots, now).chains((leaf,))
    except _Invalid as fault:
        words = str(fault)
        return words + _times(leaf, now) if words.startswith(_OUT_OF_TIME) else words
    fit = any(_for_servers(chain) for chain in chains)
    return "" if fit else "x509: certificate specifies an incompatible key usage"


def _times(leaf: Certificate, now: dt.datetime) -> str:
    """What linkerd2 adds where a certificate's time is the fault (pkg/tls/cred.go, Verify)."""
    moments = (now, leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    current, start, end = (moment.strftime("%Y-%m-%d %H:%M:%S +0000 UTC") for moment in moments)
    return f" - Current Time : {current} - Invalid before {start} - Invalid After {end}"


def _check_time(certificate: Certificate, now: dt.datetime) -> None:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < start:
        raise _Invalid(f"{_OUT_OF_TIME}: current time {rfc3339(now)} is before {rfc3339(start)}")
    if now > end:
        raise _Invalid(f"{_OUT_OF_TIME}: current time {rfc3339(now)} is after {rfc3339(end)}")


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
    return all(
        part == wanted or (at == 0 and part == "*") for at, (part, wanted) in enumerate(zip(parts, host, strict=True))
    )


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
        found: list[tuple[Certificate, ...]] = []
        hint: tuple[str, Certificate] | None = None
        last = (
            ""  # only the newest verdict on a parent's validity ends the search; the first fault of any kind is a hint
        )
        for is_root, pool in self._pools:
            for parent in _likely_parents(chain[-1], pool):
                self._count()
                if _same_holder(parent, chain):
                    continue
                unsigned = _signature_fault(chain[-1], parent)
                if not unsigned:
                    last = self._validity_fault(parent, chain, is_root=is_root)
                if unsigned or last:
                    hint = hint or (unsigned or last, parent)
                elif is_root:
                    found.append((*chain, parent))
                else:
                    last = self._deeper((*chain, parent), found)
        if not found:
            raise _Invalid(last or _unknown_authority(hint))
        return found

    def _count(self) -> None:
        self._checks += 1
        if self._checks > _MOST_SIGNATURES:
            raise _Invalid("x509: signature check attempts limit reached while verifying certificate chain")

    def _deeper(self, chain: tuple[Certificate, ...], found: list[tuple[Certificate, ...]]) -> str:
        """Add every way on from an intermediate to `found`, or tell why there is none."""
        try:
            found += self.chains(chain)
        except _Invalid as fault:
            return str(fault)
        return ""

    def _validity_fault(self, parent: Certificate, chain: tuple[Certificate, ...], *, is_root: bool) -> str:
        try:
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
    wanted, issuer = _authority_key_id(child), child.issuer.public_bytes()

    def rank(parent: Certificate) -> int:
        given = _subject_key_id(parent)
        if given == wanted:
            return 0
        return 1 if not given or not wanted else 2

    return sorted((one for one in dict.fromkeys(pool) if one.subject.public_bytes() == issuer), key=rank)


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
        candidate.subject.public_bytes() == one.subject.public_bytes()
        and candidate.public_key() == one.public_key()
        and names == _dns_names(one)
        for one in chain
    )


def _may_sign(parent: Certificate) -> bool:
    constraints = _constraints(parent)
    if constraints is not None and not constraints.ca:
        return False
    if constraints is None and parent.version is x509.Version.v3:
        return False
    try:
        return parent.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _signature_fault(child: Certificate, parent: Certificate) -> str:
    """Why `parent` didn't sign `child`; "" where it did."""
    if not _may_sign(parent):
        return "x509: invalid signature: parent certificate cannot sign this kind of certificate"
    signature, key = signature_name(child), parent.public_key()
    by_rsa = isinstance(key, rsa.RSAPublicKey)
    family = "RSA" if signature.endswith("-RSA") else signature.partition("-")[0]
    if (family == "RSA") != by_rsa:
        kind = "*rsa.PublicKey" if by_rsa else "*ecdsa.PublicKey"
        return f"x509: signature algorithm specifies an {family} public key, but have public key of type {kind}"
    try:
        child.verify_directly_issued_by(parent)
    except InvalidSignature:
        return "crypto/rsa: verification error" if by_rsa else f"x509: {family} verification failure"
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return "x509: cannot verify signature: algorithm unimplemented"
    return ""


def _for_servers(chain: Sequence[Certificate]) -> bool:
    for certificate in chain:
        try:
            usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            continue
        if ExtendedKeyUsageOID.SERVER_AUTH not in usages and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usages:
            return False
    return True
