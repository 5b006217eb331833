"""Types made ready to be decoded, before any request comes.

msgspec looks a type over at its first use, and a second thread that uses it meanwhile sees it half done, which ends the
process (seen with msgspec 0.22 as a segmentation fault of a function whose first two requests came together). Importing
is done by one thread, so that is when types are looked over.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

_GZIP = 31
"""zlib's word for a gzip header, whatever its window (zlib.h, inflateInit2)."""


def gunzip(data: bytes, limit: int) -> bytes:
    """Decompress one gzip member of at most `limit` bytes; what would be more is never held.

    Raises:
        ValueError: it is larger, or goes on after its end.
        EOFError: it ends too early.
        zlib.error: it is no gzip.
    """
    inflating = zlib.decompressobj(_GZIP)
    content = inflating.decompress(data, limit + 1)
    if len(content) > limit:
        raise ValueError(f"it decompresses to more than {limit} bytes")
    if not inflating.eof:
        raise EOFError("it ends too early")
    if inflating.unused_data:
        raise ValueError("it goes on after its end")
    return content


def prepare(*types: Any) -> None:
    """Look the types over, and those that they are made of; call it at import, right below their definitions."""
    for one in types:
        msgspec.json.Decoder(one)
