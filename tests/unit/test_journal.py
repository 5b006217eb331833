from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from byomesh.local.journal import EVERYTHING, Journal, Kind, Query, Record, read

START = datetime(2026, 8, 21, 12, 0, tzinfo=UTC)


def record(number: int = 0, **changes: Any) -> Record:
    known = Record(
        time=START + timedelta(seconds=number),
        kind=Kind.PUBSUB,
        source=f"m{number}",
        what="projects/p/topics/mesh-install",
        target="install_mesh",
        attempt=1,
        status=200,
        error=None,
        seconds=0.25,
        cluster="projects/p/locations/l/clusters/c",
        line="mesh-install: linkerd, created",
    )
    return msgspec.structs.replace(known, **changes)


def test_keeps_the_newest_records_only() -> None:
    journal = Journal(capacity=3)
    for number in range(5):
        journal.append(record(number))
    assert [kept.source for kept in journal.query()] == ["m2", "m3", "m4"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (EVERYTHING, ["a", "b", "c"]),
        (Query(kind=Kind.EVENTARC), ["a"]),
        (Query(target="verify_mesh"), ["b"]),
        (Query(cluster="projects/p/locations/l/clusters/other"), ["c"]),
        (Query(source="b"), ["b"]),
        (Query(acknowledged=False), ["c"]),
        (Query(acknowledged=True), ["a", "b"]),
        (Query(since=START + timedelta(seconds=1)), ["b", "c"]),
        (Query(kind=Kind.PUBSUB, acknowledged=True), ["b"]),
    ],
)
def test_a_query_lets_through_what_agrees_with_every_field_set(query: Query, expected: list[str]) -> None:
    journal = Journal()
    journal.append(record(0, source="a", kind=Kind.EVENTARC))
    journal.append(record(1, source="b", target="verify_mesh"))
    journal.append(record(2, source="c", status=500, error="boom", cluster="projects/p/locations/l/clusters/other"))
    assert [found.source for found in journal.query(query)] == expected


def test_the_file_holds_every_record_and_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.jsonl"
    with Journal(path, capacity=1) as journal:
        journal.append(record(0))
        journal.append(record(1, error="no answer within 10 s", status=None))
    with Journal(path) as journal:
        journal.append(record(2))
        assert [kept.source for kept in journal.query()] == ["m0", "m1", "m2"]
    assert list(read(path)) == [record(0), record(1, error="no answer within 10 s", status=None), record(2)]


def test_a_record_appended_after_closing_stays_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.close()
    journal.close()
    journal.append(record())
    assert journal.query() == [record()]
    assert list(read(path)) == []


def test_a_line_that_a_killed_writer_left_unfinished_is_left_out_and_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = msgspec.json.encode(record(0)) + b"\n"
    path.write_bytes(whole + b'{"time": "2026-')
    assert list(read(path)) == [record(0)]
    with Journal(path) as journal:
        journal.append(record(1))
    assert list(read(path)) == [record(0), record(1)]


def test_a_file_that_is_no_journal_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(msgspec.json.encode(record(0)) + b"\n{}\n")
    with pytest.raises(ValueError, match=r"journal\.jsonl, line 2, is no delivery record"):
        Journal(path)


async def test_a_subscriber_gets_matching_records_as_they_come() -> None:
    journal = Journal()
    journal.append(record(0))
    live = journal.subscribe(Query(target="verify_mesh"))
    waiting = asyncio.ensure_future(anext(live))
    await asyncio.sleep(0)
    journal.append(record(1))
    journal.append(record(2, target="verify_mesh"))
    assert await waiting == record(2, target="verify_mesh")


async def test_a_subscriber_may_begin_with_what_is_remembered() -> None:
    journal = Journal()
    journal.append(record(0))
    replayed = journal.subscribe(replay=True)
    assert await anext(replayed) == record(0)
    journal.append(record(1))
    assert await anext(replayed) == record(1)


async def test_a_slow_subscriber_misses_what_was_overwritten_and_goes_on() -> None:
    journal = Journal(capacity=2)
    journal.append(record(0))
    slow = journal.subscribe(replay=True)
    assert await anext(slow) == record(0)
    for number in range(1, 5):
        journal.append(record(number))
    assert [await anext(slow), await anext(slow)] == [record(3), record(4)]
    journal.append(record(5))
    assert await anext(slow) == record(5)
