"""Making certificates, and deciding whether those at hand will do."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.errors import Permanent
from shared.mesh.linkerd.certificates.credentials import (
    AnchorPayload,
    Issuer,
    IssuerRequest,
    ServingCertificate,
    TrustAnchor,
)
from shared.mesh.linkerd.certificates.pem import (
    certificate_of,
    certificates_of,
    needs_renewal,
    private_key_of,
)
from shared.mesh.linkerd.lifetimes import (
    ANCHOR_LIFETIME,
    ISSUER_LIFETIME,
    PREDECESSOR_THRESHOLD,
    SERVING_LIFETIME,
    SERVING_THRESHOLD,
)

TRUST_DOMAIN = "cluster.local"
"""The chart's default identityTrustDomain."""
ISSUER_NAME = f"identity.linkerd.{TRUST_DOMAIN}"
"""The common name of an issuer."""
_BACKDATE = dt.timedelta(minutes=5)
"""How far before now a certificate begins, for clusters whose clocks are behind."""


def new_trust_anchor(
    now: dt.datetime, trust_domain: str = TRUST_DOMAIN, lifetime: dt.timedelta = ANCHOR_LIFETIME
) -> TrustAnchor:
    """A root CA with the name that Linkerd's documentation gives it, root.linkerd.TRUST_DOMAIN."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"root.linkerd.{trust_domain}")
    certificate = _sign(_builder(name, name, key.public_key(), now, now + lifetime), key, _authority(path_length=None))
    return TrustAnchor(certificate, _key_text(key))


def new_anchor_payload(now: dt.datetime) -> AnchorPayload:
    """The trust of a new fleet: one new anchor, which signs."""
    anchor = new_trust_anchor(now)
    return AnchorPayload(anchor.certificate_pem, anchor)


def new_issuer(
    fleet: AnchorPayload, now: dt.datetime, trust_domain: str = TRUST_DOMAIN, lifetime: dt.timedelta = ISSUER_LIFETIME
) -> Issuer:
    """An issuer signed by the fleet's signing anchor; raises as `sign_issuer` does."""
    request = new_issuer_request(trust_domain)
    signed = sign_issuer(fleet.signing, request.request_pem, now, lifetime)
    return Issuer(signed, request.private_key_pem, fleet.trust_anchors)


def public_key_of(request_pem: str) -> str:
    """PEM of the public key that a request is for."""
    key = x509.load_pem_x509_csr(request_pem.encode()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()


def new_issuer_request(trust_domain: str = TRUST_DOMAIN) -> IssuerRequest:
    """A key of its own and a request for an intermediate CA of Linkerd's name, identity.linkerd.TRUST_DOMAIN."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(f"identity.linkerd.{trust_domain}"))
    for extension, critical in _authority(path_length=0):
        builder = builder.add_extension(extension, critical=critical)
    text = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    return IssuerRequest(text, _key_text(key))


def sign_issuer(
    anchor: TrustAnchor, request_pem: str, now: dt.datetime, lifetime: dt.timedelta = ISSUER_LIFETIME
) -> str:
    """PEM of an intermediate CA, path length 0, signed by an anchor, which it never outlives.

    Raises:
        Permanent: the anchor has expired, or can't be read.
    """
    certificate = certificate_of(anchor.certificate_pem, "the signing trust anchor")
    until = min(now + lifetime, certificate.not_valid_after_utc)
    if until <= now:
        raise Permanent(
            "TrustAnchorExpired",
            f"the fleet's signing trust anchor expired at {until:%Y-%m-%dT%H:%M:%SZ}",
            remedy="give the fleet a new one (byomesh rotate-anchor), then publish the request again",
        )
    request = x509.load_pem_x509_csr(request_pem.encode())
    key = cast("ec.EllipticCurvePublicKey", request.public_key())
    builder = _builder(request.subject, certificate.subject, key, now, until)
    signer = private_key_of(anchor.private_key_pem, "the signing trust anchor's private key")
    return _sign(builder, signer, _authority(path_length=0))


def new_serving_certificate(
    service: str, namespace: str, now: dt.datetime, *, replacing: ServingCertificate | None = None
) -> ServingCertificate:
    """A certificate for SERVICE.NAMESPACE.svc that is its own root, as those that the chart generates are.

    Its caBundle keeps the certificate that it replaces, so that calls succeed until the pods have loaded the new one.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    host = f"{service}.{namespace}.svc"
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([x509.DNSName(host)]), False),
    ]
    text = _sign(_builder(_name(host), _name(host), key.public_key(), now, now + SERVING_LIFETIME), key, extensions)
    return ServingCertificate(text, _key_text(key), text + (replacing.certificate_pem if replacing else ""))


def current_serving_certificate(
    existing: ServingCertificate | None, service: str, namespace: str, now: dt.datetime
) -> ServingCertificate:
    """What a webhook should serve; equal to `existing` as long as nothing has to change.

    A new one where there is none, where it is for another host, or where it is due; a predecessor that nears its own
    expiry leaves the bundle.
    """
    if existing is None or f"{service}.{namespace}.svc" not in _hosts(existing.certificate_pem):
        return new_serving_certificate(service, namespace, now)
    if needs_renewal(existing.certificate_pem, now, SERVING_THRESHOLD):
        lasting = not needs_renewal(existing.certificate_pem, now, PREDECESSOR_THRESHOLD)
        return new_serving_certificate(service, namespace, now, replacing=existing if lasting else None)
    own = certificate_of(existing.certificate_pem, "the serving certificate")
    bundle = certificates_of(existing.ca_bundle, "the webhook's CA bundle")
    if own in bundle and all(one.not_valid_after_utc - now >= PREDECESSOR_THRESHOLD for one in bundle):
        return existing
    return dataclasses.replace(existing, ca_bundle=existing.certificate_pem)


def issued_by(issuer: Issuer, trust_anchors: str) -> bool:
    """Whether an anchor of the PEM bundle signed the issuer itself; times are not looked at."""
    certificate = certificate_of(issuer.certificate_pem, "the issuer")
    for anchor in certificates_of(trust_anchors, "the trust anchors"):
        try:
            certificate.verify_directly_issued_by(anchor)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _hosts(certificate_pem: str) -> list[str]:
    extensions = certificate_of(certificate_pem, "the serving certificate").extensions
    try:
        return extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return []


def _builder(
    subject: x509.Name, signer: x509.Name, public: ec.EllipticCurvePublicKey, now: dt.datetime, until: dt.datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(signer).public_key(public)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - _BACKDATE)
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    return builder.not_valid_after(until).add_extension(identifier, critical=False)


def _authority(*, path_length: int | None) -> list[tuple[x509.ExtensionType, bool]]:
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    return [(constraints, True), (_usage(key_cert_sign=True, crl_sign=True), True)]


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(
    builder: x509.CertificateBuilder,
    signer: ec.EllipticCurvePrivateKey,
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> str:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    for extension, critical in [*extensions, (identifier, False)]:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()
