"""Values of a policy's YAML nodes, each fault told where it stands; pure.

A value that can't be used is None, and its fault is kept: the reader goes on, so that all faults are told at once.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from shared.errors import shorten
from shared.policy.document import fault_at
from shared.policy.faults import Faults

TEXT = 300
"""Characters of a text for people, such as a reason."""

_YAML = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT = f"{_YAML}null", f"{_YAML}bool", f"{_YAML}int", f"{_YAML}float"
_MERGE = f"{_YAML}merge"
# What has no quotes is text wherever text is wanted: the version 1.10 and the label's value `on` are as written.
_AS_WRITTEN = frozenset({f"{_YAML}str", f"{_YAML}timestamp", f"{_YAML}value", _BOOL, _INT, _FLOAT})
_KINDS = {_NULL: "empty", _BOOL: "true or false", _INT: "a number", _FLOAT: "a number"}
_QUOTED = 60
_INT64 = 1 << 63

Entries = dict[str, tuple[Node, Node]]
"""A mapping's key and value nodes by the key's text."""


def told(text: str) -> str:
    """Something that somebody wrote, as a fault quotes it: in quotes, cut, and without control characters."""
    return repr(shorten(text, _QUOTED))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Which of the known words was probably meant; None where none is near."""
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(word[:_QUOTED].lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


class Reader:
    """Reads values of nodes, and keeps what is wrong with them in `faults`."""

    def __init__(self) -> None:
        self.faults = Faults()

    def fault(self, node: Node, problem: str, remedy: str) -> None:
        """Keep a fault at the beginning of a node."""
        self.faults.add(fault_at(node, problem, remedy))

    def entries(self, node: Node, what: str) -> Entries | None:
        """A mapping's entries, those that `<<` merges in among them."""
        if not isinstance(node, MappingNode):
            self.fault(node, f"{what} is {kind(node)}, not a mapping", "write KEY: VALUE pairs")
            return None
        own: Entries = {}
        merged: Entries = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for part in value.value if isinstance(value, SequenceNode) else [value]:
                    merged = {**(self.entries(part, "what << merges in") or {}), **merged}
                continue
            name = self.text(key, f"a key of {what}")
            if name is None:
                continue
            if name in own:
                self.fault(key, f"the key {told(name)} is written twice", "keep one of them")
            own.setdefault(name, (key, value))
        return {**merged, **own}

    def known(self, entries: Entries, keys: Iterable[str], what: str, hints: dict[str, str] | None = None) -> None:
        """Tell every key that `what` doesn't have, with what was probably meant."""
        keys = tuple(keys)
        for name, (key, _) in entries.items():
            if name in keys:
                continue
            near = None if self.faults.full else nearest(name, keys)
            meant = f"write {near}" if near else f"remove it, or write one of: {', '.join(keys)}"
            self.fault(key, f"{what} has no key {told(name)}", (hints or {}).get(name, meant))

    def text(self, node: Node, what: str) -> str | None:
        """A text, as it is written."""
        if isinstance(node, ScalarNode) and node.tag in _AS_WRITTEN:
            return str(node.value)
        remedy = "write a text" if kind(node) != "empty" else "write a value, or leave the key out"
        self.fault(node, f"{what} is {kind(node)}, not a text", remedy)
        return None

    def words(self, node: Node, what: str) -> str | None:
        """A text for people: one line that can be printed."""
        found = self.text(node, what)
        if found is None:
            return None
        if not found.strip() or not found.isprintable() or len(found) > TEXT:
            self.fault(node, f"{what} isn't one line of 1 to {TEXT} characters", "write one line of text")
            return None
        return found

    def flag(self, node: Node, what: str) -> bool | None:
        """True or false."""
        if isinstance(node, ScalarNode) and node.tag == _BOOL:
            value = yaml.constructor.SafeConstructor.bool_values.get(node.value.lower())
            if value is not None:
                return bool(value)
        quoted = isinstance(node, ScalarNode) and node.value in ("true", "false")
        remedy = f"write {node.value}, without quotes" if quoted else "write true or false"
        self.fault(node, f"{what} is {kind(node)}, neither true nor false", remedy)
        return None

    def choice(self, node: Node, names: Iterable[str], what: str) -> str | None:
        """One of some words."""
        names = tuple(names)
        found = self.text(node, what)
        if found is None or found in names:
            return found
        near = nearest(found, names)
        meant = f"write {near}" if near else f"write one of: {', '.join(names)}"
        self.fault(node, f"{what} is {told(found)}, none of {', '.join(names)}", meant)
        return None

    def items(self, node: Node, what: str) -> list[Node]:
        """A list's nodes; what is no list stands for a list of one."""
        if not isinstance(node, SequenceNode):
            return [node]
        if not node.value:
            self.fault(node, f"{what} is an empty list, which nothing can match", "leave the key out for any")
        return list(node.value)

    def builtins(self, node: Node, what: str) -> Any:
        """Whatever JSON can say, with aliases written out; for values that are handed on."""
        if isinstance(node, MappingNode):
            entries = self.entries(node, what) or {}
            return {name: self.builtins(value, what) for name, (_, value) in entries.items()}
        if isinstance(node, SequenceNode):
            return [self.builtins(one, what) for one in node.value]
        if node.tag == _NULL:
            return None
        if node.tag == _BOOL:
            return self.flag(node, what)
        if isinstance(node, ScalarNode) and node.tag in (_INT, _FLOAT):
            return self._number(node, what)
        return self.text(node, what)

    def _number(self, node: ScalarNode, what: str) -> int | float | None:
        constructor = yaml.constructor.SafeConstructor()
        try:
            if node.tag == _INT:
                number: int | float = constructor.construct_yaml_int(node)
                fits = -_INT64 <= number < 2 * _INT64
            else:
                number = constructor.construct_yaml_float(node)
                fits = math.isfinite(number)
        except (ValueError, IndexError, OverflowError):
            number, fits = 0, False
        if fits:
            return number
        self.fault(node, f"{what} has {told(node.value)}, a number that JSON can't say", "write it in quotes")
        return None


def kind(node: Node) -> str:
    """What a node is, in words."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    if node.tag in _KINDS:
        return _KINDS[node.tag]
    return "a text" if node.tag.startswith(_YAML) else f"tagged {told(node.tag)}"
