from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import grpc
import pytest
from google.auth.exceptions import RefreshError
from google.cloud import container_v1
from google.cloud.container_v1.services.cluster_manager.transports import ClusterManagerGrpcTransport
from google.rpc import status_pb2  # type: ignore[import-untyped]

from shared import gke
from shared.config import Settings
from shared.errors import ByomeshError, Permanent, Refused, Temporary
from shared.gke import Busy, ControlPlaneAccess, Gke, OperationState, Started
from shared.model import ClusterRef
from tests.unit.grpc_channel import Channel, Fault

REF = ClusterRef("shop-prod", "europe-west1", "checkout")
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
CA = base64.b64encode(PEM.encode()).decode()
Status = grpc.StatusCode


def door(**handlers: Any) -> tuple[Gke, Channel]:
    channel = Channel(**handlers)
    client = container_v1.ClusterManagerClient(transport=ClusterManagerGrpcTransport(channel=channel))
    return Gke(Settings(), client), channel


def failing(method: str, code: grpc.StatusCode, words: str) -> Gke:
    def fail(_: Any) -> Any:
        raise Fault(code, words)

    return door(**{method: fail})[0]


def proto(**fields: Any) -> container_v1.Cluster:
    return container_v1.Cluster({"name": "checkout", "endpoint": "203.0.113.7", **fields})


def test_a_cluster_is_read() -> None:
    found = proto(
        status="RUNNING",
        autopilot={"enabled": True, "workload_policy_config": {"allow_net_admin": True}},
        resource_labels={"team": "shop", "mesh_id": "proj-1"},
        etag="e1",
        current_master_version="1.36.1-gke.1",
        create_time="2026-05-04T09:00:00.000000000Z",
        release_channel={"channel": "RAPID"},
        master_auth={"cluster_ca_certificate": CA},
        cluster_ipv4_cidr="10.4.0.0/17",
        services_ipv4_cidr="34.118.224.0/20",
        ip_allocation_policy={
            "cluster_ipv4_cidr_block": "10.4.0.0/17",
            "services_ipv4_cidr_block": "34.118.224.0/20",
            "subnet_ipv6_cidr_block": "2600:1900:4:5::/64",
            "services_ipv6_cidr_block": "2600:2d00:0:1::/112",
        },
        node_pools=[
            {"name": "a", "network_config": {"pod_ipv4_cidr_block": "172.20.0.0/16"}},
            {"name": "b", "network_config": {"pod_ipv4_cidr_block": "10.4.0.0/17"}},
            {"name": "c", "network_config": {"pod_ipv4_cidr_block": "/14"}},
        ],
    )
    google, channel = door(GetCluster=lambda _: found)
    cluster = google.get(REF)
    assert cluster == gke.Cluster(
        ref=REF,
        status="RUNNING",
        autopilot=True,
        allow_net_admin=True,
        labels={"team": "shop", "mesh_id": "proj-1"},
        etag="e1",
        version="1.36.1-gke.1",
        release_channel="RAPID",
        pod_ranges=("10.4.0.0/17", "172.20.0.0/16", "2600:1900:4:5::/64"),
        service_ranges=("34.118.224.0/20", "2600:2d00:0:1::/112"),
        access=ControlPlaneAccess(endpoint="203.0.113.7", ca_pem=PEM),
        mesh_label="proj-1",
        created=dt.datetime(2026, 5, 4, 9, 0, tzinfo=dt.UTC),
    )
    facts = gke.ClusterFacts(cluster=REF, autopilot=True, labels=cluster.labels, release_channel="RAPID")
    assert cluster.facts == facts
    ((method, request, timeout),) = channel.calls
    assert (method, request.name) == ("GetCluster", str(REF))
    assert timeout is not None
    assert 0 < timeout <= 20


@pytest.mark.parametrize("policy", [{}, {"allow_net_admin": False}, {"autopilot_compatibility_auditing_enabled": True}])
def test_net_admin_is_off_where_it_is_absent_or_false(policy: dict[str, bool]) -> None:
    cluster = gke.read_cluster(REF, proto(autopilot={"enabled": True, "workload_policy_config": policy}))
    assert not cluster.allow_net_admin


def test_a_status_from_the_future_is_its_number() -> None:
    found = proto()
    container_v1.Cluster.pb(found).status = 99
    with pytest.warns(UserWarning, match="99"):
        assert gke.read_cluster(REF, found).status == "99"


DNS = {"endpoint": "gke-1.europe-west1.gke.goog", "allow_external_traffic": True}


@pytest.mark.parametrize(
    ("fields", "endpoint", "ca"),
    [
        ({}, "203.0.113.7", PEM),
        ({"control_plane_endpoints_config": {"dns_endpoint_config": DNS}}, DNS["endpoint"], None),
        (
            {"control_plane_endpoints_config": {"dns_endpoint_config": {**DNS, "allow_external_traffic": False}}},
            "203.0.113.7",
            PEM,
        ),
        (
            {
                "control_plane_endpoints_config": {
                    "ip_endpoints_config": {
                        "enabled": True,
                        "enable_public_endpoint": True,
                        "public_endpoint": "198.51.100.4",
                        "private_endpoint": "10.0.0.2",
                    }
                },
                "endpoint": "10.0.0.2",
            },
            "198.51.100.4",
            PEM,
        ),
        ({"private_cluster_config": {"public_endpoint": "198.51.100.5"}, "endpoint": "10.0.0.2"}, "198.51.100.5", PEM),
        ({"endpoint": "127.0.0.1:6443"}, "127.0.0.1:6443", PEM),
    ],
)
def test_the_way_to_the_control_plane(fields: dict[str, Any], endpoint: str, ca: str | None) -> None:
    found = proto(**{"master_auth": {"cluster_ca_certificate": CA}, **fields})
    assert gke.choose_access(found) == ControlPlaneAccess(endpoint=endpoint, ca_pem=ca)


@pytest.mark.parametrize(
    "fields",
    [
        {"private_cluster_config": {"enable_private_endpoint": True}},
        {"control_plane_endpoints_config": {"ip_endpoints_config": {"enabled": True, "enable_public_endpoint": False}}},
        {
            "control_plane_endpoints_config": {
                "ip_endpoints_config": {"enabled": False},
                "dns_endpoint_config": {**DNS, "allow_external_traffic": False},
            },
            "endpoint": DNS["endpoint"],
        },
        {
            "control_plane_endpoints_config": {"dns_endpoint_config": {**DNS, "allow_external_traffic": False}},
            "endpoint": DNS["endpoint"],
        },
    ],
)
def test_a_private_control_plane_says_what_would_open_it(fields: dict[str, Any]) -> None:
    access = gke.choose_access(proto(**fields))
    assert access.endpoint == ""
    assert "--enable-dns-access" in access.private_only


def test_a_cluster_that_is_being_made_has_no_endpoint_yet() -> None:
    assert "no endpoint of the control plane (yet)" in gke.choose_access(proto(endpoint="")).private_only


def test_a_ca_that_cannot_be_read_is_a_fault() -> None:
    with pytest.raises(Permanent, match="clusterCaCertificate of checkout can't be read"):
        gke.choose_access(proto(master_auth={"cluster_ca_certificate": "!"}))
    with pytest.raises(Permanent, match="clusterCaCertificate of checkout can't be read"):
        gke.choose_access(proto(master_auth={"cluster_ca_certificate": "é"}))


def test_a_missing_cluster_is_gone() -> None:
    with pytest.raises(Permanent, match="Not found: projects/shop-prod") as raised:
        failing("GetCluster", Status.NOT_FOUND, f"Not found: {REF}.").get(REF)
    assert raised.value.reason == gke.CLUSTER_GONE
    assert raised.value.cluster == str(REF)


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (Status.PERMISSION_DENIED, Temporary, "IamNotReady"),
        (Status.UNAUTHENTICATED, Temporary, "IamNotReady"),
        (Status.RESOURCE_EXHAUSTED, Temporary, "ApiUnavailable"),
        (Status.INTERNAL, Temporary, "ApiUnavailable"),
        (Status.INVALID_ARGUMENT, Permanent, "ApiRejected"),
        (Status.UNIMPLEMENTED, Permanent, "ApiRejected"),
    ],
)
def test_faults_of_a_read(code: grpc.StatusCode, kind: type[ByomeshError], reason: str) -> None:
    for method, call in (("GetCluster", "get"), ("GetOperation", "operation")):
        google = failing(method, code, "words")
        arguments: tuple[Any, ...] = (REF,) if call == "get" else ("operation-1", REF)
        with pytest.raises(kind) as raised:
            getattr(google, call)(*arguments)
        assert (raised.value.reason, raised.value.problem) == (reason, f"{code.name}: words")


def test_allow_net_admin_sends_only_that_and_the_etag() -> None:
    google, channel = door(UpdateCluster=lambda _: container_v1.Operation(name="operation-2"))
    started = google.allow_net_admin(REF, "e1")
    assert started == Started("projects/shop-prod/locations/europe-west1/operations/operation-2")
    ((_, request, timeout),) = channel.calls
    expected = container_v1.UpdateClusterRequest(
        name=str(REF),
        update={"desired_autopilot_workload_policy_config": {"allow_net_admin": True}, "etag": "e1"},
    )
    assert request == expected
    google.forbid_net_admin(REF, "e2")
    # A False that is written, not one that is absent.
    assert channel.calls[1][1] == container_v1.UpdateClusterRequest(
        name=str(REF),
        update={"desired_autopilot_workload_policy_config": {"allow_net_admin": False}, "etag": "e2"},
    )
    assert "allow_net_admin" in channel.calls[1][1].update.desired_autopilot_workload_policy_config
    # What the call has left of its minute, once the library has begun with it.
    assert timeout is not None
    assert 0 < timeout <= 60


@pytest.mark.parametrize(
    "words",
    [
        "Cluster is running incompatible operation operation-1-2.",
        "Operation operation-1-2 is currently upgrading cluster checkout. Please wait and try again once it is done.",
        "Cluster is currently being created, deleted, updated or repaired and cannot be updated.",
    ],
)
def test_busy_is_no_error(words: str) -> None:
    google = failing("UpdateCluster", Status.FAILED_PRECONDITION, words)
    assert google.allow_net_admin(REF, "e1") == Busy(f"FAILED_PRECONDITION: {words}")


@pytest.mark.parametrize("code", [Status.FAILED_PRECONDITION, Status.ABORTED])
def test_a_cluster_that_changed_since_it_was_read_is_busy(code: grpc.StatusCode) -> None:
    """A refused delivery would slow down all others, and duplicates at the same moment are nobody's fault."""
    google = failing("UpdateCluster", code, "The etag does not match.")
    assert google.allow_net_admin(REF, "e1") == Busy(f"{code.name}: The etag does not match.")


@pytest.mark.parametrize(
    ("code", "words", "kind", "reason"),
    [
        (Status.FAILED_PRECONDITION, "Workload policy is not supported.", Refused, "NetAdminRefused"),
        (Status.INVALID_ARGUMENT, "Only for Autopilot.", Refused, "NetAdminRefused"),
        (Status.ABORTED, "transaction aborted", Temporary, "ApiUnavailable"),
        (Status.UNAVAILABLE, "down", Temporary, "ApiUnavailable"),
        (Status.DEADLINE_EXCEEDED, "slow", Temporary, "ApiUnavailable"),
        (Status.RESOURCE_EXHAUSTED, "quota", Temporary, "ApiUnavailable"),
        (Status.PERMISSION_DENIED, 'Required "container.clusters.update"', Temporary, "IamNotReady"),
        (Status.NOT_FOUND, "no such cluster", Permanent, gke.CLUSTER_GONE),
    ],
)
def test_faults_of_the_update(code: grpc.StatusCode, words: str, kind: type[ByomeshError], reason: str) -> None:
    with pytest.raises(kind) as raised:
        failing("UpdateCluster", code, words).allow_net_admin(REF, "e1")
    assert (raised.value.reason, raised.value.cluster) == (reason, str(REF))


@pytest.mark.parametrize("code", [Status.FAILED_PRECONDITION, Status.PERMISSION_DENIED, Status.INVALID_ARGUMENT])
def test_an_organisation_policy_refuses_whatever_the_code(code: grpc.StatusCode) -> None:
    words = 'Operation denied by custom org policies: ["customConstraints/custom.noNetAdmin": "ask the mesh team"].'
    with pytest.raises(Refused) as raised:
        failing("UpdateCluster", code, words).allow_net_admin(REF, "e1")
    assert raised.value.reason == "OrgPolicyDenied"
    assert "ask the mesh team" in raised.value.problem
    assert "exempt this project from customConstraints/custom.noNetAdmin" in raised.value.remedy


def test_an_update_without_credentials_is_tried_again() -> None:
    def fail(_: Any) -> Any:
        raise RefreshError("no metadata server")  # type: ignore[no-untyped-call]

    with pytest.raises(Temporary, match="no metadata server") as raised:
        door(UpdateCluster=fail)[0].allow_net_admin(REF, "e1")
    assert raised.value.reason == "CredentialsUnavailable"


def test_an_organisation_policy_without_a_constraints_name() -> None:
    google = failing("UpdateCluster", Status.FAILED_PRECONDITION, "Denied by organization policy.")
    with pytest.raises(Refused, match="the constraint that it names"):
        google.allow_net_admin(REF, "e1")


OPERATION = "projects/shop-prod/locations/europe-west1/operations/operation-2"


@pytest.mark.parametrize("name", ["operation-2", OPERATION])
@pytest.mark.parametrize(
    ("fields", "done", "error"),
    [
        ({"status": "RUNNING", "error": status_pb2.Status(message="not yet")}, False, ""),
        ({"status": "DONE"}, True, ""),
        ({"status": "DONE", "error": status_pb2.Status(code=3, message="no")}, True, "no"),
        ({"status": "DONE", "error": status_pb2.Status(code=3)}, True, "code 3"),
        ({"status": "DONE", "status_message": "older words"}, True, "older words"),
    ],
)
def test_an_operations_state(name: str, fields: dict[str, Any], done: bool, error: str) -> None:
    answer = container_v1.Operation(name="operation-2", operation_type="UPDATE_CLUSTER", **fields)
    google, channel = door(GetOperation=lambda _: answer)
    assert google.operation(name, REF) == OperationState(OPERATION, done, error, "UPDATE_CLUSTER")
    assert channel.calls[0][1].name == OPERATION


def test_an_operation_that_is_forgotten_has_ended() -> None:
    google = failing("GetOperation", Status.NOT_FOUND, "no such operation")
    assert google.operation("operation-2", REF) == OperationState(OPERATION, done=True, error="", kind="")


def test_the_door_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    def make(**options: Any) -> object:
        made.append(options)
        return object()

    monkeypatch.setattr("shared.gke.api.container_v1.ClusterManagerClient", make)
    gke.gke.cache_clear()
    try:
        assert gke.gke() is gke.gke()
    finally:
        gke.gke.cache_clear()
    assert made == [{"client_options": {"api_endpoint": "container.googleapis.com"}}]


def test_a_project_is_listed_with_what_gke_could_not_reach() -> None:
    answer = container_v1.ListClustersResponse(
        clusters=[{"name": "a", "location": "europe-west1"}, {"name": "b", "location": "us-east1-b"}],
        missing_zones=["us-central1-a"],
    )
    google, channel = door(ListClusters=lambda _: answer)
    listing = google.listing("shop-prod")
    assert [str(one.ref) for one in listing.clusters] == [
        "projects/shop-prod/locations/europe-west1/clusters/a",
        "projects/shop-prod/locations/us-east1-b/clusters/b",
    ]
    assert listing.missing_zones == ("us-central1-a",)
    assert listing.clusters[0].created is None
    assert google.list("shop-prod") == tuple(one.ref for one in listing.clusters)
    assert channel.calls[0][1].parent == "projects/shop-prod/locations/-"
