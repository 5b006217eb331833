"""The policy that an operator edits: a file, or an object of Cloud Storage that only its reader may replace."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from shared.config import Settings
from shared.errors import Permanent, Temporary

_SCHEME = "gs://"
_LIMIT = 64 * 1024

Write = Callable[[str], None]
"""Writes the new text; raises where it can't be written, or has changed since it was read."""


def open_policy(source: str, settings: Settings) -> tuple[str, Write]:
    """A policy's text, and how to replace it.

    Raises:
        Permanent: it isn't there, or isn't UTF-8.
        Temporary: Cloud Storage can't answer.
    """
    return _object(source, settings) if source.startswith(_SCHEME) else _file(Path(source))


def _file(path: Path) -> tuple[str, Write]:
    path = path.resolve()
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeError) as error:
        raise Permanent("PolicyUnreadable", f"{path}: {error}", remedy="name the policy's file by --policy") from error

    def write(edited: str) -> None:
        # The functions may read it at any moment, so it is whole at every moment.
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as made:
            made.write(edited.encode())
        try:
            Path(made.name).chmod(path.stat().st_mode & 0o777)
            Path(made.name).replace(path)
        except OSError as error:
            Path(made.name).unlink(missing_ok=True)
            raise Permanent("PolicyUnwritable", f"{path}: {error}", remedy="see who may write it") from error

    return text, write


def _object(source: str, settings: Settings) -> tuple[str, Write]:
    from shared.cloud_storage import CloudStorage, ObjectName  # noqa: PLC0415 - loads Google's client

    name, door = ObjectName.parse(source), CloudStorage(settings)
    found = door.read(name, _LIMIT)
    if found is None:
        raise Permanent("PolicyUnreadable", f"there is no {source}", remedy="correct --policy")

    def write(edited: str) -> None:
        if door.replace(name, edited, found.generation) is None:
            raise Temporary(
                "PolicyChanged", f"somebody else has written {source} meanwhile", remedy="run the command again"
            )

    return found.content.decode(errors="replace"), write
