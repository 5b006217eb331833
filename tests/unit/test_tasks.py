from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import grpc
import pytest
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from shared import tasks
from shared.config import Settings
from shared.errors import ByomeshError, Permanent, Temporary
from shared.tasks import Waits, publish_body, task_name
from tests.unit.grpc_channel import Channel, Fault

QUEUE = "projects/mesh/locations/europe-west1/queues/byomesh"
TOPIC = "projects/mesh/topics/mesh-install"
NOW = dt.datetime(2026, 5, 4, 9, 0, 0, tzinfo=dt.UTC)
SETTINGS = Settings(queue=QUEUE, tasks_service_account="waits@mesh.iam.gserviceaccount.com")


def door(handler: Any) -> tuple[Waits, Channel]:
    channel = Channel(CreateTask=handler)
    client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
    return Waits(SETTINGS, lambda: NOW, client), channel


def test_a_wait_is_a_named_task_that_publishes() -> None:
    waits, channel = door(lambda _: tasks_v2.Task())
    made = waits.publish_later(TOPIC, b"{}", {"cluster": "c"}, 15.5, name_parts=("c", "install", "1"))
    assert made
    ((_, request, timeout),) = channel.calls
    assert request.parent == QUEUE
    assert request.task == tasks_v2.Task(
        name=task_name(QUEUE, ("c", "install", "1")),
        schedule_time=NOW + dt.timedelta(seconds=15.5),
        http_request={
            "url": f"https://pubsub.googleapis.com/v1/{TOPIC}:publish",
            "http_method": "POST",
            "headers": {"Content-Type": "application/json"},
            "body": publish_body(b"{}", {"cluster": "c"}),
            "oauth_token": {
                "service_account_email": "waits@mesh.iam.gserviceaccount.com",
                "scope": "https://www.googleapis.com/auth/pubsub",
            },
        },
    )
    # What Google's client leaves of its ten seconds once the call begins.
    assert timeout == pytest.approx(10, abs=5)


def test_the_body_is_pubsubs_publish_request() -> None:
    found = json.loads(publish_body(b"\x00\xff", {"a": "b"}))
    assert found == {"messages": [{"data": base64.b64encode(b"\x00\xff").decode(), "attributes": {"a": "b"}}]}


def test_a_wait_that_exists_is_fine() -> None:
    def exists(_: Any) -> Any:
        raise Fault(grpc.StatusCode.ALREADY_EXISTS, "it exists")

    assert not door(exists)[0].publish_later(TOPIC, b"", {}, 1, name_parts=("c",))


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (grpc.StatusCode.NOT_FOUND, Temporary, "QueueMissing"),
        (grpc.StatusCode.UNAVAILABLE, Temporary, "ApiUnavailable"),
        (grpc.StatusCode.PERMISSION_DENIED, Temporary, "IamNotReady"),
        (grpc.StatusCode.INVALID_ARGUMENT, Permanent, "ApiRejected"),
    ],
)
def test_a_wait_that_cannot_be_made_is_not_lost_silently(
    code: grpc.StatusCode, kind: type[ByomeshError], reason: str
) -> None:
    def fail(_: Any) -> Any:
        raise Fault(code, "words")

    with pytest.raises(kind, match="words") as raised:
        door(fail)[0].publish_later(TOPIC, b"", {}, 1, name_parts=("c",))
    assert raised.value.reason == reason
    assert QUEUE in raised.value.tried


def test_names_differ_where_any_part_does() -> None:
    names = {
        task_name(QUEUE, parts) for parts in [("a", "b"), ("b", "a"), ("ab",), ("a", "b", ""), ("a:", "b"), ("", "ab")]
    }
    assert len(names) == 6


def test_a_name_is_stable_and_legal() -> None:
    name = task_name(QUEUE, ("projects/p/locations/l/clusters/c", "install", "0"))
    assert name == task_name(QUEUE, ["projects/p/locations/l/clusters/c", "install", "0"])
    head, _, last = name.rpartition("/")
    assert head == f"{QUEUE}/tasks"
    assert last.isalnum()


def test_the_door_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    def make(**options: Any) -> object:
        made.append(options)
        return object()

    monkeypatch.setattr("shared.tasks.client.tasks_v2.CloudTasksClient", make)
    tasks.waits.cache_clear()
    try:
        assert tasks.waits() is tasks.waits()
    finally:
        tasks.waits.cache_clear()
    assert made == [{"client_options": {"api_endpoint": "cloudtasks.googleapis.com"}}]
