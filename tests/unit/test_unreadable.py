"""What functions-framework can't make an event of, as it answers with `shared.unreadable` in its application."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.unreadable import MAX_BODY, MAX_PARTS
from tests.hostile.served import Served, served

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BINARY = {
    "ce-specversion": "1.0",
    "ce-type": "google.cloud.audit.log.v1.written",
    "ce-source": "//x",
    "ce-id": "1",
    "Content-Type": "application/json",
}


@pytest.fixture(scope="module")
def function() -> Iterator[Served]:
    with served() as found:
        yield found["install_mesh"]


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({}, b"", 400),
        ({"Content-Type": "text/plain"}, b"hello", 400),
        (STRUCTURED, b"\xff\xfe\xfa", 400),
        (STRUCTURED, b"[" * 100_000, 400),
        (STRUCTURED, b"9" * 5_000, 400),
        (STRUCTURED, b'{"specversion": {}}', 400),
        (STRUCTURED, b'{"specversion": "1.0", "data": ""}', 400),
        ({"Content-Type": "application/json"}, b"[1]", 400),
        ({"Content-Type": "application/json"}, b'{"message": {}, "subscription": "s"}', 400),
        (BINARY, b'{"a": ' * 20_000, 400),
        (BINARY, b"[" + b"{}," * MAX_PARTS + b"{}]", 413),
        (BINARY, b'"' + b"a" * MAX_BODY + b'"', 413),
    ],
)
def test_what_is_no_event_is_refused_in_a_sentence(
    function: Served, headers: dict[str, str], body: bytes, code: int
) -> None:
    verdict = function.post({**headers, "Authorization": "Bearer s3cret"}, body)
    assert (verdict.answer, verdict.faults) == (code, ())


def test_the_largest_message_of_pubsub_is_acknowledged(function: Served) -> None:
    data = b"QUFB" * (10 * 1024 * 1024 // 3)
    body = b'{"message": {"data": "' + data + b'", "messageId": "1"}, "subscription": "s"}'
    verdict = function.post({"Content-Type": "application/json"}, body)
    assert (verdict.answer, verdict.faults) == (200, ())
