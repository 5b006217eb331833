"""The entries of one project, and those of one operation, cluster or request without going through all."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import Generic, TypeVar

from byomesh.local.cloud_logging.query import Entry, values
from byomesh.local.cloud_logging.syntax import Both, Comparison, Node

_K = TypeVar("_K")

INDEXED = (
    ("operation", "id"),
    ("resource", "labels", "cluster_name"),
    ("jsonPayload", "mesh_status", "cluster"),
    ("labels", "request_id"),
)
"""Fields that the functions and the commands ask for by their value."""


class Log(Generic[_K]):
    """Entries in the order in which they were written, with what is kept of each; the oldest make room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: collections.deque[_K] = collections.deque(maxlen=most)
        self._found: dict[tuple[tuple[str, ...], str], collections.deque[_K]] = {}

    def add(self, entry: Entry, kept: _K) -> None:
        """Keep an entry."""
        self._all.append(kept)
        for field in INDEXED:
            for value in sorted({str(one).lower() for one in values(entry, field)}):
                key = (field, value)
                self._found.setdefault(key, collections.deque(maxlen=self._most)).append(kept)

    def candidates(self, query: Node) -> Iterable[_K]:
        """All entries that may match a query, and as few others as the index can tell."""
        fewest = self._all
        for one in query.parts if isinstance(query, Both) else (query,):
            if isinstance(one, Comparison) and one.operator == "=" and one.field in INDEXED:
                found = self._found.get((one.field, one.value.lower()), collections.deque())
                fewest = min(fewest, found, key=len)
        return fewest
