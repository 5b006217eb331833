"""linkerd-identity: the trust anchors, and the issuer that they vouch for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from shared.mesh.linkerd import chains, trust
from shared.mesh.linkerd.checks.check import Category, Check, Evidence, Fault, Severity, Verdict, lines, not_found
from shared.mesh.linkerd.checks.existence import readable_config
from shared.mesh.linkerd.checks.pairs import Pair, read_pair
from shared.mesh.snapshot import Credential

_SECRET = "linkerd-identity-issuer"  # noqa: S105  # an object's name
_OWN_SCHEME = "linkerd.io/tls"


class _Identity(NamedTuple):
    issuer: Pair
    anchors: tuple[trust.Certificate, ...]


def _identity(evidence: Evidence) -> _Identity | Fault:
    """The issuer and the trust anchors, or why they can't be used together (checkCertificatesConfig)."""
    config = readable_config(evidence)
    if isinstance(config, Fault):
        return config
    secret = evidence.snapshot.credentials.get(_SECRET)
    if secret is None:
        return not_found("secrets", _SECRET)
    values = config.values or {}
    own = (((values.get("identity") or {}).get("issuer") or {}).get("scheme") or _OWN_SCHEME) == _OWN_SCHEME
    crt, key = ("crt.pem", "key.pem") if own else ("tls.crt", "tls.key")
    pair = _unusable(secret, crt, key, own=own) or read_pair(secret, crt, key)
    if isinstance(pair, Fault):
        return pair
    anchors = str(values.get("identityTrustAnchorsPEM") or "") if own else secret.certificates["ca.crt"]
    try:
        return _Identity(pair, trust.read_certificates(anchors))
    except trust.PemError as error:
        return Fault(str(error))


def _unusable(secret: Credential, crt: str, key: str, *, own: bool) -> Fault | None:
    """The first entry that the Secret lacks (issuercerts.go, keyMissingError), or why its certificate can't be read."""
    wanted = [] if own else [("ca.crt", "trust anchors", True)]
    wanted += [(crt, "issuer certificate", not own), (key, "issuer key", True)]
    for name, what, external in wanted:
        if name not in secret.certificates and name not in secret.keys:
            flag = f"--identity-external-issuer={str(external).lower()}"
            return Fault(f"key {name} containing the {what} needs to exist in secret {_SECRET} if {flag}")
    try:
        found = trust.read_certificates(secret.certificates[crt])
    except trust.PemError as error:
        return Fault(f"could not parse issuer certificate: {error}")
    return None if found else Fault("could not parse issuer certificate: No certificates found")


def _readable(evidence: Evidence) -> Verdict:
    found = _identity(evidence)
    return found if isinstance(found, Fault) else None


def _anchors(title: str, fault_of: Callable[[trust.Certificate, Evidence], str]) -> Callable[[Evidence], Verdict]:
    def judge(evidence: Evidence) -> Verdict:
        found = _identity(evidence)
        if isinstance(found, Fault):
            return found
        faults = [trust.listed(one, fault) for one in found.anchors if (fault := fault_of(one, evidence))]
        return Fault(f"{title}:\n\t" + "\n\t".join(faults)) if faults else None

    return judge


def _issuer(title: str, fault_of: Callable[[trust.Certificate, Evidence], str]) -> Callable[[Evidence], Verdict]:
    def judge(evidence: Evidence) -> Verdict:
        found = _identity(evidence)
        if isinstance(found, Fault):
            return found
        fault = fault_of(found.issuer.certificate, evidence)
        return Fault(f"{title} {fault}") if fault else None

    return judge


def _issued_by_anchor(evidence: Evidence) -> Verdict:
    found = _identity(evidence)
    if isinstance(found, Fault):
        return found
    fault = chains.verify_fault(found.issuer.certificate, found.issuer.chain, found.anchors, "", evidence.now)
    return Fault(fault) if fault else None


def _algorithm_of_anchor(certificate: trust.Certificate, _: Evidence) -> str:
    return trust.anchor_algorithm_fault(certificate)


def _algorithm_of_issuer(certificate: trust.Certificate, _: Evidence) -> str:
    return trust.issuer_algorithm_fault(certificate)


def _validity(certificate: trust.Certificate, evidence: Evidence) -> str:
    return trust.validity_fault(certificate, evidence.now)


def _expiry(certificate: trust.Certificate, evidence: Evidence) -> str:
    return trust.expiry_fault(certificate, evidence.now)


CATEGORY = Category(
    "linkerd-identity",
    (
        Check(
            "certificate-config",
            "certificate config is valid",
            "l5d-identity-cert-config-valid",
            _readable,
            Severity.FATAL,
        ),
        Check(
            "anchor-algorithm",
            "trust anchors are using supported crypto algorithm",
            "l5d-identity-trustAnchors-use-supported-crypto",
            _anchors("Invalid trustAnchors", _algorithm_of_anchor),
            Severity.FATAL,
        ),
        Check(
            "anchor-validity",
            "trust anchors are within their validity period",
            "l5d-identity-trustAnchors-are-time-valid",
            _anchors("Invalid anchors", _validity),
            Severity.FATAL,
        ),
        Check(
            "anchor-expiry",
            "trust anchors are valid for at least 60 days",
            "l5d-identity-trustAnchors-not-expiring-soon",
            _anchors("Anchors expiring soon", _expiry),
            Severity.WARNING,
        ),
        Check(
            "issuer-algorithm",
            "issuer cert is using supported crypto algorithm",
            "l5d-identity-issuer-cert-uses-supported-crypto",
            _issuer("issuer certificate", _algorithm_of_issuer),
            Severity.FATAL,
        ),
        Check(
            "issuer-validity",
            "issuer cert is within its validity period",
            "l5d-identity-issuer-cert-is-time-valid",
            _issuer("issuer certificate is", _validity),
            Severity.FATAL,
        ),
        Check(
            "issuer-expiry",
            "issuer cert is valid for at least 60 days",
            "l5d-identity-issuer-cert-not-expiring-soon",
            _issuer("issuer certificate", _expiry),
            Severity.WARNING,
        ),
        Check(
            "issuer-trust",
            "issuer cert is issued by the trust anchor",
            "l5d-identity-issuer-cert-issued-by-trust-anchor",
            _issued_by_anchor,
        ),
    ),
)


def _proxies_trust(evidence: Evidence) -> Verdict:
    snapshot = evidence.snapshot
    if snapshot.trust_roots is None:
        return not_found("configmaps", "linkerd-identity-trust-roots")
    found = snapshot.proxies.distrusting
    if not found.count:
        return None
    title = "Some pods do not have the current trust bundle and must be restarted:"
    return lines(title, [f"\t* {pod.namespace}/{pod.name}" for pod in found.first], found.count)


DATA_PLANE = Category(
    "linkerd-identity-data-plane",
    (
        Check(
            "proxies-trust",
            "data plane proxies certificate match CA",
            "l5d-identity-data-plane-proxies-certs-match-ca",
            _proxies_trust,
            Severity.WARNING,
        ),
    ),
)
