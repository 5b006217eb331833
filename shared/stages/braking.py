"""What keeps a stage from changing a cluster for now, though nothing is wrong with it.

The fleet is paused, the policy pauses the cluster, or as many clusters are worked on as the policy allows. Each is a
wait without a limit that counts towards none. A pause is of the automation, not of people: `byomesh repair` goes on,
and a request by hand waits as any other does.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Callable

import msgspec

from shared import policy, tasks
from shared.cluster import ClusterFacts
from shared.config import Settings
from shared.model import ClusterEvent, InstallRequest, MeshStatus, Phase, VerifyRequest
from shared.outcome import Later
from shared.stages import capacity
from shared.stages.capacity import Asking, Place

PAUSED = "Paused"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Brake:
    """What the stages ask before they change a cluster.

    Attributes:
        paused: whether the whole fleet is; may raise Temporary.
        claims: makes the door to the queue of claims; None where nothing limits the clusters worked on at once.
    """

    paused: Callable[[], bool]
    claims: Callable[[], capacity.Door] | None = None


RELEASED = Brake(paused=lambda: False)
"""Holds nothing up."""


def brake() -> Brake:
    """This process's: the Cloud Tasks queues that its settings name."""
    return Brake(paused=lambda: tasks.queues().paused(), claims=tasks.claims)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a request must pass before it changes its cluster.

    Attributes:
        brake: what is asked.
        rules: the policy.
        settings: delays.
    """

    brake: Brake
    rules: policy.Policy
    settings: Settings

    def shut(self, facts: ClusterFacts) -> bool:
        """Whether the fleet or the cluster is paused; raises as `paused` does."""
        return self.brake.paused() or policy.paused(facts, self.rules) is not None

    def paused(
        self, request: ClusterEvent | InstallRequest | VerifyRequest, facts: ClusterFacts, status: MeshStatus
    ) -> Later | None:
        """The wait of a request whose cluster may not be changed now; None where it may.

        While the fleet is paused the queue keeps the wait's task until it is resumed; a cluster that the policy pauses
        is looked at now and then, since nobody tells of a changed policy. Who waits so holds no place of others.

        Raises:
            Temporary: Cloud Tasks can't say whether the fleet is paused.
        """
        if self.brake.paused():
            words, delay = "the fleet to be resumed (`byomesh resume`)", self.settings.pause_look
        else:
            pause = policy.paused(facts, self.rules)
            if pause is None:
                return None
            words, delay = f"its pause in the policy to end: {pause.reason}", self.settings.paused_step
        self._give_back(request)
        told = msgspec.structs.replace(status, phase=Phase.PENDING, message=f"{status.mesh} waits for {words}")
        return Later(delay=delay, reason=PAUSED, waits_for=words, limit=math.inf, uncounted=True, status=told, claim="")

    def full(self, request: InstallRequest, status: MeshStatus) -> Later | None:
        """The wait of a request that would find no place, told early and cheaply; None where there may be one."""
        door = self._door()
        return None if door is None else self._asking(request, status).look(door, self._places)

    def place(self, request: InstallRequest, status: MeshStatus, now: dt.datetime) -> Place | Later:
        """A place among the clusters that are worked on at once, or the wait for one.

        Raises:
            Temporary: Cloud Tasks can't answer.
        """
        door = self._door()
        if door is None:
            # Where a limit was lifted meanwhile the claim goes on to the end of the request, and ends with it.
            return Place(cluster=request.cluster, claim=request.claim)
        return self._asking(request, status).take(door, self._places, now)

    @property
    def _places(self) -> int:
        return self.rules.limits.clusters_at_once

    def _door(self) -> capacity.Door | None:
        return self.brake.claims() if self._places and self.brake.claims is not None else None

    def _asking(self, request: InstallRequest, status: MeshStatus) -> Asking:
        return Asking(request=request, status=status, settings=self.settings)

    def _give_back(self, request: ClusterEvent | InstallRequest | VerifyRequest) -> None:
        if not isinstance(request, ClusterEvent) and request.claim and self.brake.claims is not None:
            self.brake.claims().give_back(request.claim, request.cluster)
