"""Linkerd's versions: CHANNEL-VERSION[-HOTPATCH][-anything], such as `edge-26.8.3` (linkerd2 pkg/version)."""

from __future__ import annotations

import re
from typing import NamedTuple

_NUMBER = re.compile(r"[+-]?[0-9]+")


class VersionError(ValueError):
    """A text that is no version; `str()` is the sentence that `linkerd check` prints."""


class ChannelVersion(NamedTuple):
    """A version's parts; a hotpatch has its own update channel."""

    channel: str
    version: str
    hotpatch: int | None = None

    @property
    def number(self) -> str:
        """The version with its hotpatch."""
        return self.version if self.hotpatch is None else f"{self.version}-{self.hotpatch}"


def parse(text: str) -> ChannelVersion:
    """Read a version; raises VersionError if it has no channel."""
    parts = text.split("-")
    if len(parts) == 1:
        raise VersionError(f"unsupported version format: {text}")
    hotpatch = next((int(part) for part in parts[2:] if _NUMBER.fullmatch(part)), None)
    return ChannelVersion(parts[0], parts[1], hotpatch)


def mismatch(latest: str, actual: str) -> str:
    """Why `actual` isn't the `latest` version of its channel; "" where it is."""
    if not actual:
        return "actual version is empty"
    try:
        wanted = parse(latest)
    except VersionError:
        return "unable to determine version channel"
    try:
        given = parse(actual)
    except VersionError as error:
        return f"failed to parse actual version: {error}"
    if (given.channel, given.hotpatch is None) != (wanted.channel, wanted.hotpatch is None):
        return f"unsupported version channel: {actual}"
    if given != wanted:
        return f"is running version {given.number} but the latest {given.channel} version is {wanted.number}"
    return ""
