"""Chains of certificates; every expectation is what Go's crypto/x509 says of the same certificates."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from shared.mesh.linkerd.chains import verify_fault
from tests.unit.cluster_objects import NOW

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_HOST = "linkerd-proxy-injector.linkerd.svc"
_UNKNOWN = "x509: certificate signed by unknown authority"
_KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "middle", "leaf", "other")}
_RSA = rsa.generate_private_key(65537, 2048)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """A certificate to be made."""

    name: str
    issuer: str = "root"
    key: Key = _KEYS["leaf"]
    signer: Key = _KEYS["root"]
    ca: bool | None = True
    path_length: int | None = None
    days: tuple[int, int] = (-1, 300)
    sans: tuple[str, ...] = ()
    usages: tuple[ObjectIdentifier, ...] = ()
    cert_sign: bool | None = None
    key_ids: tuple[bytes, bytes] = (b"", b"")
    printable: bool = False


def _make(wish: Wish) -> x509.Certificate:
    kind = _ASN1Type.PrintableString if wish.printable else _ASN1Type.UTF8String
    organization = NameOID.ORGANIZATION_NAME if wish.name.startswith("org") else NameOID.COMMON_NAME
    subject = x509.Name([x509.NameAttribute(organization, wish.name, kind)] if wish.name else [])
    attribute = NameOID.ORGANIZATION_NAME if wish.issuer.startswith("org") else NameOID.COMMON_NAME
    issuer = x509.Name([x509.NameAttribute(attribute, wish.issuer)] if wish.issuer else [])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(wish.key.public_key())
    builder = builder.serial_number(77).not_valid_before(NOW + dt.timedelta(days=wish.days[0]))
    builder = builder.not_valid_after(NOW + dt.timedelta(days=wish.days[1]))
    extensions: list[x509.ExtensionType] = []
    if wish.ca is not None:
        extensions.append(x509.BasicConstraints(wish.ca, wish.path_length))
    if wish.sans:
        extensions.append(x509.SubjectAlternativeName([x509.DNSName(san) for san in wish.sans]))
    if wish.usages:
        extensions.append(x509.ExtendedKeyUsage(wish.usages))
    if wish.cert_sign is not None:
        no = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
        no |= dict.fromkeys(("crl_sign", "encipher_only", "decipher_only"), False)
        extensions.append(x509.KeyUsage(digital_signature=True, key_cert_sign=wish.cert_sign, **no))
    if wish.key_ids[0]:
        extensions.append(x509.SubjectKeyIdentifier(wish.key_ids[0]))
    if wish.key_ids[1]:
        extensions.append(x509.AuthorityKeyIdentifier(wish.key_ids[1], None, None))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(wish.signer, hashes.SHA256())


def _root(**changes: object) -> x509.Certificate:
    return _make(dataclasses.replace(Wish(name="root", key=_KEYS["root"]), **changes))  # type: ignore[arg-type]


def _middle(**changes: object) -> x509.Certificate:
    return _make(dataclasses.replace(Wish(name="middle", key=_KEYS["middle"]), **changes))  # type: ignore[arg-type]


def _leaf(**changes: object) -> x509.Certificate:
    return _make(dataclasses.replace(Wish(name="leaf", ca=False), **changes))  # type: ignore[arg-type]


def _of_middle(**changes: object) -> x509.Certificate:
    return _leaf(issuer="middle", signer=_KEYS["middle"], **changes)


def _hint(fault: str, name: str = "root") -> str:
    return f'{_UNKNOWN} (possibly because of "{fault}" while trying to verify candidate authority certificate "{name}")'


_EXPIRED = "x509: certificate has expired or is not yet valid: current time 2026-11-23T12:00:00Z is"
_NO_SIGNER = "x509: invalid signature: parent certificate cannot sign this kind of certificate"


@pytest.mark.parametrize(
    ("leaf", "middles", "roots", "fault"),
    [
        (_leaf(), [], [_root()], ""),
        (_leaf(), [], [], _UNKNOWN),
        (_leaf(issuer="nobody"), [], [_root()], _UNKNOWN),
        (_leaf(), [], [_root(printable=True)], _UNKNOWN),
        (_leaf(signer=_KEYS["other"]), [], [_root()], _hint("x509: ECDSA verification failure")),
        (
            _leaf(signer=_KEYS["other"], issuer="org"),
            [],
            [_root(name="org")],
            _hint("x509: ECDSA verification failure", "org"),
        ),
        (
            _leaf(signer=_KEYS["other"], issuer=""),
            [],
            [_root(name="")],
            _hint("x509: ECDSA verification failure", "serial:77"),
        ),
        (_leaf(), [], [_root(ca=False)], _hint(_NO_SIGNER)),
        (_leaf(), [], [_root(ca=None)], _hint(_NO_SIGNER)),
        (_leaf(), [], [_root(cert_sign=False)], _hint(_NO_SIGNER)),
        (_leaf(), [], [_root(cert_sign=True)], ""),
        (
            _leaf(),
            [],
            [_root(key=_RSA)],
            _hint(
                "x509: signature algorithm specifies an ECDSA public key, but have public key of type *rsa.PublicKey"
            ),
        ),
        (
            _leaf(signer=_RSA),
            [],
            [_root()],
            _hint(
                "x509: signature algorithm specifies an RSA public key, but have public key of type *ecdsa.PublicKey"
            ),
        ),
        (_leaf(signer=_RSA), [], [_root(key=_RSA)], ""),
        (_of_middle(), [_middle()], [_root()], ""),
        (_of_middle(), [], [_root()], _UNKNOWN),
        (_of_middle(), [_middle(ca=False)], [_root()], _hint(_NO_SIGNER, "middle")),
        (_of_middle(), [_middle()], [_root(path_length=0)], "x509: too many intermediates for path length constraint"),
        (_of_middle(), [_middle()], [_root(path_length=1)], ""),
        (_of_middle(), [_middle(signer=_KEYS["other"])], [_root()], _hint("x509: ECDSA verification failure")),
        (_of_middle(), [_middle(issuer="middle", signer=_KEYS["middle"])], [_root()], _UNKNOWN),
        (_of_middle(), [_middle(signer=_KEYS["other"]), _middle()], [_root()], ""),
        (
            _leaf(signer=_KEYS["other"], key_ids=(b"", b"a")),
            [],
            [_root(name="root", days=(-3, -2), key=_KEYS["other"]), _root(key_ids=(b"a", b""))],
            f"{_EXPIRED} after 2026-11-21T12:00:00Z",
        ),
        (
            _leaf(key_ids=(b"", b"a")),
            [],
            [_root(key_ids=(b"b", b""), ca=False), _root(ca=False, key_ids=(b"a", b""), key=_RSA)],
            _hint(_NO_SIGNER),
        ),
    ],
)
def test_a_chain_to_a_root(
    leaf: x509.Certificate, middles: list[x509.Certificate], roots: list[x509.Certificate], fault: str
) -> None:
    assert verify_fault(leaf, middles, roots, "", NOW).partition(" - Current Time")[0] == fault


def test_a_certificate_among_the_roots_needs_no_signer() -> None:
    alone = _leaf(signer=_KEYS["other"], sans=(_HOST,))
    assert verify_fault(alone, [], [alone], _HOST, NOW) == ""


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (
            (-9, -1),
            (
                f"{_EXPIRED} after 2026-11-22T12:00:00Z - Current Time : 2026-11-23 12:00:00 +0000 UTC"
                " - Invalid before 2026-11-14 12:00:00 +0000 UTC - Invalid After 2026-11-22 12:00:00 +0000 UTC"
            ),
        ),
        (
            (1, 9),
            (
                f"{_EXPIRED} before 2026-11-24T12:00:00Z - Current Time : 2026-11-23 12:00:00 +0000 UTC"
                " - Invalid before 2026-11-24 12:00:00 +0000 UTC - Invalid After 2026-12-02 12:00:00 +0000 UTC"
            ),
        ),
    ],
)
def test_out_of_its_time(days: tuple[int, int], words: str) -> None:
    assert verify_fault(_leaf(days=days), [], [_root()], "", NOW) == words


@pytest.mark.parametrize(
    ("leaf", "fault"),
    [
        (_leaf(sans=(_HOST,)), ""),
        (_leaf(sans=("other", _HOST.upper())), ""),
        (_leaf(sans=("*.linkerd.svc",)), ""),
        (_leaf(sans=("*.svc",)), f"x509: certificate is valid for *.svc, not {_HOST}"),
        (_leaf(sans=("a", "b")), f"x509: certificate is valid for a, b, not {_HOST}"),
        (_leaf(), f"x509: certificate is not valid for any names, but wanted to match {_HOST}"),
        (_leaf(name=_HOST), "x509: certificate relies on legacy Common Name field, use SANs instead"),
        (_leaf(name=_HOST, sans=("a",)), f"x509: certificate is valid for a, not {_HOST}"),
    ],
)
def test_the_name_of_the_server(leaf: x509.Certificate, fault: str) -> None:
    assert verify_fault(leaf, [], [_root()], _HOST, NOW) == fault


@pytest.mark.parametrize(
    ("usages", "fine"),
    [
        ((ExtendedKeyUsageOID.SERVER_AUTH,), True),
        ((ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH), True),
        ((ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,), True),
        ((ExtendedKeyUsageOID.CLIENT_AUTH,), False),
    ],
)
def test_made_for_servers(usages: tuple[ObjectIdentifier, ...], *, fine: bool) -> None:
    expected = "" if fine else "x509: certificate specifies an incompatible key usage"
    assert verify_fault(_leaf(usages=usages), [], [_root()], "", NOW) == expected
    assert verify_fault(_leaf(), [], [_root(usages=usages)], "", NOW) == expected


def test_a_thicket_of_intermediates_is_left() -> None:
    thicket = [
        _make(Wish(name="middle", issuer="middle", key=_KEYS["middle"], signer=_KEYS["middle"], sans=(f"n{number}",)))
        for number in range(101)
    ]
    words = "x509: signature check attempts limit reached while verifying certificate chain"
    assert verify_fault(_of_middle(), thicket, [], "", NOW) == words
