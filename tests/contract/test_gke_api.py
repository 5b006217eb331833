from __future__ import annotations

import asyncio
import datetime as dt
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import container_v1 as v1
from google.cloud.container_v1.services.cluster_manager.transports import ClusterManagerGrpcTransport

from byomesh.local.gke import server
from byomesh.local.gke.manager import Gke
from byomesh.local.gke.state import LocalCluster, LocalOptions, OrgPolicy, Running
from byomesh.local.pace import Pace
from byomesh.local.rpc import Call, Faults, RpcFailure
from shared import gke
from shared.config import Settings
from shared.model import ClusterRef
from tests.contract.google_cloud import PYTHON, TESTER, Cloud, cloud

PARENT = "projects/shop-prod/locations/europe-west1"
ZONE = "projects/shop-prod/locations/europe-west1-b"
ENTRIES_OF_AN_OPERATION = 2


class FakeControlPlanes:
    """A backend whose clusters are nothing but records; its gates let a test hold an operation open."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = ""

    async def create(self, cluster: LocalCluster) -> Running:
        await self._step("create", cluster)
        return Running("127.0.0.1:6443", b"-----BEGIN CERTIFICATE-----\n")

    async def delete(self, cluster: LocalCluster) -> None:
        await self._step("delete", cluster)

    async def allow_net_admin(self, cluster: LocalCluster, allowed: bool) -> None:
        await self._step(f"net_admin={allowed}", cluster)

    async def nodes(self, cluster: LocalCluster) -> None:
        await self._step("nodes", cluster)

    async def _step(self, what: str, cluster: LocalCluster) -> None:
        await self.gate.wait()
        if self.broken:
            raise RuntimeError(self.broken)
        self.calls.append((what, cluster.ref.name))


class World:
    """A GKE API behind TLS and a real client of it."""

    def __init__(self) -> None:
        self.backend = FakeControlPlanes()
        self.entries: list[dict[str, Any]] = []
        self.faults = Faults()
        self.denied: set[str] = set()
        self.gke = Gke(
            backend=self.backend,
            emit=self._emit,
            pace=Pace(1000.0),
            defaults=LocalOptions(operation_seconds=20.0),
            permit=lambda _call, permission, _resource: permission not in self.denied,
        )
        self.cloud: Cloud
        self.client: v1.ClusterManagerClient

    async def _emit(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)

    async def call(self, method: str, **request: Any) -> Any:
        return await asyncio.to_thread(getattr(self.client, method), request=request, retry=None, timeout=120)

    async def create(self, name: str = "till", parent: str = PARENT, **fields: Any) -> v1.Operation:
        cluster = {"name": name, "autopilot": {"enabled": True}, **fields}
        created: v1.Operation = await self.call("create_cluster", parent=parent, cluster=cluster)
        return created

    async def done(self, operation: v1.Operation, parent: str = PARENT) -> v1.Operation:
        name = f"{parent}/operations/{operation.name}"
        while True:
            now: v1.Operation = await self.call("get_operation", name=name)
            if now.status == v1.Operation.Status.DONE:
                return now
            await asyncio.sleep(0.01)

    async def running(self, name: str = "till", parent: str = PARENT, **fields: Any) -> v1.Cluster:
        assert not (await self.done(await self.create(name, parent, **fields), parent)).error.message
        return await self.get(name, parent)

    async def get(self, name: str = "till", parent: str = PARENT) -> v1.Cluster:
        cluster: v1.Cluster = await self.call("get_cluster", name=f"{parent}/clusters/{name}")
        return cluster

    async def allow(self, name: str = "till", **update: Any) -> v1.Operation:
        policy = {"desired_autopilot_workload_policy_config": {"allow_net_admin": True}}
        operation: v1.Operation = await self.call(
            "update_cluster", name=f"{PARENT}/clusters/{name}", update={**policy, **update}
        )
        return operation


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World()
    async with cloud(
        tmp_path, lambda identity: [server.handler(made.gke, caller=identity.caller, faults=made.faults)]
    ) as running:
        made.cloud = running
        made.client = running.client(v1.ClusterManagerClient, ClusterManagerGrpcTransport)
        yield made
        made.client.transport.close()  # type: ignore[no-untyped-call]
        made.backend.gate.set()
        await made.gke.close()


async def test_a_creation_goes_from_provisioning_to_running(world: World) -> None:
    world.backend.gate.clear()
    operation = await world.create(resource_labels={"team": "till"})
    assert operation.status == v1.Operation.Status.RUNNING
    assert operation.operation_type == v1.Operation.Type.CREATE_CLUSTER
    assert (await world.get()).status == v1.Cluster.Status.PROVISIONING
    world.backend.gate.set()
    await world.done(operation)
    cluster = await world.get()
    assert cluster.status == v1.Cluster.Status.RUNNING
    assert cluster.endpoint == "127.0.0.1:6443"
    assert cluster.master_auth.cluster_ca_certificate == "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="
    assert dict(cluster.resource_labels) == {"team": "till"}
    assert cluster.location == cluster.zone == "europe-west1"
    assert cluster.services_ipv4_cidr == cluster.ip_allocation_policy.services_ipv4_cidr_block == "34.118.224.0/20"
    assert cluster.cluster_ipv4_cidr == cluster.ip_allocation_policy.cluster_ipv4_cidr_block == "10.64.0.0/17"
    assert cluster.current_master_version == "1.36.3-gke.1"
    assert cluster.self_link.endswith(f"/v1/{PARENT}/clusters/till")
    assert not cluster.autopilot.workload_policy_config.allow_net_admin


async def test_the_nodes_come_after_the_cluster_runs(world: World) -> None:
    await world.running()
    for _ in range(200):
        if ("nodes", "till") in world.backend.calls:
            break
        await asyncio.sleep(0.01)
    assert world.backend.calls == [("create", "till"), ("net_admin=False", "till"), ("nodes", "till")]


async def test_ranges_that_are_asked_for_are_kept(world: World) -> None:
    asked = {"cluster_ipv4_cidr_block": "100.64.0.0/14", "services_ipv4_cidr_block": "172.20.0.0/16"}
    cluster = await world.running(ip_allocation_policy=asked)
    assert (cluster.cluster_ipv4_cidr, cluster.services_ipv4_cidr) == ("100.64.0.0/14", "172.20.0.0/16")


async def test_an_update_reconciles_and_turns_net_admin_on_at_its_end(world: World) -> None:
    before = await world.running()
    world.backend.gate.clear()
    operation = await world.allow()
    during = await world.get()
    assert during.status == v1.Cluster.Status.RECONCILING
    assert not during.autopilot.workload_policy_config.allow_net_admin
    world.backend.gate.set()
    await world.done(operation)
    after = await world.get()
    assert after.status == v1.Cluster.Status.RUNNING
    assert after.autopilot.workload_policy_config.allow_net_admin
    assert len({before.etag, during.etag, after.etag}) == 3
    assert ("net_admin=True", "till") in world.backend.calls


async def test_two_updates_at_once_let_one_pass(world: World) -> None:
    await world.running()
    world.backend.gate.clear()
    answers = await asyncio.gather(world.allow(), world.allow(), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, exceptions.FailedPrecondition)]
    passed = [answer for answer in answers if isinstance(answer, v1.Operation)]
    assert (len(refused), len(passed)) == (1, 1)
    assert refused[0].message == f"Cluster is running incompatible operation {passed[0].name}."
    assert refused[0].reason == "CLUSTER_ALREADY_HAS_OPERATION"


async def test_a_cluster_in_creation_cannot_be_updated(world: World) -> None:
    world.backend.gate.clear()
    await world.create()
    with pytest.raises(exceptions.FailedPrecondition, match="currently being created, deleted, updated or repaired"):
        await world.allow()


async def test_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(exceptions.NotFound) as regional:
        await world.get("nobody")
    assert regional.value.message == f"Not found: {PARENT}/clusters/nobody."
    with pytest.raises(exceptions.NotFound) as zonal:
        await world.get("nobody", ZONE)
    assert zonal.value.message == "Not found: projects/shop-prod/zones/europe-west1-b/clusters/nobody."
    with pytest.raises(exceptions.NotFound, match="operations/operation-1"):
        await world.call("get_operation", name=f"{PARENT}/operations/operation-1")


async def test_a_name_is_taken_once(world: World) -> None:
    await world.running()
    with pytest.raises(exceptions.AlreadyExists) as taken:
        await world.create()
    assert taken.value.message == f"Already exists: {PARENT}/clusters/till."


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("Till", {}, 'Invalid value for field "cluster.name": "Till"'),
        ("t" * 41, {}, "at most 40 characters"),
        ("till", {"cluster_ipv4_cidr": "10.0.0.1/8"}, "cluster.cluster_ipv4_cidr"),
        ("till", {"cluster_ipv4_cidr": "34.118.0.0/16"}, "overlap"),
        ("till", {"ip_allocation_policy": {"services_ipv4_cidr_block": "none"}}, "services_ipv4_cidr_block"),
    ],
)
async def test_a_bad_request_is_an_invalid_argument(
    world: World, name: str, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=words.replace("(", r"\(")):
        await world.create(name, **fields)
    assert world.gke.describe() == []


async def test_an_update_needs_the_present_etag(world: World) -> None:
    cluster = await world.running()
    with pytest.raises(exceptions.Aborted, match="does not match the current etag"):
        await world.allow(etag="0123456789abcdef")
    await world.done(await world.allow(etag=cluster.etag))
    assert (await world.get()).autopilot.workload_policy_config.allow_net_admin


async def test_an_update_says_what_it_cannot_do(world: World) -> None:
    await world.running()
    name = f"{PARENT}/clusters/till"
    with pytest.raises(exceptions.InvalidArgument, match="Must provide an update"):
        await world.call("update_cluster", name=name, update={})
    with pytest.raises(exceptions.MethodNotImplemented, match="not desired_logging_service"):
        await world.call("update_cluster", name=name, update={"desired_logging_service": "none"})
    await world.running("standard", autopilot={"enabled": False})
    with pytest.raises(exceptions.InvalidArgument, match="only be updated on Autopilot"):
        await world.allow("standard")


async def test_an_organisation_may_deny_net_admin(world: World) -> None:
    world.gke.org_policies["shop-prod"] = OrgPolicy("custom.noNetAdmin", "Meshes are not for this folder.")
    await world.running()
    words = (
        'Operation denied by custom org policies: ["customConstraints/custom.noNetAdmin": '
        '"Meshes are not for this folder."]'
    )
    with pytest.raises(exceptions.FailedPrecondition) as denied:
        await world.allow()
    assert denied.value.message == words
    assert denied.value.reason == "CUSTOM_ORG_POLICY_VIOLATION"
    config = {"enabled": True, "workload_policy_config": {"allow_net_admin": True}}
    with pytest.raises(exceptions.FailedPrecondition, match="denied by custom org policies"):
        await world.create("other", autopilot=config)


async def test_a_cluster_may_be_created_with_the_flag(world: World) -> None:
    config = {"enabled": True, "workload_policy_config": {"allow_net_admin": True}}
    cluster = await world.running(autopilot=config)
    assert cluster.autopilot.workload_policy_config.allow_net_admin
    assert ("net_admin=True", "till") in world.backend.calls


async def test_a_missing_permission_is_named(world: World) -> None:
    await world.running()
    world.denied.add("container.clusters.update")
    with pytest.raises(exceptions.PermissionDenied, match=r'Required "container.clusters.update" permission\(s\)'):
        await world.allow()


async def test_a_list_of_all_locations_names_what_it_cannot_reach(world: World) -> None:
    await world.running()
    await world.running("kiosk", ZONE)
    everywhere = await world.call("list_clusters", parent="projects/shop-prod/locations/-")
    assert [cluster.name for cluster in everywhere.clusters] == ["till", "kiosk"]
    one = await world.call("list_clusters", parent=ZONE)
    assert [cluster.name for cluster in one.clusters] == ["kiosk"]
    world.gke.unreachable.add("europe-west1-b")
    some = await world.call("list_clusters", parent="projects/shop-prod/locations/-")
    assert [cluster.name for cluster in some.clusters] == ["till"]
    assert list(some.missing_zones) == ["europe-west1-b"]
    other = await world.call("list_clusters", parent="projects/other/locations/-")
    assert list(other.clusters) == []


async def test_labels_are_replaced_if_their_fingerprint_fits(world: World) -> None:
    cluster = await world.running(resource_labels={"mesh": "linkerd"})
    name = f"{PARENT}/clusters/till"
    with pytest.raises(exceptions.FailedPrecondition, match="fingerprint mismatch"):
        await world.call("set_labels", name=name, resource_labels={}, label_fingerprint="00")
    fingerprint = cluster.label_fingerprint
    labels = {"byomesh": "off"}
    await world.done(await world.call("set_labels", name=name, resource_labels=labels, label_fingerprint=fingerprint))
    assert dict((await world.get()).resource_labels) == labels


async def test_a_deleted_cluster_is_gone_and_its_operations_stay(world: World) -> None:
    await world.running()
    operation = await world.call("delete_cluster", name=f"{PARENT}/clusters/till")
    await world.done(operation)
    with pytest.raises(exceptions.NotFound):
        await world.get()
    listed = await world.call("list_operations", parent="projects/shop-prod/locations/-")
    assert [o.operation_type.name for o in listed.operations] == ["CREATE_CLUSTER", "DELETE_CLUSTER"]


async def test_a_backend_that_breaks_leaves_a_cluster_in_error(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.backend.broken = "etcd did not answer"
    operation = await world.done(await world.create())
    assert operation.error.code == grpc.StatusCode.INTERNAL.value[0]
    assert "etcd did not answer" in operation.error.message
    cluster = await world.get()
    assert cluster.status == v1.Cluster.Status.ERROR
    assert "etcd did not answer" in cluster.status_message
    assert world.entries[-1]["protoPayload"]["status"]["code"] == grpc.StatusCode.INTERNAL.value[0]
    assert "CREATE_CLUSTER" in caplog.text


async def test_an_operation_can_be_made_to_fail(world: World) -> None:
    await world.running()
    world.gke.operations.fail_next("UPDATE_CLUSTER", RpcFailure(grpc.StatusCode.UNAVAILABLE, "stockout"))
    assert (await world.done(await world.allow())).error.message == "stockout"
    cluster = await world.get()
    assert cluster.status == v1.Cluster.Status.RUNNING
    assert not cluster.autopilot.workload_policy_config.allow_net_admin
    assert world.entries[-1]["protoPayload"]["status"] == {"code": 14, "message": "stockout"}


async def test_faults_are_answered_as_often_as_ordered(world: World) -> None:
    world.faults.order("GetCluster", grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded", times=2)
    world.faults.order("GetCluster", grpc.StatusCode.UNAVAILABLE, "The service is currently unavailable.")
    for kind in (exceptions.ResourceExhausted, exceptions.ResourceExhausted, exceptions.ServiceUnavailable):
        with pytest.raises(kind):
            await world.get()
    with pytest.raises(exceptions.NotFound):
        await world.get()


async def test_each_operation_writes_two_entries_and_a_refusal_one(world: World) -> None:
    operation = await world.create()
    await world.done(operation)
    first, last = world.entries
    assert first["operation"] == {
        "first": True,
        "id": operation.name,
        "producer": "container.googleapis.com",
    }
    assert first["protoPayload"]["authenticationInfo"]["principalEmail"] == TESTER
    assert "grpc-python" in first["protoPayload"]["requestMetadata"]["callerSuppliedUserAgent"]
    assert first["protoPayload"]["request"]["cluster"]["name"] == "till"
    assert first["protoPayload"]["request"]["cluster"]["autopilot"] == {"enabled": True}
    assert last["operation"]["last"]
    assert last["operation"]["id"] == operation.name
    assert last["protoPayload"]["status"] == {}
    with pytest.raises(exceptions.AlreadyExists):
        await world.create()
    assert len(world.entries) == ENTRIES_OF_AN_OPERATION + 1
    assert "operation" not in world.entries[-1]
    assert world.entries[-1]["severity"] == "ERROR"
    assert world.entries[-1]["protoPayload"]["status"]["code"] == grpc.StatusCode.ALREADY_EXISTS.value[0]


async def test_net_admin_turned_off_bears_the_name_and_the_client_of_who_did_it(world: World) -> None:
    config = {"enabled": True, "workload_policy_config": {"allow_net_admin": True}}
    cluster = await world.running(autopilot=config)
    alice = world.cloud.client(v1.ClusterManagerClient, ClusterManagerGrpcTransport, "alice@shop-prod.example.com")
    door = gke.Gke(Settings(), alice)
    started = await asyncio.to_thread(door.forbid_net_admin, ClusterRef.parse(f"{PARENT}/clusters/till"), cluster.etag)
    assert isinstance(started, gke.Started)
    await world.done(v1.Operation(name=started.operation.rpartition("/")[2]))
    assert not (await world.get()).autopilot.workload_policy_config.allow_net_admin
    assert world.backend.calls[-1] == ("net_admin=False", "till")
    first, last = world.entries[-2:]
    assert first["operation"]["id"] == last["operation"]["id"] == started.operation.rpartition("/")[2]
    payload = first["protoPayload"]
    assert payload["authenticationInfo"]["principalEmail"] == "alice@shop-prod.example.com"
    assert "grpc-python" in payload["requestMetadata"]["callerSuppliedUserAgent"]
    # A False that was sent is in the entry, as the policy's absence would not be.
    update = payload["request"]["update"]
    assert update["desiredAutopilotWorkloadPolicyConfig"] == {"allowNetAdmin": False}
    assert "authenticationInfo" not in last["protoPayload"]
    alice.transport.close()


async def test_the_creator_can_be_another_than_the_caller(world: World) -> None:
    request = v1.CreateClusterRequest(parent=ZONE, cluster={"name": "kiosk"})
    options = LocalOptions(0.0, 0.0, "ops@example.com", "Terraform/1.7.5", "v1beta1")
    operation = await world.gke.create(request, Call("daemon@local"), options)
    await world.done(operation.proto, ZONE)
    payload = world.entries[0]["protoPayload"]
    assert payload["authenticationInfo"]["principalEmail"] == "ops@example.com"
    assert payload["requestMetadata"]["callerSuppliedUserAgent"] == "Terraform/1.7.5"
    assert payload["methodName"] == "google.container.v1beta1.ClusterManager.CreateCluster"
    assert payload["resourceName"] == "projects/shop-prod/zones/europe-west1-b/clusters/kiosk"


async def test_an_operation_takes_its_time_at_least(world: World) -> None:
    request = v1.CreateClusterRequest(parent=PARENT, cluster={"name": "till"})
    started = await world.gke.create(request, Call("daemon@local"), LocalOptions(operation_seconds=300.0))
    ended = await world.done(started.proto)
    took = dt.datetime.fromisoformat(ended.end_time[:26]) - dt.datetime.fromisoformat(ended.start_time[:26])
    assert took >= dt.timedelta(seconds=300.0 / 1000.0)


async def test_a_private_cluster_has_no_public_endpoint(world: World) -> None:
    only_private = {"ip_endpoints_config": {"enable_public_endpoint": False}}
    cluster = await world.running(control_plane_endpoints_config=only_private)
    assert cluster.endpoint == "10.0.0.2"
    assert not cluster.control_plane_endpoints_config.ip_endpoints_config.public_endpoint
    assert "dns_endpoint_config" not in cluster.control_plane_endpoints_config
    only_dns = {"ip_endpoints_config": {"enabled": False}, "dns_endpoint_config": {"allow_external_traffic": True}}
    cluster = await world.running("kiosk", control_plane_endpoints_config=only_dns)
    assert cluster.endpoint == cluster.control_plane_endpoints_config.dns_endpoint_config.endpoint
    assert cluster.endpoint.endswith(".europe-west1.gke.goog")


async def test_a_caller_without_an_account_is_unauthenticated(world: World) -> None:
    stranger = world.cloud.client(v1.ClusterManagerClient, ClusterManagerGrpcTransport, "gone@example.com")
    world.cloud.identity.add("gone@example.com")
    world.cloud.identity.remove("gone@example.com")
    name = f"{PARENT}/clusters/till"
    try:
        with pytest.raises(exceptions.Unauthenticated, match="invalid authentication credentials"):
            await asyncio.to_thread(stranger.get_cluster, name=name, retry=None, timeout=120)
    finally:
        stranger.transport.close()


async def test_the_client_needs_only_its_environment(world: World) -> None:
    program = (
        "import sys; from google.cloud import container_v1 as v1\n"
        "client = v1.ClusterManagerClient(client_options={'api_endpoint': sys.argv[1]})\n"
        "print(client.list_clusters(parent='projects/shop-prod/locations/-').clusters[0].name)\n"
    )
    await world.running()
    environment = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(world.cloud.key_file(TESTER)),
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(world.cloud.roots()),
    }
    ran = await asyncio.to_thread(
        subprocess.run,
        [PYTHON, "-c", program, world.cloud.address],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout == "till\n", ran.stderr
