"""Cloud Tasks of the local cloud, called by Google's own client over TLS: when and how tasks fire."""

from __future__ import annotations

import asyncio
import itertools

import google.api_core.exceptions as api_errors
import pytest
from google.cloud import tasks_v2

from byomesh.local.journal import Kind
from byomesh.local.tasks import RateLimits, RetryConfig
from tests.contract.cloud_tasks_fixtures import ACCOUNT, QUEUE, Open, cloud_tasks_opener
from tests.contract.delivery_fixtures import Seen, until


@pytest.fixture
def local() -> Open:
    return cloud_tasks_opener()


async def test_a_task_makes_its_request_with_the_accounts_token(local: Open) -> None:
    async with local() as cloud:
        task = await cloud.create(
            name="wait-blue",
            headers={"Content-Type": "application/json"},
            body=b'{"messages": [{"data": "eyJtZXNoIjogImxpbmtlcmQifQ==", "attributes": {"cluster": "blue"}}]}',
            oauth_token={"service_account_email": ACCOUNT},
        )
        assert task.name == f"{QUEUE}/tasks/wait-blue"
        assert (task.http_request.body, task.view) == (b"", tasks_v2.Task.View.BASIC)
        [seen] = await cloud.receiver.until(1)
        assert seen.path == "/v1/projects/p/topics/mesh-install:publish"
        assert seen.json["messages"][0]["attributes"] == {"cluster": "blue"}
        assert seen.headers["Authorization"] == f"Bearer token-of-{ACCOUNT}"
        assert seen.headers["Content-Type"] == "application/json"
        assert seen.headers["User-Agent"] == "Google-Cloud-Tasks"
        assert seen.headers["X-CloudTasks-TaskName"] == "wait-blue"
        assert seen.headers["X-CloudTasks-QueueName"] == "mesh"
        assert seen.headers["X-CloudTasks-TaskRetryCount"] == "0"
        await until(lambda: len(cloud.journal.query()) == 1)
        [record] = cloud.journal.query()
        assert (record.kind, record.source, record.what) == (Kind.TASKS, task.name, cloud.url)
        assert (record.status, record.cluster, record.line) == (200, "blue", "mesh-install: linkerd")
        with pytest.raises(api_errors.NotFound):
            await cloud.call(cloud.client.get_task, {"name": task.name})


async def test_an_unnamed_task_gets_a_name_and_needs_no_token(local: Open) -> None:
    async with local() as cloud:
        one, two = await cloud.create(), await cloud.create()
        assert one.name != two.name
        assert one.name.startswith(f"{QUEUE}/tasks/")
        for seen in await cloud.receiver.until(2):
            assert "Authorization" not in seen.headers


async def test_the_distance_to_the_schedule_is_divided_by_the_pace(local: Open) -> None:
    async with local(100) as cloud:
        begun = asyncio.get_running_loop().time()
        await cloud.create(name="late", after=60)
        await cloud.create(name="soon", after=20)
        await cloud.create(name="past", after=-1000)
        seen = await cloud.receiver.until(3)
        assert [one.headers["X-CloudTasks-TaskName"] for one in seen] == ["past", "soon", "late"]
        waited = [one.at - begun for one in seen]
        assert waited[1] >= 0.19
        assert 0.55 <= waited[2] < 5


async def test_a_task_deleted_before_it_is_due_is_not_dispatched(local: Open) -> None:
    async with local(1000) as cloud:
        await cloud.create(name="a", after=300)
        await cloud.create(name="b", after=400)
        await cloud.call(cloud.client.delete_task, {"name": f"{QUEUE}/tasks/a"})
        [seen] = await cloud.receiver.until(1)
        assert seen.headers["X-CloudTasks-TaskName"] == "b"


async def test_a_refused_task_is_retried_with_its_queues_backoff_and_shows_its_attempts(local: Open) -> None:
    retry = RetryConfig(min_backoff=10, max_backoff=25, max_doublings=5)
    async with local(100, retry=retry) as cloud:
        answers = iter([503, 500, 302])

        async def answer(_seen: Seen) -> int:
            return next(answers, 200)

        cloud.receiver.answer = answer
        task = await cloud.create(name="a")
        await cloud.receiver.until(2)
        shown = await cloud.call(cloud.client.get_task, {"name": task.name})
        assert shown.dispatch_count in (2, 3)
        assert "refused with 50" in shown.last_attempt.response_status.message
        assert shown.first_attempt.dispatch_time < shown.last_attempt.dispatch_time
        seen = await cloud.receiver.until(4)
        gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(seen)]
        assert all(gap >= least for gap, least in zip(gaps, (0.1, 0.2, 0.25), strict=True)), f"{gaps}"
        assert [one.headers["X-CloudTasks-TaskRetryCount"] for one in seen] == ["0", "1", "2", "3"]
        await until(lambda: len(cloud.journal.query()) == 4)
        assert [record.status for record in cloud.journal.query()] == [503, 500, 302, 200]


async def test_a_task_that_fails_for_good_is_given_up(local: Open, caplog: pytest.LogCaptureFixture) -> None:
    async with local(1000, retry=RetryConfig(max_attempts=3, min_backoff=1)) as cloud:

        async def answer(_seen: Seen) -> int:
            return 500

        cloud.receiver.answer = answer
        task = await cloud.create(name="a")
        await until(lambda: "is given up after 3 attempts" in caplog.text)
        assert len(cloud.receiver.seen) == 3
        with pytest.raises(api_errors.NotFound):
            await cloud.call(cloud.client.get_task, {"name": task.name})


async def test_a_task_deleted_while_it_is_tried_is_not_tried_again(local: Open) -> None:
    async with local(1000, retry=RetryConfig(min_backoff=1)) as cloud:
        finish = asyncio.Event()

        async def answer(_seen: Seen) -> int:
            await finish.wait()
            return 500

        cloud.receiver.answer = answer
        task = await cloud.create(name="a")
        await cloud.receiver.until(1)
        await cloud.call(cloud.client.delete_task, {"name": task.name})
        finish.set()
        await until(lambda: len(cloud.journal.query()) == 1)
        await asyncio.sleep(0.05)
        assert len(cloud.receiver.seen) == 1


async def test_a_paused_queue_takes_tasks_and_dispatches_them_when_resumed(local: Open) -> None:
    async with local() as cloud:
        paused = await cloud.call(cloud.client.pause_queue, {"name": QUEUE})
        assert paused.state == tasks_v2.Queue.State.PAUSED
        await cloud.create()
        await asyncio.sleep(0.1)
        assert cloud.receiver.seen == []
        resumed = await cloud.call(cloud.client.resume_queue, {"name": QUEUE})
        assert resumed.state == tasks_v2.Queue.State.RUNNING
        await cloud.receiver.until(1)


async def test_a_queue_keeps_its_concurrency(local: Open) -> None:
    async with local(limits=RateLimits(max_concurrent_dispatches=2)) as cloud:
        here, most = 0, 0

        async def answer(_seen: Seen) -> int:
            nonlocal here, most
            here, most = here + 1, max(most, here + 1)
            await asyncio.sleep(0.02)
            here -= 1
            return 200

        cloud.receiver.answer = answer
        for _ in range(8):
            await cloud.create()
        await cloud.receiver.until(8)
        assert most == 2


async def test_a_queues_limits_are_shown_updated_and_kept(local: Open) -> None:
    async with local(10) as cloud:
        queue = await cloud.call(cloud.client.get_queue, {"name": QUEUE})
        limits = queue.rate_limits
        assert (limits.max_dispatches_per_second, limits.max_concurrent_dispatches) == (500, 1000)
        assert (queue.retry_config.max_attempts, queue.retry_config.min_backoff.total_seconds()) == (100, 0.1)
        changed = {"name": QUEUE, "rate_limits": {"max_dispatches_per_second": 1}}
        mask = {"paths": ["rate_limits.max_dispatches_per_second"]}
        updated = await cloud.call(cloud.client.update_queue, {"queue": changed, "update_mask": mask})
        limits = updated.rate_limits
        assert (limits.max_dispatches_per_second, limits.max_concurrent_dispatches) == (1, 1000)
        for _ in range(4):
            await cloud.create()
        seen = await cloud.receiver.until(4)
        gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(seen)]
        assert all(gap >= 0.08 for gap in gaps), f"one a second, ten times faster: {gaps}"
        updated = await cloud.call(
            cloud.client.update_queue, {"queue": {"name": QUEUE, "rate_limits": {"max_concurrent_dispatches": 3}}}
        )
        limits = updated.rate_limits
        assert (limits.max_dispatches_per_second, limits.max_concurrent_dispatches) == (500, 3)
        with pytest.raises(api_errors.InvalidArgument, match="only rate_limits"):
            await cloud.call(
                cloud.client.update_queue, {"queue": {"name": QUEUE}, "update_mask": {"paths": ["retry_config"]}}
            )
