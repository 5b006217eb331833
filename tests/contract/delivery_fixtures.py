"""What the tests of deliveries share: a receiver that answers as told, Pub/Sub over pstest, and functions-framework."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import functions_framework
from aiohttp import web
from werkzeug.serving import make_server

from byomesh.local.courier import Courier
from byomesh.local.journal import Journal
from byomesh.local.pace import Pace
from byomesh.local.pubsub import PubSub, PushSubscription, serving

PROJECT = "projects/p"
TOPIC = f"{PROJECT}/topics/mesh-install"
SUBSCRIPTION = f"{PROJECT}/subscriptions/mesh-install"
DEAD_TOPIC = f"{PROJECT}/topics/mesh-install-dead"


@dataclasses.dataclass(frozen=True)
class Seen:
    """A request that the receiver got."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """An HTTP server that keeps what it gets, and answers with what `answer` says, after awaiting it."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.url = ""
        self.answer: Callable[[Seen], Awaitable[int]] = self.accept

    async def accept(self, _seen: Seen) -> int:
        return 200

    async def handle(self, request: web.Request) -> web.Response:
        seen = Seen(request.path, dict(request.headers), await request.read(), time.monotonic())
        self.seen.append(seen)
        status = await self.answer(seen)
        return web.Response(status=status, text="" if status < 300 else f"refused with {status}")

    async def until(self, count: int, seconds: float = 120) -> list[Seen]:
        """Waits until there are `count` requests, and returns them."""
        await until(lambda: len(self.seen) >= count, seconds)
        return self.seen


@contextlib.asynccontextmanager
async def http_server(*routes: web.RouteDef) -> AsyncIterator[str]:
    """An aiohttp application on a free loopback port; yields http://127.0.0.1:PORT."""
    application = web.Application()
    application.add_routes(routes)
    # A handler that a test holds back must not hold back the test's end.
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with http_server(web.post("/{path:.*}", receiver.handle)) as url:
        receiver.url = url
        yield receiver


@contextlib.asynccontextmanager
async def couriering() -> AsyncIterator[tuple[Courier, Journal]]:
    journal = Journal()
    async with Courier(journal) as courier:
        yield courier, journal


@contextlib.asynccontextmanager
async def pubsub_over(binary: Path, logs: Path, courier: Courier, pace: Pace) -> AsyncIterator[PubSub]:
    """Pub/Sub with the topics mesh-install and mesh-install-dead."""
    async with serving(binary, logs=logs) as address, PubSub(address, courier=courier, pace=pace) as pubsub:
        for topic in (TOPIC, DEAD_TOPIC):
            await pubsub.create_topic(topic)
        yield pubsub


PubSubOpened = AbstractAsyncContextManager[tuple[PubSub, Receiver, Journal]]
OpenPubSub = Callable[[float], PubSubOpened]


def pubsub_opener(binary: Path, logs: Path) -> OpenPubSub:
    """Opens Pub/Sub at the pace of a divisor, with a receiver and the journal."""

    @contextlib.asynccontextmanager
    async def opened(divisor: float) -> AsyncIterator[tuple[PubSub, Receiver, Journal]]:
        async with (
            receiving() as receiver,
            couriering() as (courier, journal),
            pubsub_over(binary, logs, courier, Pace(divisor)) as pubsub,
        ):
            yield pubsub, receiver, journal

    return opened


def to(url: str, **changes: Any) -> PushSubscription:
    """A push subscription of the topic mesh-install to a function at that URL."""
    known = PushSubscription(
        name=SUBSCRIPTION, topic=TOPIC, endpoint=f"{url}/{TOPIC}", target="install_mesh", ack_deadline=10.0
    )
    return dataclasses.replace(known, **changes)


def data_of(seen: Seen) -> bytes:
    """The data of a pushed message."""
    return base64.b64decode(seen.json["message"].get("data", ""))


_FUNCTION = """
import json
import functions_framework

@functions_framework.cloud_event
def handle(event):
    with open({path!r}, "a") as file:
        file.write(json.dumps({{**event.get_attributes(), "data": event.data}}) + "\\n")
"""


@dataclasses.dataclass(frozen=True)
class Function:
    """A CloudEvent function behind functions-framework's own server."""

    url: str
    events_file: Path

    def events(self) -> list[dict[str, Any]]:
        """The CloudEvents that it got: attributes, and `data`; a line that is still being written doesn't count yet."""
        if not self.events_file.exists():
            return []
        whole, _, _ = self.events_file.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]


@contextlib.contextmanager
def function_in(folder: Path) -> Iterator[Function]:
    events, source = folder / "events.jsonl", folder / "noting.py"
    source.write_text(_FUNCTION.format(path=str(events)))
    application = functions_framework.create_app(  # type: ignore[no-untyped-call]
        target="handle", source=str(source)
    )
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Function(f"http://127.0.0.1:{server.server_port}", events)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Waits until the condition holds; fails the test if that takes longer than `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - conditions of other processes raise no event
            await asyncio.sleep(0.002)
