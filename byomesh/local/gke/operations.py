"""Long-running operations: each takes its time, does its work, and ends once."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from google.cloud import container_v1

from byomesh.local.gke import audit, state
from byomesh.local.pace import Pace
from byomesh.local.rpc import RpcFailure
from shared.model import ClusterRef

Emit = Callable[[dict[str, Any]], Awaitable[None]]
"""Receives each audit entry, in the order in which it is written."""

_INTERNAL = 13
"""INTERNAL of google.rpc.Code."""

logger = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class LocalOperation:
    """One operation.

    Attributes:
        ref: the cluster it works on.
        proto: what the API answers about it.
        call: the call that started it.
        facts: what its audit entries tell.
    """

    ref: ClusterRef
    proto: container_v1.Operation
    call: audit.Audited
    facts: audit.AuditedOperation


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """What an operation does to a cluster.

    Attributes:
        kind: its type, of `OperationType`.
        seconds: how long it takes at least.
        act: does it; runs beside the waiting where `early`, else after it.
        done: called when it succeeded, before the operation is DONE.
        failed: called with the words of a failure, before the operation is DONE.
        early: whether `act` starts at once (a control plane) or shows only at the end (a policy).
    """

    kind: Any
    seconds: float
    act: Callable[[], Awaitable[None]]
    done: Callable[[], None]
    failed: Callable[[str, bool], None]
    early: bool


class Operations:
    """The operations of all clusters, running and ended.

    Args:
        pace: divides their durations.
        emit: receives their audit entries.
        clock: tells the time.
    """

    def __init__(self, *, pace: Pace, emit: Emit, clock: Callable[[], dt.datetime]) -> None:
        self._pace = pace
        self._emit = emit
        self._clock = clock
        self._all: dict[str, LocalOperation] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._to_fail: list[tuple[str, RpcFailure]] = []

    def __iter__(self) -> Iterator[LocalOperation]:
        """Iterate over all operations, oldest first."""
        return iter(list(self._all.values()))

    def get(self, name: str) -> LocalOperation | None:
        """The operation of a bare id; None if there is none."""
        return self._all.get(name)

    def fail_next(self, kind: str, failure: RpcFailure) -> None:
        """Let the next operation of a type, such as UPDATE_CLUSTER, run its time and fail, its work undone."""
        self._to_fail.append((kind, failure))

    def begin(self, call: audit.Audited, kind: Any) -> LocalOperation:
        """Note a new operation of a type, of `OperationType`, as RUNNING; `announce` sets it going."""
        now = self._clock()
        name = state.operation_id(now)
        operation = LocalOperation(
            call.ref,
            container_v1.Operation(
                name=name,
                zone=call.ref.location,
                location=call.ref.location,
                operation_type=kind,
                status=state.OperationStatus.RUNNING,
                self_link=f"{state.API}/v1/{state.zonal_name(call.ref, 'operations', name)}",
                target_link=f"{state.API}/v1/{state.zonal_name(call.ref)}",
                start_time=state.timestamp(now),
            ),
            call,
            audit.AuditedOperation(name, kind.name, now),
        )
        self._all[name] = operation
        return operation

    def ended(self, call: audit.Audited, kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Note an operation as DONE already; returns both its audit entries, which nobody else is told of."""
        operation = self.begin(call, kind)
        end = self._clock()
        operation.proto.end_time = state.timestamp(end)
        operation.proto.status = state.OperationStatus.DONE
        return audit.first(call, operation.facts), audit.last(call, operation.facts, end)

    async def announce(self, operation: LocalOperation, work: Work) -> None:
        """Write an operation's first audit entry and set it going."""
        try:
            await self._emit(audit.first(operation.call, operation.facts))
        finally:  # or the cluster would be busy for ever
            self.background(self._run(operation, work))

    def background(self, work: Any) -> None:
        """Run a coroutine beside everything else until it ends or `close` is called."""
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def sleep(self, seconds: float) -> None:
        """Wait for a duration of Google's, at the local pace."""
        await asyncio.sleep(self._pace.seconds(seconds))

    async def close(self) -> None:
        """End what runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a background task of the local GKE failed", exc_info=task.exception())

    async def _run(self, operation: LocalOperation, work: Work) -> None:
        failure: audit.Failure | None = None
        ordered = self._ordered(operation.facts.kind)
        try:
            if ordered is not None:
                await self.sleep(work.seconds)
            elif work.early:
                await self._beside(work)
            else:
                await self.sleep(work.seconds)
                await work.act()
        except Exception as error:
            logger.exception("%s on %s failed", operation.facts.kind, operation.ref)
            failure = audit.Failure(_INTERNAL, f"{type(error).__name__}: {error}")
        if ordered is not None:
            failure = audit.Failure(ordered.number, ordered.text)
        if failure is None:
            work.done()
        else:
            work.failed(failure.message, ordered is None)
        await self._end(operation, failure)

    async def _beside(self, work: Work) -> None:
        # Both are waited for: an operation that breaks at once still takes its time, and leaves nothing running.
        _, outcome = await asyncio.gather(self.sleep(work.seconds), work.act(), return_exceptions=True)
        if isinstance(outcome, BaseException):
            raise outcome

    def _ordered(self, kind: str) -> RpcFailure | None:
        for entry in self._to_fail:
            if entry[0] == kind:
                self._to_fail.remove(entry)
                return entry[1]
        return None

    async def _end(self, operation: LocalOperation, failure: audit.Failure | None) -> None:
        end = self._clock()
        operation.proto.end_time = state.timestamp(end)
        if failure is not None:
            operation.proto.error.code = failure.code
            operation.proto.error.message = failure.message
            operation.proto.status_message = failure.message
        operation.proto.status = state.OperationStatus.DONE
        await self._emit(audit.last(operation.call, operation.facts, end, failure))
