"""Types made ready to be decoded, before any request comes.

msgspec looks a type over at its first use, and a second thread that uses it meanwhile sees it half done, which ends the
process (seen with msgspec 0.22 as a segmentation fault of a function whose first two requests came together). Importing
is done by one thread, so that is when types are looked over.
"""

from __future__ import annotations

from typing import Any

import msgspec


def prepare(*types: Any) -> None:
    """Look the types over, and those that they are made of; call it at import, right below their definitions."""
    for one in types:
        msgspec.json.Decoder(one)
