"""google.cloud.tasks.v2.CloudTasks over gRPC: the calls that the functions and an operator's tools make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import grpc
from google.cloud import tasks_v2
from google.protobuf.empty_pb2 import Empty

from byomesh.local import rpc
from byomesh.local.courier import Courier
from byomesh.local.journal import now
from byomesh.local.pace import Pace
from byomesh.local.tasks.queue import NAME_KEPT_SECONDS, Mint, NameTaken, Queue
from byomesh.local.tasks.schedule import RateLimits, RetryConfig
from byomesh.local.tasks.wire import decode_task, encode_queue, encode_task, invalid

SERVICE = "google.cloud.tasks.v2.CloudTasks"

_UPDATABLE = ("rate_limits", "rate_limits.max_dispatches_per_second", "rate_limits.max_concurrent_dispatches")
_PAGE = 1000


class CloudTasks:
    """The queues of the local cloud and the gRPC service over them; use it as an async context manager."""

    def __init__(
        self, *, courier: Courier, pace: Pace, mint: Mint, name_kept_seconds: float = NAME_KEPT_SECONDS
    ) -> None:
        """The courier must be open for as long as this is.

        Args:
            courier: delivers the tasks' requests.
            pace: divides schedules, backoffs, the time between two dispatches and `name_kept_seconds`.
            mint: makes the access token of a task's oauth_token.
            name_kept_seconds: how long the name of a finished or deleted task stays taken.
        """
        self._courier = courier
        self._pace = pace
        self._mint = mint
        self._name_kept_seconds = name_kept_seconds
        self._queues: dict[str, Queue] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for queue in self._queues.values():
            await queue.aclose()

    def create_queue(self, name: str, *, limits: RateLimits | None = None, retry: RetryConfig | None = None) -> Queue:
        """Makes and starts the queue projects/P/locations/L/queues/Q with Google's defaults for what isn't given."""
        queue = Queue(
            name,
            limits=limits or RateLimits(),
            retry=retry or RetryConfig(),
            courier=self._courier,
            pace=self._pace,
            mint=self._mint,
            name_kept_seconds=self._name_kept_seconds,
        )
        self._queues[name] = queue
        queue.start()
        return queue

    def service(self, *, caller: rpc.Caller, faults: rpc.Faults) -> rpc.Handler:
        """The gRPC service, to be served by `byomesh.local.rpc.serve`."""
        return rpc.service(SERVICE, self.methods(), caller=caller, faults=faults)

    def methods(self) -> Mapping[str, rpc.Method]:
        """The calls by name."""
        task, queue = tasks_v2.Task, tasks_v2.Queue
        return {
            "CreateTask": rpc.Method(tasks_v2.CreateTaskRequest, task, self._create_task),
            "GetTask": rpc.Method(tasks_v2.GetTaskRequest, task, self._get_task),
            "ListTasks": rpc.Method(tasks_v2.ListTasksRequest, tasks_v2.ListTasksResponse, self._list_tasks),
            "DeleteTask": rpc.Method(tasks_v2.DeleteTaskRequest, Empty, self._delete_task),
            "GetQueue": rpc.Method(tasks_v2.GetQueueRequest, queue, self._get_queue),
            "PauseQueue": rpc.Method(tasks_v2.PauseQueueRequest, queue, self._pause_queue),
            "ResumeQueue": rpc.Method(tasks_v2.ResumeQueueRequest, queue, self._resume_queue),
            "UpdateQueue": rpc.Method(tasks_v2.UpdateQueueRequest, queue, self._update_queue),
        }

    async def _create_task(self, request: Any, _call: rpc.Call) -> tasks_v2.Task:
        queue = self._queue(request.parent)
        task = decode_task(tasks_v2.Task.pb(request.task), queue.name, now())
        try:
            queue.add(task)
        except NameTaken as taken:
            text = "The task cannot be created because a task with this name existed too recently."
            if queue.find(str(taken)) is not None:
                text = "Requested entity already exists"
            raise rpc.RpcFailure(grpc.StatusCode.ALREADY_EXISTS, text) from taken
        return encode_task(task, request.response_view)

    async def _get_task(self, request: Any, _call: rpc.Call) -> tasks_v2.Task:
        task = self._queue_of_task(request.name).find(request.name)
        if task is None:
            raise _no_task()
        return encode_task(task, request.response_view)

    async def _list_tasks(self, request: Any, _call: rpc.Call) -> tasks_v2.ListTasksResponse:
        tasks = [task for task in self._queue(request.parent).tasks() if task.name > request.page_token]
        size = min(request.page_size or _PAGE, _PAGE)
        page = [encode_task(task, request.response_view) for task in tasks[:size]]
        return tasks_v2.ListTasksResponse(tasks=page, next_page_token=page[-1].name if len(tasks) > size else "")

    async def _delete_task(self, request: Any, _call: rpc.Call) -> Empty:
        if not self._queue_of_task(request.name).delete(request.name):
            raise _no_task()
        return Empty()

    async def _get_queue(self, request: Any, _call: rpc.Call) -> tasks_v2.Queue:
        return encode_queue(self._queue(request.name))

    async def _pause_queue(self, request: Any, _call: rpc.Call) -> tasks_v2.Queue:
        queue = self._queue(request.name)
        queue.pause()
        return encode_queue(queue)

    async def _resume_queue(self, request: Any, _call: rpc.Call) -> tasks_v2.Queue:
        queue = self._queue(request.name)
        queue.resume()
        return encode_queue(queue)

    async def _update_queue(self, request: Any, _call: rpc.Call) -> tasks_v2.Queue:
        queue = self._queue(request.queue.name)
        paths = list(request.update_mask.paths) or ["rate_limits"]
        limits = request.queue.rate_limits
        rate, concurrent = queue.limits.max_dispatches_per_second, queue.limits.max_concurrent_dispatches
        for path in paths:
            if path not in _UPDATABLE:
                raise invalid(f"Invalid update mask: {path}; only {', '.join(_UPDATABLE)} can be updated here.")
            if path in ("rate_limits", "rate_limits.max_dispatches_per_second"):
                rate = limits.max_dispatches_per_second or RateLimits().max_dispatches_per_second
            if path in ("rate_limits", "rate_limits.max_concurrent_dispatches"):
                concurrent = limits.max_concurrent_dispatches or RateLimits().max_concurrent_dispatches
        queue.limits = RateLimits(rate, concurrent)
        return encode_queue(queue)

    def _queue(self, name: str) -> Queue:
        queue = self._queues.get(name)
        if queue is None:
            raise rpc.RpcFailure(grpc.StatusCode.NOT_FOUND, f"Queue does not exist: {name}")
        return queue

    def _queue_of_task(self, name: str) -> Queue:
        queue, separator, _task = name.partition("/tasks/")
        if not separator:
            raise invalid(f"Invalid resource name: {name!r} is no task's name.")
        return self._queue(queue)


def _no_task() -> rpc.RpcFailure:
    return rpc.RpcFailure(grpc.StatusCode.NOT_FOUND, "Requested entity was not found.")
