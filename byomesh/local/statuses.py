"""The newest word on each cluster: every MeshStatus that was published, kept in memory."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator

from byomesh.local.background import Background
from byomesh.local.pubsub.message import Message
from shared.errors import Permanent
from shared.model import ClusterRef, MeshStatus, decode

_KEPT = 10_000


class Statuses:
    """All statuses, oldest first; belongs to the event loop."""

    def __init__(self) -> None:
        self._all: collections.deque[MeshStatus] = collections.deque(maxlen=_KEPT)
        self._newest: dict[ClusterRef, MeshStatus] = {}
        self._background = Background("the status reader")
        self._changed = asyncio.Event()

    def follow(self, messages: AsyncIterator[Message]) -> None:
        """Keep what comes on the status topic, until `close`."""
        self._background.spawn(self._read(messages))

    async def close(self) -> None:
        """Stop reading."""
        await self._background.aclose()

    def add(self, status: MeshStatus) -> None:
        """Remember one status."""
        self._all.append(status)
        if status.cluster is not None:
            self._newest[status.cluster] = status
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def of(self, cluster: ClusterRef | None = None) -> list[MeshStatus]:
        """The statuses of one cluster, or of all, oldest first."""
        return [status for status in self._all if cluster is None or status.cluster == cluster]

    def newest(self, cluster: ClusterRef) -> MeshStatus | None:
        """The newest status of a cluster; None before the first."""
        return self._newest.get(cluster)

    def begin_anew(self, cluster: ClusterRef) -> None:
        """A cluster is made under a name that another one may have had: what was said of that one is history."""
        self._newest.pop(cluster, None)

    async def changed(self) -> None:
        """Return when the next status has come."""
        await self._changed.wait()

    async def _read(self, messages: AsyncIterator[Message]) -> None:
        async for message in messages:
            try:
                self.add(decode(message.data, MeshStatus))
            except Permanent:
                # Somebody tries the topic by hand; it is no status, and there is nobody to tell but the journal.
                continue
