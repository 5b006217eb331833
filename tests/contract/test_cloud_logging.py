"""The door to Cloud Logging, with Google's real client, against the local service over TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport

from byomesh.local.cloud_logging import service
from byomesh.local.rpc import Faults
from shared.cloud_logging import CloudLogging
from shared.config import Settings
from shared.errors import Permanent, Temporary
from shared.model import MeshStatus, Phase
from tests.contract.google_cloud import TESTER, Cloud, cloud
from tests.unit.memory_logging import AGES_AGO, NOW, PROJECT, SHOP, MemoryLogging, status_line


class Served:
    """The local service behind TLS, and the door over a real client of it."""

    def __init__(self) -> None:
        self.memory = MemoryLogging()
        self.faults = Faults()

    def connect(self, running: Cloud, email: str = TESTER) -> CloudLogging:
        client = running.client(LoggingServiceV2Client, LoggingServiceV2GrpcTransport, email)
        return CloudLogging(Settings(project=PROJECT), client)


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
async def running(served: Served, tmp_path: Path) -> AsyncIterator[Cloud]:
    async with cloud(
        tmp_path,
        lambda identity: [service.handler(served.memory.local, caller=identity.caller, faults=served.faults)],
    ) as one:
        yield one


@pytest.fixture
def door(served: Served, running: Cloud) -> CloudLogging:
    return served.connect(running)


async def test_audit_entries_come_through_as_they_were_written(served: Served, door: CloudLogging) -> None:
    served.memory.operation(name="operation-1", principal="alice@example.com", update={"etag": "e1", "number": 3})
    first = await asyncio.to_thread(door.first_entry, SHOP, "operation-1", NOW)
    assert first is not None
    assert (first.principal, first.user_agent) == ("alice@example.com", "google-cloud-sdk gcloud/1")
    assert first.request["update"] == {"etag": "e1", "number": 3}
    both = await asyncio.to_thread(door.audit, SHOP, AGES_AGO)
    assert [(entry.first, entry.last, entry.principal) for entry in both] == [
        (False, True, ""),
        (True, False, "alice@example.com"),
    ]


async def test_statuses_come_through_page_by_page(served: Served, door: CloudLogging, tmp_path: Path) -> None:
    status = MeshStatus(cluster=SHOP, phase=Phase.READY, reason="Ready", message='"quoted" \N{SNOWMAN}', mesh="linkerd")
    served.memory.say(tmp_path, *(status_line(status, NOW, f"r{number}") for number in range(2_500)))
    found = await asyncio.to_thread(door.newest_statuses, ["shop"], AGES_AGO)
    assert found.by_cluster == {SHOP: status}
    assert found.complete
    lines = await asyncio.to_thread(door.lines_of, SHOP, AGES_AGO, 2_100)
    assert len(lines) == 2_100
    assert len({line.request_id for line in lines}) == 2_100
    [line] = await asyncio.to_thread(door.lines_of_request, "r77", AGES_AGO)
    assert line.status == status


async def test_a_caller_nobody_knows_is_told_apart_from_one_who_may_not(served: Served, running: Cloud) -> None:
    served.memory.local.readers = {"somebody-else@example.com"}
    with pytest.raises(Temporary, match=r"logging\.logEntries\.list"):
        await asyncio.to_thread(served.connect(running).updates, SHOP, AGES_AGO)
    removed = served.connect(running, "gone@example.com")
    running.identity.remove("gone@example.com")
    with pytest.raises(Temporary, match="UNAUTHENTICATED"):
        await asyncio.to_thread(removed.updates, SHOP, AGES_AGO)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "ApiUnavailable"),
        (grpc.StatusCode.PERMISSION_DENIED, "IamNotReady"),
        (grpc.StatusCode.NOT_FOUND, "ApiRejected"),
    ],
)
async def test_faults_are_translated(served: Served, door: CloudLogging, code: grpc.StatusCode, reason: str) -> None:
    served.faults.order("ListLogEntries", code, "so it is")
    with pytest.raises((Temporary, Permanent), match="so it is") as caught:
        await asyncio.to_thread(door.audit, SHOP, AGES_AGO)
    assert caught.value.reason == reason


async def test_a_passing_fault_is_tried_again_by_the_client(served: Served, door: CloudLogging) -> None:
    served.faults.order("ListLogEntries", grpc.StatusCode.UNAVAILABLE, "for a moment", times=2)
    assert await asyncio.to_thread(door.audit, SHOP, AGES_AGO) == ()
