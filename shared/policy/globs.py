"""Globs as a policy has them: `*` any text, `?` one character, `[abc]` one of them, `[!abc]` none of them; pure.

What can be known to match nothing is a fault: an upper-case letter in a location would otherwise be a rule that never
applies, and nobody would hear of it.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Callable

LIMIT = 256
"""Characters of a glob; names and label values have 63 at most, projects 30 and a domain."""

_SET = re.compile(r"\[(?P<set>!?\]?[^\]]*)\]")
_RANGE = re.compile(r"(?P<first>[^!])-(?P<last>.)")


def _one_of(characters: str) -> Callable[[str], bool]:
    pattern = re.compile(f"[{characters}]")
    return lambda one: pattern.fullmatch(one) is not None


OCCURS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "projects": ("a project's id", _one_of("a-z0-9.:-")),
    "folders": ("a folder", str.isprintable),
    "locations": ("a location", _one_of("a-z0-9-")),
    "names": ("a cluster's name", _one_of("a-z0-9-")),
    # Letters of every script may be there, in lower case
    # (cloud.google.com/kubernetes-engine/docs/how-to/creating-managing-labels).
    "labels": ("a label's value", lambda one: one in "_-" or (one.isalnum() and one == one.lower())),
}
"""By the key of `match`: what its globs are for, and which characters occur there."""


def matches(glob: str, text: str) -> bool:
    """Whether the whole of `text` is as `glob` says; upper and lower case differ."""
    return _compiled(glob).fullmatch(text) is not None


@functools.lru_cache(maxsize=4_096)
def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(glob))


def fault(glob: str, key: str) -> tuple[str, str] | None:
    """What is wrong with a glob of a key of `match`, and what to write; None where it can match."""
    what, occurs = OCCURS[key]
    if not glob:
        # A label may have the empty value.
        return None if key == "labels" else ("the glob is empty", "write * for any, or leave the key out")
    if len(glob) > LIMIT:
        return f"the glob has {len(glob)} characters", f"write {LIMIT} at most"
    if "{" in glob or "," in glob:
        return f"braces and commas stand for nothing in the glob {glob!r}", "write a list: [one-*, other-*]"
    literal = _SET.sub("", glob)
    if "[" in literal:
        return f"a [ of the glob {glob!r} isn't closed", "write the closing ], as in shop-[0-9]"
    return _bad_set(glob) or _strange(glob, literal, what, occurs)


def _bad_set(glob: str) -> tuple[str, str] | None:
    for one in _SET.finditer(glob):
        if one["set"].startswith("^"):
            return f"[^ isn't how the glob {glob!r} can say none of them", f"write [!{one['set'][1:]}]"
        if any(pair["first"] > pair["last"] for pair in _RANGE.finditer(one["set"])):
            return f"the range in [{one['set']}] of the glob {glob!r} is backwards", "write the lower end first: [a-z]"
    return None


def _strange(glob: str, literal: str, what: str, occurs: Callable[[str], bool]) -> tuple[str, str] | None:
    strange = next((one for one in literal if one not in "*?" and not occurs(one)), None)
    if strange is not None:
        lower = strange != strange.lower() and f"write it in lower case: {glob.lower()}"
        return f"{strange!r} in the glob {glob!r} never occurs in {what}", lower or "write what may occur there, or *"
    return None
