from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from google.auth import crypt, exceptions, jwt
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from byomesh.local.identity import TOKEN_SECONDS, Identity
from byomesh.local.warden import Warden
from tests.contract.google_cloud import SCOPE, Cloud, cloud, endpoint

INSTALLER = "installer@shop-prod.iam.gserviceaccount.com"
VERIFIER = "verifier@shop-prod.iam.gserviceaccount.com"
ENABLER = "enabler@shop-prod.iam.gserviceaccount.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with cloud(tmp_path, lambda _identity: []) as running:
        yield running


async def credentials(made: Cloud, email: str, role: str = "none") -> Any:
    """google-auth's own credentials from a key file, refreshed at the token endpoint over TLS."""
    load: Any = service_account.Credentials.from_service_account_file
    loaded = load(str(made.key_file(email, role)), scopes=[SCOPE])
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(made.roots())
        await asyncio.to_thread(loaded.refresh, Request(session))
    return loaded


async def post(made: Cloud, path: str, *, form: Any = None, body: Any = None) -> tuple[int, Any]:
    base = made.identity.token_uri.removesuffix("/token")
    trust = ssl.create_default_context(cadata=made.authority.pem.decode())
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
        session.post(f"{base}{path}", data=form, json=body) as response,
    ):
        return response.status, await response.json()


def assertion(key: dict[str, str], **claims: Any) -> str:
    signer: Any = crypt.RSASigner.from_service_account_info(key)  # type: ignore[no-untyped-call]
    now = 1_000 if claims.pop("expired", False) else int(time.time())
    payload = {"iss": key["client_email"], "aud": key["token_uri"], "scope": SCOPE, "iat": now, "exp": now + 600}
    encoded: bytes = jwt.encode(signer, {**payload, **claims})  # type: ignore[no-untyped-call]
    return encoded.decode()


async def test_google_auth_trades_a_key_for_a_token_that_names_its_account(made: Cloud) -> None:
    loaded = await credentials(made, VERIFIER)
    assert not loaded.expired
    assert made.identity.bearer(loaded.token) == VERIFIER
    assert made.identity.caller([("authorization", f"Bearer {loaded.token}")]) == VERIFIER
    assert made.identity.bearer(f"{loaded.token}x") is None


async def test_a_token_lives_an_hour() -> None:
    now = [1_000.0]
    identity = Identity(token_uri="https://localhost/token", clock=lambda: now[0])
    identity.add(VERIFIER)
    token = identity.issue(VERIFIER)
    now[0] += TOKEN_SECONDS - 1
    assert identity.bearer(token) == VERIFIER
    now[0] += 1
    assert identity.bearer(token) is None
    identity.issue(VERIFIER)
    assert token not in identity._tokens


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"aud": "https://container.googleapis.com/"}, "invalid_grant"),
        ({"expired": True}, "invalid_grant"),
        ({"iss": "nobody@example.com"}, "invalid_grant"),
        ({"iss": VERIFIER}, "invalid_grant"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
async def test_a_bad_assertion_is_refused(made: Cloud, claims: dict[str, Any], error: str) -> None:
    made.identity.add(VERIFIER)
    key = made.identity.add(INSTALLER)
    form = {"grant_type": GRANT, "assertion": assertion(key, **claims)}
    status, answer = await post(made, "/token", form=form)
    assert (status, answer["error"]) == (400, error)


async def test_another_key_is_refused_by_google_auth(made: Cloud) -> None:
    stranger = Identity(token_uri=made.identity.token_uri).add(INSTALLER)
    made.identity.add(INSTALLER)
    load: Any = service_account.Credentials.from_service_account_info
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(made.roots())
        with pytest.raises(exceptions.RefreshError, match="invalid_grant"):
            await asyncio.to_thread(load(stranger, scopes=[SCOPE]).refresh, Request(session))


async def test_other_grants_are_refused(made: Cloud) -> None:
    status, answer = await post(made, "/token", form={"grant_type": "password"})
    assert (status, answer["error"]) == (400, "unsupported_grant_type")


async def test_a_self_signed_jwt_names_its_account() -> None:
    identity = Identity(token_uri="https://localhost/token")
    key = identity.add(VERIFIER)
    load: Any = service_account.Credentials.from_service_account_info
    signed = load(key, always_use_jwt_access=True)
    signed._create_self_signed_jwt("https://container.googleapis.com/")
    signed.refresh(None)
    token = signed.token.decode() if isinstance(signed.token, bytes) else signed.token
    assert identity.caller([("x", "y"), ("authorization", f"Bearer {token}")]) == VERIFIER
    assert Identity(token_uri="").bearer(token) is None
    assert identity.bearer(assertion(key, aud="", scope="")) is None
    assert identity.caller([("authorization", "Basic abc")]) is None
    identity.remove(VERIFIER)
    assert identity.bearer(token) is None


async def test_a_key_is_googles_format_and_each_account_has_its_own_id(made: Cloud) -> None:
    key = json.loads(made.key_file(INSTALLER).read_text())
    other = made.identity.add(VERIFIER)
    assert key["type"] == "service_account"
    assert key["client_email"] == INSTALLER
    assert key["private_key"] == other["private_key"]
    assert key["private_key_id"] != other["private_key_id"]
    with pytest.raises(ValueError, match="cluster-admin, cluster-viewer-and-patcher, none"):
        made.identity.add(INSTALLER, "owner")
    assert made.identity.accounts() == {INSTALLER: "none", VERIFIER: "none"}


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_a_cluster_knows_the_bearer_of_a_token(made: Cloud, version: str) -> None:
    loaded = await credentials(made, INSTALLER, "cluster-admin")
    api = f"authentication.k8s.io/{version}"
    review = {"apiVersion": api, "kind": "TokenReview", "spec": {"token": loaded.token}}
    status, answer = await post(made, "/iam/authenticate", body=review)
    assert (status, answer["apiVersion"], answer["kind"]) == (200, api, "TokenReview")
    assert answer["status"]["user"]["username"] == INSTALLER
    assert answer["status"]["user"]["groups"] == ["system:authenticated"]
    review["spec"] = {"token": "guess"}
    _, answer = await post(made, "/iam/authenticate", body=review)
    assert answer["status"]["authenticated"] is False


def on(verb: str, resource: str, namespace: str = "", group: str = "", subresource: str = "") -> dict[str, Any]:
    asked = {"verb": verb, "resource": resource, "namespace": namespace, "group": group, "subresource": subresource}
    return {"resourceAttributes": {key: value for key, value in asked.items() if value}}


def at(path: str, verb: str = "get") -> dict[str, Any]:
    return {"nonResourceAttributes": {"path": path, "verb": verb}}


@pytest.mark.parametrize(
    ("email", "request_", "allowed"),
    [
        (INSTALLER, on("delete", "clusterroles", group="rbac.authorization.k8s.io"), True),
        (INSTALLER, at("/metrics", "post"), True),
        (VERIFIER, on("list", "pods"), True),
        (VERIFIER, on("get", "pods", "shop", subresource="log"), True),
        (VERIFIER, at("/version"), True),
        (VERIFIER, at("/version", "post"), False),
        (VERIFIER, on("patch", "configmaps", "linkerd"), True),
        (VERIFIER, on("patch", "configmaps", "shop"), False),
        (VERIFIER, on("update", "secrets", "linkerd"), True),
        (VERIFIER, on("patch", "deployments", "linkerd", "apps"), True),
        (VERIFIER, on("patch", "deployments", "linkerd", subresource="scale", group="apps"), False),
        (VERIFIER, on("delete", "deployments", "linkerd", "apps"), False),
        (VERIFIER, on("create", "pods", "linkerd"), False),
        (VERIFIER, on("update", "leases", "byomesh-system", "coordination.k8s.io"), True),
        (VERIFIER, on("create", "namespaces"), True),
        (VERIFIER, on("patch", "namespaces", "linkerd"), False),
        (ENABLER, on("get", "pods"), False),
        ("system:node:a", on("get", "pods"), False),
    ],
)
async def test_a_cluster_allows_by_role_and_never_denies(
    made: Cloud, email: str, request_: dict[str, Any], allowed: bool
) -> None:
    made.identity.add(INSTALLER, "cluster-admin")
    made.identity.add(VERIFIER, "cluster-viewer-and-patcher")
    made.identity.add(ENABLER)
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": email, **request_},
    }
    _, answer = await post(made, "/iam/authorize", body=review)
    assert answer["status"]["allowed"] is allowed
    assert "denied" not in answer["status"]


async def test_warden_answers_for_the_clusters_that_it_guards(made: Cloud) -> None:
    warden = Warden()
    pod = {"spec": {"containers": [{"name": "c", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}]}}
    asked = {"uid": "u", "kind": {"kind": "Pod"}, "operation": "CREATE", "object": pod}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}
    trust = ssl.create_default_context(cadata=made.authority.pem.decode())
    async with (
        endpoint(warden.routes(), made.authority) as base,
        aiohttp.ClientSession(base, connector=aiohttp.TCPConnector(ssl=trust)) as session,
    ):
        answers = []
        for allow in (False, True):
            warden.guard("till", allow_net_admin=allow)
            async with session.post("/warden/till", json=review) as response:
                answers.append((await response.json())["response"]["allowed"])
        warden.forget("till")
        async with session.post("/warden/till", json=review) as response:
            answers.append(response.status)
    assert answers == [False, True, 404]
