"""`byomesh local populate`: the local GKE filled with stand-in clusters, and their creation told."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable

from google.cloud import container_v1

from byomesh.local.audit_stream import Entry
from byomesh.local.gke import population
from byomesh.local.gke.manager import Gke
from byomesh.local.gke.population import Envelope, Population
from byomesh.local.gke.state import LocalCluster, LocalOptions
from byomesh.local.journal import now
from byomesh.local.rpc import Call
from byomesh.local.statuses import Statuses
from shared.model import ClusterRef

_AT_ONCE = 200
"""Clusters made before others get their turn in the event loop."""


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """Who takes an audit entry.

    Attributes:
        log: Cloud Logging, which keeps every one that is told at all.
        eventarc: delivers it as a CloudEvent.
        sink: publishes it, where its filter takes it.
    """

    log: Callable[[Entry], None]
    eventarc: Callable[[Entry], None]
    sink: Callable[[Entry], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Populated:
    """What came of it.

    Attributes:
        refs: the clusters' names.
        told: when the first entry of their creation was written; None where nobody is told.
    """

    refs: list[ClusterRef]
    told: dt.datetime | None


class Populator:
    """Makes stand-in clusters in the local GKE, and tells of them by Eventarc, by a log sink, or not at all."""

    def __init__(self, gke: Gke, told: Told, statuses: Statuses) -> None:
        self._gke = gke
        self._statuses = statuses
        self._told = told

    async def populate(self, asked: Population, call: Call, *, pace: float) -> Populated:
        """Make the clusters, and once all are there have their entries delivered.

        Args:
            asked: which clusters.
            call: who creates them, as the entries say.
            pace: what the operations' seconds are multiplied with, so that they are real ones.

        Raises:
            ValueError: the clusters can't be named so.
        """
        options = LocalOptions(operation_seconds=asked.operation_seconds * pace, stand_in=asked.behind)
        made: list[tuple[LocalCluster, container_v1.Cluster]] = []
        for position, ref in enumerate(list(asked.names(self._gke.clusters))):
            wish = population.asked(ref, asked, position)
            self._statuses.begin_anew(ref)
            made.append((await self._gke.adopt(ref, wish, options), wish))
            if asked.busy:
                self._gke.occupy(made[-1][0], call)
            if position % _AT_ONCE == 0:
                await asyncio.sleep(0)
        told = await self._tell(made, asked.envelope, call) if asked.envelope is not Envelope.NONE else None
        return Populated([cluster.ref for cluster, _ in made], told)

    async def _tell(
        self, made: list[tuple[LocalCluster, container_v1.Cluster]], envelope: Envelope, call: Call
    ) -> dt.datetime:
        entries = [self._gke.creation_of(cluster, wish, call) for cluster, wish in made]
        began = now()
        for pair in entries:
            for entry in pair:
                self._told.log(entry)
                if envelope is not Envelope.SINK:
                    self._told.eventarc(entry)
                if envelope is not Envelope.EVENTARC:
                    self._told.sink(entry)
            await asyncio.sleep(0)
        return began
