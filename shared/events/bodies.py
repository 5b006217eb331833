"""Bodies of events and messages as JSON objects; sizes are bounded before anything is parsed."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, TypeVar

import msgspec

from shared.decoding import prepare
from shared.errors import Permanent, shorten

_BOM = b"\xef\xbb\xbf"
"""What some editors and shells of Windows put before a UTF-8 text; no part of JSON (RFC 8259, section 8.1)."""
LEAST = '{"cluster": "projects/PROJECT/locations/LOCATION/clusters/NAME"}'

MAX_DATA = 1024 * 1024
"""Bytes of a message's data, or of a body that was not declared JSON: Cloud Logging's entries have 256 KB at most
(https://cloud.google.com/logging/quotas), and requests a few hundred bytes."""
MAX_PUSH = 2 * MAX_DATA
"""Bytes of a whole push: base64 makes four of three."""
_MAX_PARTS = 100_000
"""Brackets and commas of such data: JSON takes memory by its parts and not by its length."""

Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]
"""An RFC 3339 time with its zone."""
_S = TypeVar("_S", bound=msgspec.Struct)

prepare(Time)


def json_object(data: Any, what: str, limit: int = MAX_DATA) -> dict[str, Any]:
    """A JSON object; bodies whose content type isn't JSON arrive as bytes, or as text where they are no JSON.

    Args:
        data: what is to be read.
        what: what to call it in errors.
        limit: bytes that it may have, if it isn't read yet.

    Raises:
        Permanent: it is none.
    """
    if isinstance(data, bytes | str):
        if not data:
            raise _malformed(f"{what} is empty")
        if len(data) > limit or _parts(data) > _MAX_PARTS:
            raise too_large(what, len(data))
        data = data.removeprefix(_BOM) if isinstance(data, bytes) else data.removeprefix(_BOM.decode())
        try:
            data = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise _malformed(f"{what} is not JSON: {error}{_guess(data)}") from error
    if not isinstance(data, dict):
        raise _malformed(f"{what} is {'absent' if data is None else f'a JSON {type(data).__name__}'}, not an object")
    return data


def _parts(data: bytes | str) -> int:
    raw = data if isinstance(data, bytes) else data.encode(errors="replace")
    return raw.count(b"[") + raw.count(b"{") + raw.count(b",")


def _guess(data: bytes | str) -> str:
    """What somebody who typed this may have meant, in words; "" where there is no telling."""
    begin = data[:200].lstrip() if isinstance(data, str) else data[:200].decode(errors="replace").lstrip()
    if begin.startswith(("{'", "['", "{ '")):
        return "; JSON's texts stand in double quotes, so put the whole of it in single ones for the shell"
    if begin.startswith("{") and '"' not in begin:
        return "; its double quotes are gone, so put the whole of it in single ones for the shell"
    if begin.startswith(("projects/", "//container", "https://container")):
        return "; it is only a name, which belongs into the field cluster"
    return ""


def convert(body: dict[str, Any], kind: type[_S]) -> _S:
    """A JSON object as a struct; raises Permanent where its fields are of other types."""
    try:
        return msgspec.convert(body, kind)
    except (msgspec.ValidationError, UnicodeError, RecursionError) as error:
        raise _malformed(str(error)) from error


def time_of(text: Any, what: str) -> dt.datetime:
    """An RFC 3339 time with its zone; raises Permanent where it is none, `what` named."""
    try:
        return msgspec.convert(text, Time)
    except (msgspec.ValidationError, UnicodeError) as error:
        told = shorten(text, 100) if isinstance(text, str) else type(text).__name__
        raise _malformed(f"{what} is no RFC 3339 time: {told!r}") from error


def too_large(what: str, size: int) -> Permanent:
    """The error about what nobody should even parse."""
    return Permanent(
        "MessageTooLarge",
        f"{what} has {size} bytes or too many parts to be read",
        tried="to read an audit entry or a request",
        remedy=f"send a LogEntry of GKE's audit log, or a JSON request, such as {LEAST}",
    )


def _malformed(problem: str) -> Permanent:
    return Permanent(
        "MalformedEvent",
        problem,
        tried="to read an audit entry or a request",
        remedy=f"send a LogEntry of GKE's audit log, or a JSON request, such as {LEAST}",
    )
