"""google.cloud.secretmanager.v1.SecretManagerService as far as it is used: secrets and their versions, in memory.

States, the `latest` alias (the newest version, whatever its state) and the words of refusals are the real service's
(https://cloud.google.com/secret-manager/docs/reference/rpc/google.cloud.secretmanager.v1).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import re
from collections.abc import Callable
from typing import Any

import grpc
from google.cloud import secretmanager_v1 as v1

from byomesh.local.rpc import Call, Caller, Faults, Handler, Method, RpcFailure, service

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
MAX_BYTES = 65_536
"""The largest payload, in bytes (https://cloud.google.com/secret-manager/quotas)."""

PAGE_SIZE = 25_000
"""Versions of a page where the request names no size."""

State: Any = v1.SecretVersion.State

_PARENT = re.compile(r"projects/[a-z0-9.:-]+")
_SECRET_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_POLYNOMIAL = 0x82F63B78
"""CRC32C's (Castagnoli), bits reversed."""


@dataclasses.dataclass(slots=True)
class _Version:
    proto: v1.SecretVersion
    data: bytes


@dataclasses.dataclass(slots=True)
class _Secret:
    proto: v1.Secret
    versions: list[_Version] = dataclasses.field(default_factory=list)


def crc32c(data: bytes) -> int:
    """The CRC32C of `data`, as a payload carries it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class SecretManager:
    """All secrets of the local cloud."""

    def __init__(self, *, clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> None:
        self._secrets: dict[str, _Secret] = {}
        self._clock = clock

    def describe(self) -> dict[str, list[str]]:
        """States of the versions by secret, oldest first; no payload."""
        return {name: [State(v.proto.state).name for v in s.versions] for name, s in self._secrets.items()}

    def create(self, request: v1.CreateSecretRequest) -> v1.Secret:
        """A new secret without versions; ALREADY_EXISTS, or INVALID_ARGUMENT for a bad name."""
        if _PARENT.fullmatch(request.parent) is None or _SECRET_ID.fullmatch(request.secret_id) is None:
            raise _invalid(f"The provided Secret ID [{request.secret_id}] does not match the expected format.")
        if "replication" not in request.secret:
            raise _invalid("Secret.replication must be provided.")
        name = f"{request.parent}/secrets/{request.secret_id}"
        if name in self._secrets:
            raise RpcFailure(grpc.StatusCode.ALREADY_EXISTS, f"Secret [{name}] already exists.")
        now: Any = self._clock()
        secret = v1.Secret(request.secret)
        secret.name, secret.create_time, secret.etag = name, now, _etag(name, now)
        self._secrets[name] = _Secret(secret)
        return secret

    def get(self, request: v1.GetSecretRequest) -> v1.Secret:
        """A secret's metadata; NOT_FOUND."""
        return self._secret(request.name).proto

    def add_version(self, request: v1.AddSecretVersionRequest) -> v1.SecretVersion:
        """A new version, numbered on; INVALID_ARGUMENT for a payload that is too large or has another checksum."""
        secret = self._secret(request.parent)
        data = request.payload.data
        if len(data) > MAX_BYTES:
            raise _invalid(f"The secret payload is larger than {MAX_BYTES} bytes.")
        if "data_crc32c" in request.payload and request.payload.data_crc32c != crc32c(data):
            raise _invalid("The provided CRC32C checksum does not match the secret payload.")
        now = self._clock()
        name = f"{secret.proto.name}/versions/{len(secret.versions) + 1}"
        version = v1.SecretVersion(
            name=name,
            create_time=now,
            state=State.ENABLED,
            etag=_etag(name, now),
            client_specified_payload_checksum="data_crc32c" in request.payload,
        )
        secret.versions.append(_Version(version, data))
        return version

    def list_versions(self, request: v1.ListSecretVersionsRequest) -> v1.ListSecretVersionsResponse:
        """A page of a secret's versions, newest first; a filter by `state:` only."""
        newest_first = [version.proto for version in reversed(self._secret(request.parent).versions)]
        if request.filter:
            name = request.filter.upper().removeprefix("STATE:").removeprefix("STATE=").strip()
            if name not in State.__members__:
                raise _invalid(f"Invalid filter {request.filter!r}: the local service filters by state only.")
            newest_first = [version for version in newest_first if version.state == State[name]]
        start = int(request.page_token or 0)
        end = start + (request.page_size or PAGE_SIZE)
        return v1.ListSecretVersionsResponse(
            versions=newest_first[start:end],
            next_page_token=str(end) if end < len(newest_first) else "",
            total_size=len(newest_first),
        )

    def access(self, request: v1.AccessSecretVersionRequest) -> v1.AccessSecretVersionResponse:
        """A version's payload; NOT_FOUND, or FAILED_PRECONDITION unless it is ENABLED."""
        version = self._version(request.name)
        if version.proto.state != State.ENABLED:
            raise _state(version.proto)
        payload = v1.SecretPayload(data=version.data, data_crc32c=crc32c(version.data))
        return v1.AccessSecretVersionResponse(name=version.proto.name, payload=payload)

    def disable(self, request: v1.DisableSecretVersionRequest) -> v1.SecretVersion:
        """Make a version inaccessible until somebody enables it; a destroyed one can't be."""
        version = self._changeable(request.name, request.etag)
        version.proto.state = State.DISABLED
        version.proto.etag = _etag(version.proto.name, self._clock(), "disabled")
        return version.proto

    def destroy(self, request: v1.DestroySecretVersionRequest) -> v1.SecretVersion:
        """Throw a version's payload away for good."""
        version = self._changeable(request.name, request.etag)
        now: Any = self._clock()
        version.proto.state, version.data = State.DESTROYED, b""
        version.proto.destroy_time = now
        version.proto.etag = _etag(version.proto.name, now, "destroyed")
        return version.proto

    def _secret(self, name: str) -> _Secret:
        secret = self._secrets.get(name)
        if secret is None:
            raise RpcFailure(grpc.StatusCode.NOT_FOUND, f"Secret [{name}] not found.")
        return secret

    def _version(self, name: str) -> _Version:
        parent, _, number = name.partition("/versions/")
        versions = self._secret(parent).versions
        if number == "latest" and versions:
            return versions[-1]
        if not number.isdecimal() or not 1 <= int(number) <= len(versions):
            text = f"Secret [{parent}] not found or has no versions." if number == "latest" else _missing(name)
            raise RpcFailure(grpc.StatusCode.NOT_FOUND, text)
        return versions[int(number) - 1]

    def _changeable(self, name: str, etag: str) -> _Version:
        version = self._version(name)
        if version.proto.state == State.DESTROYED:
            raise _state(version.proto)
        if etag and etag != version.proto.etag:
            text = f"The etag provided in the request does not match the etag of [{version.proto.name}]."
            raise RpcFailure(grpc.StatusCode.FAILED_PRECONDITION, text)
        return version


def handler(manager: SecretManager, *, caller: Caller, faults: Faults) -> Handler:
    """The service, for `byomesh.local.rpc.serve`."""

    def method(request: Any, response: Any, act: Callable[[Any], Any]) -> Method:
        async def answer(message: Any, _call: Call) -> Any:
            return act(message)

        return Method(request, response, answer)

    methods = {
        "CreateSecret": method(v1.CreateSecretRequest, v1.Secret, manager.create),
        "GetSecret": method(v1.GetSecretRequest, v1.Secret, manager.get),
        "AddSecretVersion": method(v1.AddSecretVersionRequest, v1.SecretVersion, manager.add_version),
        "ListSecretVersions": method(
            v1.ListSecretVersionsRequest, v1.ListSecretVersionsResponse, manager.list_versions
        ),
        "AccessSecretVersion": method(v1.AccessSecretVersionRequest, v1.AccessSecretVersionResponse, manager.access),
        "DisableSecretVersion": method(v1.DisableSecretVersionRequest, v1.SecretVersion, manager.disable),
        "DestroySecretVersion": method(v1.DestroySecretVersionRequest, v1.SecretVersion, manager.destroy),
    }
    return service(SERVICE, methods, caller=caller, faults=faults)


def _etag(name: str, now: dt.datetime, change: str = "") -> str:
    return f'"{hashlib.sha256(f"{name}{now}{change}".encode()).hexdigest()[:14]}"'


def _missing(name: str) -> str:
    return f"Secret Version [{name}] not found."


def _state(version: v1.SecretVersion) -> RpcFailure:
    text = f"Secret Version [{version.name}] is in {State(version.state).name} state."
    return RpcFailure(grpc.StatusCode.FAILED_PRECONDITION, text)


def _invalid(text: str) -> RpcFailure:
    return RpcFailure(grpc.StatusCode.INVALID_ARGUMENT, text)
