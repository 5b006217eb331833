"""A policy's text as YAML nodes, each of which knows its line; nothing is constructed, and nothing can explode.

PyYAML's own Python loader is used and not libyaml's: that one recurses in C, so that a text of brackets ends the
process. Depth is bounded while composing, and aliases by what they would unfold to.
"""

from __future__ import annotations

import msgspec
import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from shared.errors import shorten
from shared.policy.faults import BadPolicy, Fault

LIMIT = 64 * 1024
"""Bytes of a policy's text: about a thousand rules. PyYAML takes two seconds at most for a text of this size."""
DEPTH = 64
"""Lists and mappings within each other, with aliases written out."""
UNFOLDED = 10_000
"""What aliases may add to what is written out, in nodes; a long text weighs as much as several."""

_TEXT = 100
"""Characters of a text that weigh as much as one node."""

_QUOTED = 200
_SYNTAX = "write YAML, as docs/policy.md shows"


class _TooDeep(yaml.MarkedYAMLError):
    """Lists and mappings are nested deeper than any policy."""


class _Loader(yaml.SafeLoader):
    """Composes nodes, down to a depth."""

    _depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """As PyYAML's; an alias and a scalar end where they are, so only what holds others counts."""
        self._depth += 1
        if self._depth > DEPTH:
            raise _TooDeep(problem=f"lists and mappings are nested deeper than {DEPTH}", problem_mark=self.get_mark())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def compose(text: str, source: str) -> Node:
    """The root node of a policy.

    Raises:
        BadPolicy: too long, no YAML, nothing in it, or aliases that explode.
    """
    size = len(text) if len(text) > LIMIT else len(text.encode(errors="surrogatepass"))
    if size > LIMIT:
        fault = Fault(1, 1, f"the policy has more than {LIMIT // 1024} KiB", "write fewer rules, with globs for names")
        raise BadPolicy(source, [fault])
    try:
        root = _composed(text)
    except yaml.reader.ReaderError as error:
        words = f"the character {_character(error)!r} isn't allowed in YAML"
        raise BadPolicy(source, [_at(text, error.position, words, "remove it, or write it as an escape")]) from error
    except yaml.MarkedYAMLError as error:
        raise BadPolicy(source, [_syntax(error)]) from error
    if root is None:
        raise BadPolicy(source, [Fault(1, 1, "the policy is empty", "write rules: and at least one rule")])
    faults = _unfold(root)
    if faults:
        raise BadPolicy(source, faults)
    return root


def _composed(text: str) -> Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    except (ValueError, OverflowError) as error:
        # PyYAML makes numbers of \U escapes and of %YAML directives without a look at their size.
        raise yaml.MarkedYAMLError(problem=str(error), problem_mark=loader.get_mark()) from error
    finally:
        loader.dispose()


def _character(error: yaml.reader.ReaderError) -> str:
    return error.character if isinstance(error.character, str) else chr(error.character)


def _at(text: str, position: int, problem: str, remedy: str) -> Fault:
    before = text[:position]
    return Fault(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1, problem, remedy)


def _syntax(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    problem = ", ".join(shorten(part, _QUOTED) for part in (error.context, error.problem) if part)
    remedy = _SYNTAX
    if "'\\t'" in problem:
        problem, remedy = "there is a tab, and YAML is indented with spaces", "write spaces in place of the tab"
    elif isinstance(error, _TooDeep):
        remedy = f"nest {DEPTH} deep at most"
    elif "single document" in problem:
        remedy = "write one document: remove the second ---"
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    return Fault(line, column, f"it isn't YAML: {problem}" if remedy is _SYNTAX else problem, remedy)


class _Size(msgspec.Struct, frozen=True):
    """What a node unfolds to.

    Attributes:
        weight: nodes, and long texts by their length.
        depth: lists and mappings within each other.
    """

    weight: int
    depth: int


class _Measure:
    """Measures the graph that aliases make; each node is looked at once."""

    def __init__(self) -> None:
        self.written = 0
        self.faults: list[Fault] = []
        self._sizes: dict[int, _Size | None] = {}

    def of(self, node: Node) -> _Size:
        """The size of a node. It can't recurse deeper than the composer: an alias is of what came before."""
        if id(node) in self._sizes:
            known = self._sizes[id(node)]
            if known is None:
                self.faults.append(
                    fault_at(node, "an alias leads back to the list or mapping that it is in", "remove the alias")
                )
            return known or _Size(0, 0)
        self._sizes[id(node)] = None
        own = 1
        parts: list[Node] = []
        if isinstance(node, MappingNode):
            parts = [part for pair in node.value for part in pair]
        elif isinstance(node, SequenceNode):
            parts = node.value
        elif isinstance(node, ScalarNode):
            own += len(node.value) // _TEXT
            if any("\ud800" <= one <= "\udfff" for one in node.value):
                self.faults.append(
                    fault_at(node, "the text has half of a surrogate pair", "write the character itself")
                )
        self.written += own
        sizes = [self.of(part) for part in parts]
        found = _Size(own + sum(one.weight for one in sizes), 1 + max((one.depth for one in sizes), default=0))
        self._sizes[id(node)] = found
        return found


def _unfold(root: Node) -> list[Fault]:
    """Faults of the graph that aliases make: cycles, explosions; and texts that no UTF-8 can hold."""
    measure = _Measure()
    size = measure.of(root)
    if not measure.faults and size.weight > measure.written + UNFOLDED:
        words = f"its aliases unfold to {size.weight} nodes"
        measure.faults.append(fault_at(root, words, "write out what differs, and alias only that"))
    if not measure.faults and size.depth > DEPTH:
        words = f"lists and mappings are nested deeper than {DEPTH}, with its aliases written out"
        measure.faults.append(fault_at(root, words, f"nest {DEPTH} deep at most"))
    return sorted(measure.faults)


def fault_at(node: Node, problem: str, remedy: str) -> Fault:
    """A fault at the beginning of a node."""
    return Fault(node.start_mark.line + 1, node.start_mark.column + 1, problem, remedy)
