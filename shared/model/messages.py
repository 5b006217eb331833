"""The messages of the topics, and the event that begins them."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Annotated, Literal

import msgspec

from shared.model.checks import CheckSummary
from shared.model.cluster_ref import ClusterRef
from shared.model.repair import OutdatedWorkloads, Remedy, Repair

SCHEMA = 1
"""Newest message schema that this version understands."""

_PARTS = 100
_Name = Annotated[str, msgspec.Meta(max_length=253)]
_Id = Annotated[str, msgspec.Meta(max_length=256)]
"""Goes into attributes, of which Pub/Sub takes 1,024 bytes each (https://cloud.google.com/pubsub/quotas)."""
_Version = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^(?:[0-9A-Za-z][0-9A-Za-z._+-]*)?\Z")]
"""Becomes part of a file's name and of a command line."""
_Operation = Annotated[str, msgspec.Meta(max_length=300, pattern=r"^[0-9A-Za-z/._-]*\Z")]
_Person = Annotated[str, msgspec.Meta(max_length=320)]
_Attempt = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]

Stage = Literal["enable", "install", "verify", "enforce"]
"""The four functions, by what they do."""


class Reason(enum.StrEnum):
    """Why a mesh was asked for."""

    CREATED = "created"
    RERUN = "rerun"
    DRIFT = "drift"
    SWEEP = "sweep"
    REPAIR = "repair"
    ROLLBACK = "rollback"


class ClusterEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster was created or changed, as its audit entry says.

    Attributes:
        cluster: the cluster.
        method: the API method's last part: `CreateCluster` or `UpdateCluster`.
        operation: bare id of the long-running operation, shared by all entries and duplicates of one event.
        request_id: the same id; what later messages carry.
        time: when GKE wrote the entry.
        first_seen: when this system first looked at it; None on first sight.
    """

    cluster: ClusterRef
    method: str
    operation: str
    request_id: str
    time: dt.datetime
    first_seen: dt.datetime | None = None


class InstallRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Asks for a mesh on a cluster; the least that works by hand is `{"cluster": "..."}`.

    Attributes:
        cluster: full resource name in JSON.
        mesh: name of a profile, such as `linkerd`; "" means the one that the policy names for the cluster.
        version: the mesh's version; None means the profile's.
        reason: why it was asked for.
        request_id: shared by everything that follows from one event.
        attempt: how many times a repair has already been handed back; bounded by the settings.
        first_seen: when this stage was first asked (RFC 3339); publishTime where absent.
        operation: full name or bare id of a GKE operation to wait for.
        actor: who asked: a person's or a service account's e-mail.
        repairs: what a verification found to repair, by name; fields of these objects are taken back from whoever
            changed them, and `restartWorkloads` is done only where it is named.
        claim: id of the task that holds the cluster's place among those worked on at once; nobody writes it by hand.
        schema: version of this message.
    """

    cluster: ClusterRef
    mesh: _Name = ""
    version: _Version | None = None
    reason: Reason = Reason.RERUN
    request_id: _Id = ""
    attempt: _Attempt = 0
    first_seen: dt.datetime | None = None
    operation: _Operation | None = None
    actor: _Person | None = None
    repairs: Annotated[tuple[Repair, ...], msgspec.Meta(max_length=_PARTS)] = ()
    claim: _Id = ""
    schema: int = SCHEMA


class Release(msgspec.Struct, frozen=True):
    """One Helm release as it was installed.

    Attributes:
        name: the release's name.
        chart: `NAME-VERSION`.
        digest: sha256 of the chart's archive, or "" where it came from a folder.
        revision: Helm's revision number.
    """

    name: _Name
    chart: _Name
    digest: _Name
    revision: int


class VerifyRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Asks for the checks of a mesh; fields as in `InstallRequest`.

    Attributes:
        release: what was installed.
        waiting: releases of extensions that are to be installed once the mesh is ready.
    """

    cluster: ClusterRef
    mesh: _Name = ""
    version: _Version | None = None
    reason: Reason = Reason.RERUN
    request_id: _Id = ""
    attempt: _Attempt = 0
    first_seen: dt.datetime | None = None
    actor: _Person | None = None
    release: Annotated[tuple[Release, ...], msgspec.Meta(max_length=_PARTS)] = ()
    waiting: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=_PARTS)] = ()
    claim: _Id = ""
    schema: int = SCHEMA


class EnforceRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Asks for a look at one cluster: is it as the policy wants it? The least that works is `{"cluster": "..."}`.

    Attributes:
        cluster: full resource name in JSON.
        reason: RERUN where somebody asks, SWEEP where a sweep does, DRIFT where an update of the cluster waits.
        request_id: shared by everything that follows from one event.
        first_seen: when it was first asked (RFC 3339); publishTime where absent.
        operation: bare id of the update that brought the cluster up; None where there was none.
        ended: when that update ended.
        actor: who asked.
        schema: version of this message.
    """

    cluster: ClusterRef
    reason: Reason = Reason.RERUN
    request_id: str = ""
    first_seen: dt.datetime | None = None
    operation: str | None = None
    ended: dt.datetime | None = None
    actor: str | None = None
    schema: int = SCHEMA


# Old ids begin with a domain (https://cloud.google.com/resource-manager/docs/creating-managing-projects).
_ProjectId = Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9.-]{1,63}:)?[a-z0-9-]{1,63}\Z")]
_ShortText = Annotated[str, msgspec.Meta(max_length=256)]


class SweepRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Asks for a look at many clusters; the least that works is `{}`, all that the policy's `sweep` covers.

    Attributes:
        project: id of the one project to sweep; None sweeps all, by a message for each.
        reason: SWEEP, or RERUN where somebody asked.
        request_id: shared by everything that follows from one sweep.
        first_seen: when it was first asked (RFC 3339); publishTime where absent.
        actor: who asked.
        schema: version of this message.
    """

    project: _ProjectId | None = None
    reason: Reason = Reason.SWEEP
    request_id: _ShortText = ""
    first_seen: dt.datetime | None = None
    actor: _ShortText | None = None
    schema: int = SCHEMA


class Phase(enum.StrEnum):
    """How far a cluster is on its way to a mesh."""

    PENDING = "Pending"
    ENABLING = "Enabling"
    INSTALLING = "Installing"
    VERIFYING = "Verifying"
    READY = "Ready"
    DEGRADED = "Degraded"
    REFUSED = "Refused"
    FAILED = "Failed"
    STUCK = "Stuck"


class MeshStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a cluster's mesh; published, logged, and (less its times) written into the cluster.

    Attributes:
        cluster: the cluster; None where a malformed message named none.
        mesh: the profile's name, or "".
        version: the mesh's version, or "".
        request_id: which request it answers.
        phase: how far it is.
        reason: a constant in CamelCase.
        message: a sentence for people.
        net_admin: whether GKE allows NET_ADMIN on it; None where nobody looked.
        checks: the report in numbers.
        repaired: names of the repairs made by this request.
        remedies: what helps against each check that fails or warns.
        options: what is there of the extensions that byomesh installed, in words, by the name of the option.
        outdated: meshed workloads that a restart would bring up to date.
        waits_for: what a Pending or Stuck cluster waits for, or "".
        findings: what differs, or differed, from the policy: names of `Finding`.
        actor: who made the change that it answers to, or asked for it: e-mail, and client where it is known; or "".
        advice: what makes the owner's own code agree with the policy: commands and configuration, a text each.
        policy: digest of the policy by which a conflict was reported, or "".
        timings: seconds by stage.
        time: when it was said.
        schema: version of this message.
    """

    cluster: ClusterRef | None
    phase: Phase
    reason: str
    message: str
    mesh: str = ""
    version: str = ""
    request_id: str = ""
    net_admin: bool | None = None
    checks: CheckSummary = CheckSummary()
    repaired: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    options: dict[str, str] = {}
    outdated: OutdatedWorkloads = OutdatedWorkloads()
    waits_for: str = ""
    findings: tuple[str, ...] = ()
    actor: str = ""
    advice: tuple[str, ...] = ()
    policy: str = ""
    timings: dict[str, float] = {}
    time: dt.datetime | None = None
    schema: int = SCHEMA
