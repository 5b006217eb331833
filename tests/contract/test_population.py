"""Stand-in clusters in the local GKE, as Google's own client sees them, and the entries that tell of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import container_v1 as v1
from google.cloud.container_v1.services.cluster_manager.transports import ClusterManagerGrpcTransport

from byomesh.local.audit_stream import Entry
from byomesh.local.backends import Backends, StandIns
from byomesh.local.gke import server
from byomesh.local.gke.manager import Gke
from byomesh.local.gke.population import Envelope, NetAdmin, Population
from byomesh.local.gke.state import LocalCluster, Running
from byomesh.local.pace import Pace
from byomesh.local.populate import Populator, Told
from byomesh.local.rpc import Call, Faults
from byomesh.local.stand_in import StandIn
from byomesh.local.statuses import Statuses
from shared import events
from shared.gke import read_cluster
from shared.model import ClusterEvent, ClusterRef
from tests.contract.google_cloud import cloud
from tests.unit.test_events import audit

PACE = 1000.0
CALL = Call(principal="operator@example.com", user_agent="tests")


class NoPlanes:
    """The backend of clusters that are not stand-ins, of which there are none here."""

    async def create(self, cluster: LocalCluster) -> Running:
        raise AssertionError(cluster.ref)

    async def delete(self, cluster: LocalCluster) -> None:
        raise AssertionError(cluster.ref)

    async def allow_net_admin(self, cluster: LocalCluster, allowed: bool) -> None:
        raise AssertionError((cluster.ref, allowed))

    async def nodes(self, cluster: LocalCluster) -> None:
        raise AssertionError(cluster.ref)


class World:
    """A GKE API with a real client of it, and what fills it."""

    def __init__(self) -> None:
        # Nobody is answered for, so no certificate is needed.
        stand_ins = StandIns(b"-----BEGIN CERTIFICATE-----\n", StandIn(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)))
        self.log: list[Entry] = []
        self.eventarc: list[Entry] = []
        self.sink: list[Entry] = []
        self.gke = Gke(backend=Backends(NoPlanes(), stand_ins), emit=self._emit, pace=Pace(PACE))
        self.client: v1.ClusterManagerClient
        told = Told(self.log.append, self.eventarc.append, self.sink.append)
        self.populator = Populator(self.gke, told, Statuses())

    async def _emit(self, entry: Entry) -> None:
        self.log.append(entry)

    async def populate(self, **fields: Any) -> list[ClusterRef]:
        return (await self.populator.populate(Population(**{"project": "shop", **fields}), CALL, pace=PACE)).refs

    async def call(self, method: str, **request: Any) -> Any:
        return await asyncio.to_thread(getattr(self.client, method), request=request, retry=None, timeout=60)

    async def listed(self, project: str) -> list[v1.Cluster]:
        answer = await self.call("list_clusters", parent=f"projects/{project}/locations/-")
        return list(answer.clusters)

    async def settled(self, ref: ClusterRef) -> v1.Cluster:
        while True:
            cluster: v1.Cluster = await self.call("get_cluster", name=str(ref))
            if cluster.status == v1.Cluster.Status.RUNNING:
                return cluster

    async def gone(self, ref: ClusterRef) -> None:
        with contextlib.suppress(exceptions.NotFound):
            while True:
                await self.call("get_cluster", name=str(ref))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World()
    async with cloud(
        tmp_path, lambda identity: [server.handler(made.gke, caller=identity.caller, faults=Faults())]
    ) as running:
        made.client = running.client(v1.ClusterManagerClient, ClusterManagerGrpcTransport)
        yield made
        made.client.transport.close()  # type: ignore[no-untyped-call]
        await made.gke.close()


async def test_they_are_listed_by_project_as_running_clusters(world: World) -> None:
    refs = await world.populate(clusters=60, projects=3, locations=("europe-west1", "us-east1-b"))
    found = await world.listed("shop-002")
    assert {(one.location, one.name) for one in found} == {
        (ref.location, ref.name) for ref in refs if ref.project == "shop-002"
    }
    assert len(found) == 20
    assert {one.status for one in found} == {v1.Cluster.Status.RUNNING}
    for one in found:
        read = read_cluster(ClusterRef("shop-002", one.location, one.name), one)
        assert read.service_ranges == ("34.118.224.0/20",)
        assert len(read.pod_ranges) == 1
        assert read.access.endpoint == "127.0.0.1:9"
        assert read.access.ca_pem
        assert read.etag
    assert len({one.etag for one in found}) == len({one.id for one in found}) == 20


async def test_one_is_updated_and_deleted_as_any_cluster(world: World) -> None:
    (ref,) = await world.populate(clusters=1, operation_seconds=0.0)
    before = await world.call("get_cluster", name=str(ref))
    assert not before.autopilot.workload_policy_config.allow_net_admin
    policy = {"desired_autopilot_workload_policy_config": {"allow_net_admin": True}, "etag": before.etag}
    await world.call("update_cluster", name=str(ref), update=policy)
    after = await world.settled(ref)
    assert after.autopilot.workload_policy_config.allow_net_admin
    assert after.etag != before.etag
    await world.call("delete_cluster", name=str(ref))
    await world.gone(ref)
    assert await world.listed("shop") == []


async def test_a_busy_one_is_never_updated(world: World) -> None:
    (ref,) = await world.populate(clusters=1, busy=True)
    assert (await world.call("get_cluster", name=str(ref))).status == v1.Cluster.Status.RECONCILING
    policy = {"desired_autopilot_workload_policy_config": {"allow_net_admin": True}}
    with pytest.raises(exceptions.FailedPrecondition, match="incompatible operation"):
        await world.call("update_cluster", name=str(ref), update=policy)


async def test_a_second_population_leaves_the_first_alone(world: World) -> None:
    first = await world.populate(clusters=3, net_admin=NetAdmin.ON)
    second = await world.populate(clusters=3)
    assert not {*first} & {*second}
    assert len(await world.listed("shop")) == 6


async def test_unasked_nobody_is_told(world: World) -> None:
    await world.populate(clusters=3)
    assert world.log == world.eventarc == world.sink == []


@pytest.mark.parametrize(
    ("envelope", "eventarc", "sink"), [(Envelope.EVENTARC, 6, 0), (Envelope.SINK, 0, 6), (Envelope.BOTH, 6, 6)]
)
async def test_their_creation_is_told_by_both_entries(
    world: World, envelope: Envelope, eventarc: int, sink: int
) -> None:
    refs = await world.populate(clusters=3, envelope=envelope)
    assert (len(world.log), len(world.eventarc), len(world.sink)) == (6, eventarc, sink)
    decoded = [events.cluster_event(audit(json.loads(json.dumps(entry)))) for entry in world.log]
    told = [one for one in decoded if isinstance(one, ClusterEvent)]
    assert [one.cluster for one in told] == refs
    for event in told:
        name = f"{event.cluster.parent}/operations/{event.request_id}"
        operation = await world.call("get_operation", name=name)
        assert operation.status == v1.Operation.Status.DONE
