"""Between the messages of google.cloud.tasks.v2 and the queue's own tasks. Pure.

Reads the protobuf messages themselves: the proto-plus ones around them show other types than they declare.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.cloud import tasks_v2

from byomesh.local import rpc
from byomesh.local.journal import Record
from byomesh.local.tasks.queue import HttpTask, Queue

# cloud.google.com/tasks/docs/quotas: 100 KB a task, 30 days into the future, ids of 1 to 500 characters.
_LARGEST_TASK = 100 * 1024
_FURTHEST = timedelta(days=30)
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,500}")
# Task.dispatch_deadline for HTTP targets: 10 minutes unless set, between 15 seconds and 30 minutes.
_DEADLINE, _SHORTEST, _LONGEST = 600.0, 15.0, 1800.0
_BODY_METHODS = ("POST", "PUT", "PATCH")

_Task = tasks_v2.Task.pb()
_Attempt = tasks_v2.Attempt.pb()


def decode_task(task: Any, queue: str, created: datetime) -> HttpTask:
    """A protobuf Task as it was sent, for the queue of that name.

    Raises:
        RpcFailure: INVALID_ARGUMENT as Cloud Tasks answers it; UNIMPLEMENTED for an oidc_token.
    """
    _check(task, queue, created)
    request = task.http_request
    return HttpTask(
        name=task.name,
        url=request.url,
        method=_method(request),
        headers=dict(request.headers),
        body=request.body,
        account=request.oauth_token.service_account_email,
        deadline=task.dispatch_deadline.ToTimedelta().total_seconds() or _DEADLINE,
        scheduled=task.schedule_time.ToDatetime(UTC) if task.HasField("schedule_time") else None,
        created=created,
    )


def encode_task(task: HttpTask, view: int) -> tasks_v2.Task:
    """The task as the view shows it: its body only in the FULL one."""
    full = view == tasks_v2.Task.View.FULL
    shown = _Task(
        name=task.name,
        dispatch_count=task.dispatches,
        response_count=task.responses,
        view=tasks_v2.Task.View.FULL if full else tasks_v2.Task.View.BASIC,
    )
    shown.http_request.url = task.url
    shown.http_request.http_method = getattr(tasks_v2.HttpMethod, task.method)
    shown.http_request.headers.update(task.headers)
    shown.http_request.body = task.body if full else b""
    if task.account:
        shown.http_request.oauth_token.service_account_email = task.account
    shown.create_time.FromDatetime(task.created)
    shown.schedule_time.FromDatetime(task.scheduled or task.created)
    shown.dispatch_deadline.FromTimedelta(timedelta(seconds=task.deadline))
    if task.first is not None:
        shown.first_attempt.dispatch_time.FromDatetime(task.first.time)
    if task.last is not None:
        shown.last_attempt.CopyFrom(_attempt(task.last))
    wrapped: tasks_v2.Task = tasks_v2.Task.wrap(shown)
    return wrapped


def encode_queue(queue: Queue) -> tasks_v2.Queue:
    """The queue with its state, limits and retries."""
    limits, retry = queue.limits, queue.retry
    return tasks_v2.Queue(
        name=queue.name,
        state=tasks_v2.Queue.State.PAUSED if queue.paused else tasks_v2.Queue.State.RUNNING,
        rate_limits=tasks_v2.RateLimits(
            max_dispatches_per_second=limits.max_dispatches_per_second,
            max_burst_size=limits.max_burst_size,
            max_concurrent_dispatches=limits.max_concurrent_dispatches,
        ),
        retry_config=tasks_v2.RetryConfig(
            max_attempts=retry.max_attempts,
            max_retry_duration=timedelta(seconds=retry.max_retry_duration),
            min_backoff=timedelta(seconds=retry.min_backoff),
            max_backoff=timedelta(seconds=retry.max_backoff),
            max_doublings=retry.max_doublings,
        ),
    )


def invalid(text: str) -> rpc.RpcFailure:
    """The answer INVALID_ARGUMENT."""
    return rpc.RpcFailure(grpc.StatusCode.INVALID_ARGUMENT, text)


def _check(task: Any, queue: str, created: datetime) -> None:
    request = task.http_request
    prefix, separator, task_id = task.name.rpartition("/tasks/")
    if task.name and (prefix != queue or not separator or not _TASK_ID.fullmatch(task_id)):
        raise invalid(f"Task name must be formatted: {queue}/tasks/TASK_ID, with letters, digits, - and _ in TASK_ID.")
    if not task.HasField("http_request"):
        raise invalid("Task.http_request is required: this service has HTTP targets only.")
    if not request.url.startswith(("http://", "https://")):
        raise invalid(f"HttpRequest.url must start with http:// or https://, not {request.url!r}.")
    if request.body and _method(request) not in _BODY_METHODS:
        raise invalid("HTTP Body can only be specified for POST, PUT or PATCH.")
    if task.ByteSize() > _LARGEST_TASK:
        raise invalid("Task size too large.")
    if task.HasField("schedule_time") and task.schedule_time.ToDatetime(UTC) - created > _FURTHEST:
        raise invalid("Task.scheduleTime too far in future; it must be within 30 days.")
    deadline = task.dispatch_deadline.ToTimedelta().total_seconds()
    if task.HasField("dispatch_deadline") and not _SHORTEST <= deadline <= _LONGEST:
        raise invalid("Task.dispatchDeadline must be between [15s, 30m].")
    if request.HasField("oidc_token"):
        raise rpc.RpcFailure(grpc.StatusCode.UNIMPLEMENTED, "oidc_token is not served here; use oauth_token.")


def _method(request: Any) -> str:
    name: str = tasks_v2.HttpMethod(request.http_method or tasks_v2.HttpMethod.POST).name
    return name


def _attempt(record: Record) -> Any:
    attempt = _Attempt()
    attempt.dispatch_time.FromDatetime(record.time)
    if record.status is not None:
        attempt.response_time.FromDatetime(record.time + timedelta(seconds=record.seconds))
        attempt.response_status.message = record.error or "OK"
    return attempt
