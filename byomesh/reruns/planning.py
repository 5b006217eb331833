"""Which message goes to which topic for each cluster, and when; pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from shared import policy
from shared.cluster import Cluster
from shared.config import Settings
from shared.errors import Permanent
from shared.model import ClusterRef, InstallRequest, MeshStatus, Phase, VerifyRequest, encode

Begin = Literal["enable", "install", "verify"]
"""At which stage a rerun begins."""

_RATE = re.compile(r"(?P<count>[0-9]{1,6}(?:\.[0-9]{1,3})?)\s*/\s*(?P<unit>s|sec|min|m|h|hour)")
_UNITS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "hour": 3600.0}
_ENDED = frozenset({Phase.READY, Phase.DEGRADED, Phase.REFUSED, Phase.FAILED, Phase.STUCK})
UNDER_WAY = dt.timedelta(hours=1)
"""How long a cluster that is on its way is left to it, before it counts as not Ready."""
FURTHEST = dt.timedelta(days=30)
"""How far ahead Cloud Tasks takes a task (https://cloud.google.com/tasks/docs/quotas)."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of each cluster.

    Attributes:
        begin: the stage to begin at.
        mesh: the mesh; "" is the one that the policy names.
        version: its version; None is the one of the policy, or of the profile.
        actor: who asks; None where nobody knows.
        run: tells this run of the command from others, and is part of each request's id.
    """

    begin: Begin = "install"
    mesh: str = ""
    version: str | None = None
    actor: str | None = None
    run: str = ""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster of a rerun.

    Attributes:
        cluster: which one.
        request_id: of its request; "" where there is none.
        topic: full name of the topic; "" where there is none.
        message: the message's data as JSON; "" where there is none.
        delay: seconds until it is published.
        skipped: why nothing is published for it; "" where something is.
        phase: of its newest status, as far as it was asked for.
    """

    cluster: ClusterRef
    request_id: str = ""
    topic: str = ""
    message: str = ""
    delay: float = 0.0
    skipped: str = ""
    phase: str = ""


def seconds_between(rate: str) -> float:
    """The seconds between two clusters at a rate such as `30/min`.

    Raises:
        Permanent: it is no rate.
    """
    found = _RATE.fullmatch(rate.strip())
    count = float(found["count"]) if found is not None else 0.0
    if found is None or count <= 0:
        raise Permanent("BadRate", f"{rate!r} is no rate", remedy="write clusters a minute, such as 30/min; 1/s, 90/h")
    return _UNITS[found["unit"]] / count


def why_not(cluster: Cluster, rules: policy.Policy) -> str:
    """Why a cluster that nobody named isn't asked for its policy's mesh: it gets none; "" where it gets one."""
    decision = policy.decide(cluster.facts, rules)
    if decision.mesh is None:
        return f"the policy names no mesh for it: {decision.reason}"
    return ""


def is_ready(status: MeshStatus | None, now: dt.datetime) -> str:
    """Why a cluster isn't to be run again with those that are not Ready; "" where it is."""
    if status is None:
        return ""
    if status.phase is Phase.READY:
        return "it is Ready"
    if status.phase not in _ENDED and status.time is not None and now - status.time < UNDER_WAY:
        return f"it is on its way: {status.phase.value}, {status.reason}"
    return ""


def plan(targets: Iterable[Planned], ask: Ask, settings: Settings, between: float) -> tuple[Planned, ...]:
    """Give each cluster that isn't skipped its message, `between` seconds after the one before.

    Raises:
        Permanent: the last one would be further ahead than Cloud Tasks can plan.
    """
    found: list[Planned] = []
    number = 0
    for target in targets:
        if target.skipped:
            found.append(target)
            continue
        found.append(_asked(target, ask, settings, number, between * number))
        number += 1
    last = dt.timedelta(seconds=between * max(0, number - 1))
    if last >= FURTHEST:
        words = f"the last of {number} clusters would be asked in {last.days} days; Cloud Tasks plans 30 ahead"
        raise Permanent("TooSlow", words, remedy="write a higher --rate, or name fewer clusters")
    return tuple(found)


def _asked(target: Planned, ask: Ask, settings: Settings, number: int, delay: float) -> Planned:
    request_id = f"rerun-{ask.run}-{number}"
    # No first_seen: the request's age counts from its publication.
    kind = VerifyRequest if ask.begin == "verify" else InstallRequest
    message = kind(cluster=target.cluster, mesh=ask.mesh, version=ask.version, request_id=request_id, actor=ask.actor)
    topics = {
        "enable": settings.events_topic,
        "install": settings.install_topic,
        "verify": settings.verify_topic,
    }
    return msgspec.structs.replace(
        target,
        request_id=request_id,
        topic=settings.topic(topics[ask.begin]),
        message=encode(message).decode(),
        delay=delay,
    )


_GOES_ON = frozenset({"ChecksFailed", "Drifted", "RollingBack"})
"""Reasons of a Degraded cluster that is being mended."""


def has_ended(status: MeshStatus | None, since: dt.datetime) -> bool:
    """Whether a status says that a request of that time has come to its end."""
    if status is None or status.time is None or status.time < since or status.phase not in _ENDED:
        return False
    return not (status.phase is Phase.DEGRADED and status.reason in _GOES_ON)
