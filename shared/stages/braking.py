"""What keeps a stage from changing a cluster for now, though nothing is wrong with it: a pause of the fleet or of it.

A pause is of the automation, not of people: `byomesh repair` goes on, and a request by hand waits as any other does.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import msgspec

from shared import tasks
from shared.config import Settings
from shared.model import MeshStatus, Phase
from shared.outcome import Later

PAUSED = "Paused"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Brake:
    """What the stages ask before they change a cluster.

    Attributes:
        paused: whether the whole fleet is; may raise Temporary.
    """

    paused: Callable[[], bool]


RELEASED = Brake(paused=lambda: False)
"""Holds nothing up."""


def brake() -> Brake:
    """This process's: the Cloud Tasks queue that its settings name."""
    return Brake(paused=lambda: tasks.queues().paused())


def held_up(brake: Brake, settings: Settings, status: MeshStatus) -> Later | None:
    """The wait of a request whose cluster may not be changed now; None where it may.

    Such a wait has no limit and counts towards none. While the fleet is paused the queue keeps the wait's task until it
    is resumed; a cluster that the policy pauses is looked at now and then, since nobody tells of a changed policy.

    Raises:
        Temporary: Cloud Tasks can't say whether the fleet is paused.
    """
    if brake.paused():
        words = "the fleet to be resumed (`byomesh resume`)"
        return _later(PAUSED, words, settings.pause_look, status)
    return None


def _later(reason: str, waits_for: str, delay: float, status: MeshStatus) -> Later:
    told = msgspec.structs.replace(status, phase=Phase.PENDING, message=f"{status.mesh} waits for {waits_for}")
    return Later(delay=delay, reason=reason, waits_for=waits_for, limit=math.inf, uncounted=True, status=told)
