"""PEM, keys and single certificates, as Linkerd's own tools judge them."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from shared.mesh.fold.pem import public_half
from shared.mesh.linkerd import trust
from shared.mesh.linkerd.words import quoted
from tests.unit.cluster_objects import NOW, certify

_ROOT = certify("root", serial=7)
_OTHER = certify("other", serial=8)
_DAY = dt.timedelta(days=1)


def test_reads_certificates_up_to_the_first_other_block() -> None:
    text = f"words before\n{_ROOT.pem}{_OTHER.pem}{_ROOT.key_pem}{_OTHER.pem}"
    assert trust.read_certificates(text) == (_ROOT.certificate, _OTHER.certificate)
    assert trust.read_certificates("") == ()
    assert trust.read_certificates(_ROOT.pem.replace("\n", "\r\n")) == (_ROOT.certificate,)
    assert trust.read_certificates(_ROOT.pem.replace("-----\n", "-----\nnote: x\n\n", 1)) == (_ROOT.certificate,)


_EC = "x509: failed to parse EC private key: "
_MISMATCH = (
    "asn1: structure error: tags don't match (16 vs {class:0 tag:0 length:0 isCompound:false}) {optional:false "
    "explicit:false application:false private:false defaultValue:<nil> tag:<nil> stringType:0 timeType:0 set:false "
    "omitEmpty:false}"
)


def _key(kind: str, body: str) -> bytes:
    return f"-----BEGIN {kind} KEY-----\n{body}\n-----END {kind} KEY-----\n".encode()


@pytest.mark.parametrize(
    "text",
    [
        "words",
        f"{_ROOT.pem}\n",
        f"{_ROOT.pem}words",
        _ROOT.pem.replace("-----END CERTIFICATE", "-----END OTHER"),
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_left_over_must_be_pem(text: str) -> None:
    with pytest.raises(trust.PemError, match=r"^not a PEM certificate$"):
        trust.read_certificates(text)


def test_a_malformed_certificate() -> None:
    with pytest.raises(trust.PemError, match=r"^x509: malformed certificate"):
        trust.read_certificates("-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n")


_RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("key", [_ROOT.key, _RSA])
def test_the_public_half_of_a_private_key(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, form: serialization.PrivateFormat
) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    found = public_half(pem)
    assert found.fault == ""
    assert trust.belongs(found, _ROOT.certificate) == (key is _ROOT.key)


@pytest.mark.parametrize(
    ("pem", "fault"),
    [
        (b"secret words", "not PEM-encoded"),
        (b"\xff", "not PEM-encoded"),
        (
            b"-----BEGIN EC PARAMETERS-----\nAAAA\n-----END EC PARAMETERS-----\n",
            "unsupported block type: 'EC PARAMETERS'",
        ),
        (_key("PRIVATE", "AAAA"), f"{_MISMATCH} pkcs8 @2"),
        (_key("RSA PRIVATE", "AAAA"), f"{_MISMATCH} pkcs1PrivateKey @2"),
        (_key("EC PRIVATE", "AAAA"), f"{_EC}{_MISMATCH} ecPrivateKey @2"),
        (_key("EC PRIVATE", "MHcC"), f"{_EC}asn1: syntax error: data truncated"),
        (_key("EC PRIVATE", "MA=="), f"{_EC}asn1: syntax error: truncated tag or length"),
        (_key("EC PRIVATE", ""), f"{_EC}asn1: syntax error: sequence truncated"),
        (_key("PRIVATE", "MIIBAA=="), "asn1: syntax error: data truncated"),
        (_key("PRIVATE", "MAA="), "x509: failed to parse private key"),
        (
            ed25519.Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            (
                "unsupported PKCS#8 encoded private key type: 'ed25519.PrivateKey', "
                "linkerd2 only supports ECDSA and RSA private keys"
            ),
        ),
    ],
)
def test_a_key_that_cannot_be_read_says_why_and_nothing_of_itself(pem: bytes, fault: str) -> None:
    found = public_half(pem)
    assert (found.spki, found.fault) == (b"", fault)


def test_times_to_the_second() -> None:
    certificate = certify("x", serial=9, days=(-1, 61)).certificate
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    assert trust.validity_fault(certificate, start) == trust.validity_fault(certificate, end) == ""
    assert trust.validity_fault(certificate, start - _DAY) == "not valid before: 2026-11-22T12:00:00Z"
    assert trust.validity_fault(certificate, end + _DAY) == "not valid anymore. Expired on 2027-01-23T12:00:00Z"
    assert trust.expiry_fault(certificate, NOW) == ""
    assert trust.expiry_fault(certificate, end - trust.SOON) == ""
    assert trust.expiry_fault(certificate, NOW + 2 * _DAY) == "will expire on 2027-01-23T12:00:00Z"


def _signed(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, algorithm: hashes.HashAlgorithm) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "no common name")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(5).not_valid_before(NOW - _DAY).not_valid_after(NOW + _DAY)
    return builder.sign(key, algorithm)  # type: ignore[arg-type]  # a type variable of the library


_P384 = ec.generate_private_key(ec.SECP384R1())
_P256 = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("certificate", "anchor_fault", "issuer_fault"),
    [
        (_signed(_P256, hashes.SHA256()), "", ""),
        (
            _signed(_P384, hashes.SHA256()),
            "must use P-256 curve for public key, instead P-384 was used",
            "must use P-256 curve for public key, instead P-384 was used",
        ),
        (
            _signed(_P256, hashes.SHA384()),
            "must be signed by an ECDSA P-256 key, instead ECDSA-SHA384 was used",
            "must be signed by an ECDSA P-256 key, instead ECDSA-SHA384 was used",
        ),
        (
            _signed(_RSA, hashes.SHA256()),
            "",
            "issuer certificate must use ECDSA for public key algorithm, instead RSA was used",
        ),
        (
            _signed(_RSA, hashes.SHA512()),
            "must be signed by an RSA 2048/4096 bit key, instead SHA512-RSA was used",
            "issuer certificate must use ECDSA for public key algorithm, instead RSA was used",
        ),
        (
            _signed(rsa.generate_private_key(65537, 3072), hashes.SHA256()),
            "RSA must use a 2048 or 4096 bit public key, instead 3072 bit public key was used",
            "issuer certificate must use ECDSA for public key algorithm, instead RSA was used",
        ),
    ],
)
def test_algorithms(certificate: x509.Certificate, anchor_fault: str, issuer_fault: str) -> None:
    assert trust.anchor_algorithm_fault(certificate) == anchor_fault
    assert trust.issuer_algorithm_fault(certificate) == issuer_fault
    assert trust.common_name(certificate) == ""


def test_an_anchor_of_another_family() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ed")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(5).not_valid_before(NOW - _DAY).not_valid_after(NOW + _DAY)
    certificate = builder.sign(key, None)
    words = "trust anchor must use ECDSA or RSA for public key algorithm, instead Ed25519 was used"
    assert trust.anchor_algorithm_fault(certificate) == words
    assert trust.listed(certificate, "why") == "* 5 ed why"
    assert not trust.belongs(public_half(_ROOT.key_pem.encode()), certificate)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", '"10.0.0.0/8"'),
        ('a"b\\c\n', '"a\\"b\\\\c\\n"'),
        ("\x00\x7f", '"\\x00\\x7f"'),
        ("é\u200b\U000e0001", '"é\\u200b\\U000e0001"'),
    ],
)
def test_quotes_as_go_does(text: str, expected: str) -> None:
    assert quoted(text) == expected
