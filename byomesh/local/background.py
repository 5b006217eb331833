"""Tasks that a service of the local cloud runs beside its callers: kept, reported when they fail, ended together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger(__name__)


class Background:
    """The background tasks of one service."""

    def __init__(self, owner: str) -> None:
        """`owner` names the service in the log."""
        self._owner = owner
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failures: list[BaseException] = []

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Starts a task. Its failure is logged at once and raised by `aclose`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def aclose(self) -> None:
        """Cancels what still runs and waits for its end.

        Raises:
            ExceptionGroup: tasks that had failed, now or before.
        """
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
            await asyncio.sleep(0)  # done callbacks run in the loop's next round
        if self._failures:
            failures, self._failures = self._failures, []
            raise BaseExceptionGroup(f"background tasks of {self._owner} failed", failures)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)
            _log.error("a background task of %s failed", self._owner, exc_info=error)
