"""An upgrade from its beginning to its end, good or bad: what is noted of it, and when it is taken back; pure.

    nothing -> under way -> nothing        every check that passed before passes again
                  |
                  v
              going back -> rolled back    until another version is wished, or this one is asked for

The note is kept in the cluster (`shared.mesh.upgrade_record`), not in messages: a worker may be killed between Helm's
work and the message that would tell of it, and whoever looks next, whatever for, must know that one is under way.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable

import msgspec

from shared.errors import ByomeshError, Temporary, shorten
from shared.mesh.charts import Chart
from shared.mesh.plan import RunHelm
from shared.mesh.releases import DeployedRelease
from shared.mesh.versions import FailedUpgrade
from shared.model import CheckSummary

NOT_READY = "the mesh's pods are ready"
"""Stands among failing checks for a mesh whose Deployments weren't ready."""
_DENIED = re.compile(r"denied (?:the )?request|GKE Warden rejected|violates PodSecurity")
_MAX_CAUSE = 600
_TAKEN_BACK = frozenset({"HelmTimeout", "HelmFailed", "UnknownKind"})
"""Reasons of Temporary errors that in the middle of an upgrade are the upgrade's own fault: what worked until now
doesn't with the new charts. All others (the API server away, a token too old) say nothing about them."""


class Previous(msgspec.Struct, frozen=True):
    """The revision of a release that an upgrade goes back to.

    Attributes:
        release: its name.
        namespace: where it is recorded.
        revision: Helm's number of it.
    """

    release: str
    namespace: str
    revision: int


class Upgrade(msgspec.Struct, frozen=True, kw_only=True):
    """An upgrade that isn't over.

    Attributes:
        from_version: the mesh's version before.
        to_version: the mesh's version that is wished.
        charts: `identity` of the wished charts.
        previous: what to go back to, in the order of installation.
        failing_before: checks, by `name_of`, that failed before the upgrade began, so that it isn't blamed for them.
        begun: when Helm last worked on it.
        request_id: the request that asked for it.
        cause: why it is taken back; "" while it is under way.
    """

    from_version: str
    to_version: str
    charts: str
    previous: tuple[Previous, ...]
    failing_before: tuple[str, ...] = ()
    begun: dt.datetime
    request_id: str = ""
    cause: str = ""

    @property
    def going_back(self) -> bool:
        """Whether it is to be taken back, or is being so."""
        return bool(self.cause)


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a cluster remembers of the upgrades of its mesh.

    Attributes:
        upgrade: the one that isn't over.
        failed: the last one that was rolled back.
    """

    upgrade: Upgrade | None = None
    failed: FailedUpgrade | None = None


def identity(charts: Iterable[Chart]) -> str:
    """What tells charts from others, though a folder's may have kept their version: names, versions and digests."""
    return ", ".join(f"{chart.name}-{chart.version}@{chart.digest[:12]}" for chart in charts)


def previous_of(step: RunHelm, deployed: DeployedRelease | None) -> Previous | None:
    """What to go back to from a run of Helm that gives a release another chart; None where it gives it none.

    Args:
        step: the run.
        deployed: the release's newest revision that was deployed; None where none was.
    """
    if deployed is None or deployed.version == step.release.chart.version:
        return None
    return Previous(step.release.name, step.namespace, deployed.revision)


def began(known: Upgrade | None, found: Upgrade) -> Upgrade:
    """The note of an upgrade that begins, or goes on.

    One that follows upon another that isn't over goes back to where that one began: nobody has seen the state between
    pass its checks.
    """
    if known is None:
        return found
    return msgspec.structs.replace(
        found,
        from_version=known.from_version,
        previous=_together(known.previous, found.previous),
        failing_before=known.failing_before,
    )


def _together(known: tuple[Previous, ...], found: tuple[Previous, ...]) -> tuple[Previous, ...]:
    names = {(one.namespace, one.release) for one in known}
    return known + tuple(one for one in found if (one.namespace, one.release) not in names)


def name_of(category: str, description: str) -> str:
    """A check's name among failing ones."""
    return f"{category}: {description}"


def failing(checks: CheckSummary) -> tuple[str, ...]:
    """Names of the checks that failed."""
    return tuple(name_of(one.category, one.description) for one in checks.failing)


def blame_checks(upgrade: Upgrade, checks: CheckSummary) -> str:
    """What fails that didn't before the upgrade, in words; "" where nothing."""
    found = [one for one in checks.failing if name_of(one.category, one.description) not in upgrade.failing_before]
    return shorten("; ".join(f"{one.description}: {one.error}" for one in found), _MAX_CAUSE)


def blame_pods(upgrade: Upgrade, waits_for: str, why: str, now: dt.datetime, limit: float) -> str:
    """Why pods that aren't ready are the upgrade's fault, in words; "" where they aren't, or may become ready yet.

    Args:
        upgrade: the upgrade under way.
        waits_for: what isn't ready.
        why: what the cluster says of that.
        now: the time.
        limit: seconds that new pods have to become ready.
    """
    if NOT_READY in upgrade.failing_before:
        return ""
    if _DENIED.search(why):
        return shorten(f"{waits_for}: {why}", _MAX_CAUSE)
    waited = (now - upgrade.begun).total_seconds()
    if waited <= limit:
        return ""
    return shorten(f"{waits_for} after {waited:.0f} s" + (f": {why}" if why else ""), _MAX_CAUSE)


def blame_error(error: ByomeshError) -> str:
    """Why an error in the middle of an upgrade takes it back, in words; "" where it will pass by itself."""
    if isinstance(error, Temporary) and error.reason not in _TAKEN_BACK:
        return ""
    return shorten(f"{error.reason}: {error.problem}", _MAX_CAUSE)


def rolled_back(upgrade: Upgrade) -> FailedUpgrade:
    """What stays in memory of an upgrade once it has been taken back."""
    return FailedUpgrade(
        version=upgrade.to_version,
        charts=upgrade.charts,
        from_version=upgrade.from_version,
        cause=upgrade.cause,
        request_id=upgrade.request_id,
    )
