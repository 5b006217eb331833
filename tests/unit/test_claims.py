"""The queue of claims, at the door to Cloud Tasks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport
from google.protobuf.empty_pb2 import Empty

from shared.config import Settings
from shared.errors import Temporary
from shared.tasks import Claims, key_of, seconds_left
from tests.unit.doors import EU1, NOW
from tests.unit.grpc_channel import Channel, Fault

QUEUE = "projects/mesh/locations/europe-west1/queues/mesh-work"
SETTINGS = Settings(work_queue=QUEUE, work_limit=1_200.0, pause_look=5.0)
TOPIC = "projects/mesh/topics/mesh-verify"


class World:
    """Cloud Tasks with one queue."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.tasks: dict[str, tasks_v2.Task] = {}
        self.now = 0.0
        self.fault: Fault | None = None
        self.channel = Channel(
            CreateTask=self._guarded(self._create),
            ListTasks=self._guarded(lambda _: tasks_v2.ListTasksResponse(tasks=list(self.tasks.values()))),
            DeleteTask=self._guarded(self._delete),
        )
        client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=self.channel))
        self.door = Claims(settings, client, lambda: NOW, lambda: self.now)

    def _guarded(self, act: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def handle(request: Any) -> Any:
            if self.fault is not None:
                raise self.fault
            return act(request)

        return handle

    def _create(self, request: Any) -> tasks_v2.Task:
        created = NOW + dt.timedelta(seconds=len(self.tasks))
        made = tasks_v2.Task(name=request.task.name, http_request=request.task.http_request, create_time=created)
        self.tasks[made.name] = made
        return made

    def _delete(self, request: Any) -> Empty:
        if self.tasks.pop(request.name, None) is None:
            raise Fault(grpc.StatusCode.NOT_FOUND, "none")
        return Empty()

    def make(self) -> str:
        return self.door.make(EU1, TOPIC, b"{}", {"cluster": str(EU1)})


def test_a_claim_is_a_task_that_ends_by_itself_and_is_never_made_twice() -> None:
    world = World()
    first, second = world.make(), world.make()
    assert first != second
    task = world.tasks[f"{QUEUE}/tasks/{first}"]
    assert task.http_request.url == f"https://pubsub.googleapis.com/v1/{TOPIC}:publish"
    assert seconds_left(first, NOW) == pytest.approx(1_200.0)
    assert seconds_left("x", NOW) < 0
    held = world.door.held()
    assert [one.claim_id for one in held] == [first, second]
    assert {one.cluster for one in held} == {key_of(EU1)}


def test_what_was_listed_a_moment_ago_is_not_listed_again() -> None:
    world = World()
    world.tasks["other"] = tasks_v2.Task(name=f"{QUEUE}/tasks/somebodys", create_time=NOW)
    assert world.door.held_lately() == ()
    world.make()
    world.now = 4.9
    assert world.door.held_lately() == ()
    world.now = 5.0
    assert len(world.door.held_lately()) == 1


def test_only_a_clusters_own_claim_is_given_back_and_that_never_fails() -> None:
    world = World()
    claim = world.make()
    for other in ("", "x", "../../tasks/y", claim.replace(claim[:24], "0" * 24)):
        world.door.give_back(other, EU1)
    assert len(world.tasks) == 1
    world.fault = Fault(grpc.StatusCode.UNAVAILABLE, "down")
    world.door.give_back(claim, EU1)
    world.fault = None
    world.door.give_back(claim, EU1)
    world.door.give_back(claim, EU1)
    assert world.tasks == {}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.NOT_FOUND, "QueueMissing"),
        (grpc.StatusCode.PERMISSION_DENIED, "IamNotReady"),
        (grpc.StatusCode.UNAVAILABLE, "ApiUnavailable"),
    ],
)
def test_a_queue_that_cannot_be_asked_lets_nobody_in(code: grpc.StatusCode, reason: str) -> None:
    world = World()
    world.fault = Fault(code, "its words")
    for act in (world.door.held, world.make):
        with pytest.raises(Temporary, match="its words") as raised:
            act()
        assert raised.value.reason == reason


def test_a_limit_without_a_queue_is_told() -> None:
    with pytest.raises(Temporary, match="no setting names the queue of claims"):
        World(Settings()).door.held()
