"""Reads one cluster as its administrator, sparingly: a burst of new pods asks for each object once. Writes Events."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp

Json = dict[str, Any]

_FRESH = 0.2
"""Seconds that an answer is good for; a kubelet brings a changed ConfigMap to a running injector after a minute."""


class ReadingError(Exception):
    """The API server didn't answer, or refused."""


class Reader:
    """Reads by path.

    Args:
        session: an administrator's session that takes paths; closed with the reader.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._held: dict[str, tuple[float, asyncio.Task[Json | None]]] = {}

    async def get(self, path: str) -> Json | None:
        """An object, or a list with its `items`, not older than 0.2 s; None where there is none.

        Raises:
            ReadingError: the API server didn't answer, or refused.
        """
        now = time.monotonic()
        until, task = self._held.get(path, (0.0, None))
        if task is None or until < now:
            self._held = {held: entry for held, entry in self._held.items() if entry[0] >= now}
            task = asyncio.get_running_loop().create_task(self._fetch(path))
            task.add_done_callback(lambda done: self._forget_failure(path, done))
            self._held[path] = (now + _FRESH, task)
        # One who gives up must not take the answer from the others.
        return await asyncio.shield(task)

    async def items(self, path: str) -> list[Json]:
        """The items of a list; none where there is no such list.

        Raises:
            ReadingError: as `get`.
        """
        found = await self.get(path)
        return list((found or {}).get("items") or ())

    async def create(self, path: str, body: Json) -> None:
        """Creates an object, unless one of its name is there.

        Raises:
            ReadingError: the API server didn't answer, or refused.
        """
        try:
            async with self._session.post(path, json=body) as response:
                if response.status not in (201, 409):
                    raise ReadingError(f"POST {path}: {response.status} {(await response.text())[:200]}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ReadingError(f"POST {path}: {error}") from error

    async def close(self) -> None:
        """Ends what is under way, and the session."""
        tasks = [task for _until, task in self._held.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._session.close()

    async def _fetch(self, path: str) -> Json | None:
        try:
            async with self._session.get(path) as response:
                if response.status == 404:  # noqa: PLR2004 - Not Found
                    return None
                if response.status != 200:  # noqa: PLR2004 - OK
                    raise ReadingError(f"GET {path}: {response.status} {(await response.text())[:200]}")
                found: Json = await response.json()
                return found
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ReadingError(f"GET {path}: {error}") from error

    def _forget_failure(self, path: str, done: asyncio.Task[Json | None]) -> None:
        if (done.cancelled() or done.exception()) and self._held.get(path, (0.0, None))[1] is done:
            del self._held[path]
