"""A pause written into a policy's text, and taken out again; whatever else is there stays as it is; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import msgspec
from yaml.nodes import MappingNode, Node, SequenceNode

from shared.errors import Permanent
from shared.policy import Match, Pause, Policy, read
from shared.policy.document import compose

_KEY = "paused"
_BY_HAND = "edit the policy's `paused` by hand, as docs/policy.md shows"


def with_pause(text: str, source: str, reason: str, match: Mapping[str, object]) -> str:
    """The text with one more pause, before those that there are; the same text where that very pause is there already.

    Args:
        text: the policy.
        source: what it is called in faults.
        reason: why, for people.
        match: the pause's `match`, as in a rule; empty for every cluster.

    Raises:
        BadPolicy: the text, or what would become of it, can't be used.
        Permanent: it can't be written into this text.
    """
    before = read(text, source)
    item = f"- {json.dumps({'reason': reason, **({'match': dict(match)} if match else {})}, ensure_ascii=False)}"
    lines = text.splitlines(keepends=True)
    found = _sequence(text, source)
    if found is None:
        if any(line.rstrip() == "..." for line in lines):
            raise _by_hand("the policy's text ends with a document marker")
        end = "" if not text or text.endswith("\n") else "\n"
        edited = f"{text}{end}{_KEY}:\n  {item}\n"
    else:
        mark = found.start_mark
        lines.insert(mark.line, f"{' ' * mark.column}{item}\n")
        edited = "".join(lines)
    after = read(edited, source)
    new = _new(before, after)
    if any(one.match == new.match for one in before.paused):
        return text
    return edited


def without_pause(text: str, source: str, match: Mapping[str, object]) -> str:
    """The text without the pause that has exactly this match; raises as `with_pause` does, and where there is none."""
    before = read(text, source)
    probe = (
        f"schema: 1\nrules: []\n{_KEY}: {json.dumps([{'reason': 'r', **({'match': dict(match)} if match else {})}])}"
    )
    wanted = read(probe, "the options").paused[0].match
    places = [number for number, one in enumerate(before.paused) if one.match == wanted]
    found = _sequence(text, source)
    if found is None or not places:
        known = "; ".join(one.reason for one in before.paused) or "none"
        raise Permanent("NoSuchPause", f"{source} has no pause with this match", remedy=f"its pauses are: {known}")
    lines = text.splitlines(keepends=True)
    starts = [node.start_mark.line for node in found.value]
    at = places[0]
    first, end = starts[at], _last_line(text, found.value[at]) + 1
    if len(starts) == 1:
        first = next(key for key, _ in _root(text, source).value if key.value == _KEY).start_mark.line
    edited = "".join(lines[:first] + lines[end:])
    after = read(edited, source)
    if len(after.paused) != len(before.paused) - 1 or not _same(before, after):
        raise _by_hand("the pause can't be taken out without changing more")
    return edited


def _root(text: str, source: str) -> MappingNode:
    root = compose(text, source)
    if not isinstance(root, MappingNode) or root.flow_style:
        raise _by_hand("the policy isn't written as lines of keys")
    return root


def _sequence(text: str, source: str) -> SequenceNode | None:
    """The list of pauses, where there is one that lines can be put into."""
    for key, value in _root(text, source).value:
        if key.value == _KEY:
            if not isinstance(value, SequenceNode) or value.flow_style or value.start_mark.line == key.start_mark.line:
                raise _by_hand("the pauses aren't written one below the other")
            return value
    return None


def _last_line(text: str, node: Node) -> int:
    """The line that the last character of a node is on; a node's own end is where the next one begins."""
    return text[: len(text[: node.end_mark.index].rstrip())].count("\n")


def _new(before: Policy, after: Policy) -> Pause:
    if len(after.paused) != len(before.paused) + 1 or not _same(before, after):
        raise _by_hand("the pause can't be written without changing more")
    return after.paused[0] if _sides(before) == _sides(after, 1) else after.paused[-1]


def _sides(policy: Policy, skipped: int = 0) -> Sequence[tuple[str, Match]]:
    return [(one.reason, one.match) for one in policy.paused[skipped:]]


def _same(before: Policy, after: Policy) -> bool:
    """Whether everything but the pauses says the same, in whatever lines."""
    rules = [[msgspec.structs.replace(rule, line=0) for rule in one.rules] for one in (before, after)]
    return rules[0] == rules[1] and (before.limits, before.sweep) == (after.limits, after.sweep)


def _by_hand(problem: str) -> Permanent:
    return Permanent("EditByHand", problem, remedy=_BY_HAND)
