"""Eventarc for Cloud Audit Logs: audit entries become CloudEvents, posted to functions in HTTP's binary mode.

Facts: cloud.google.com/eventarc/docs (event format of Cloud Audit Logs, retry of events) and the schema
google.events.cloud.audit.v1.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Self

from byomesh.local.audit_stream import AuditStream, Entry, Troubles
from byomesh.local.background import Background
from byomesh.local.courier import Courier, Parcel, is_success
from byomesh.local.describe import cluster_of_entry, describe_entry
from byomesh.local.journal import Kind
from byomesh.local.pace import Pace
from byomesh.local.pubsub.backoff import RetryPolicy

_log = logging.getLogger(__name__)

EVENT_TYPE = "google.cloud.audit.log.v1.written"

# 10 to 600 s between deliveries, for 24 hours (docs/retry-events); no dead letter of its own.
_RETRY = RetryPolicy(minimum=10.0, maximum=600.0)
_RETENTION = 24 * 3600.0
# Eventarc delivers by a push subscription: this is the longest deadline one can have.
_DEADLINE = 600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Trigger:
    """Which entries go to which function. Eventarc compares both names exactly, and takes one method a trigger.

    Attributes:
        service_name: such as container.googleapis.com.
        method_name: such as google.container.v1.ClusterManager.CreateCluster.
        target: the function's name, for the journal.
        url: the function's address on loopback.
    """

    service_name: str
    method_name: str
    target: str
    url: str

    def matches(self, entry: Entry) -> bool:
        """Whether the entry's payload names this service and this method."""
        payload = entry.get("protoPayload", {})
        return (payload.get("serviceName"), payload.get("methodName")) == (self.service_name, self.method_name)


def event_headers(entry: Entry) -> dict[str, str]:
    """The HTTP headers of an entry's CloudEvent, its attributes and extensions among them.

    Raises:
        KeyError: the entry lacks insertId, logName, timestamp, or its payload serviceName or methodName.
        ValueError: its timestamp is none.
    """
    payload = entry["protoPayload"]
    log_name: str = entry["logName"]
    service, resource = payload["serviceName"], payload.get("resourceName", "")
    project, _, log = log_name.partition("/logs/")
    written = datetime.fromisoformat(entry["timestamp"])
    return {
        "Content-Type": "application/json; charset=utf-8",
        "ce-specversion": "1.0",
        "ce-type": EVENT_TYPE,
        "ce-source": f"//cloudaudit.googleapis.com/{project}/logs/{log.rpartition('%2F')[2]}",
        "ce-subject": f"{service}/{resource}",
        # As Eventarc makes it: the log, the entry in it, and its microseconds; so a redelivery has the same one.
        "ce-id": f"{log_name}{entry['insertId']}{int(written.timestamp() * 1_000_000)}",
        "ce-time": entry["timestamp"],
        "ce-recordedtime": entry.get("receiveTimestamp", entry["timestamp"]),
        "ce-datacontenttype": "application/json",
        "ce-servicename": service,
        "ce-methodname": payload["methodName"],
        "ce-resourcename": resource,
    }


class Eventarc:
    """Delivers entries to the functions whose triggers match, at least once; use it as an async context manager.

    Each delivery of each entry is a task of its own, so none waits for another.
    """

    def __init__(self, triggers: Iterable[Trigger], *, courier: Courier, pace: Pace, seed: int | None = None) -> None:
        """The courier must be open for as long as this is; `seed` makes a reordering repeatable."""
        self.triggers = tuple(triggers)
        self._courier = courier
        self._pace = pace
        self._background = Background("Eventarc")
        self._stream = AuditStream(self._fan_out, background=self._background, seed=seed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._background.aclose()

    @property
    def troubles(self) -> Troubles:
        """What happens to entries on their way; may be set at any time."""
        return self._stream.troubles

    @troubles.setter
    def troubles(self, troubles: Troubles) -> None:
        self._stream.troubles = troubles

    def write(self, entry: Entry) -> None:
        """Takes an audit entry and returns at once; an entry that no trigger matches goes nowhere.

        Raises:
            KeyError, ValueError: the entry is no audit entry (see `event_headers`).
        """
        event_headers(entry)
        self._stream.write(entry)

    def _fan_out(self, entry: Entry) -> None:
        for trigger in self.triggers:
            if trigger.matches(entry):
                self._background.spawn(self._deliver(entry, trigger))

    async def _deliver(self, entry: Entry, trigger: Trigger) -> None:
        clock = asyncio.get_running_loop().time
        gives_up = clock() + self._pace.seconds(_RETENTION)
        attempt = 1
        while True:
            record = await self._courier.deliver(_parcel(entry, trigger, attempt))
            if record.acknowledged:
                return
            wait = self._pace.seconds(_RETRY.delay(attempt))
            if clock() + wait > gives_up:
                _log.error(
                    "Eventarc gives up on %s for %s after %d deliveries in 24 hours: %s; send the event again once "
                    "%s is well",
                    record.line,
                    trigger.target,
                    attempt,
                    record.error,
                    trigger.target,
                )
                return
            await asyncio.sleep(wait)
            attempt += 1


def _parcel(entry: Entry, trigger: Trigger, attempt: int) -> Parcel:
    headers = event_headers(entry)
    return Parcel(
        url=trigger.url,
        headers=headers,
        body=json.dumps(entry, separators=(",", ":")).encode(),
        deadline=_DEADLINE,
        acknowledges=is_success,
        kind=Kind.EVENTARC,
        source=headers["ce-id"],
        what=trigger.method_name,
        target=trigger.target,
        attempt=attempt,
        cluster=cluster_of_entry(entry),
        line=describe_entry(entry),
    )
