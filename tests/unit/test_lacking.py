"""Secrets that don't hold what the installer writes into them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from shared.mesh import observe
from shared.mesh.linkerd import secrets
from shared.mesh.linkerd.certificates import new_anchor_payload, new_issuer
from shared.mesh.linkerd.lacking import lacking
from shared.model import Repair
from tests.unit.doors import NOW

ISSUER, SERVING = Repair.ISSUER_RENEWAL, Repair.SERVING_CERTIFICATE_RENEWAL


@pytest.fixture(scope="module")
def made() -> dict[str, dict[str, Any]]:
    found = secrets.wished({}, new_issuer(new_anchor_payload(NOW), NOW), "linkerd", NOW).to_write
    return {one["metadata"]["name"]: one for one in found}


def lost(made: dict[str, dict[str, Any]], name: str, **data: str | None) -> tuple[Repair, ...]:
    """What is lacking once entries of a Secret were changed, or (None) removed."""
    kept = {key: text for key, text in {**made[name]["data"], **data}.items() if text is not None}
    return lacking(observe.from_objects([*({**made, name: {**made[name], "data": kept}}.values())]))


def test_what_the_installer_writes_is_whole(made: dict[str, dict[str, Any]]) -> None:
    assert lacking(observe.from_objects(made.values())) == ()


def test_a_missing_secret_is_lacking(made: dict[str, dict[str, Any]]) -> None:
    assert lacking(observe.from_objects([])) == (ISSUER, SERVING)
    for name, secret in made.items():
        rest = [one for one in made.values() if one is not secret]
        assert lacking(observe.from_objects(rest)) == ((ISSUER,) if "issuer" in name else (SERVING,))


@pytest.mark.parametrize("entry", ["tls.crt", "tls.key", "ca.crt"])
@pytest.mark.parametrize("text", [None, "bm8gUEVN"])
def test_a_secret_that_lost_a_part_is_lacking(made: dict[str, dict[str, Any]], entry: str, text: str | None) -> None:
    assert lost(made, "linkerd-policy-validator-k8s-tls", **{entry: text}) == (SERVING,)
    assert lost(made, "linkerd-identity-issuer", **{entry: text}) == (ISSUER,)


def roots(pem: str) -> dict[str, Any]:
    metadata = {"name": "linkerd-identity-trust-roots", "namespace": "linkerd"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca-bundle.crt": pem}}


def test_an_issuer_that_no_trust_root_signed_is_lacking(made: dict[str, dict[str, Any]]) -> None:
    own = base64.b64decode(made["linkerd-identity-issuer"]["data"]["ca.crt"]).decode()
    other = new_anchor_payload(NOW).trust_anchors
    for pem, lacks in ((own, ()), (other, (ISSUER,)), (other + own, ()), ("no PEM", ())):
        assert lacking(observe.from_objects([*made.values(), roots(pem)])) == lacks
