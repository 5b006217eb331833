"""What was delivered, to whom, answered how and how often: the local cloud's memory of its deliveries."""

from __future__ import annotations

import asyncio
import collections
import enum
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

import msgspec

DEFAULT_CAPACITY = 20_000


class Kind(enum.StrEnum):
    """Which service made the delivery."""

    EVENTARC = "eventarc"
    PUBSUB = "pubsub"
    TASKS = "tasks"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to deliver one thing to one function.

    Attributes:
        time: when the attempt began, UTC.
        kind: which service delivered.
        source: the CloudEvent's id, the Pub/Sub message id, or the task's full name.
        what: the audited method's name, the topic's full name, or the task's URL.
        target: whom it went to: the function's name, or the host that a task calls.
        attempt: 1 for the first delivery.
        status: the HTTP status of the answer; None where there was none.
        error: why it counts as refused; None where it was acknowledged.
        seconds: how long the answer took.
        cluster: projects/P/locations/L/clusters/C where the thing delivered names one.
        line: what it is, in one short line for people.
    """

    time: datetime
    kind: Kind
    source: str
    what: str
    target: str
    attempt: int
    status: int | None
    error: str | None
    seconds: float
    cluster: str | None = None
    line: str = ""

    @property
    def acknowledged(self) -> bool:
        """Whether the receiver took it, so that it is not delivered again."""
        return self.error is None


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which records are wanted; a field left at None lets all of them pass."""

    kind: Kind | None = None
    target: str | None = None
    cluster: str | None = None
    source: str | None = None
    acknowledged: bool | None = None
    since: datetime | None = None

    def matches(self, record: Record) -> bool:
        """Whether every field that is set agrees with the record; `since` is inclusive."""
        if self.since is not None and record.time < self.since:
            return False
        wanted = (self.kind, self.target, self.cluster, self.source, self.acknowledged)
        actual = (record.kind, record.target, record.cluster, record.source, record.acknowledged)
        return all(want is None or want == have for want, have in zip(wanted, actual, strict=True))


EVERYTHING = Query()


class Journal:
    """Keeps the newest records in memory and every record as a JSON line in a file.

    Not for use from several threads: it belongs to the event loop of the local cloud.
    """

    def __init__(self, path: Path | None = None, *, capacity: int = DEFAULT_CAPACITY) -> None:
        """Continues the file at `path`, whose newest records are read first; None keeps memory only."""
        self._records: collections.deque[Record] = collections.deque(maxlen=capacity)
        self._appended = 0
        self._changed = asyncio.Event()
        self._file: IO[bytes] | None = None
        if path is not None:
            for record in read(path) if path.exists() else ():
                self._remember(record)
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut_unfinished_line(path)
            self._file = path.open("ab", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file. Records appended later stay in memory only."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def append(self, record: Record) -> None:
        """Adds a record, and shows it to every subscriber."""
        self._remember(record)
        if self._file is not None:
            self._file.write(msgspec.json.encode(record) + b"\n")
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def query(self, query: Query = EVERYTHING) -> list[Record]:
        """The remembered records that match, oldest first."""
        return [record for record in self._records if query.matches(record)]

    async def subscribe(self, query: Query = EVERYTHING, *, replay: bool = False) -> AsyncIterator[Record]:
        """Matching records as they come, without end.

        `replay` begins with those already remembered. Who reads more slowly than the memory is overwritten misses
        the overwritten records; nobody waits for a slow reader.
        """
        seen = 0 if replay else self._appended
        while True:
            changed = self._changed
            oldest = self._appended - len(self._records)
            seen = max(seen, oldest)
            fresh = [self._records[index - oldest] for index in range(seen, self._appended)]
            seen = self._appended
            for record in fresh:
                if query.matches(record):
                    yield record
            await changed.wait()

    def _remember(self, record: Record) -> None:
        self._records.append(record)
        self._appended += 1


def read(path: Path) -> Iterator[Record]:
    """The records of a journal's file, oldest first.

    A last line that a killed writer left unfinished is left out.

    Raises:
        ValueError: a line that is finished holds no record.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield msgspec.json.decode(line, type=Record)
            except msgspec.DecodeError as error:
                raise ValueError(f"{path}, line {number}, is no delivery record ({error}): move it away") from error


def _cut_unfinished_line(path: Path) -> None:
    """Without this the first new record would be glued to what a killed writer left, and neither could be read."""
    content = path.read_bytes() if path.exists() else b""
    if not content.endswith(b"\n") and content:
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def now() -> datetime:
    """The present, as records tell it."""
    return datetime.now(UTC)
