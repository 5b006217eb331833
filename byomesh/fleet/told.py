"""What was said of a cluster and done to it, and what its requests led to: frozen data; pure."""

from __future__ import annotations

import datetime as dt
import enum

import msgspec

from byomesh.fleet.state import State
from shared.model import ClusterRef, MeshStatus, Stage


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A status, as the log holds it.

    Attributes:
        status: the status; its cluster is never None here.
        time: when it was said.
        stage: which function said it; "" where the log doesn't tell.
    """

    status: MeshStatus
    time: dt.datetime
    stage: Stage | str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to a cluster through GKE's API, as the audit log has it.

    Attributes:
        cluster: which one.
        time: when it was asked for.
        method: such as `UpdateCluster`.
        principal: who asked, an e-mail; "" where the log doesn't say.
        client: the caller's client in its own words; "" where the log doesn't say.
        operation: bare id of the operation; "" where the call was rejected.
        problem: GKE's words where it was rejected, else "".
    """

    cluster: ClusterRef
    time: dt.datetime
    method: str
    principal: str = ""
    client: str = ""
    operation: str = ""
    problem: str = ""


class Work(enum.StrEnum):
    """What a span of a journey was spent with."""

    CREATE = "create"
    NET_ADMIN = "net-admin"
    WAIT = "wait"
    ENFORCE = "enforce"
    INSTALL = "install"
    VERIFY = "verify"
    REPAIR = "repair"


class Span(msgspec.Struct, frozen=True):
    """A part of a journey.

    Attributes:
        work: what it was spent with.
        began: when it began.
        ended: when it ended; of the last span of a journey that goes on, the moment of the look.
        open: whether it goes on.
    """

    work: Work
    began: dt.datetime
    ended: dt.datetime
    open: bool = False

    @property
    def seconds(self) -> float:
        """How long it is, or has been."""
        return max((self.ended - self.began).total_seconds(), 0.0)


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    """What one request led to on a cluster: from what set it off to its newest status.

    Attributes:
        request_id: the request.
        created: whether it is the cluster's creation.
        spans: what the time was spent with, without gaps.
        outcome: the state of its newest status.
        repaired: names of the repairs that were made on the way.
    """

    request_id: str
    created: bool
    spans: tuple[Span, ...]
    outcome: State
    repaired: tuple[str, ...] = ()

    @property
    def began(self) -> dt.datetime:
        """When it began."""
        return self.spans[0].began

    @property
    def seconds(self) -> float:
        """How long it took, or has taken."""
        return max((self.spans[-1].ended - self.began).total_seconds(), 0.0)


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was said of a cluster, or done to it.

    Attributes:
        time: when.
        who: the function, or the principal; "" where nobody knows.
        what: a sentence.
        state: the status's phase; None where it is a change.
        reason: the status's reason, or the method of the change.
        client: the client of whoever made a change.
        actor: who made the change that a status answers to, or asked for it; "" where nobody knows.
    """

    time: dt.datetime
    who: str
    what: str
    state: State | None = None
    reason: str = ""
    client: str = ""
    actor: str = ""
