"""The frozen data that flows through the house, and its JSON.

Message fields are the contract of the topics: unknown fields are ignored, a schema above `SCHEMA` is Permanent.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Iterator
from typing import Any, Literal, Self, TypeVar

import msgspec

from shared.errors import Permanent, shorten

SCHEMA = 1
"""Newest message schema that this version understands."""

_CLUSTER_NAME = re.compile(
    r"projects/(?P<project>[a-z0-9.:-]+)/(?:locations|zones|regions)/(?P<location>[a-z0-9-]+)"
    r"/clusters/(?P<name>[a-z0-9-]+)"
)
_CONTAINER_SERVICE = "//container.googleapis.com/"


class ClusterRef(msgspec.Struct, frozen=True, order=True):
    """One GKE cluster.

    Attributes:
        project: project id, such as `shop-prod`.
        location: region or zone, such as `europe-west1`.
        name: the cluster's own name.
    """

    project: str
    location: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a full resource name; `zones/` and `regions/` (as in audit entries) mean the same as `locations/`.

        Raises:
            Permanent: `text` is no cluster's resource name.
        """
        match = _CLUSTER_NAME.fullmatch(text.removeprefix(_CONTAINER_SERVICE))
        if match is None:
            raise Permanent(
                "MalformedCluster",
                f"{text[:200]!r} is not a cluster's resource name",
                remedy="write it as projects/PROJECT/locations/LOCATION/clusters/NAME",
            )
        return cls(match["project"], match["location"], match["name"])

    def __str__(self) -> str:
        return f"projects/{self.project}/locations/{self.location}/clusters/{self.name}"

    @property
    def parent(self) -> str:
        """The location's resource name, `projects/P/locations/L`."""
        return f"projects/{self.project}/locations/{self.location}"


class Reason(enum.StrEnum):
    """Why a mesh was asked for."""

    CREATED = "created"
    RERUN = "rerun"
    DRIFT = "drift"
    SWEEP = "sweep"
    REPAIR = "repair"


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
    """Asks for a mesh on a cluster; the least that works by hand is `{"cluster": "...", "mesh": "linkerd"}`.

    Attributes:
        cluster: full resource name in JSON.
        mesh: name of a profile, such as `linkerd`.
        version: the mesh's version; None means the profile's.
        reason: why it was asked for.
        request_id: shared by everything that follows from one event.
        attempt: how many times a repair has already been handed back; bounded by the settings.
        first_seen: when this stage was first asked (RFC 3339); publishTime where absent.
        operation: full name or bare id of a GKE operation to wait for.
        actor: who asked: a person's or a service account's e-mail.
        schema: version of this message.
    """

    cluster: ClusterRef
    mesh: str
    version: str | None = None
    reason: Reason = Reason.RERUN
    request_id: str = ""
    attempt: int = 0
    first_seen: dt.datetime | None = None
    operation: str | None = None
    actor: str | None = None
    schema: int = SCHEMA


class Release(msgspec.Struct, frozen=True):
    """One Helm release as it was installed.

    Attributes:
        name: the release's name.
        chart: `NAME-VERSION`.
        digest: sha256 of the chart's archive, or "" where it came from a folder.
        revision: Helm's revision number.
    """

    name: str
    chart: str
    digest: str
    revision: int


class VerifyRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Asks for the checks of a mesh; fields as in `InstallRequest`, plus what was installed."""

    cluster: ClusterRef
    mesh: str
    version: str | None = None
    reason: Reason = Reason.RERUN
    request_id: str = ""
    attempt: int = 0
    first_seen: dt.datetime | None = None
    actor: str | None = None
    release: tuple[Release, ...] = ()
    schema: int = SCHEMA


class CheckOutcome(enum.StrEnum):
    """What a check found."""

    PASS = "pass"  # noqa: S105 - an outcome
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class CheckResult(msgspec.Struct, frozen=True):
    """One check's answer.

    Attributes:
        description: the check in words, as the mesh's own tool prints it.
        outcome: what was found.
        error: what is wrong; "" where nothing is.
        hint: the address of the documentation about it; "" where there is none.
    """

    description: str
    outcome: CheckOutcome
    error: str = ""
    hint: str = ""


class CategoryReport(msgspec.Struct, frozen=True):
    """The checks of one category, in order."""

    name: str
    checks: tuple[CheckResult, ...]


class CheckReport(msgspec.Struct, frozen=True):
    """All checks that were made, in order; a fatal failure ends it early."""

    categories: tuple[CategoryReport, ...] = ()

    def __iter__(self) -> Iterator[tuple[str, CheckResult]]:
        """Iterate over (category name, result) pairs."""
        return ((category.name, result) for category in self.categories for result in category.checks)

    def count(self, outcome: CheckOutcome) -> int:
        """How many checks ended with `outcome`."""
        return sum(result.outcome is outcome for _, result in self)

    @property
    def healthy(self) -> bool:
        """Whether no check failed; warnings and skips are healthy, as for the mesh's own tool."""
        return self.count(CheckOutcome.FAIL) == 0


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


class FailingCheck(msgspec.Struct, frozen=True):
    """A failed check, as a status tells it."""

    category: str
    description: str
    error: str


class CheckSummary(msgspec.Struct, frozen=True):
    """A check report in numbers, with the failures in words."""

    passed: int = 0
    warned: int = 0
    failed: int = 0
    skipped: int = 0
    failing: tuple[FailingCheck, ...] = ()

    @classmethod
    def of(cls, report: CheckReport) -> Self:
        """Sum up a report."""
        return cls(
            report.count(CheckOutcome.PASS),
            report.count(CheckOutcome.WARN),
            report.count(CheckOutcome.FAIL),
            report.count(CheckOutcome.SKIP),
            tuple(
                FailingCheck(category, result.description, result.error)
                for category, result in report
                if result.outcome is CheckOutcome.FAIL
            ),
        )


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
        waits_for: what a Pending or Stuck cluster waits for, or "".
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
    waits_for: str = ""
    timings: dict[str, float] = {}
    time: dt.datetime | None = None
    schema: int = SCHEMA


_M = TypeVar("_M")


def to_builtins(message: msgspec.Struct) -> dict[str, Any]:
    """The JSON object of a message as plain dictionaries, the cluster as its full resource name."""
    data: dict[str, Any] = msgspec.to_builtins(message)
    cluster = getattr(message, "cluster", None)
    if isinstance(cluster, ClusterRef):
        data["cluster"] = str(cluster)
    return data


def encode(message: msgspec.Struct) -> bytes:
    """The message as JSON, keys sorted, so that the same message is the same bytes."""
    return msgspec.json.encode(to_builtins(message), order="sorted")


def decode(data: bytes, kind: type[_M]) -> _M:
    """Read a message of `kind`.

    Raises:
        Permanent: no JSON object, a field of the wrong type, a bad cluster name, or a schema from the future.
    """
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Permanent("MalformedMessage", f"the message is not JSON: {error}", remedy=_LEAST) from error
    return from_builtins(raw, kind)


_LEAST = 'the least that works is {"cluster": "projects/P/locations/L/clusters/C", "mesh": "linkerd"}'


def from_builtins(raw: Any, kind: type[_M]) -> _M:
    """Read a message of `kind` from plain dictionaries; raises as `decode` does."""
    if not isinstance(raw, dict):
        raise Permanent("MalformedMessage", f"the message is a JSON {type(raw).__name__}, not an object", remedy=_LEAST)
    schema = raw.get("schema", SCHEMA)
    if isinstance(schema, int) and schema > SCHEMA:
        raise Permanent(
            "SchemaTooNew",
            f"the message has schema {schema}; this version understands up to {SCHEMA}",
            cluster=str(raw.get("cluster", "")),
            remedy="deploy a newer version of byomesh, or publish schema 1",
        )
    name = raw.get("cluster")
    if name is not None:
        if not isinstance(name, str):
            raise Permanent("MalformedMessage", f"cluster is {shorten(repr(name), 200)}, not a name", remedy=_LEAST)
        raw = {**raw, "cluster": msgspec.to_builtins(ClusterRef.parse(name))}
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise Permanent(
            "MalformedMessage", str(error), cluster=name if isinstance(name, str) else "", remedy=_LEAST
        ) from error


Stage = Literal["enable", "install", "verify", "enforce"]
"""The four functions, by what they do."""
