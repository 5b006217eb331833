"""The queues as the fleet's switch, at the door to Cloud Tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from shared.config import Settings
from shared.errors import Permanent, Temporary
from shared.tasks import Queues, QueueState
from tests.unit.grpc_channel import Channel, Fault

WAITS = "projects/mesh/locations/europe-west1/queues/mesh-waits"
WORK = "projects/mesh/locations/europe-west1/queues/mesh-work"
SETTINGS = Settings(queue=WAITS, work_queue=WORK, pause_look=5.0)
State = tasks_v2.Queue.State


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def door(settings: Settings = SETTINGS, **handlers: Callable[[Any], Any]) -> tuple[Queues, Channel, Clock]:
    channel, clock = Channel(**handlers), Clock()
    client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
    return Queues(settings, client, clock), channel, clock


def answering(state: int) -> Callable[[Any], tasks_v2.Queue]:
    return lambda request: tasks_v2.Queue(name=request.name, state=state)


@pytest.mark.parametrize(("state", "paused"), [(State.RUNNING, False), (State.PAUSED, True), (State.DISABLED, True)])
def test_a_fleet_is_paused_while_the_queue_of_waits_dispatches_nothing(state: int, paused: bool) -> None:
    queues, channel, clock = door(GetQueue=answering(state))
    assert [queues.paused() for _ in range(3)] == [paused] * 3
    assert [request.name for _, request, _ in channel.calls] == [WAITS]
    clock.now += 4.9
    queues.paused()
    assert len(channel.calls) == 1
    clock.now += 0.1
    queues.paused()
    assert len(channel.calls) == 2


def test_without_a_queue_nothing_can_be_paused() -> None:
    queues, channel, _ = door(Settings(), GetQueue=answering(State.PAUSED))
    assert not queues.paused()
    assert channel.calls == []
    with pytest.raises(Permanent, match="set BYOMESH_QUEUE"):
        list(queues.pause())


def test_both_queues_are_paused_and_resumed_together() -> None:
    queues, channel, _ = door(
        PauseQueue=answering(State.PAUSED), ResumeQueue=answering(State.RUNNING), GetQueue=answering(State.RUNNING)
    )
    assert list(queues.pause()) == [QueueState(WAITS, paused=True), QueueState(WORK, paused=True)]
    assert list(queues.resume()) == [QueueState(WAITS, paused=False), QueueState(WORK, paused=False)]
    assert queues.states() == (QueueState(WAITS, paused=False), QueueState(WORK, paused=False))
    assert [(method, request.name) for method, request, _ in channel.calls][:2] == [
        ("PauseQueue", WAITS),
        ("PauseQueue", WORK),
    ]
    alone, _, _ = door(Settings(queue=WAITS), PauseQueue=answering(State.PAUSED))
    assert list(alone.pause()) == [QueueState(WAITS, paused=True)]


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (grpc.StatusCode.NOT_FOUND, "QueueMissing", "create the queue"),
        (grpc.StatusCode.PERMISSION_DENIED, "IamNotReady", "cloudtasks.queues.get"),
        (grpc.StatusCode.UNAVAILABLE, "ApiUnavailable", "it is tried again"),
    ],
)
def test_a_queue_that_cannot_be_asked_is_a_fault_and_no_leave_to_go_on(
    code: grpc.StatusCode, reason: str, words: str
) -> None:
    def fail(_: Any) -> Any:
        raise Fault(code, "its words")

    queues, _, _ = door(GetQueue=fail)
    with pytest.raises(Temporary) as raised:
        queues.paused()
    assert (raised.value.reason, words in raised.value.remedy) == (reason, True)
    assert f"GetQueue of {WAITS}" in raised.value.tried
