"""Certificates by what Linkerd, Kubernetes and TLS ask of them; the clock is passed in."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.errors import Permanent
from shared.mesh.linkerd.certificates import (
    ANCHOR_LIFETIME,
    ISSUER_LIFETIME,
    PREDECESSOR_THRESHOLD,
    SERVING_LIFETIME,
    SERVING_THRESHOLD,
    AnchorPayload,
    Issuer,
    ServingCertificate,
    TrustAnchor,
    UnreadableCertificate,
    Webhook,
    certificate_of,
    certificates_of,
    check_pair,
    current_serving_certificate,
    decode_anchor,
    encode_anchor,
    expiry,
    issued_by,
    new_anchor_payload,
    new_issuer,
    new_serving_certificate,
    new_trust_anchor,
    valid_at,
)

NOW = dt.datetime(2026, 8, 21, 12, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
HOST = "linkerd-proxy-injector.linkerd.svc"


@pytest.fixture(scope="module")
def fleet() -> AnchorPayload:
    return new_anchor_payload(NOW)


@pytest.fixture(scope="module")
def issuer(fleet: AnchorPayload) -> Issuer:
    return new_issuer(fleet, NOW)


@pytest.fixture(scope="module")
def serving() -> ServingCertificate:
    return new_serving_certificate("linkerd-proxy-injector", "linkerd", NOW)


def common_name(pem: str) -> str:
    return str(certificate_of(pem, "it").subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def constraints(pem: str) -> x509.BasicConstraints:
    return certificate_of(pem, "it").extensions.get_extension_for_class(x509.BasicConstraints).value


def test_the_anchor_is_a_root_of_linkerds_name(fleet: AnchorPayload) -> None:
    pem = fleet.signing.certificate_pem
    certificate = certificate_of(pem, "it")
    certificate.verify_directly_issued_by(certificate)
    assert common_name(pem) == "root.linkerd.cluster.local"
    assert (constraints(pem).ca, constraints(pem).path_length) == (True, None)
    assert expiry(pem) == NOW + ANCHOR_LIFETIME
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_the_anchor_takes_a_trust_domain_and_a_lifetime() -> None:
    anchor = new_trust_anchor(NOW, "mesh.example", 3 * DAY)
    assert common_name(anchor.certificate_pem) == "root.linkerd.mesh.example"
    assert expiry(anchor.certificate_pem) == NOW + 3 * DAY


def test_the_issuer_is_an_intermediate_signed_by_the_anchor(fleet: AnchorPayload, issuer: Issuer) -> None:
    assert common_name(issuer.certificate_pem) == "identity.linkerd.cluster.local"
    assert (constraints(issuer.certificate_pem).ca, constraints(issuer.certificate_pem).path_length) == (True, 0)
    assert issued_by(issuer, fleet.trust_anchors)
    assert issuer.trust_anchors == fleet.trust_anchors
    assert expiry(issuer.certificate_pem) == NOW + ISSUER_LIFETIME


@pytest.mark.parametrize("which", ["anchor", "issuer", "serving"])
def test_keys_and_signatures_are_those_that_linkerd_demands(
    which: str, fleet: AnchorPayload, issuer: Issuer, serving: ServingCertificate
) -> None:
    kinds: dict[str, TrustAnchor | Issuer | ServingCertificate] = {
        "anchor": fleet.signing,
        "issuer": issuer,
        "serving": serving,
    }
    made = kinds[which]
    certificate = certificate_of(made.certificate_pem, "it")
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    assert made.private_key_pem.startswith("-----BEGIN PRIVATE KEY-----")
    check_pair(made.certificate_pem, made.private_key_pem, "it")


def test_certificates_begin_a_little_before_now_for_clocks_that_are_behind(issuer: Issuer) -> None:
    assert valid_at(issuer.certificate_pem, NOW - dt.timedelta(minutes=5))
    assert not valid_at(issuer.certificate_pem, NOW - dt.timedelta(minutes=6))
    assert valid_at(issuer.certificate_pem, NOW + ISSUER_LIFETIME)
    assert not valid_at(issuer.certificate_pem, NOW + ISSUER_LIFETIME + dt.timedelta(seconds=1))


def test_an_issuer_never_outlives_its_anchor() -> None:
    anchor = new_trust_anchor(NOW, lifetime=10 * DAY)
    issuer = new_issuer(AnchorPayload(anchor.certificate_pem, anchor), NOW)
    assert expiry(issuer.certificate_pem) == NOW + 10 * DAY


def test_an_expired_anchor_signs_nothing(fleet: AnchorPayload) -> None:
    with pytest.raises(Permanent, match="expired at 2036-08-18T12:00:00Z") as raised:
        new_issuer(fleet, NOW + ANCHOR_LIFETIME)
    assert raised.value.reason == "TrustAnchorExpired"
    assert "byomesh rotate-anchor" in raised.value.remedy


def test_somebody_elses_anchor_didnt_issue_it(issuer: Issuer) -> None:
    assert not issued_by(issuer, new_trust_anchor(NOW).certificate_pem)
    assert not issued_by(issuer, new_trust_anchor(NOW, "other.domain").certificate_pem)


def test_any_anchor_of_a_bundle_will_do(fleet: AnchorPayload, issuer: Issuer) -> None:
    assert issued_by(issuer, new_trust_anchor(NOW).certificate_pem + fleet.trust_anchors)


def test_a_serving_certificate_is_its_own_root_and_no_authority(serving: ServingCertificate) -> None:
    certificate = certificate_of(serving.certificate_pem, "it")
    certificate.verify_directly_issued_by(certificate)
    assert serving.ca_bundle == serving.certificate_pem
    assert not constraints(serving.certificate_pem).ca
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOST]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert expiry(serving.certificate_pem) == NOW + SERVING_LIFETIME


def handshake(serving: ServingCertificate, ca_bundle: str, host: str, folder: Path) -> None:
    """A whole TLS handshake in memory, by a client that trusts the bundle alone."""
    pair = folder / "pair.pem"
    pair.write_text(serving.certificate_pem + serving.private_key_pem)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(pair)
    client_side = ssl.create_default_context(cadata=ca_bundle)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for step in (client, server, client, server):
        try:
            step.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.version() == "TLSv1.3"
    assert client.getpeercert()


def test_a_caller_that_trusts_the_ca_bundle_is_served(tmp_path: Path) -> None:
    handshake(new := fresh(), new.ca_bundle, HOST, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(new, new.ca_bundle, "linkerd-sp-validator.linkerd.svc", tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(new, fresh().ca_bundle, HOST, tmp_path)


def fresh(replacing: ServingCertificate | None = None) -> ServingCertificate:
    """A serving certificate that is valid by this machine's clock, which OpenSSL asks."""
    now = dt.datetime.now(dt.UTC)
    return new_serving_certificate("linkerd-proxy-injector", "linkerd", now, replacing=replacing)


def test_the_new_bundle_trusts_the_certificate_that_it_replaces(tmp_path: Path) -> None:
    old = fresh()
    new = fresh(old)
    handshake(old, new.ca_bundle, HOST, tmp_path)
    handshake(new, new.ca_bundle, HOST, tmp_path)
    assert len(certificates_of(new.ca_bundle, "it")) == 2


def keep(existing: ServingCertificate | None, now: dt.datetime) -> ServingCertificate:
    return current_serving_certificate(existing, "linkerd-proxy-injector", "linkerd", now)


def test_a_good_serving_certificate_is_kept(serving: ServingCertificate) -> None:
    assert keep(serving, NOW) == serving
    assert keep(serving, NOW + SERVING_LIFETIME - SERVING_THRESHOLD) == serving


def test_a_missing_serving_certificate_is_made() -> None:
    assert certificate_of(keep(None, NOW).certificate_pem, "it").not_valid_after_utc == NOW + SERVING_LIFETIME


def test_a_certificate_for_another_host_is_replaced(serving: ServingCertificate) -> None:
    other = current_serving_certificate(serving, "linkerd-sp-validator", "linkerd", NOW)
    assert other != serving
    assert len(certificates_of(other.ca_bundle, "it")) == 1


def test_a_certificate_that_names_no_host_is_replaced(fleet: AnchorPayload) -> None:
    nameless = ServingCertificate(fleet.signing.certificate_pem, fleet.signing.private_key_pem, fleet.trust_anchors)
    assert keep(nameless, NOW) != nameless


def test_a_bundle_that_lacks_the_certificate_is_mended(serving: ServingCertificate, fleet: AnchorPayload) -> None:
    broken = dataclasses.replace(serving, ca_bundle=fleet.trust_anchors)
    assert keep(broken, NOW) == serving


def test_a_due_certificate_stays_trusted_until_it_nears_its_own_end(serving: ServingCertificate) -> None:
    due = NOW + SERVING_LIFETIME - SERVING_THRESHOLD + DAY
    renewed = keep(serving, due)
    assert renewed.ca_bundle == renewed.certificate_pem + serving.certificate_pem
    ends = expiry(serving.certificate_pem)
    assert keep(renewed, ends - PREDECESSOR_THRESHOLD) == renewed
    alone = keep(renewed, ends - PREDECESSOR_THRESHOLD + DAY)
    assert alone == dataclasses.replace(renewed, ca_bundle=renewed.certificate_pem)


def test_a_certificate_renewed_late_leaves_no_expiring_predecessor(serving: ServingCertificate) -> None:
    renewed = keep(serving, expiry(serving.certificate_pem) - DAY)
    assert renewed.ca_bundle == renewed.certificate_pem


def test_the_webhooks_are_linkerds() -> None:
    assert {(webhook.service, webhook.values_key) for webhook in Webhook} == {
        ("linkerd-proxy-injector", "proxyInjector"),
        ("linkerd-sp-validator", "profileValidator"),
        ("linkerd-policy-validator", "policyValidator"),
    }


def test_no_repr_shows_a_key(fleet: AnchorPayload, issuer: Issuer, serving: ServingCertificate) -> None:
    for one in (fleet, fleet.signing, issuer, serving):
        assert "PRIVATE" not in repr(one)
        assert "CERTIFICATE" in repr(one)


def test_the_payload_comes_back_as_it_went(fleet: AnchorPayload) -> None:
    assert decode_anchor(encode_anchor(fleet)) == fleet


def test_the_payload_has_the_documented_form(fleet: AnchorPayload) -> None:
    assert json.loads(encode_anchor(fleet)) == {
        "schema": 1,
        "trust_anchors": fleet.trust_anchors,
        "signing": {"certificate": fleet.signing.certificate_pem, "private_key": fleet.signing.private_key_pem},
    }


def test_a_payload_may_hold_two_anchors_and_more_fields(fleet: AnchorPayload) -> None:
    raw = json.loads(encode_anchor(fleet))
    raw["trust_anchors"] = new_trust_anchor(NOW).certificate_pem + raw["trust_anchors"]
    raw["note"] = "since last year"
    assert len(certificates_of(decode_anchor(json.dumps(raw).encode()).trust_anchors, "it")) == 2


def leaf_as_anchor() -> dict[str, str]:
    leaf = new_serving_certificate("a", "b", NOW)
    return {"certificate": leaf.certificate_pem, "private_key": leaf.private_key_pem}


def unconstrained_as_anchor() -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + DAY)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    return {"certificate": certificate, "private_key": pkcs8(key)}


def pkcs8(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


BAD_PAYLOADS: dict[str, tuple[Callable[[dict[str, object]], object], str]] = {
    "no object": (lambda _: ["a"], "Expected `object`"),
    "no schema": (lambda raw: {**raw, "schema": None}, "Expected `int`, got `null`"),
    "from the future": (lambda _: {"schema": 2, "keys": []}, "has schema 2"),
    "no signing": (lambda raw: {**raw, "signing": {}}, "missing required field"),
    "key of a wrong type": (lambda raw: {**raw, "signing": {"certificate": "c", "private_key": 5}}, "private_key"),
    "no PEM": (lambda raw: {**raw, "signing": {"certificate": "c", "private_key": "k"}}, "certificate can't be read"),
    "anchors no PEM": (lambda raw: {**raw, "trust_anchors": "x"}, "bundle of trust anchors can't be read"),
    "not in the bundle": (lambda raw: {**raw, "trust_anchors": new_trust_anchor(NOW).certificate_pem}, "isn't among"),
    "no authority": (
        lambda raw: {**raw, "signing": (leaf := leaf_as_anchor()), "trust_anchors": leaf["certificate"]},
        "is no CA",
    ),
    "no constraints": (
        lambda raw: {**raw, "signing": (old := unconstrained_as_anchor()), "trust_anchors": old["certificate"]},
        "is no CA",
    ),
}


@pytest.mark.parametrize("case", BAD_PAYLOADS)
def test_a_bad_payload_is_named_without_its_secrets(case: str, fleet: AnchorPayload) -> None:
    spoil, words = BAD_PAYLOADS[case]
    payload = json.dumps(spoil(json.loads(encode_anchor(fleet)))).encode()
    with pytest.raises(UnreadableCertificate, match=words) as raised:
        decode_anchor(payload)
    assert raised.value.reason == "UnreadableCertificate"
    assert_silent(raised.value, fleet.signing.private_key_pem)


def assert_silent(error: BaseException, key: str) -> None:
    """No line of a key shows in an error or in what caused it."""
    told = f"{error!r} {error} {error.__cause__!r}"
    assert not [line for line in key.splitlines()[1:-1] if line in told]
    assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", b'{"schema": 1, "signing": "\xff"}'])
def test_what_is_no_json_is_no_payload(payload: bytes) -> None:
    with pytest.raises(UnreadableCertificate):
        decode_anchor(payload)


def test_a_key_of_another_certificate_is_refused(fleet: AnchorPayload, issuer: Issuer) -> None:
    with pytest.raises(UnreadableCertificate, match="it's private key doesn't belong to its certificate") as raised:
        check_pair(fleet.signing.certificate_pem, issuer.private_key_pem, "it")
    assert_silent(raised.value, issuer.private_key_pem)


def test_an_rsa_key_is_refused(fleet: AnchorPayload) -> None:
    key = pkcs8(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    with pytest.raises(UnreadableCertificate, match="no elliptic-curve key") as raised:
        check_pair(fleet.signing.certificate_pem, key, "it")
    assert_silent(raised.value, key)


def test_a_mangled_key_is_refused_without_a_word_of_it(fleet: AnchorPayload) -> None:
    key = fleet.signing.private_key_pem
    mangled = key[:60] + "AAAA" + key[64:]
    with pytest.raises(UnreadableCertificate, match="private key can't be read as PEM") as raised:
        check_pair(fleet.signing.certificate_pem, mangled, "it")
    assert_silent(raised.value, key)
