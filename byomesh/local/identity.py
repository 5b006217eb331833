"""Who is who in the local cloud: service-account keys, Google's token endpoint, a cluster's authentication by webhook.

Google's gRPC clients sign a JWT themselves (https://google.aip.dev/auth/4111); google-auth trades a signed assertion
for an opaque access token at the key's `token_uri`
(https://developers.google.com/identity/protocols/oauth2/service-account). Both name the caller here. A kube-apiserver
asks by TokenReview and SubjectAccessReview (https://kubernetes.io/docs/reference/access-authn-authz/webhook/).
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import exceptions, jwt

from byomesh.local import roles

TOKEN_SECONDS = 3600
"""How long an access token lives, in seconds; Google's own default."""

_KEY_BITS = 2048
_GOOGLES_AUDIENCE = "https://oauth2.googleapis.com/token"
"""What google-auth signs its assertions for, whatever `token_uri` a key names (google/oauth2/service_account.py)."""

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_BEARER = "bearer "


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """A service account.

    Attributes:
        email: its name.
        role: what it may do in a cluster: a name in `byomesh.local.roles.ROLES`.
        key_id: the `private_key_id` of its key.
    """

    email: str
    role: str
    key_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Token:
    email: str
    expires: float


class BadToken(Exception):
    """An assertion or a self-signed JWT that isn't accepted; its text says why."""


class Identity:
    """All service accounts of one local cloud. They share one RSA key, made once, and differ by `private_key_id`.

    Attributes:
        token_uri: address of the token endpoint, as the keys name it; set before the first key is asked for.
    """

    def __init__(self, *, token_uri: str, project: str = "local", clock: Callable[[], float] = time.time) -> None:
        self.token_uri = token_uri
        self._project = project
        self._clock = clock
        private = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
        self._private_pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        self._public_pem = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._accounts: dict[str, Account] = {}
        self._tokens: dict[str, _Token] = {}

    def add(self, email: str, role: str = "none") -> dict[str, str]:
        """Make an account, or change its role, and answer its key in Google's JSON key format.

        Raises:
            ValueError: no such role.
        """
        if role not in roles.ROLES:
            raise ValueError(f"{role!r} is no role of a cluster; there are {', '.join(sorted(roles.ROLES))}")
        account = Account(email, role, hashlib.sha256(email.encode()).hexdigest()[:40])
        self._accounts[email] = account
        return {
            "type": "service_account",
            "project_id": self._project,
            "private_key_id": account.key_id,
            "private_key": self._private_pem,
            "client_email": email,
            "client_id": str(int(account.key_id[:17], 16)),
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": self.token_uri,
            "universe_domain": "googleapis.com",
        }

    def remove(self, email: str) -> None:
        """Forget an account: its key and its tokens open nothing any more."""
        self._accounts.pop(email, None)
        self._tokens = {token: known for token, known in self._tokens.items() if known.email != email}

    def accounts(self) -> dict[str, str]:
        """Roles by e-mail."""
        return {account.email: account.role for account in self._accounts.values()}

    def caller(self, metadata: Iterable[tuple[str, Any]]) -> str | None:
        """The e-mail of a gRPC call, by its `authorization` metadata; None where there is no valid token."""
        for key, value in metadata:
            if key.lower() == "authorization" and str(value).lower().startswith(_BEARER):
                return self.bearer(str(value)[len(_BEARER) :])
        return None

    def bearer(self, token: str) -> str | None:
        """The e-mail behind an opaque access token or a self-signed JWT; None if it's unknown, expired or forged."""
        known = self._tokens.get(token)
        if known is not None:
            return known.email if self._clock() < known.expires else None
        try:
            claims = self._verified(token)
        except BadToken:
            return None
        if not claims.get("aud") and not claims.get("scope"):
            return None
        # Google's clients send the same one for an hour, and verifying it takes longer than most calls.
        email = str(claims["iss"])
        self._tokens[token] = _Token(email, float(claims["exp"]))
        return email

    async def token(self, request: web.Request) -> web.Response:
        """Answer `POST /token`: a signed assertion for an opaque access token, or Google's 400 with the reason."""
        form = await request.post()
        if form.get("grant_type") != _GRANT:
            return _refused("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
        try:
            claims = self._verified(str(form.get("assertion", "")), audience=[self.token_uri, _GOOGLES_AUDIENCE])
        except BadToken as error:
            return _refused("invalid_grant", str(error))
        if not claims.get("scope"):
            return _refused("invalid_scope", "Empty or missing scope not allowed.")
        return web.json_response(
            {"access_token": self.issue(str(claims["iss"])), "expires_in": TOKEN_SECONDS - 1, "token_type": "Bearer"}
        )

    def issue(self, email: str) -> str:
        """A fresh opaque access token of an account."""
        now = self._clock()
        self._tokens = {token: known for token, known in self._tokens.items() if now < known.expires}
        token = f"ya29.local.{secrets.token_urlsafe(32)}"
        self._tokens[token] = _Token(email, now + TOKEN_SECONDS)
        return token

    async def token_review(self, request: web.Request) -> web.Response:
        """Answer a kube-apiserver's TokenReview: user = e-mail, group system:authenticated."""
        review = await request.json()
        email = self.bearer(review.get("spec", {}).get("token", ""))
        status: dict[str, Any] = {"authenticated": False, "error": "the local cloud's identity knows no such token"}
        if email is not None:
            user = {"username": email, "uid": self._accounts[email].key_id, "groups": ["system:authenticated"]}
            status = {"authenticated": True, "user": user}
        return web.json_response({"apiVersion": review["apiVersion"], "kind": "TokenReview", "status": status})

    async def access_review(self, request: web.Request) -> web.Response:
        """Answer a kube-apiserver's SubjectAccessReview by role; what no role allows is left to RBAC."""
        review = await request.json()
        spec = review.get("spec", {})
        account = self._accounts.get(spec.get("user", ""))
        allowed = account is not None and roles.allows(account.role, spec)
        reason = f"role {account.role}" if account is not None and allowed else "no opinion"
        status = {"allowed": allowed, "reason": reason}
        return web.json_response({"apiVersion": review["apiVersion"], "kind": "SubjectAccessReview", "status": status})

    def routes(self, *, webhooks: str = "/iam") -> list[web.RouteDef]:
        """The routes of an aiohttp application: `/token`, and the webhooks under the path `webhooks`."""
        return [
            web.post("/token", self.token),
            web.post(f"{webhooks}/authenticate", self.token_review),
            web.post(f"{webhooks}/authorize", self.access_review),
        ]

    def _verified(self, token: str, audience: list[str] | None = None) -> dict[str, Any]:
        try:
            header = jwt.decode_header(token)  # type: ignore[no-untyped-call]
            decoded = jwt.decode(token, certs=self._public_pem, audience=audience)  # type: ignore[no-untyped-call]
            claims: dict[str, Any] = dict(decoded)
        except (ValueError, exceptions.GoogleAuthError) as error:
            raise BadToken(f"Invalid JWT: {error}") from error
        account = self._accounts.get(str(claims.get("iss", "")))
        if account is None:
            raise BadToken("Invalid grant: account not found")
        if header.get("kid") != account.key_id:
            raise BadToken("Invalid JWT Signature.")
        return claims


def _refused(error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=400)
