"""What a change makes of an object: merge, strategic and JSON patches, and server-side apply; pure.

Lists of named elements are merged by name, as the built-in kinds' patchMergeKey mostly is; all others are replaced.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

_KEYS = ("name", "containerPort", "port", "mountPath", "ip")


class PatchError(Exception):
    """The patch doesn't fit the object."""


def merged(there: Any, change: Any) -> Any:
    """A JSON merge patch (RFC 7386)."""
    if not isinstance(change, dict):
        return change
    base = dict(there) if isinstance(there, dict) else {}
    for key, value in change.items():
        if value is None:
            base.pop(key, None)
        else:
            base[key] = merged(base.get(key), value)
    return base


def strategic(there: Any, change: Any) -> Any:
    """A strategic merge patch, without directives but `$patch: delete`."""
    if isinstance(change, dict):
        base = dict(there) if isinstance(there, dict) else {}
        for key, value in change.items():
            if value is None:
                base.pop(key, None)
            else:
                base[key] = strategic(base.get(key), value)
        return base
    if isinstance(there, list) and isinstance(change, list) and (key := _key(there, change)):
        changes = {one[key]: one for one in change}
        kept = [
            strategic(one, changes.pop(one[key])) if one[key] in changes else one
            for one in there
            if changes.get(one[key], {}).get("$patch") != "delete"
        ]
        return kept + [one for one in changes.values() if "$patch" not in one]
    return change


def applied(there: Any, wished: Any) -> Any:
    """Server-side apply by one who holds every field: what is wished replaces what is there, the rest stays.

    A list is the wished one, its elements on top of those of the same name.
    """
    if isinstance(wished, dict):
        base = dict(there) if isinstance(there, dict) else {}
        for key, value in wished.items():
            base[key] = applied(base.get(key), value)
        return base
    if isinstance(there, list) and isinstance(wished, list) and (key := _key(there, wished)):
        known = {one[key]: one for one in there}
        return [applied(known.get(one[key]), one) for one in wished]
    return wished


def json_patched(there: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A JSON patch (RFC 6902) of add, replace, remove and test.

    Raises:
        PatchError: a path isn't there, or a test fails.
    """
    root: dict[str, Any] = copy.deepcopy(dict(there))
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        try:
            target: Any = root
            for part in parents:
                target = target[int(part)] if isinstance(target, list) else target[part]
            _change(target, last, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise PatchError(f"the server rejected our request: {operation['path']}: {error!r}") from error
    return root


def _change(target: Any, last: str, operation: Mapping[str, Any]) -> None:
    kind, value = operation["op"], copy.deepcopy(operation.get("value"))
    if isinstance(target, list):
        if kind == "add":
            target.insert(len(target) if last == "-" else int(last), value)
            return
        index = int(last)
        if kind == "remove":
            del target[index]
        elif kind == "replace":
            target[index] = value
        elif target[index] != value:
            raise ValueError("the test failed")
    elif kind == "remove":
        del target[last]
    elif kind == "test":
        if target.get(last) != value:
            raise ValueError("the test failed")
    else:
        target[last] = value


def _key(left: list[Any], right: list[Any]) -> str:
    """The key by which two lists of objects are merged; "" where they are replaced."""
    both = [*left, *right]
    if not both or not all(isinstance(one, dict) for one in both):
        return ""
    return next((key for key in _KEYS if all(isinstance(one.get(key), str | int) for one in both)), "")
