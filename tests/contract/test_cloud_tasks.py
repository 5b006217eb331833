"""Cloud Tasks of the local cloud, called by Google's own client over TLS: what its calls answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import google.api_core.exceptions as api_errors
import pytest
from google.cloud import tasks_v2

from tests.contract.cloud_tasks_fixtures import ACCOUNT, QUEUE, Open, cloud_tasks_opener
from tests.contract.delivery_fixtures import until


@pytest.fixture
def local() -> Open:
    return cloud_tasks_opener()


async def test_a_name_exists_once_and_stays_taken_for_an_hour(local: Open) -> None:
    async with local(7200) as cloud:  # an hour lasts half a second
        await cloud.create(name="wait-blue", after=7200)
        with pytest.raises(api_errors.AlreadyExists, match="already exists"):
            await cloud.create(name="wait-blue")
        await cloud.receiver.until(1)
        with pytest.raises(api_errors.AlreadyExists, match="existed too recently"):
            await cloud.create(name="wait-blue")
        await asyncio.sleep(0.6)
        await cloud.create(name="wait-blue", after=7200)
        await cloud.call(cloud.client.delete_task, {"name": f"{QUEUE}/tasks/wait-blue"})
        with pytest.raises(api_errors.AlreadyExists, match="existed too recently"):
            await cloud.create(name="wait-blue")


async def test_a_name_that_is_free_at_once_can_be_taken_again(local: Open) -> None:
    async with local(name_kept_seconds=0) as cloud:
        await cloud.create(name="wait-blue", after=3600)
        await cloud.call(cloud.client.delete_task, {"name": f"{QUEUE}/tasks/wait-blue"})
        await cloud.create(name="wait-blue", after=0)
        await cloud.receiver.until(1)
        await until(lambda: len(cloud.journal.query()) == 1)


@pytest.mark.parametrize(
    ("task", "error", "words"),
    [
        ({}, api_errors.InvalidArgument, "http_request is required"),
        ({"http_request": {"url": "pubsub"}}, api_errors.InvalidArgument, "must start with http"),
        ({"http_request": {"url": "URL", "body": b"x" * 102_400}}, api_errors.InvalidArgument, "Task size too large"),
        ({"http_request": {"url": "URL", "body": b"x", "http_method": "GET"}}, api_errors.InvalidArgument, "HTTP Body"),
        ({"name": "other", "http_request": {"url": "URL"}}, api_errors.InvalidArgument, "Task name must be"),
        ({"name": f"{QUEUE}/tasks/a.b", "http_request": {"url": "URL"}}, api_errors.InvalidArgument, "Task name must"),
        (
            {"http_request": {"url": "URL"}, "schedule_time": datetime.now(UTC) + timedelta(days=31)},
            api_errors.InvalidArgument,
            "too far in future",
        ),
        (
            {"http_request": {"url": "URL"}, "dispatch_deadline": timedelta(seconds=5)},
            api_errors.InvalidArgument,
            "dispatchDeadline",
        ),
        (
            {"http_request": {"url": "URL", "oidc_token": {"service_account_email": ACCOUNT}}},
            api_errors.MethodNotImplemented,
            "oidc_token",
        ),
    ],
)
async def test_what_cloud_tasks_refuses(local: Open, task: dict[str, Any], error: type[Exception], words: str) -> None:
    async with local() as cloud:
        if task.get("http_request", {}).get("url") == "URL":
            task = {**task, "http_request": {**task["http_request"], "url": cloud.url}}
        with pytest.raises(error, match=words):
            await cloud.send(task)
        assert cloud.receiver.seen == []


async def test_the_largest_task_is_taken(local: Open) -> None:
    async with local() as cloud:
        await cloud.create(body=b"x" * 102_000)
        [seen] = await cloud.receiver.until(1)
        assert len(seen.body) == 102_000


async def test_an_unknown_queue_or_task_is_not_found(local: Open) -> None:
    async with local() as cloud:
        with pytest.raises(api_errors.NotFound, match="Queue does not exist"):
            await cloud.call(cloud.client.get_queue, {"name": f"{QUEUE}-other"})
        with pytest.raises(api_errors.NotFound, match="Requested entity was not found"):
            await cloud.call(cloud.client.delete_task, {"name": f"{QUEUE}/tasks/none"})
        with pytest.raises(api_errors.InvalidArgument, match="no task's name"):
            await cloud.call(cloud.client.get_task, {"name": "none"})


async def test_tasks_are_shown_listed_and_deleted(local: Open) -> None:
    async with local() as cloud:
        for name in ("c", "a", "b"):
            await cloud.create(name=name, after=600, body=b"hello", oauth_token={"service_account_email": ACCOUNT})
        name = f"{QUEUE}/tasks/a"
        shown = await cloud.call(cloud.client.get_task, {"name": name, "response_view": "FULL"})
        assert (shown.http_request.body, shown.http_request.http_method) == (b"hello", tasks_v2.HttpMethod.POST)
        assert shown.http_request.oauth_token.service_account_email == ACCOUNT
        assert 590 < (shown.schedule_time - shown.create_time).total_seconds() <= 600
        assert shown.dispatch_deadline == timedelta(minutes=10)
        pages = await cloud.call(cloud.client.list_tasks, {"parent": QUEUE, "page_size": 2})
        listed = await asyncio.to_thread(list, pages)
        assert [task.name.rpartition("/")[2] for task in listed] == ["a", "b", "c"]
        await cloud.call(cloud.client.delete_task, {"name": name})
        with pytest.raises(api_errors.NotFound):
            await cloud.call(cloud.client.get_task, {"name": name})
