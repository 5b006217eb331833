"""A log sink: the audit entries that its filter takes, published to a Pub/Sub topic as Cloud Logging does."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from typing import Self

from byomesh.local.audit_stream import AuditStream, Entry, Troubles
from byomesh.local.background import Background
from byomesh.local.cloud_logging.query import compile_query
from byomesh.local.pubsub.service import PubSub

_CREATE_OR_UPDATE = re.compile(r"ClusterManager\.(Create|Update)Cluster$")


def finished_cluster_changes(entry: Entry) -> bool:
    r"""The filter of this project's sinks, as a predicate.

    log_id("cloudaudit.googleapis.com/activity") resource.type="gke_cluster"
    protoPayload.methodName=~"ClusterManager\.(Create|Update)Cluster$" operation.last=true
    """
    return (
        str(entry.get("logName", "")).endswith("/logs/cloudaudit.googleapis.com%2Factivity")
        and entry.get("resource", {}).get("type") == "gke_cluster"
        and _CREATE_OR_UPDATE.search(entry.get("protoPayload", {}).get("methodName", "")) is not None
        and entry.get("operation", {}).get("last") is True
    )


FILTERS = {
    topic: f"""\
log_id("cloudaudit.googleapis.com/activity")
resource.type="gke_cluster"
protoPayload.serviceName="container.googleapis.com"
protoPayload.methodName=~"^google\\.container\\.v1(beta1)?\\.ClusterManager\\.{method}$"
operation.last=true
severity<ERROR
"""
    for topic, method in {"cluster-events": "CreateCluster", "mesh-enforce": "UpdateCluster"}.items()
}
"""The inclusion filters of an organisation's aggregated sinks, by topic, as docs/organization.md gives them."""


class Sink:
    """Publishes the entries that its filter takes; use it as an async context manager.

    The message's data is the LogEntry as JSON, and its one attribute the entry's time, by the name that Cloud Logging
    gives it (cloud.google.com/logging/docs/export/pubsub).
    """

    def __init__(
        self,
        *,
        topic: str,
        pubsub: PubSub,
        takes: Callable[[Entry], bool] = finished_cluster_changes,
        seed: int | None = None,
    ) -> None:
        """`topic` is projects/P/topics/T; `seed` makes a reordering repeatable."""
        self.topic = topic
        self._pubsub = pubsub
        self._takes = takes
        self._background = Background("the log sink")
        self._stream = AuditStream(self._publish, background=self._background, seed=seed)

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
        """Takes an audit entry and returns at once."""
        if self._takes(entry):
            self._stream.write(entry)

    def _publish(self, entry: Entry) -> None:
        attributes = {"logging.googleapis.com/timestamp": str(entry["timestamp"])}
        data = json.dumps(entry, separators=(",", ":")).encode()
        self._background.spawn(self._pubsub.publish(self.topic, data, attributes))


async def aggregated(
    stack: contextlib.AsyncExitStack, pubsub: PubSub, project: str, troubles: Troubles
) -> tuple[Sink, ...]:
    """An organisation's sinks over all of its projects, of creations and of updates, until the stack unwinds.

    Each writes to a topic of the automation's `project`.
    """
    sinks = [
        Sink(topic=f"projects/{project}/topics/{topic}", pubsub=pubsub, takes=compile_query(text))
        for topic, text in FILTERS.items()
    ]
    for sink in sinks:
        sink.troubles = troubles
        await stack.enter_async_context(sink)
    return tuple(sinks)
