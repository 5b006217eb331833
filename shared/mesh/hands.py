"""Whose hand an object bears last: the field manager that changed it after the mesh's own installers; pure.

A cluster doesn't keep who called, only by what program: managedFields names the client (kubectl-edit, a controller) and
when (https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import shorten
from shared.mesh.ownership import FIELD_MANAGER

_OWN = frozenset({"helm", FIELD_MANAGER})
_TEXT = 100


def last_hand(live: Mapping[str, Any]) -> str:
    """`MANAGER at TIME` of the newest change by others than Helm and this system; "" where there is none.

    Changes of a status alone are a controller's work, and nobody's hand.
    """
    entries = live.get("metadata", {}).get("managedFields") or ()
    others = [one for one in entries if one.get("manager") not in _OWN and not one.get("subresource")]
    newest = max(others, key=lambda one: str(one.get("time", "")), default=None)
    if newest is None:
        return ""
    return shorten(f"{newest.get('manager', 'somebody')} at {newest.get('time', 'an unknown time')}", _TEXT)
