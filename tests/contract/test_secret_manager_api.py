from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import secretmanager_v1 as v1
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

from byomesh.local import secret_manager
from byomesh.local.rpc import Faults
from tests.contract.google_cloud import cloud

PROJECT = "projects/shop-prod"
ANCHOR = f"{PROJECT}/secrets/trust-anchor"
CHECK_OF_DIGITS = 0xE3069283
"""CRC32C of `123456789` (RFC 3720, appendix B.4 and every catalogue of CRCs)."""


class Secrets:
    """A Secret Manager behind TLS and a real client of it."""

    def __init__(self, client: v1.SecretManagerServiceClient) -> None:
        self.client = client
        self.manager = secret_manager.SecretManager()
        self.faults = Faults()

    async def call(self, method: str, **request: Any) -> Any:
        return await asyncio.to_thread(getattr(self.client, method), request=request, retry=None, timeout=120)

    async def create(self, name: str = "trust-anchor") -> v1.Secret:
        automatic = {"replication": {"automatic": {}}, "labels": {"mesh": "linkerd"}}
        made: v1.Secret = await self.call("create_secret", parent=PROJECT, secret_id=name, secret=automatic)
        return made

    async def add(self, data: bytes) -> v1.SecretVersion:
        added: v1.SecretVersion = await self.call("add_secret_version", parent=ANCHOR, payload={"data": data})
        return added

    async def versions(self, **request: Any) -> list[v1.SecretVersion]:
        """All pages, turned in a thread: the server shares this one with the test."""
        list_: Any = self.client.list_secret_versions
        return await asyncio.to_thread(
            lambda: list(list_(request={"parent": ANCHOR, **request}, retry=None, timeout=120))
        )

    async def read(self, version: str = "latest") -> bytes:
        answer = await self.call("access_secret_version", name=f"{ANCHOR}/versions/{version}")
        assert answer.payload.data_crc32c == secret_manager.crc32c(answer.payload.data)
        data: bytes = answer.payload.data
        return data


@pytest.fixture
async def secrets(tmp_path: Path) -> AsyncIterator[Secrets]:
    made = Secrets(v1.SecretManagerServiceClient.__new__(v1.SecretManagerServiceClient))
    async with cloud(
        tmp_path,
        lambda identity: [secret_manager.handler(made.manager, caller=identity.caller, faults=made.faults)],
    ) as running:
        made.client = running.client(v1.SecretManagerServiceClient, SecretManagerServiceGrpcTransport)
        yield made
        made.client.transport.close()  # type: ignore[no-untyped-call]


def test_the_checksum_is_castagnolis() -> None:
    assert secret_manager.crc32c(b"123456789") == CHECK_OF_DIGITS
    assert secret_manager.crc32c(b"") == 0


async def test_versions_are_numbered_and_the_newest_is_latest(secrets: Secrets) -> None:
    made = await secrets.create()
    assert made.name == ANCHOR
    assert dict((await secrets.call("get_secret", name=ANCHOR)).labels) == {"mesh": "linkerd"}
    first, second = await secrets.add(b"one"), await secrets.add(b"two")
    assert (first.name, second.name) == (f"{ANCHOR}/versions/1", f"{ANCHOR}/versions/2")
    assert await secrets.read() == b"two"
    assert await secrets.read("1") == b"one"
    assert [version.name for version in await secrets.versions()] == [second.name, first.name]
    assert secrets.manager.describe() == {ANCHOR: ["ENABLED", "ENABLED"]}


async def test_a_list_goes_on_page_by_page(secrets: Secrets) -> None:
    await secrets.create()
    for number in range(5):
        await secrets.add(str(number).encode())
    names = [version.name for version in await secrets.versions(page_size=2)]
    assert names == [f"{ANCHOR}/versions/{number}" for number in range(5, 0, -1)]
    await secrets.call("disable_secret_version", name=f"{ANCHOR}/versions/3")
    assert len(await secrets.versions(filter="state:ENABLED")) == 4
    with pytest.raises(exceptions.InvalidArgument, match="filters by state only"):
        await secrets.versions(filter="name:x")


async def test_what_is_disabled_or_destroyed_is_not_read(secrets: Secrets) -> None:
    await secrets.create()
    await secrets.add(b"one")
    await secrets.call("disable_secret_version", name=f"{ANCHOR}/versions/1")
    with pytest.raises(exceptions.FailedPrecondition) as disabled:
        await secrets.read()
    assert disabled.value.message == f"Secret Version [{ANCHOR}/versions/1] is in DISABLED state."
    destroyed = await secrets.call("destroy_secret_version", name=f"{ANCHOR}/versions/latest")
    assert destroyed.destroy_time is not None
    with pytest.raises(exceptions.FailedPrecondition, match="is in DESTROYED state"):
        await secrets.read("1")
    with pytest.raises(exceptions.FailedPrecondition, match="is in DESTROYED state"):
        await secrets.call("disable_secret_version", name=f"{ANCHOR}/versions/1")


async def test_what_is_not_there_is_not_found(secrets: Secrets) -> None:
    with pytest.raises(exceptions.NotFound, match=r"Secret \[projects/shop-prod/secrets/trust-anchor\] not found"):
        await secrets.add(b"one")
    await secrets.create()
    with pytest.raises(exceptions.NotFound, match="has no versions"):
        await secrets.read()
    with pytest.raises(exceptions.NotFound, match=r"versions/7\] not found"):
        await secrets.read("7")


async def test_an_id_is_taken_once_and_well_formed(secrets: Secrets) -> None:
    await secrets.create()
    with pytest.raises(exceptions.AlreadyExists, match="already exists"):
        await secrets.create()
    with pytest.raises(exceptions.InvalidArgument, match="does not match the expected format"):
        await secrets.create("trust anchor")
    with pytest.raises(exceptions.InvalidArgument, match="replication"):
        await secrets.call("create_secret", parent=PROJECT, secret_id="bare", secret={})


async def test_a_change_needs_the_present_etag(secrets: Secrets) -> None:
    await secrets.create()
    version = await secrets.add(b"one")
    with pytest.raises(exceptions.FailedPrecondition, match="etag"):
        await secrets.call("disable_secret_version", name=version.name, etag='"0"')
    disabled = await secrets.call("disable_secret_version", name=version.name, etag=version.etag)
    assert disabled.state == v1.SecretVersion.State.DISABLED
    assert disabled.etag != version.etag


async def test_a_payload_is_checked(secrets: Secrets) -> None:
    await secrets.create()
    with pytest.raises(exceptions.InvalidArgument, match="does not match the secret payload"):
        await secrets.call("add_secret_version", parent=ANCHOR, payload={"data": b"one", "data_crc32c": 1})
    with pytest.raises(exceptions.InvalidArgument, match="larger than 65536 bytes"):
        await secrets.add(b"x" * 65_537)
    checked = {"data": b"one", "data_crc32c": secret_manager.crc32c(b"one")}
    added = await secrets.call("add_secret_version", parent=ANCHOR, payload=checked)
    assert added.client_specified_payload_checksum


async def test_faults_are_answered(secrets: Secrets) -> None:
    secrets.faults.order("GetSecret", grpc.StatusCode.UNAVAILABLE, "try again")
    with pytest.raises(exceptions.ServiceUnavailable, match="try again"):
        await secrets.call("get_secret", name=ANCHOR)
