"""Whether a log entry matches a query: the comparisons of Cloud Logging's query language over an entry's JSON.

Text is compared without regard to case, but for regular expressions; a field that an entry lacks matches no comparison,
not even `!=`; of a list it is enough that one element matches
(https://cloud.google.com/logging/docs/view/logging-query-language).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from byomesh.local.cloud_logging.syntax import Both, Comparison, Either, LogId, Node, Not, QueryError, parse

SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
"""From the least on (google.logging.type.LogSeverity)."""

TOP = frozenset(
    {"logName", "resource", "protoPayload", "textPayload", "jsonPayload", "timestamp", "receiveTimestamp", "severity"}
    | {"insertId", "labels", "operation", "trace", "spanId", "traceSampled"}
)
"""Fields of a LogEntry that a query may begin with."""

_TIMES = frozenset({"timestamp", "receiveTimestamp"})

Entry = Mapping[str, Any]
Matches = Callable[[Entry], bool]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda have, want: bool(have == want),
    "!=": lambda have, want: bool(have != want),
    ">": lambda have, want: bool(have > want),
    ">=": lambda have, want: bool(have >= want),
    "<": lambda have, want: bool(have < want),
    "<=": lambda have, want: bool(have <= want),
}


def compile_query(text: str) -> Matches:
    """A query as a predicate over entries.

    Raises:
        QueryError: it can't be read, or asks for what isn't done here.
    """
    return compiled(parse(text))


def moment(text: str) -> dt.datetime:
    """A timestamp (RFC 3339, nanoseconds cut); raises ValueError."""
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text)
    found = dt.datetime.fromisoformat(cut)
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)


def compiled(node: Node) -> Matches:
    """A query that was read as a predicate over entries; raises as `compile_query` does."""
    match node:
        case Both(parts):
            every = [compiled(part) for part in parts]
            return lambda entry: all(matches(entry) for matches in every)
        case Either(parts):
            some = [compiled(part) for part in parts]
            return lambda entry: any(matches(entry) for matches in some)
        case Not(part):
            inside = compiled(part)
            return lambda entry: not inside(entry)
        case LogId(name):
            ending = f"/logs/{name.replace('/', '%2F')}".lower()
            return lambda entry: str(entry.get("logName", "")).lower().endswith(ending)
        case Comparison():
            return _comparison(node)


def _comparison(node: Comparison) -> Matches:
    if node.field[0] not in TOP:
        raise QueryError(f"Unrecognized field {'.'.join(node.field)!r}: a LogEntry has {', '.join(sorted(TOP))}")
    if node.operator == ":" and node.value == "*" and not node.quoted:
        return lambda entry: next(values(entry, node.field), None) is not None
    holds = _test(node)
    return lambda entry: any(holds(value) for value in values(entry, node.field))


def _test(node: Comparison) -> Callable[[Any], bool]:
    if node.operator in {"=~", "!~"}:
        return _regular(node)
    if node.operator == ":":
        wanted = node.value.lower()
        return lambda have: wanted in _text(have).lower()
    order = _ORDER[node.operator]
    if node.field[0] in _TIMES:
        try:
            time = moment(node.value)
        except ValueError as error:
            raise QueryError(f"{node.value!r} is no timestamp") from error
        return lambda have: order(moment(str(have)), time)
    if node.field == ("severity",):
        if node.value.upper() not in SEVERITIES:
            raise QueryError(f"{node.value!r} is no severity; there are {', '.join(SEVERITIES)}")
        rank = SEVERITIES.index(node.value.upper())
        return lambda have: order(SEVERITIES.index(str(have)), rank)
    return lambda have: _ordered(order, have, node.value)


def _regular(node: Comparison) -> Callable[[Any], bool]:
    try:
        pattern = re.compile(node.value)
    except re.error as error:
        raise QueryError(f"the regular expression {node.value!r} can't be read: {error}") from error
    wanted = node.operator == "=~"
    return lambda have: (pattern.search(_text(have)) is not None) is wanted


def _ordered(order: Callable[[Any, Any], bool], have: Any, want: str) -> bool:
    """Hold a field's value against a value of the query, converted to the field's type."""
    if isinstance(have, bool):
        return order(_text(have), want.lower())
    if isinstance(have, int | float):
        try:
            return order(float(have), float(want))
        except ValueError:
            return False
    return order(_text(have).lower(), want.lower())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def values(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """What is at the end of a path; every element where a list is on the way; nothing where it leads nowhere."""
    if isinstance(value, list):
        for one in value:
            yield from values(one, path)
    elif not path:
        if value is not None:
            yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from values(value[path[0]], path[1:])
