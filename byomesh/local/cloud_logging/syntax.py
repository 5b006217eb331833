"""The part of Cloud Logging's query language that the local service understands, read into a tree.

    query      = term { ["AND"] term }
    term       = factor { "OR" factor }           OR binds more tightly than AND, as in the real language
    factor     = ["NOT" | "-"] ( "(" query ")" | comparison | "log_id(" text ")" )
    comparison = field operator ( value | "(" value { "OR" value } ")" )
    field      = part { "." part }, each a name or a text in double quotes
    operator   = "=" "!=" ">" ">=" "<" "<=" ":" "=~" "!~"

Source: https://cloud.google.com/logging/docs/view/logging-query-language. What isn't here (a search without a field,
functions other than log_id, comments) is refused in words, never ignored.
"""

from __future__ import annotations

import dataclasses
import re
from typing import NoReturn, TypeAlias

MAX_LENGTH = 20_000
"""Characters of a query (https://cloud.google.com/logging/quotas)."""

_TOKEN = re.compile(
    r"""\s+
    |(?P<text>"(?:[^"\\]|\\.)*")
    |(?P<operator>=~|!~|!=|>=|<=|=|>|<|:)
    |(?P<mark>[().-])
    |(?P<word>[^\s()"=!<>:~.-][^\s()"=!<>:~.]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_MAX_DEPTH = 50


class QueryError(Exception):
    """A query that can't be read, or asks for what the local service doesn't do; says where and what."""


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """One field held against one value.

    Attributes:
        field: the parts of its path.
        operator: as it was written.
        value: what it is held against; `*` without quotes after a colon asks for presence.
        quoted: whether the value stood in quotes.
    """

    field: tuple[str, ...]
    operator: str
    value: str
    quoted: bool


@dataclasses.dataclass(frozen=True, slots=True)
class LogId:
    """The function log_id: the last part of the entry's log name."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Both:
    """All of these."""

    parts: tuple[Node, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Either:
    """One of these at least."""

    parts: tuple[Node, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: Node


Node: TypeAlias = Comparison | LogId | Both | Either | Not


def parse(query: str) -> Node:
    """Read a query; an empty one matches every entry.

    Raises:
        QueryError: it can't be read, or asks for what isn't done here.
    """
    if len(query) > MAX_LENGTH:
        raise QueryError(f"the query has {len(query)} characters; at most {MAX_LENGTH} are allowed")
    reader = _Reader(_tokens(query))
    if reader.kind is None:
        return Both(())
    node = reader.query(0)
    if reader.kind is not None:
        reader.refuse("an end or another comparison")
    return node


@dataclasses.dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(query: str) -> list[_Token]:
    found, at = [], 0
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            raise QueryError(f"syntax error at position {at}: {query[at : at + 20]!r}")
        if match.lastgroup is not None:
            found.append(_Token(match.lastgroup, match[0], at))
        at = match.end()
    return found


def _unquoted(text: str) -> str:
    """What a text in double quotes says; a backslash before any other letter stays, for regular expressions."""
    said = _ESCAPE.sub(_said, text[1:-1])
    # Two escapes may be the halves of one character.
    return said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _said(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) > 1:
        return chr(int(escape[1:], 16))
    return _ESCAPES.get(escape, match[0])


class _Reader:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def _token(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    @property
    def kind(self) -> str | None:
        """What the next token is; None at the end."""
        return self._token.kind if self._token else None

    def refuse(self, wanted: str) -> NoReturn:
        """Raise for the next token."""
        token = self._token
        found = f"{token.text!r} at position {token.at}" if token else "the end"
        raise QueryError(f"syntax error: found {found}, expected {wanted}")

    def _is(self, text: str) -> bool:
        return self._token is not None and self._token.kind != "text" and self._token.text == text

    def _take(self) -> _Token:
        token = self._token
        if token is None:
            self.refuse("more")
        self._at += 1
        return token

    def _skip(self, text: str) -> bool:
        if self._is(text):
            self._at += 1
            return True
        return False

    def query(self, depth: int) -> Node:
        """All terms up to a closing parenthesis or the end."""
        if depth > _MAX_DEPTH:
            raise QueryError(f"parentheses are nested more than {_MAX_DEPTH} deep")
        parts = [self._term(depth)]
        while self.kind is not None and not self._is(")"):
            self._skip("AND")
            parts.append(self._term(depth))
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _term(self, depth: int) -> Node:
        parts = [self._factor(depth)]
        while self._skip("OR"):
            parts.append(self._factor(depth))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _factor(self, depth: int) -> Node:
        if self._skip("NOT") or self._skip("-"):
            return Not(self._factor_body(depth))
        return self._factor_body(depth)

    def _factor_body(self, depth: int) -> Node:
        if self._skip("("):
            inside = self.query(depth + 1)
            if not self._skip(")"):
                self.refuse("a closing parenthesis")
            return inside
        return self._comparison()

    def _comparison(self) -> Node:
        field = self._field()
        if self._skip("("):
            return self._function(field)
        if self.kind != "operator":
            self.refuse("an operator: the local service searches fields only, not whole entries")
        operator = self._take().text
        if not self._skip("("):
            return self._value(field, operator)
        values = [self._value(field, operator)]
        while self._skip("OR"):
            values.append(self._value(field, operator))
        if not self._skip(")"):
            self.refuse("OR or a closing parenthesis")
        return Either(tuple(values))

    def _function(self, field: tuple[str, ...]) -> Node:
        if field != ("log_id",):
            raise QueryError(f"the local service has no function {'.'.join(field)}(); it has log_id() only")
        name = self._take()
        if name.kind != "text" or not self._skip(")"):
            raise QueryError("log_id takes one text in double quotes")
        return LogId(_unquoted(name.text))

    def _field(self) -> tuple[str, ...]:
        parts = [self._part()]
        while self._skip("."):
            parts.append(self._part())
        return tuple(parts)

    def _part(self) -> str:
        token = self._take() if self.kind in {"word", "text"} else self.refuse("a field")
        return _unquoted(token.text) if token.kind == "text" else token.text

    def _value(self, field: tuple[str, ...], operator: str) -> Comparison:
        if self.kind == "text":
            return Comparison(field, operator, _unquoted(self._take().text), quoted=True)
        # Without quotes a value may hold dots and hyphens, which are tokens of their own here.
        text, end = "", None
        while self._token is not None and (self.kind == "word" or self._token.text in {".", "-"}):
            if end is not None and self._token.at != end:
                break
            token = self._take()
            text, end = text + token.text, token.at + len(token.text)
        if not text:
            self.refuse("a value")
        return Comparison(field, operator, text, quoted=False)
