"""One write that mends a live object, as data: what a verification found to do, and `apply.patch` does."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from shared.model import Repair


class Patch(msgspec.Struct, frozen=True):
    """One write.

    Attributes:
        path: the object's path on the API server.
        what: the object and field in words.
        kind: how Kubernetes merges `body`.
        body: the patch; carries the resourceVersion that was looked at, so that a newer edit isn't overwritten.
        repair: which repair it is a part of.
    """

    path: str
    what: str
    kind: Literal["merge", "strategic"]
    body: dict[str, Any]
    repair: Repair = Repair.OTHER_OBJECT
