"""YAML of others, read within bounds: in size, in depth, and in what its aliases unfold to; pure.

libyaml is ten times as fast as PyYAML's own Python, and PyYAML composes its nodes by recursion in C: a text of 50,000
brackets ends the process. And an alias costs nothing until somebody goes through what it stands for. So a text that has
aliases, or might be deep, is gone through event by event before it is read, which recurses nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import yaml
from yaml import events

MAX_SIZE = 16 * 1024 * 1024
"""Characters: more than any manifest that fits into one of Helm's Secrets (1 MiB, packed)."""
MAX_DEPTH = 100
"""Lists and mappings within each other. An OpenAPI schema in a CRD has about 40."""
MAX_UNFOLDED = 100_000
"""Values that aliases may stand for in all."""

FAST: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_T = TypeVar("_T")
_ALIAS = re.compile(r"(?<![^\s\[\]{},:?-])\*[^\s\[\]{},*]")
_INDENTED = re.compile(rf"^(?:[ ]|- ?|\? ?){{{MAX_DEPTH // 2}}}", re.MULTILINE)
_DASHES = re.compile(r"(?:[-?][ \t]+){4}")
_BRACKET = re.compile(r"[\[\]{}]")
_BRACKETS = MAX_DEPTH // 2
_NUMBER = re.compile(r"(?::[0-5]?[0-9]){30}|0[xb]?[0-9a-fA-F_]{2000}")
"""A number to the base of 60, which takes time by the square of its length, or one that Python can't write out."""


class TooMuchYaml(yaml.YAMLError):
    """It is larger, deeper or unfolds to more than anything that is read here."""


def load(text: str, loader: type[Any] = FAST) -> Any:
    """The one document of a text.

    Raises:
        yaml.YAMLError: it is no YAML, or out of bounds.
    """
    return _guarded(text, lambda: yaml.load(text, loader))  # noqa: S506 - a safe loader


def load_all(text: str) -> tuple[Any, ...]:
    """All documents of a text; raises as `load` does."""
    return _guarded(text, lambda: tuple(yaml.load_all(text, FAST)))


def _guarded(text: str, read: Callable[[], _T]) -> _T:
    if len(text) > MAX_SIZE:
        raise TooMuchYaml(f"it has more than {MAX_SIZE} characters")
    if _NUMBER.search(text):
        raise TooMuchYaml("it has a number without end")
    try:
        if _suspicious(text):
            _Measure().follow(yaml.parse(text, FAST))
        return read()
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # PyYAML constructs numbers, dates and tags without a look at what they say.
        raise yaml.YAMLError(f"{type(error).__name__}: {error}") from error


def _suspicious(text: str) -> bool:
    """Whether a text may be deep, or have aliases; says so of some that neither are nor have."""
    brackets = text.count("[") + text.count("{")
    nested = brackets > _BRACKETS and _deeper(text, _BRACKETS)
    return nested or any(one.search(text) is not None for one in (_INDENTED, _DASHES, _ALIAS))


def _deeper(text: str, limit: int) -> bool:
    """Whether brackets are within each other deeper than `limit`, were each of them one."""
    depth = 0
    for match in _BRACKET.finditer(text):
        depth = depth + 1 if match[0] in "[{" else max(depth - 1, 0)
        if depth > limit:
            return True
    return False


class _Measure:
    """Follows the events of a text; raises `TooMuchYaml` at the first that is out of bounds."""

    def __init__(self) -> None:
        self._seen = 0
        self._unfolded = 0
        self._open: list[tuple[str | None, int]] = []
        self._weights: dict[str, int] = {}
        """What an anchor's value weighs, aliases in it included."""

    def follow(self, found: Iterable[events.Event]) -> None:
        """Look at every event."""
        for event in found:
            if isinstance(event, events.CollectionStartEvent):
                self._begin(event.anchor)
            elif isinstance(event, events.CollectionEndEvent):
                anchor, before = self._open.pop()
                self._remember(anchor, self._seen + self._unfolded - before)
            elif isinstance(event, events.AliasEvent):
                self._alias(event.anchor or "")
            elif isinstance(event, events.ScalarEvent):
                self._seen += 1
                self._remember(event.anchor, 1 + len(event.value) // 100)

    def _begin(self, anchor: str | None) -> None:
        self._open.append((anchor, self._seen + self._unfolded))
        self._seen += 1
        if len(self._open) > MAX_DEPTH:
            raise TooMuchYaml(f"it is nested deeper than {MAX_DEPTH}")

    def _remember(self, anchor: str | None, weight: int) -> None:
        if anchor is not None:
            self._weights[anchor] = weight

    def _alias(self, anchor: str) -> None:
        if any(anchor == one for one, _ in self._open):
            raise TooMuchYaml("an alias leads back to what it is in")
        self._unfolded += self._weights.get(anchor, 1)
        if self._unfolded > MAX_UNFOLDED:
            raise TooMuchYaml(f"its aliases unfold to more than {MAX_UNFOLDED} values")
