"""What the policy looks at, taken from a file: the audit entry of a cluster's creation, or plain facts.

An entry says less than GKE does: only the first of a creation's two holds the request, and a request leaves out what
GKE fills in. What had to be assumed is said.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from shared import events
from shared.cluster import ClusterFacts
from shared.errors import Permanent
from shared.model import ClusterRef
from shared.outcome import Ignored

LIMIT = 10 * 1024 * 1024
"""Bytes of a file: a Pub/Sub message has no more."""

_DEFAULT_CHANNEL = "REGULAR"
_NO_CHANNEL = "UNSPECIFIED"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a file tells of a cluster.

    Attributes:
        facts: for the policy.
        allow_net_admin: whether allow-net-admin is on, or was asked for.
        assumed: what the file doesn't tell and was assumed instead, a sentence each.
        note: what enable_net_admin would make of the entry; "" where it would act on it, or where it is no entry.
    """

    facts: ClusterFacts
    allow_net_admin: bool = False
    assumed: tuple[str, ...] = ()
    note: str = ""


class _Plain(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    cluster: str
    autopilot: bool | None = None
    labels: dict[str, str] | None = None
    release_channel: str | None = None
    folders: tuple[str, ...] = ()
    allow_net_admin: bool = False


class _Policies(msgspec.Struct, frozen=True, rename="camel"):
    allow_net_admin: bool = False


class _Autopilot(msgspec.Struct, frozen=True, rename="camel"):
    enabled: bool = False
    workload_policy_config: _Policies = _Policies()


class _Channel(msgspec.Struct, frozen=True):
    channel: str | None = None


class _Created(msgspec.Struct, frozen=True, rename="camel"):
    """What is needed of google.container.v1.Cluster as a request has it."""

    name: str = ""
    autopilot: _Autopilot = _Autopilot()
    resource_labels: dict[str, str] = {}
    release_channel: _Channel = _Channel()


class _Request(msgspec.Struct, frozen=True):
    cluster: _Created | None = None


class _Event:
    """An audit entry as Eventarc delivers it."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self._entry = entry

    def get(self, key: str, default: Any = None) -> Any:
        """An attribute of the CloudEvent."""
        attributes = {"type": events.AUDIT_TYPE, "time": "1970-01-01T00:00:00Z"}
        return attributes.get(key, default)

    def get_data(self) -> Any:
        """The entry."""
        return self._entry


def read_facts(file: Path) -> Known:
    """Read a file.

    Raises:
        Permanent: it can't be read, or is none of what it may be.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(LIMIT + 1)
        if len(content) > LIMIT:
            raise _bad(file, f"it has more than {LIMIT // 1024 // 1024} MiB")
        return known(msgspec.json.decode(content))
    except (OSError, msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _bad(file, str(error)) from error
    except Permanent as error:
        raise _bad(file, error.problem) from error


def known(data: Any) -> Known:
    """What a JSON value tells of a cluster; pure.

    Raises:
        Permanent: it is neither an audit entry in one of its envelopes nor plain facts.
        msgspec.ValidationError: it has a field of another type.
    """
    entry = _unwrapped(data)
    if isinstance(entry, dict) and "protoPayload" in entry:
        return _of_entry(entry)
    if isinstance(entry, dict) and isinstance(entry.get("cluster"), str):
        return _of_facts(msgspec.convert(entry, _Plain))
    raise Permanent("BadEvent", "it is neither an audit entry nor an object with a cluster")


def _unwrapped(data: Any) -> Any:
    """What is within the envelopes: a structured CloudEvent, a push of Pub/Sub, both or neither."""
    if isinstance(data, dict) and isinstance(data.get("data"), dict) and "specversion" in data:
        data = data["data"]
    message = data.get("message") if isinstance(data, dict) else None
    if isinstance(message, dict) and "data" in message:
        return msgspec.json.decode(msgspec.convert(message["data"], bytes))
    return data


def _of_facts(plain: _Plain) -> Known:
    autopilot = True if plain.autopilot is None else plain.autopilot
    assumed = [] if plain.autopilot is not None else ["it is an Autopilot cluster"]
    if plain.labels is None:
        assumed.append("it has no labels")
    channel, channel_assumed = _channel(plain.release_channel, autopilot=autopilot)
    facts = ClusterFacts(
        cluster=ClusterRef.parse(plain.cluster),
        autopilot=autopilot,
        labels=plain.labels or {},
        release_channel=channel,
        folders=plain.folders,
    )
    return Known(facts=facts, allow_net_admin=plain.allow_net_admin, assumed=(*assumed, *channel_assumed))


def _of_entry(entry: dict[str, Any]) -> Known:
    judged = events.cluster_event(_Event(entry))
    request = msgspec.convert((entry.get("protoPayload") or {}).get("request") or {}, _Request)
    cluster = _named(entry, request)
    created = request.cluster
    assumed: list[str] = []
    if created is None:
        created = _Created(autopilot=_Autopilot(enabled=True))
        assumed.append("it is an Autopilot cluster without labels, for the entry has no request (a first one has)")
    autopilot = created.autopilot.enabled
    channel, channel_assumed = _channel(created.release_channel.channel, autopilot=autopilot)
    facts = ClusterFacts(cluster=cluster, autopilot=autopilot, labels=created.resource_labels, release_channel=channel)
    note = f"enable_net_admin ignores this entry: {judged.reason}" if isinstance(judged, Ignored) else ""
    return Known(
        facts=facts,
        allow_net_admin=created.autopilot.workload_policy_config.allow_net_admin,
        assumed=(*assumed, *channel_assumed),
        note=note,
    )


def _named(entry: dict[str, Any], request: _Request) -> ClusterRef:
    """The cluster's name: the resource's; where that is only a location, as a rejected call's may be, the request's."""
    labels = (entry.get("resource") or {}).get("labels") or {}
    parts = [labels.get(key) for key in ("project_id", "location", "cluster_name")]
    if all(isinstance(part, str) and part for part in parts):
        return ClusterRef.parse("projects/{}/locations/{}/clusters/{}".format(*parts))
    name = str((entry.get("protoPayload") or {}).get("resourceName", ""))
    if request.cluster is not None and "/clusters/" not in name:
        name = f"{name}/clusters/{request.cluster.name}"
    return ClusterRef.parse(name)


def _channel(named: str | None, *, autopilot: bool) -> tuple[str, tuple[str, ...]]:
    """The release channel, and what was assumed: a request leaves out what GKE chooses."""
    if named:
        return named.upper(), ()
    channel = _DEFAULT_CHANNEL if autopilot else _NO_CHANNEL
    return channel, (f"its release channel is {channel}, for none is named",)


def _bad(file: Path, problem: str) -> Permanent:
    return Permanent(
        "BadEvent",
        f"{file}: {problem}",
        remedy=(
            "give the audit entry of a cluster's creation (bare, in a CloudEvent, or in a Pub/Sub push), "
            'or facts such as {"cluster": "projects/P/locations/L/clusters/C", "autopilot": true, "labels": {}}'
        ),
    )
