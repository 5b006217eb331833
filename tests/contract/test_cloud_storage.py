"""The door to Cloud Storage and Google's own client against the local Cloud Storage."""

from __future__ import annotations

import asyncio
import gzip
import http.client
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from aiohttp import web
from google.oauth2 import service_account

from byomesh.local import cloud_storage as local
from byomesh.local.identity import Identity
from byomesh.local.rpc import Faults
from shared.cloud_storage import CloudStorage, ObjectName, StoredObject
from shared.config import Settings
from shared.errors import Temporary

READER = "enable-net-admin@ops.iam.gserviceaccount.com"
WRITER = "operator@ops.iam.gserviceaccount.com"
NAME = ObjectName.parse("gs://rules/teams/by omesh+1.yaml")
LIMIT = 64
TEXT = "schema: 1\nrules: []  # ä\n"


class Cloud:
    """A local Cloud Storage and doors to it."""

    def __init__(self) -> None:
        self.identity = Identity(token_uri="", project="ops")
        self.storage = local.CloudStorage(readers=[READER], writers=[WRITER])
        self.storage.create_bucket(NAME.bucket)
        self.faults = Faults()
        self.url = ""
        self.doors: dict[str, CloudStorage] = {}

    def door(self, email: str) -> CloudStorage:
        make: Any = service_account.Credentials.from_service_account_info
        credentials = make(self.identity.add(email), scopes=["https://www.googleapis.com/auth/cloud-platform"])
        return self.doors.setdefault(email, CloudStorage(Settings(storage_endpoint=self.url), credentials))

    async def read(
        self, known: StoredObject | None = None, email: str = READER, name: ObjectName = NAME
    ) -> StoredObject | None:
        return await asyncio.to_thread(self.door(email).read, name, LIMIT, known)

    async def write(self, text: str, generation: int, email: str = WRITER) -> int | None:
        return await asyncio.to_thread(self.door(email).replace, NAME, text, generation)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    made = Cloud()
    app = web.Application()
    caller: Callable[[str], str | None] = lambda header: made.identity.bearer(header.partition(" ")[2])  # noqa: E731
    app.add_routes([*made.identity.routes(), *local.routes(made.storage, caller, made.faults)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    made.identity.token_uri = f"{made.url}/token"
    yield made
    for door in made.doors.values():
        door._client._http.close()
    await runner.cleanup()


async def test_an_object_is_written_and_read_once_until_it_changes(cloud: Cloud) -> None:
    assert await cloud.read() is None
    first = await cloud.write(TEXT, 0)
    assert first is not None
    found = await cloud.read()
    assert found == StoredObject(first, TEXT.encode())
    cloud.storage.asked.clear()
    assert await cloud.read(found) is found
    assert cloud.storage.asked == {"objects.get": 1}
    second = await cloud.write("two\n", first)
    assert second is not None
    assert second > first
    assert await cloud.read(found) == StoredObject(second, b"two\n")


async def test_nobody_is_overwritten(cloud: Cloud) -> None:
    first = await cloud.write(TEXT, 0)
    assert first is not None
    assert await cloud.write("late", 0) is None
    assert await cloud.write("later", first - 1) is None
    assert await cloud.read() == StoredObject(first, TEXT.encode())


async def test_a_bucket_that_is_not_there_has_no_objects(cloud: Cloud) -> None:
    assert await cloud.read(name=ObjectName.parse("gs://others/a")) is None


async def test_what_is_too_long_is_not_read(cloud: Cloud) -> None:
    await cloud.write("x" * (LIMIT + 1), 0)
    cloud.storage.asked.clear()
    found = await cloud.read()
    assert found is not None
    assert len(found.content) == LIMIT + 1
    assert cloud.storage.asked == {"objects.get": 1}


async def test_gzip_is_unpacked_up_to_the_limit(cloud: Cloud) -> None:
    for content, expected in ((TEXT.encode(), len(TEXT.encode())), (b"x" * 10_000, LIMIT + 1)):
        stored = local.Stored(NAME.bucket, NAME.path, gzip.compress(content), 0, content_encoding="gzip")
        cloud.storage.insert(stored, {})
        found = await cloud.read()
        assert found is not None
        assert (len(found.content), content.startswith(found.content)) == (expected, True)


async def test_who_may_not_is_told_what_to_grant(cloud: Cloud) -> None:
    await cloud.write(TEXT, 0)
    with pytest.raises(Temporary) as raised:
        await cloud.read(email="stranger@ops.iam.gserviceaccount.com")
    assert raised.value.reason == "IamNotReady"
    assert "storage.objects.get" in raised.value.remedy
    with pytest.raises(Temporary) as raised:
        await cloud.write("mine", 0, READER)
    assert raised.value.reason == "IamNotReady"


async def test_a_call_without_a_token_is_refused(cloud: Cloud) -> None:
    def ask() -> int:
        connection = http.client.HTTPConnection(cloud.url.removeprefix("http://"), timeout=10)
        connection.request("GET", "/storage/v1/b/rules/o/a")
        status = connection.getresponse().status
        connection.close()
        return status

    assert await asyncio.to_thread(ask) == 401


async def test_faults_that_pass_are_repeated_and_those_that_stay_are_temporary(cloud: Cloud) -> None:
    await cloud.write(TEXT, 0)
    cloud.faults.order("objects.get", grpc.StatusCode.UNAVAILABLE, "busy")
    assert (await cloud.read()) is not None
    cloud.faults.order("objects.get", grpc.StatusCode.UNAVAILABLE, "busy", times=1_000)
    with pytest.raises(Temporary) as raised:
        await cloud.read()
    assert raised.value.reason == "ApiUnavailable"


async def test_an_endpoint_that_is_not_there_is_temporary(cloud: Cloud) -> None:
    await cloud.read()
    credentials = cloud.doors[READER]._client._credentials
    gone = CloudStorage(Settings(storage_endpoint="http://127.0.0.1:9"), credentials)
    with pytest.raises(Temporary) as raised:
        await asyncio.to_thread(gone.read, NAME, LIMIT)
    assert raised.value.reason == "ApiUnavailable"
