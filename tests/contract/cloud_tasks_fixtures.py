"""Cloud Tasks behind TLS with Google's own client in front, for the tests of its calls and of its dispatches."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from byomesh.local import rpc
from byomesh.local.authority import Authority
from byomesh.local.journal import Journal
from byomesh.local.pace import Pace
from byomesh.local.tasks import CloudTasks, RateLimits, RetryConfig
from tests.contract.delivery_fixtures import Receiver, couriering, receiving

QUEUE = "projects/p/locations/europe-west1/queues/mesh"
ACCOUNT = "enabler@p.iam.gserviceaccount.com"


@dataclasses.dataclass(frozen=True)
class Local:
    tasks: CloudTasks
    receiver: Receiver
    journal: Journal
    client: tasks_v2.CloudTasksClient

    @property
    def url(self) -> str:
        return f"{self.receiver.url}/v1/projects/p/topics/mesh-install:publish"

    async def create(self, *, name: str = "", after: float | None = None, **request: Any) -> tasks_v2.Task:
        """Creates a task of the queue, scheduled `after` seconds from now."""
        task: dict[str, Any] = {"http_request": {"url": self.url, **request}}
        if name:
            task["name"] = f"{QUEUE}/tasks/{name}"
        if after is not None:
            task["schedule_time"] = datetime.now(UTC) + timedelta(seconds=after)
        return await self.send(task)

    async def send(self, task: dict[str, Any]) -> tasks_v2.Task:
        created: tasks_v2.Task = await self.call(self.client.create_task, {"parent": QUEUE, "task": task})
        return created

    async def call(self, method: Callable[..., Any], request: dict[str, Any]) -> Any:
        """Calls the blocking client from a thread: its server is in this thread's loop."""
        return await asyncio.to_thread(method, request=request, timeout=60)


Open = Callable[..., AbstractAsyncContextManager[Local]]


def cloud_tasks_opener() -> Open:
    """Opens a queue at the pace of a divisor; the server's certificate is of an authority made for the test."""
    authority = Authority.create("local cloud")

    @contextlib.asynccontextmanager
    async def opened(
        divisor: float = 1,
        *,
        limits: RateLimits | None = None,
        retry: RetryConfig | None = None,
        name_kept_seconds: float = 3600,
    ) -> AsyncIterator[Local]:
        issued = authority.server(["127.0.0.1"])
        async with (
            receiving() as receiver,
            couriering() as (courier, journal),
            CloudTasks(
                courier=courier,
                pace=Pace(divisor),
                mint=lambda email: f"token-of-{email}",
                name_kept_seconds=name_kept_seconds,
            ) as tasks,
        ):
            tasks.create_queue(QUEUE, limits=limits, retry=retry)
            service = tasks.service(caller=lambda _metadata: ACCOUNT, faults=rpc.Faults())
            server, port = await rpc.serve([service], certificate_pem=issued.certificate, key_pem=issued.key)
            credentials = grpc.ssl_channel_credentials(authority.pem)
            channel = grpc.secure_channel(f"127.0.0.1:{port}", credentials)
            try:
                client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
                yield Local(tasks, receiver, journal, client)
            finally:
                channel.close()
                await server.stop(0)

    return opened
