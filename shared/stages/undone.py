"""Who changed allow-net-admin, read from a cluster's UpdateCluster entries, and whether it has become a fight; pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from shared.cloud_logging.entries import AuditEntry
from shared.errors import shorten
from shared.model import MeshStatus

CONFLICT = "Conflict"
"""Reason of a status about a setting that is undone again and again."""
WINDOW = dt.timedelta(days=1)
UNKNOWN = "somebody unknown"
_NAMED = 10
_TEXT = 200


class Author(msgspec.Struct, frozen=True):
    """Who made one change.

    Attributes:
        principal: e-mail; `UNKNOWN` where the log tells nobody.
        user_agent: the client, in its own words; "" where it isn't known.
        time: when; None where it isn't known.
    """

    principal: str = UNKNOWN
    user_agent: str = ""
    time: dt.datetime | None = None

    @classmethod
    def of(cls, entry: AuditEntry) -> Author:
        """The author of an operation's first entry."""
        principal = shorten(entry.principal, _TEXT) or UNKNOWN
        return cls(principal, shorten(entry.user_agent, _TEXT), entry.time)

    def __str__(self) -> str:
        return f"{self.principal} ({self.user_agent})" if self.user_agent else self.principal

    @property
    def words(self) -> str:
        """Who and when."""
        return f"{self}, {self.time.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC" if self.time else str(self)


def set_to(entry: AuditEntry) -> bool | None:
    """To what an update set allow-net-admin; None where it was about something else.

    GKE takes a policy without the field for one that allows nothing.
    """
    update = _mapping(entry.request.get("update"))
    for key in ("desiredAutopilotWorkloadPolicyConfig", "desired_autopilot_workload_policy_config"):
        if key in update:
            config = _mapping(update[key])
            return any(config.get(name) is True for name in ("allowNetAdmin", "allow_net_admin"))
    return None


def fields_of(entry: AuditEntry) -> frozenset[str]:
    """What an update was about: names of the fields of google.container.v1.ClusterUpdate, as JSON has them."""
    return frozenset(_mapping(entry.request.get("update"))) - {"etag"}


def author(updates: Iterable[AuditEntry], *, to: bool) -> Author:
    """Who set it to what it is now: the newest update that did.

    Args:
        updates: first entries, newest first.
        to: what it is now.
    """
    return next((Author.of(entry) for entry in updates if set_to(entry) is to), Author())


class Fight(msgspec.Struct, frozen=True):
    """How often others undid what the policy wants.

    Attributes:
        authors: of each time within the window, newest first.
        limit: how many are too many; 0 where nothing is counted.
    """

    authors: tuple[Author, ...]
    limit: int

    @property
    def conflict(self) -> bool:
        """Whether nothing more is to be changed."""
        return 0 < self.limit <= len(self.authors)

    @property
    def ends(self) -> dt.datetime | None:
        """When so many of the changes are a day old that it is no conflict any more; None where it is none."""
        moment = self.authors[self.limit - 1].time if self.conflict else None
        return moment + WINDOW if moment else None

    @property
    def words(self) -> str:
        """Each time, with who it was."""
        named = "; ".join(one.words for one in self.authors[:_NAMED])
        more = len(self.authors) - _NAMED
        return f"{named}; and {more} times more" if more > 0 else named


def fight(
    updates: Iterable[AuditEntry],
    *,
    wanted: bool,
    ours: Collection[str],
    limit: int,
    now: dt.datetime,
    reconciled: dt.datetime | None = None,
) -> Fight:
    """Count the updates within a day that set allow-net-admin to what the policy doesn't want.

    Args:
        updates: first entries, newest first.
        wanted: what the policy wants.
        ours: accounts of this system, which undo nobody.
        limit: how many make a conflict.
        now: the present.
        reconciled: since when it counts anew, because the policy was changed then; None where it wasn't.
    """
    since = max(now - WINDOW, reconciled) if reconciled else now - WINDOW
    counted = [
        entry
        for entry in updates
        if entry.time > since and set_to(entry) is (not wanted) and entry.principal not in ours
    ]
    return Fight(tuple(Author.of(entry) for entry in counted), limit)


def reconciled_at(said: Iterable[MeshStatus], policy: str) -> dt.datetime | None:
    """When the newest conflict under another policy was reported: what was undone before counts no more.

    Args:
        said: statuses of the cluster, newest first.
        policy: digest of the present policy.
    """
    conflicts = (one for one in said if one.reason == CONFLICT and one.policy)
    return next((one.time for one in conflicts if one.policy != policy), None)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
