from __future__ import annotations

import datetime as dt
import ipaddress
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID

from byomesh.local.authority import Authority, Issued, make_key, write_private


def test_a_servers_certificate_holds_for_its_names_and_addresses() -> None:
    authority = Authority.create("local-ca")
    issued = authority.server(["localhost", "127.0.0.1"])
    leaf = x509.load_pem_x509_certificate(issued.certificate)
    for subject in (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))):
        assert _verifier(authority).build_server_verifier(subject).verify(leaf, []) != []
    with pytest.raises(verification.VerificationError):
        _verifier(authority).build_server_verifier(x509.DNSName("elsewhere")).verify(leaf, [])


def test_another_authority_does_not_vouch_for_it() -> None:
    leaf = x509.load_pem_x509_certificate(Authority.create("one").server(["localhost"]).certificate)
    with pytest.raises(verification.VerificationError):
        _verifier(Authority.create("other")).build_server_verifier(x509.DNSName("localhost")).verify(leaf, [])


def test_a_server_without_names_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one DNS name"):
        Authority.create("local-ca").server([])


def test_a_clients_certificate_says_its_user_and_groups() -> None:
    authority = Authority.create("local-ca")
    leaf = x509.load_pem_x509_certificate(authority.client("somebody", ["first", "second"]).certificate)
    assert [name.value for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["somebody"]
    groups = leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [group.value for group in groups] == ["first", "second"]
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pem))


def test_a_certificate_is_valid_now_and_for_months() -> None:
    leaf = x509.load_pem_x509_certificate(Authority.create("local-ca").client("somebody").certificate)
    now = dt.datetime.now(dt.UTC)
    assert leaf.not_valid_before_utc < now < leaf.not_valid_after_utc - dt.timedelta(days=300)


def test_saved_keys_are_their_owners_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        certificate, key = Authority.create("local-ca").issued.save(tmp_path, "ca")
    finally:
        os.umask(before)
    assert key.stat().st_mode & 0o777 == 0o600
    assert certificate.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")


def test_a_private_file_is_replaced_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("readable by all")
    path.chmod(0o644)
    write_private(path, b"secret")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"secret", 0o600)


def test_a_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(Issued(b"certificate", b"-----BEGIN PRIVATE KEY-----"))


def test_a_signing_keys_two_halves_belong_together() -> None:
    private, public = make_key()
    key = serialization.load_pem_private_key(private, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    assert key.public_key().public_bytes(*form) == public


def _verifier(authority: Authority) -> verification.PolicyBuilder:
    store = verification.Store([x509.load_pem_x509_certificate(authority.pem)])
    return verification.PolicyBuilder().store(store)
