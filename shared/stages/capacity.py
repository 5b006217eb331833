"""At most so many clusters worked on at once, where the policy says how many: a place is claimed before work begins.

Whoever wants a place makes a claim first and counts afterwards, and works only if no more clusters have claims than
there are places. Of any clusters that were worked on at the same time, the one that counted last would have seen the
claims of all, so they are never more than the places (docs/decisions/0021-claims.md). Who came too late gives the
claim back; the earliest claims stay, so that of several who came at once some get in.

A claim is held from before the first write until the verification ends, goes from message to message, and is renewed
on the way. One that got lost with its worker ends by itself, and has the cluster verified.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
from collections.abc import Iterable, Mapping
from typing import Protocol, Self

import msgspec

from shared import tasks
from shared.config import Settings
from shared.model import ClusterRef, InstallRequest, MeshStatus, Phase, VerifyRequest, encode
from shared.outcome import Done, Later, Outcome
from shared.tasks import Claim, key_of, seconds_left

FULL = "FleetAtCapacity"
_AGAIN = 1.0
"""Seconds until those who came at once look again; who has to leave leaves within one call."""


class Door(Protocol):
    """What is asked of the queue of claims; each may raise Temporary."""

    def held(self) -> tuple[Claim, ...]:
        """Every claim."""

    def held_lately(self) -> tuple[Claim, ...]:
        """Every claim, as of a moment ago."""

    def make(self, cluster: ClusterRef, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        """Make a claim; its id."""

    def give_back(self, claim_id: str, cluster: ClusterRef) -> None:
        """End a claim."""


class Verdict(enum.Enum):
    """What a claim is worth."""

    OWN = enum.auto()
    AGAIN = enum.auto()
    FULL = enum.auto()


def judge(held: Iterable[Claim], mine: str, places: int) -> Verdict:
    """What a claim is worth among all that were listed after it was made; pure.

    Args:
        held: all claims; several of one cluster are one place.
        mine: the claim's id; one that isn't listed has ended.
        places: clusters that may be worked on at once.
    """
    claims = sorted(held)
    own = next((one for one in claims if one.claim_id == mine), None)
    if own is None:
        return Verdict.FULL
    clusters = tuple(dict.fromkeys(one.cluster for one in claims))
    if len(clusters) <= places:
        return Verdict.OWN
    return Verdict.AGAIN if own.cluster in clusters[:places] else Verdict.FULL


def is_full(held: Iterable[Claim], cluster: ClusterRef, places: int) -> bool:
    """Whether a cluster need not even claim a place, since others have them all; pure."""
    return len({one.cluster for one in held} - {key_of(cluster)}) >= places


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place that this worker has; leave the `with` block by an error to give a new one back.

    Attributes:
        door: the queue of claims; None where nothing limits the places.
        cluster: whose place it is.
        claim: the claim's id; "" where nothing limits the places.
        new: whether it was made by this worker, and no message tells of it yet.
    """

    door: Door | None = None
    cluster: ClusterRef
    claim: str = ""
    new: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._give_back()

    def kept(self, outcome: Outcome) -> Outcome:
        """The outcome whose messages go on with the claim; given back where there are none."""
        if not self.claim:
            return outcome
        match outcome:
            case Later():
                return msgspec.structs.replace(outcome, claim=self.claim)
            case Done(next=following) if following:
                going_on = tuple(msgspec.structs.replace(one, claim=self.claim) for one in following)
                return msgspec.structs.replace(outcome, next=going_on)
        self._give_back()
        return outcome

    def _give_back(self) -> None:
        if self.new and self.door is not None:
            self.door.give_back(self.claim, self.cluster)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who asks for a place.

    Attributes:
        request: the request; its claim is the place that it has already, if it has one.
        status: what is known so far.
        settings: where claims' messages go, and how long who finds no place waits.
    """

    request: InstallRequest
    status: MeshStatus
    settings: Settings

    def look(self, door: Door, places: int) -> Later | None:
        """The wait of who would find no place by a list that may be a moment old; None where there may be one."""
        if self.request.claim or not is_full(door.held_lately(), self.request.cluster, places):
            return None
        return self._later(places)

    def take(self, door: Door, places: int, now: dt.datetime) -> Place | Later:
        """A place, or the wait for one.

        Raises:
            Temporary: Cloud Tasks can't answer; a claim that was made may then stay until it ends by itself.
        """
        cluster, carried = self.request.cluster, self.request.claim
        held = door.held()
        # What is left of it must outlast a function, or somebody else could get in while it works.
        lasts = seconds_left(carried, now) >= self.settings.work_limit / 2
        mine = carried if lasts and any(one.claim_id == carried for one in held) else ""
        new = not mine
        if new:
            if is_full(held, cluster, places):
                return self._left(door, carried, places)
            mine = make(door, self.request, self.settings)
            held = door.held()
        verdict = judge(held, mine, places)
        if verdict is Verdict.FULL:
            door.give_back(mine, cluster)
            return self._left(door, carried, places)
        if new and carried:
            door.give_back(carried, cluster)
        if verdict is Verdict.AGAIN:
            return msgspec.structs.replace(self._later(places), delay=_AGAIN, claim=mine)
        return Place(door=door, cluster=cluster, claim=mine, new=new)

    def _left(self, door: Door, carried: str, places: int) -> Later:
        if carried:
            door.give_back(carried, self.request.cluster)
        return self._later(places)

    def _later(self, places: int) -> Later:
        waits_for = f"a place: the policy has {places} clusters worked on at once"
        told = msgspec.structs.replace(
            self.status, phase=Phase.PENDING, message=f"{self.status.mesh} waits for {waits_for}"
        )
        return Later(
            delay=self.settings.capacity_step,
            reason=FULL,
            waits_for=waits_for,
            limit=math.inf,
            uncounted=True,
            status=told,
            claim="",
        )


def make(door: Door, request: InstallRequest | VerifyRequest, settings: Settings) -> str:
    """Make a claim for a request's cluster, which has it verified if nobody gives the claim back; raises Temporary."""
    verify = VerifyRequest(
        cluster=request.cluster,
        mesh=request.mesh,
        version=request.version,
        reason=request.reason,
        request_id=request.request_id,
        attempt=request.attempt,
        actor=request.actor,
    )
    attributes = {"cluster": str(request.cluster), "mesh": request.mesh, "request_id": request.request_id}
    topic = settings.topic(settings.verify_topic)
    return door.make(request.cluster, topic, encode(verify), {key: one for key, one in attributes.items() if one})


def renewed(request: InstallRequest | VerifyRequest, settings: Settings, now: dt.datetime) -> str:
    """The claim with which a request goes on waiting: its own, or a new one where that nears its end.

    Raises:
        Temporary: Cloud Tasks can't take it.
    """
    if not request.claim or seconds_left(request.claim, now) >= settings.work_limit / 2:
        return request.claim
    door = tasks.claims()
    fresh = make(door, request, settings)
    door.give_back(request.claim, request.cluster)
    return fresh


def end(request: InstallRequest | VerifyRequest) -> None:
    """Give a request's place back, where it has one: it came to its end."""
    if request.claim:
        tasks.claims().give_back(request.claim, request.cluster)
