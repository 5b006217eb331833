"""The Secrets of Linkerd's certificates: their form, their way back, and when one is written."""

from __future__ import annotations

import base64
import copy
import dataclasses
import datetime as dt
from typing import Any

import pytest

from shared.mesh.linkerd.certificates import (
    AnchorPayload,
    UnreadableCertificate,
    Webhook,
    issued_by,
    new_anchor_payload,
    new_issuer,
    new_serving_certificate,
    new_trust_anchor,
)
from shared.mesh.linkerd.secrets import (
    Wished,
    issuer_from_secret,
    issuer_secret,
    serving_from_secret,
    webhook_secret,
    wished,
)

NOW = dt.datetime(2026, 8, 21, 12, 0, tzinfo=dt.UTC)
NAMES = [
    "linkerd-identity-issuer",
    "linkerd-proxy-injector-k8s-tls",
    "linkerd-sp-validator-k8s-tls",
    "linkerd-policy-validator-k8s-tls",
]


@pytest.fixture(scope="module")
def fleet() -> AnchorPayload:
    return new_anchor_payload(NOW)


@pytest.fixture(scope="module")
def first(fleet: AnchorPayload) -> Wished:
    return wished({}, new_issuer(fleet, NOW), "linkerd", NOW)


@pytest.fixture
def kept(first: Wished) -> dict[str, dict[str, Any]]:
    return {name(secret): copy.deepcopy(secret) for secret in first.to_write}


def name(secret: dict[str, Any]) -> str:
    return str(secret["metadata"]["name"])


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(text).decode() for key, text in secret["data"].items()}


def test_the_issuers_secret_is_what_the_external_scheme_reads(fleet: AnchorPayload) -> None:
    issuer = new_issuer(fleet, NOW)
    secret = issuer_secret(issuer, "linkerd")
    assert decoded(secret) == {
        "tls.crt": issuer.certificate_pem,
        "tls.key": issuer.private_key_pem,
        "ca.crt": fleet.trust_anchors,
    }
    del secret["data"]
    assert secret == {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {
            "name": "linkerd-identity-issuer",
            "namespace": "linkerd",
            "labels": {"app.kubernetes.io/managed-by": "byomesh"},
        },
    }


@pytest.mark.parametrize("webhook", Webhook)
def test_a_webhooks_secret_has_the_name_that_its_pod_mounts(webhook: Webhook) -> None:
    serving = new_serving_certificate(webhook.service, "mesh", NOW)
    secret = webhook_secret(webhook, serving, "mesh")
    assert (name(secret), secret["metadata"]["namespace"]) == (f"{webhook.service}-k8s-tls", "mesh")
    assert decoded(secret)["ca.crt"] == serving.ca_bundle
    assert serving_from_secret(secret) == serving


def test_the_issuer_comes_back(fleet: AnchorPayload) -> None:
    issuer = new_issuer(fleet, NOW)
    assert issuer_from_secret(issuer_secret(issuer, "linkerd")) == issuer


def test_a_new_cluster_gets_all_four(first: Wished, fleet: AnchorPayload) -> None:
    assert [name(secret) for secret in first.to_write] == NAMES
    assert issued_by(first.issuer, fleet.trust_anchors)
    assert set(first.webhooks) == set(Webhook)


def test_a_healthy_cluster_gets_nothing(first: Wished, kept: dict[str, dict[str, Any]]) -> None:
    again = wished(kept, first.issuer, "linkerd", NOW + dt.timedelta(days=30))
    assert again.to_write == ()
    assert (again.issuer, again.webhooks) == (first.issuer, first.webhooks)


@pytest.mark.parametrize("missing", NAMES)
def test_only_a_missing_one_is_made(missing: str, kept: dict[str, dict[str, Any]], first: Wished) -> None:
    del kept[missing]
    assert [name(secret) for secret in wished(kept, first.issuer, "linkerd", NOW).to_write] == [missing]


@pytest.mark.parametrize("mangled", NAMES)
def test_an_unreadable_one_is_replaced(mangled: str, kept: dict[str, dict[str, Any]], first: Wished) -> None:
    kept[mangled]["data"]["tls.key"] = ""
    assert [name(secret) for secret in wished(kept, first.issuer, "linkerd", NOW).to_write] == [mangled]


def test_another_issuer_is_written_alone(kept: dict[str, dict[str, Any]], fleet: AnchorPayload) -> None:
    (written,) = wished(kept, new_issuer(fleet, NOW), "linkerd", NOW).to_write
    assert name(written) == "linkerd-identity-issuer"


def test_a_second_anchor_reaches_the_secret_and_the_issuer_stays(
    first: Wished, kept: dict[str, dict[str, Any]], fleet: AnchorPayload
) -> None:
    wider = fleet.trust_anchors + new_trust_anchor(NOW).certificate_pem
    (written,) = wished(kept, dataclasses.replace(first.issuer, trust_anchors=wider), "linkerd", NOW).to_write
    assert decoded(written)["ca.crt"] == wider
    assert decoded(written)["tls.crt"] == first.issuer.certificate_pem


def test_nothing_shows_a_key(first: Wished) -> None:
    told = repr(first)
    assert "PRIVATE" not in told
    assert not [secret for secret in first.to_write if secret["data"]["tls.key"] in told]


BAD: dict[str, tuple[dict[str, str | None], str]] = {
    "no key": ({"tls.key": None}, "the Secret linkerd/linkerd-identity-issuer has no tls.key"),
    "no bundle": ({"ca.crt": None}, "has no ca.crt"),
    "no base64": ({"tls.crt": "%%%"}, "tls.crt of the Secret linkerd/linkerd-identity-issuer is not text in base64"),
    "no text": ({"tls.key": "/w=="}, "tls.key of the Secret linkerd/linkerd-identity-issuer is not text"),
    "bundle no PEM": ({"ca.crt": "eA=="}, "ca.crt of the Secret linkerd/linkerd-identity-issuer can't be read"),
    "certificate no PEM": ({"tls.crt": "eA=="}, "linkerd-identity-issuer's certificate can't be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named_without_secrets(case: str, kept: dict[str, dict[str, Any]]) -> None:
    changes, words = BAD[case]
    secret = kept["linkerd-identity-issuer"]
    key = secret["data"]["tls.key"]
    secret["data"] = {entry: text for entry, text in {**secret["data"], **changes}.items() if text is not None}
    with pytest.raises(UnreadableCertificate, match=words) as raised:
        issuer_from_secret(secret)
    assert key not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_a_secret_without_data_is_unreadable() -> None:
    with pytest.raises(UnreadableCertificate, match=r"has no tls\.crt"):
        issuer_from_secret({"metadata": None, "data": None})


def test_a_key_of_another_secret_is_noticed(kept: dict[str, dict[str, Any]]) -> None:
    secret = kept["linkerd-identity-issuer"]
    secret["data"]["tls.key"] = kept["linkerd-sp-validator-k8s-tls"]["data"]["tls.key"]
    with pytest.raises(UnreadableCertificate, match="doesn't belong to its certificate"):
        issuer_from_secret(secret)
