"""linkerd-identity and the webhooks' certificates: Secrets and bundles that are spoiled in other ways than by time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.mesh.linkerd import checks
from shared.mesh.observe import from_objects
from shared.mesh.snapshot import Credential, MeshSnapshot, PublicKey, Webhooks
from shared.model import CheckOutcome
from tests.unit.cluster_objects import NOW, VERSION, State, certify, objects

_ISSUER = "linkerd-identity-issuer"
_INJECTOR = "linkerd-proxy-injector-k8s-tls"
_POLICIES = "linkerd-policy-validator-k8s-tls"
_IDENTITY, _WEBHOOKS = "linkerd-identity", "linkerd-webhooks-and-apisvc-tls"


def _healthy(**values: Any) -> MeshSnapshot:
    return from_objects(objects(State(values=values)))


def _with(snapshot: MeshSnapshot, name: str, **changes: Any) -> MeshSnapshot:
    credential = msgspec.structs.replace(snapshot.credentials[name], **changes)
    return msgspec.structs.replace(snapshot, credentials={**snapshot.credentials, name: credential})


def _faults(snapshot: MeshSnapshot, category: str) -> list[str]:
    report = checks.run(snapshot, NOW, expected_version=VERSION, categories=[category])
    return [result.error for _, result in report if result.outcome in (CheckOutcome.FAIL, CheckOutcome.WARN)]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"certificates": {}},
            (
                "key crt.pem containing the issuer certificate needs to exist in secret linkerd-identity-issuer "
                "if --identity-external-issuer=false"
            ),
        ),
        (
            {"keys": {}},
            (
                "key key.pem containing the issuer key needs to exist in secret linkerd-identity-issuer "
                "if --identity-external-issuer=true"
            ),
        ),
        ({"certificates": {"crt.pem": "x"}}, "could not parse issuer certificate: not a PEM certificate"),
        ({"certificates": {"crt.pem": ""}}, "could not parse issuer certificate: No certificates found"),
        ({"keys": {"key.pem": PublicKey(fault="not PEM-encoded")}}, "not PEM-encoded"),
        ({"keys": {"key.pem": PublicKey(b"another")}}, "tls: Public and private key do not match"),
    ],
)
def test_a_spoiled_issuer(changes: dict[str, Any], fault: str) -> None:
    assert _faults(_with(_healthy(), _ISSUER, **changes), _IDENTITY) == [fault]


_EXTERNAL = {"identity": {"issuer": {"scheme": "kubernetes.io/tls"}}}


def _external(**certificates: str) -> MeshSnapshot:
    snapshot = _healthy(**_EXTERNAL)
    own = snapshot.credentials[_ISSUER]
    return _with(snapshot, _ISSUER, certificates=certificates, keys={"tls.key": own.keys["key.pem"]})


def test_an_issuer_that_somebody_else_keeps() -> None:
    snapshot = _healthy(**_EXTERNAL)
    assert _faults(snapshot, _IDENTITY) == [
        (
            "key ca.crt containing the trust anchors needs to exist in secret linkerd-identity-issuer "
            "if --identity-external-issuer=true"
        )
    ]
    issuer = snapshot.credentials[_ISSUER].certificates["crt.pem"]
    assert _faults(_external(**{"ca.crt": "x"}), _IDENTITY) == [
        (
            "key tls.crt containing the issuer certificate needs to exist in secret linkerd-identity-issuer "
            "if --identity-external-issuer=true"
        )
    ]
    another = certify("root.linkerd.cluster.local", serial=5).pem
    spoiled = _with(
        snapshot,
        _ISSUER,
        certificates={"ca.crt": another, "tls.crt": issuer},
        keys={"tls.key": snapshot.credentials[_ISSUER].keys["key.pem"]},
    )
    assert _faults(spoiled, _IDENTITY) == [
        (
            'x509: certificate signed by unknown authority (possibly because of "x509: ECDSA verification failure" '
            'while trying to verify candidate authority certificate "root.linkerd.cluster.local")'
        )
    ]


@pytest.mark.parametrize(("pem", "fault"), [("x", "not a PEM certificate"), ("", None)])
def test_spoiled_anchors(pem: str, fault: str | None) -> None:
    expected = fault or "x509: certificate signed by unknown authority"
    assert _faults(_healthy(identityTrustAnchorsPEM=pem), _IDENTITY) == [expected]


def test_an_anchor_and_an_issuer_of_the_wrong_kind() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    anchor = certify("big", serial=6, curve=ec.SECP384R1())
    words = "must use P-256 curve for public key, instead P-384 was used"
    assert _faults(_healthy(identityTrustAnchorsPEM=anchor.pem), _IDENTITY) == [
        f"Invalid trustAnchors:\n\t* 6 big {words}"
    ]
    snapshot = _healthy()
    keys = {"key.pem": PublicKey(_spki(anchor.certificate))}
    spoiled = _with(snapshot, _ISSUER, certificates={"crt.pem": anchor.pem}, keys=keys)
    assert _faults(spoiled, _IDENTITY) == [f"issuer certificate {words}"]


def _spki(certificate: Any) -> bytes:
    from shared.mesh.fold.pem import spki  # noqa: PLC0415

    return spki(certificate.public_key())


@pytest.mark.parametrize("without", [{"config": None}, {"credentials": {}}])
def test_every_check_of_a_category_says_what_it_lacks_when_run_alone(without: dict[str, Any]) -> None:
    snapshot = msgspec.structs.replace(_healthy(), **without)
    for category in (_IDENTITY, _WEBHOOKS):
        row = next(found for found in checks.TABLE if found.name == category)
        evidence = checks.Evidence(snapshot, NOW, VERSION)
        verdicts = [check.judge(evidence) for check in row.checks]
        if category == _IDENTITY or "credentials" in without:
            assert all(isinstance(verdict, checks.Fault | checks.Skip) for verdict in verdicts)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"certificates": {}}, "key tls.crt needs to exist in secret linkerd-proxy-injector-k8s-tls"),
        ({"keys": {}}, "key tls.key needs to exist in secret linkerd-proxy-injector-k8s-tls"),
        ({"certificates": {"tls.crt": "x"}}, "not a PEM certificate"),
        ({"certificates": {"tls.crt": ""}}, "No certificates found"),
        ({"keys": {"tls.key": PublicKey(b"another")}}, "tls: Public and private key do not match"),
    ],
)
def test_a_spoiled_webhook_secret(changes: dict[str, Any], fault: str) -> None:
    assert _faults(_with(_healthy(), _INJECTOR, **changes), _WEBHOOKS) == [fault]


@pytest.mark.parametrize(
    ("bundles", "fault"),
    [
        ((), "expected 1 webhooks, found 0"),
        (("a", "b"), "expected 1 webhooks, found 2"),
        (("x",), "not a PEM certificate"),
        (("",), "cert is not issued by the trust anchor: x509: certificate signed by unknown authority"),
    ],
)
def test_a_spoiled_ca_bundle(bundles: tuple[str, ...], fault: str) -> None:
    webhooks = Webhooks("linkerd-proxy-injector-webhook-config", bundles)
    snapshot = msgspec.structs.replace(_healthy(), mutating_webhooks=(webhooks,))
    assert _faults(snapshot, _WEBHOOKS) == [fault]


def test_the_old_secret_is_as_good() -> None:
    snapshot = _healthy()
    own = snapshot.credentials[_INJECTOR]
    old = Credential(
        "linkerd-proxy-injector-tls", {"crt.pem": own.certificates["tls.crt"]}, {"key.pem": own.keys["tls.key"]}
    )
    kept = {name: found for name, found in snapshot.credentials.items() if name != _INJECTOR}
    assert not _faults(msgspec.structs.replace(snapshot, credentials={**kept, old.secret: old}), _WEBHOOKS)


def test_webhooks_out_of_their_time() -> None:
    expired = from_objects(objects(State(webhook_days=(-9, -1))))
    assert _faults(expired, _WEBHOOKS) == [
        (
            "anchors not within their validity period:\n"
            "\t* 2001 linkerd-proxy-injector.linkerd.svc not valid anymore. Expired on 2026-11-22T12:00:00Z"
        )
    ]
    mixed = from_objects(objects(State(webhook_days=(-9, -1), ca_of_another=("proxy-injector",))))
    assert _faults(mixed, _WEBHOOKS) == ["certificate is not valid anymore. Expired on 2026-11-22T12:00:00Z"]


def test_a_webhook_that_is_not_there() -> None:
    nothing = msgspec.structs.replace(_healthy(), mutating_webhooks=(), validating_webhooks=())
    assert _faults(nothing, _WEBHOOKS) == [
        'mutatingwebhookconfigurations.admissionregistration.k8s.io "linkerd-proxy-injector-webhook-config" not found'
    ]
    profiles = msgspec.structs.replace(_healthy(), validating_webhooks=())
    assert _faults(profiles, _WEBHOOKS) == [
        'validatingwebhookconfigurations.admissionregistration.k8s.io "linkerd-sp-validator-webhook-config" not found'
    ]
    without_policies = msgspec.structs.replace(
        _healthy(),
        validating_webhooks=tuple(one for one in _healthy().validating_webhooks if "policy" not in one.name),
        credentials={name: found for name, found in _healthy().credentials.items() if name != _POLICIES},
    )
    assert _faults(without_policies, "linkerd-version") == []


def test_a_chain_that_expires_soon() -> None:
    snapshot = _healthy()
    anchor = certify("middle", serial=8, days=(-1, 30))
    own = snapshot.credentials[_INJECTOR].certificates["tls.crt"]
    chained = _with(snapshot, _INJECTOR, certificates={"tls.crt": own + anchor.pem})
    assert _faults(chained, _WEBHOOKS) == ["Anchors expiring soon:\n\t* 8 middle will expire on 2026-12-23T12:00:00Z"]
