"""The policy that a setting names."""

from __future__ import annotations

from shared.errors import Permanent
from shared.policy.deciding import BUILT_IN
from shared.policy.rules import Policy


def load(source: str) -> Policy:
    """The policy at `source`, or the built-in one where that is "".

    Raises:
        Permanent: it can't be used.
    """
    if not source:
        return BUILT_IN
    raise Permanent("BadPolicy", f"this version reads no policy of its owner's, such as {source[:200]!r}")
