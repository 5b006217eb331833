"""What is read of a page of a list; pure."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.decoding import prepare


class _ListMeta(msgspec.Struct, frozen=True):
    continue_: str = msgspec.field(default="", name="continue")


class _ListPage(msgspec.Struct, frozen=True):
    metadata: _ListMeta = _ListMeta()


class _Items(msgspec.Struct, frozen=True):
    items: list[dict[str, Any]] | None = None


prepare(_ListPage, _Items)
_METADATA, _ITEMS = b'"metadata":', b',"items":['
_HEAD = 8192
"""Bytes: more than a list's metadata takes; an expired list's token is some hundred."""


def next_token(page: bytes) -> str:
    """The token of the next page; "" on the last. An API server writes a list's metadata before its items.

    So the head of a page tells it, and a page of pods needn't be gone through for it.
    """
    at = page.find(_ITEMS, 0, _HEAD)
    head = page[:at] + b"}" if page.find(_METADATA, 0, max(at, 0)) > 0 else page
    return msgspec.json.decode(head, type=_ListPage).metadata.continue_


def items(page: bytes) -> list[dict[str, Any]]:
    """The objects of a page."""
    return msgspec.json.decode(page, type=_Items).items or []
