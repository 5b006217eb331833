"""The policy that a setting names, read again when it has changed."""

from __future__ import annotations

import functools
import os
import stat
from pathlib import Path

from shared.policy.deciding import BUILT_IN
from shared.policy.document import LIMIT
from shared.policy.faults import BadPolicy, Fault
from shared.policy.reading import read
from shared.policy.rules import Policy

SETTING = "BYOMESH_POLICY"
"""What a policy is called in faults that stands in the setting itself."""

PACKAGE = Path(__file__).resolve().parents[2]
"""What is deployed: the folder that holds functions/ and shared/."""

_NAME_A_FILE = "name the policy's file, or write the policy itself"


def load(source: str) -> Policy:
    """The policy at `source`.

    A file is looked at every time and read again when its time of change or its size is another, so that a changed
    policy takes effect without a new deployment.

    Args:
        source: "" for the built-in policy; else the YAML itself, recognised by a line's end or by `rules:`; else the
            path of a file, in the working folder or in the package. Objects of Cloud Storage are `policy_source`'s.

    Raises:
        BadPolicy: it can't be used; with all of its faults.
    """
    if not source:
        return BUILT_IN
    if "\n" in source or "rules:" in source:
        return _of_text(source)
    return read_file(_located(Path(source)))


def _located(file: Path) -> Path:
    """A relative path is from the working folder; else from the package's root, wherever the platform starts it."""
    packaged = PACKAGE / file
    return packaged if not file.is_absolute() and not file.exists() and packaged.exists() else file


def read_file(file: Path) -> Policy:
    """The policy in a file; raises as `load` does."""
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _unreadable(str(file), "that isn't a file", _NAME_A_FILE)
        return _of_file(file, found.st_ino, found.st_mtime_ns, found.st_size)
    except (OSError, ValueError) as error:
        words = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise _unreadable(str(file), f"the policy can't be read: {words}", _NAME_A_FILE) from error


@functools.lru_cache(maxsize=4)
def _of_text(text: str) -> Policy:
    return read(text, SETTING)


@functools.lru_cache(maxsize=4)
def _of_file(file: Path, _inode: int, _changed: int, _size: int) -> Policy:
    """Kept by what `stat` said before the file was opened: what is written meanwhile is seen the next time."""
    with file.open("rb") as opened:
        return read_bytes(opened.read(LIMIT + 1), str(file))


def read_bytes(content: bytes, source: str) -> Policy:
    """The policy in a file's bytes, which may be cut after `LIMIT + 1`; raises as `load` does."""
    try:
        # What is too long was cut anywhere, and is told as too long.
        text = content.decode("utf-8-sig", errors="replace" if len(content) > LIMIT else "strict")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", errors="replace")) + 1
        fault = Fault(before.count(b"\n") + 1, column, "this isn't UTF-8", "save the file as UTF-8")
        raise BadPolicy(source, [fault]) from error
    return read(text, source)


def _unreadable(source: str, problem: str, remedy: str) -> BadPolicy:
    return BadPolicy(source[:200], [Fault(0, 0, problem, remedy)])
