"""A plan, and the steps that it is made of."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from shared.mesh.drift import Drift, ObjectName
from shared.mesh.plan.desired import DesiredRelease
from shared.mesh.releases import DeployedRelease


class Kind(enum.StrEnum):
    """What a plan amounts to."""

    INSTALL = "install"
    UPGRADE = "upgrade"
    REPAIR = "repair"
    REMOVE = "remove"
    NOTHING = "nothing"
    REFUSE = "refuse"


class WriteNamespace(msgspec.Struct, frozen=True):
    """Create the namespace, or set the labels and annotations that it lacks."""

    name: str
    labels: dict[str, str]
    annotations: dict[str, str] = {}


class WriteSecret(msgspec.Struct, frozen=True):
    """Write one Secret; its contents stay out of every text form."""

    body: dict[str, Any]

    def __repr__(self) -> str:
        return f"WriteSecret({ObjectName.of(self.body)})"


class WriteObject(msgspec.Struct, frozen=True):
    """Write one object of this system's own that a release needs, and that no release has."""

    body: dict[str, Any]

    def __repr__(self) -> str:
        return f"WriteObject({ObjectName.of(self.body)})"


class ForgetRevision(msgspec.Struct, frozen=True):
    """Remove the record of a revision that a killed Helm never finished; its objects stay and are adopted."""

    release: str
    namespace: str
    secret: str


class RunHelm(msgspec.Struct, frozen=True):
    """Install or upgrade one release.

    Attributes:
        release: as it should be.
        namespace: where it is recorded.
        installed: whether Helm has a record of it.
        why: what differs, in words.
        take_over: whether its objects are there already and may be others'.
    """

    release: DesiredRelease
    namespace: str
    installed: bool
    why: str
    take_over: bool = False

    def __repr__(self) -> str:
        return f"RunHelm({self.release.name}: {self.why})"


class Reapply(msgspec.Struct, frozen=True):
    """Apply one object of an agreeing release again, by Helm's own field manager."""

    release: DeployedRelease
    namespace: str
    drift: Drift
    force: bool

    def __repr__(self) -> str:
        return f"Reapply({self.drift.object}: {', '.join(self.drift.paths)})"


class RemoveRelease(msgspec.Struct, frozen=True):
    """Let Helm uninstall one release."""

    release: str
    namespace: str


class RemoveNamespace(msgspec.Struct, frozen=True):
    """Delete a namespace of ours, once nothing of others is in it.

    Attributes:
        name: the namespace.
        release: the release that was in it, whose objects may still be on their way out.
    """

    name: str
    release: str


Step = WriteNamespace | WriteSecret | WriteObject | ForgetRevision | RunHelm | Reapply | RemoveRelease | RemoveNamespace


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, in order.

    Attributes:
        kind: what it amounts to.
        steps: empty for `nothing` and `refuse`.
        reason: a sentence for people.
        left_alone: drift that other field managers hold and that isn't ours to take back.
        notes: what is to be said beside, in sentences; nothing is done about it.
        waiting: releases of extensions that are due as soon as the mesh is ready.
    """

    kind: Kind
    steps: tuple[Step, ...] = ()
    reason: str = ""
    left_alone: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
