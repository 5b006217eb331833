"""What a stage hands to delivery: the messages that follow, the status to publish, or when to look again."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.model import ClusterEvent, EnforceRequest, InstallRequest, MeshStatus, SweepRequest, VerifyRequest

Request = ClusterEvent | InstallRequest | VerifyRequest | EnforceRequest | SweepRequest
"""What a stage works on; a `ClusterEvent` only where the request began with an audit entry."""


_SHARE = 8
"""A patient wait is this part of the waiting so far."""
_LONGEST = 8
"""How many times its delay a patient wait grows to."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The stage did its part.

    Attributes:
        status: what to publish, or None where nothing is worth saying.
        next: requests to publish, each to the topic of its kind.
        begin: requests that the main path takes from its beginning: allow NET_ADMIN, then install.
        sweeps: the parts of a sweep, a project each.
    """

    status: MeshStatus | None = None
    next: tuple[InstallRequest | VerifyRequest, ...] = ()
    begin: tuple[InstallRequest, ...] = ()
    sweeps: tuple[SweepRequest, ...] = ()


class Ignored(msgspec.Struct, frozen=True):
    """The event asks for nothing: not ours, not the last entry, opted out.

    Attributes:
        reason: why, in a sentence for the log.
    """

    reason: str


class Later(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is wrong and nothing can be done yet: the request is acknowledged and published again when due.

    Attributes:
        delay: seconds until the next look.
        reason: a constant in CamelCase, such as `OperationRunning`.
        waits_for: the same for people, such as an operation's name.
        limit: seconds since the request was first seen after which the cluster is Stuck.
        since: from when `limit` counts; the request's own first sight where None.
        patient: whether each wait is longer, the longer the cluster has waited: an eighth of that, up to eight times
            `delay`. So hundreds that wait for long cost the others little, and none is found ready much too late.
        uncounted: whether this wait counts towards no limit, because its cause isn't the cluster.
        claim: the claim of a place with which the request goes on waiting; None is the one that it came with.
        status: what is known so far; delivery adds `waits_for`, and phase Stuck past the limit.
    """

    delay: float
    reason: str
    waits_for: str
    limit: float
    since: dt.datetime | None = None
    patient: bool = False
    uncounted: bool = False
    claim: str | None = None
    status: MeshStatus

    def delay_after(self, age: float) -> float:
        """Seconds until the next look at what has waited for `age` seconds."""
        return min(max(self.delay, age / _SHARE), self.delay * _LONGEST) if self.patient else self.delay


Outcome = Done | Ignored | Later
