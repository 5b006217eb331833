"""Clusters and operations of the local GKE: pure data, and the names, ranges and etags that GKE gives them."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import ipaddress
import itertools
import re
import uuid
from collections.abc import Iterator
from typing import Any, Protocol

from google.cloud import container_v1

from shared.model import ClusterRef

MASTER_VERSION = "1.36.3-gke.1"
SERVICES_CIDR = "34.118.224.0/20"
"""The Service range that GKE itself gives to clusters that ask for none
(https://cloud.google.com/kubernetes-engine/docs/concepts/alias-ips#gke-managed-ranges)."""

API = "https://container.googleapis.com"

# proto-plus has no types for its enums: a checker takes their members for plain numbers.
Status: Any = container_v1.Cluster.Status
OperationStatus: Any = container_v1.Operation.Status
OperationType: Any = container_v1.Operation.Type
Channel: Any = container_v1.ReleaseChannel.Channel

_ZONE = re.compile(r"[a-z]+-[a-z]+\d+-[a-z]")


@dataclasses.dataclass(frozen=True, slots=True)
class LocalOptions:
    """What a local cluster has beside the fields of GKE's API.

    Attributes:
        operation_seconds: how long each operation on it takes at least, before the pace divides it.
        node_seconds: from RUNNING to the first nodes, before the pace divides it.
        principal: who creates it, as its audit entries say; None means the caller.
        user_agent: the creator's client, likewise.
        api_version: `v1` or `v1beta1`: the method name of its creation's audit entries.
        dns_endpoint: the DNS endpoint's name where the request asks for one; None means one like GKE's.
        managed_namespaces: whether an Autopilot cluster lets nobody write to kube-system and GKE's other namespaces.
        nodes: how many nodes come after `node_seconds`. Autopilot would bring one for every pod that needs it.
        stand_in: what answers in place of a control plane of its own (`byomesh.local.backends`); "" where it has one.
    """

    operation_seconds: float = 60.0
    node_seconds: float = 0.0
    principal: str | None = None
    user_agent: str | None = None
    api_version: str = "v1"
    dns_endpoint: str | None = None
    managed_namespaces: bool = True
    nodes: int = 2
    stand_in: str = ""


@dataclasses.dataclass(slots=True)
class LocalCluster:
    """One cluster.

    Attributes:
        ref: its name.
        proto: what the API answers about it; changed only under `touch`.
        options: what the API doesn't know.
        operation: name of the operation that runs on it; None where none does.
        failure: why it is in ERROR; "" where it isn't.
    """

    ref: ClusterRef
    proto: container_v1.Cluster
    options: LocalOptions
    operation: str | None = None
    failure: str = ""

    @property
    def autopilot(self) -> bool:
        """Whether Warden guards it."""
        return bool(self.proto.autopilot.enabled)

    @property
    def net_admin(self) -> bool:
        """Whether NET_ADMIN is allowed on it; a Standard cluster allows it without asking."""
        return not self.autopilot or bool(self.proto.autopilot.workload_policy_config.allow_net_admin)

    @property
    def pods_cidr(self) -> str:
        """The pods' range."""
        return str(self.proto.cluster_ipv4_cidr)

    @property
    def services_cidr(self) -> str:
        """The Services' range."""
        return str(self.proto.services_ipv4_cidr)

    def touch(self) -> None:
        """Give it the etag of what it is now."""
        self.proto.etag = ""
        self.proto.etag = hashlib.sha256(container_v1.Cluster.serialize(self.proto)).hexdigest()[:16]


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """A control plane that is up.

    Attributes:
        endpoint: `127.0.0.1:PORT`.
        ca_pem: the certificate that its own certificate was issued by.
    """

    endpoint: str
    ca_pem: bytes


class Backend(Protocol):
    """What makes the clusters real."""

    async def create(self, cluster: LocalCluster) -> Running:
        """Start a control plane; returns when it answers."""

    async def delete(self, cluster: LocalCluster) -> None:
        """Stop everything of it."""

    async def allow_net_admin(self, cluster: LocalCluster, allowed: bool) -> None:
        """Let Warden allow NET_ADMIN on it, or not."""

    async def nodes(self, cluster: LocalCluster) -> None:
        """Bring its nodes; called `node_seconds` after it is RUNNING."""


@dataclasses.dataclass(frozen=True, slots=True)
class OrgPolicy:
    """A custom organisation constraint that denies allow-net-admin in a project.

    Attributes:
        constraint: its name less `customConstraints/`.
        description: what GKE quotes as the reason.
    """

    constraint: str = "custom.denyAllowNetAdmin"
    description: str = "NET_ADMIN must stay disabled on Autopilot clusters."


def is_zone(location: str) -> bool:
    """Whether a location is a zone (`europe-west1-b`), not a region (`europe-west1`)."""
    return _ZONE.fullmatch(location) is not None


def zonal_name(ref: ClusterRef, kind: str = "clusters", name: str | None = None) -> str:
    """The resource name as GKE's audit log and error texts write it: `zones/` for a zone, `locations/` for a region."""
    word = "zones" if is_zone(ref.location) else "locations"
    return f"projects/{ref.project}/{word}/{ref.location}/{kind}/{name or ref.name}"


def timestamp(moment: dt.datetime) -> str:
    """RFC 3339 in UTC with nanoseconds, as GKE writes it."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def operation_id(moment: dt.datetime) -> str:
    """A new operation's bare id, `operation-MILLISECONDS-UUID`."""
    return f"operation-{int(moment.timestamp() * 1000)}-{uuid.uuid4()}"


def pod_ranges() -> Iterator[str]:
    """Ranges for the pods of clusters that ask for none: one /17 after another, inside 10.0.0.0/8."""
    for block in itertools.cycle(ipaddress.ip_network("10.64.0.0/10").subnets(new_prefix=17)):
        yield str(block)


def cluster_of(
    ref: ClusterRef, asked: container_v1.Cluster, options: LocalOptions, *, pods: str, now: dt.datetime
) -> LocalCluster:
    """The cluster that a CreateCluster request asks for, in PROVISIONING, with everything that GKE fills in."""
    proto = container_v1.Cluster()
    container_v1.Cluster.copy_from(proto, asked)
    policy = proto.ip_allocation_policy
    pods = policy.cluster_ipv4_cidr_block or proto.cluster_ipv4_cidr or pods
    services = policy.services_ipv4_cidr_block or proto.services_ipv4_cidr or SERVICES_CIDR
    policy.use_ip_aliases = True
    policy.cluster_ipv4_cidr_block = proto.cluster_ipv4_cidr = pods
    policy.services_ipv4_cidr_block = proto.services_ipv4_cidr = services
    proto.id = hashlib.sha256(f"{ref}{now}".encode()).hexdigest()
    proto.location = proto.zone = ref.location
    proto.locations = proto.locations or ([ref.location] if is_zone(ref.location) else [f"{ref.location}-b"])
    proto.self_link = f"{API}/v1/{zonal_name(ref)}"
    proto.create_time = timestamp(now)
    proto.initial_cluster_version = proto.initial_cluster_version or MASTER_VERSION
    proto.current_master_version = MASTER_VERSION
    if proto.release_channel.channel == Channel.UNSPECIFIED:
        proto.release_channel.channel = Channel.REGULAR
    proto.label_fingerprint = fingerprint(dict(proto.resource_labels))
    proto.status = Status.PROVISIONING
    cluster = LocalCluster(ref, proto, options)
    cluster.touch()
    return cluster


def fingerprint(labels: dict[str, str]) -> str:
    """The fingerprint of resource labels, that a SetLabels must know."""
    return hashlib.sha256(repr(sorted(labels.items())).encode()).hexdigest()[:8]


def open_endpoints(cluster: LocalCluster, running: Running) -> None:
    """Write a running control plane's addresses into the cluster, by the endpoints that were asked for.

    Without a public endpoint `endpoint` is a private address that nobody on this machine answers at.
    """
    proto = cluster.proto
    host = running.endpoint  # with its port: the only address that answers here
    endpoints = proto.control_plane_endpoints_config
    asked = endpoints.ip_endpoints_config
    public = asked.enable_public_endpoint if "enable_public_endpoint" in asked else True
    enabled = asked.enabled if "enabled" in asked else True
    asked.enabled, asked.enable_public_endpoint = enabled, public
    asked.private_endpoint = "10.0.0.2"
    if public:
        asked.public_endpoint = host
    if "dns_endpoint_config" in endpoints:
        endpoints.dns_endpoint_config.endpoint = cluster.options.dns_endpoint or _dns_name(cluster)
    if enabled:
        proto.endpoint = running.endpoint if public else asked.private_endpoint
    else:
        proto.endpoint = endpoints.dns_endpoint_config.endpoint
    proto.private_cluster_config.enable_private_endpoint = not public
    proto.private_cluster_config.private_endpoint = asked.private_endpoint
    proto.private_cluster_config.public_endpoint = host if public else ""
    proto.master_auth.cluster_ca_certificate = base64.b64encode(running.ca_pem).decode()


def describe(cluster: LocalCluster) -> dict[str, Any]:
    """The cluster as JSON-able data for an operator."""
    return {
        "name": str(cluster.ref),
        "status": Status(cluster.proto.status).name,
        "autopilot": cluster.autopilot,
        "net_admin": cluster.net_admin,
        "endpoint": cluster.proto.endpoint,
        "pods_cidr": cluster.pods_cidr,
        "services_cidr": cluster.services_cidr,
        "labels": dict(cluster.proto.resource_labels),
        "operation": cluster.operation,
        "failure": cluster.failure,
    }


def _dns_name(cluster: LocalCluster) -> str:
    return f"gke-{cluster.proto.id[:32]}.{cluster.ref.location}.gke.goog"
