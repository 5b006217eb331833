"""One Cloud Tasks queue: its tasks, their names, and the loop that dispatches them when they are due."""

from __future__ import annotations

import asyncio
import dataclasses
import heapq
import itertools
import logging
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from byomesh.local.background import Background
from byomesh.local.courier import Courier, Parcel, is_success
from byomesh.local.describe import describe_publish_request
from byomesh.local.journal import Kind, Record, now
from byomesh.local.pace import Pace
from byomesh.local.tasks.schedule import RateLimits, RetryConfig, TokenBucket, due_in

_log = logging.getLogger(__name__)

Mint = Callable[[str], str]
"""Makes an OAuth access token for a service account's e-mail."""

# How long a name stays taken after its task is gone, in seconds. The documentation has said an hour, and says of late
# that it can take up to 24.
NAME_KEPT_SECONDS = 3600.0


class NameTaken(Exception):
    """A task of that name exists, or existed too recently."""


@dataclasses.dataclass(slots=True, kw_only=True)
class HttpTask:
    """A task in its queue.

    Attributes:
        name: projects/P/locations/L/queues/Q/tasks/T; empty until its queue names it.
        url, method, headers, body: the request that it makes.
        account: e-mail of the service account whose OAuth token the request carries; empty for none.
        deadline: seconds that the answer may take; not divided by the pace.
        scheduled: when it is due by the wall clock, as the caller computed it; None for at once.
        created: when the queue took it.
        dispatches: attempts begun.
        responses: attempts answered.
        first, last: what came of the first and of the last attempt; None before it.
        tried_since: when it was dispatched first, on the loop's clock.
    """

    name: str
    url: str
    method: str
    headers: Mapping[str, str]
    body: bytes
    account: str
    deadline: float
    scheduled: datetime | None
    created: datetime
    dispatches: int = 0
    responses: int = 0
    first: Record | None = None
    last: Record | None = None
    tried_since: float = 0.0


class Queue:
    """A queue that dispatches while it is open. Every method belongs to the event loop."""

    def __init__(
        self,
        name: str,
        *,
        limits: RateLimits,
        retry: RetryConfig,
        courier: Courier,
        pace: Pace,
        mint: Mint,
        name_kept_seconds: float = NAME_KEPT_SECONDS,
    ) -> None:
        """`name` is projects/P/locations/L/queues/Q; `name_kept_seconds` are Google's, before the pace divides them."""
        self.name = name
        self.retry = retry
        self.paused = False
        self._courier = courier
        self._pace = pace
        self._mint = mint
        self._name_kept = pace.seconds(name_kept_seconds)
        self._tasks: dict[str, HttpTask] = {}
        self._gone: dict[str, float] = {}
        self._due: list[tuple[float, int, HttpTask]] = []
        self._order = itertools.count()
        self._outstanding = 0
        self._wake = asyncio.Event()
        self._background = Background(f"the queue {name}")
        self.limits = limits

    @property
    def limits(self) -> RateLimits:
        """Its rate limits; new ones count at once, with a full bucket."""
        return self._limits

    @limits.setter
    def limits(self, limits: RateLimits) -> None:
        self._limits = limits
        self._bucket = TokenBucket(limits, self._pace, _clock())
        self._wake.set()

    def start(self) -> None:
        """Begins to dispatch."""
        self._background.spawn(self._dispatch_due())

    async def aclose(self) -> None:
        """Stops; requests under way are cut off."""
        await self._background.aclose()

    def tasks(self) -> list[HttpTask]:
        """All tasks that are not finished, by name."""
        return [self._tasks[name] for name in sorted(self._tasks)]

    def find(self, name: str) -> HttpTask | None:
        """The task of that full name; None if it is finished, deleted or unknown."""
        return self._tasks.get(name)

    def add(self, task: HttpTask) -> None:
        """Adds a task, named if its name is empty, and due when it is scheduled, or now if that is unset or past.

        Raises:
            NameTaken: see there.
        """
        clock = _clock()
        self._gone = {name: until for name, until in self._gone.items() if until > clock}
        if task.name in self._tasks or task.name in self._gone:
            raise NameTaken(task.name)
        task.name = task.name or f"{self.name}/tasks/{secrets.randbelow(10**19):019d}"
        task.scheduled = max(task.created, task.scheduled or task.created)
        self._tasks[task.name] = task
        self._schedule(task, due_in(task.scheduled.timestamp(), task.created.timestamp(), self._pace))

    def delete(self, name: str) -> bool:
        """Forgets a task, but not its name; an attempt under way is not stopped. False if there is no such task."""
        if self._tasks.pop(name, None) is None:
            return False
        self._gone[name] = _clock() + self._name_kept
        return True

    def pause(self) -> None:
        """Dispatches nothing more; attempts under way go on."""
        self.paused = True

    def resume(self) -> None:
        """Dispatches again, first what became due meanwhile."""
        self.paused = False
        self._wake.set()

    def _schedule(self, task: HttpTask, delay: float) -> None:
        heapq.heappush(self._due, (_clock() + delay, next(self._order), task))
        self._wake.set()

    async def _dispatch_due(self) -> None:
        while True:
            self._wake.clear()
            wait = self._begin_due()
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _begin_due(self) -> float | None:
        """Dispatches all that may be; returns the seconds until more may, None if only a wake-up can tell."""
        clock = _clock()
        while self._due and not self.paused and self._outstanding < self._limits.max_concurrent_dispatches:
            due, _order, task = self._due[0]
            if self._tasks.get(task.name) is not task:  # deleted
                heapq.heappop(self._due)
                continue
            if due > clock:
                return due - clock
            if not self._bucket.take(clock):
                return self._bucket.refilled_in(clock)
            heapq.heappop(self._due)
            self._outstanding += 1
            self._background.spawn(self._dispatch(task))
        return None

    async def _dispatch(self, task: HttpTask) -> None:
        task.dispatches += 1
        task.tried_since = task.tried_since or _clock()
        try:
            record = await self._courier.deliver(self._parcel(task))
        finally:
            self._outstanding -= 1
            self._wake.set()
        task.first, task.last = task.first or record, record
        task.responses += record.status is not None
        if self._tasks.get(task.name) is not task:
            return  # deleted meanwhile
        if record.acknowledged:
            self.delete(task.name)
            return
        tried_for = (_clock() - task.tried_since) * self._pace.divisor
        if self.retry.exhausted(task.dispatches, tried_for):
            _log.error("task %s is given up after %d attempts: %s", task.name, task.dispatches, record.error)
            self.delete(task.name)
            return
        delay = self.retry.delay(task.dispatches)
        task.scheduled = now() + timedelta(seconds=delay)
        self._schedule(task, self._pace.seconds(delay))

    def _parcel(self, task: HttpTask) -> Parcel:
        line, cluster = describe_publish_request(task.url, task.body)
        return Parcel(
            url=task.url,
            headers=self._headers(task),
            body=task.body,
            deadline=task.deadline,
            acknowledges=is_success,
            method=task.method,
            kind=Kind.TASKS,
            source=task.name,
            what=task.url,
            target=task.url.split("/")[2],
            attempt=task.dispatches,
            cluster=cluster,
            line=line,
        )

    def _headers(self, task: HttpTask) -> dict[str, str]:
        """The task's own, and those of cloud.google.com/tasks/docs/creating-http-target-tasks, handler."""
        headers = {
            **task.headers,
            "User-Agent": "Google-Cloud-Tasks",
            "X-CloudTasks-QueueName": self.name.rpartition("/")[2],
            "X-CloudTasks-TaskName": task.name.rpartition("/")[2],
            "X-CloudTasks-TaskRetryCount": str(task.dispatches - 1),
            "X-CloudTasks-TaskExecutionCount": str(task.responses),
            "X-CloudTasks-TaskETA": f"{(task.scheduled or task.created).timestamp():.6f}",
        }
        if task.account:
            headers["Authorization"] = f"Bearer {self._mint(task.account)}"
        return headers


def _clock() -> float:
    return asyncio.get_running_loop().time()
