"""A GKE cluster as this package sees it, and the way to its control plane; pure data that several rooms share."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.model import ClusterRef

DNS_ENDPOINT_SUFFIX = ".gke.goog"
"""Hosts under it have a certificate of a public authority: the cluster's own CA must not be used there."""

UNSETTLED = frozenset({"PROVISIONING", "RECONCILING", "STOPPING", "STATUS_UNSPECIFIED"})
"""Cluster statuses that pass by themselves (google.container.v1.Cluster.Status)."""


class ControlPlaneAccess(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a cluster's API server.

    Attributes:
        endpoint: `host` or `host:port` for HTTPS; "" where there is no way.
        ca_pem: the cluster's own CA in PEM; None where the system's authorities vouch for the endpoint.
        private_only: why there is no way from outside the cluster's network, and what would open one; "" where
            there is a way.
    """

    endpoint: str
    ca_pem: str | None = None
    private_only: str = ""

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.endpoint}"


def is_dns_endpoint(endpoint: str) -> bool:
    """Whether `endpoint` (`host` or `host:port`) is GKE's DNS-based one."""
    return endpoint.partition(":")[0].rstrip(".").endswith(DNS_ENDPOINT_SUFFIX)


def gcloud_update(ref: ClusterRef | None, option: str) -> str:
    """The command by which somebody changes a cluster; with placeholders where its name isn't known."""
    name, project, location = (ref.name, ref.project, ref.location) if ref else ("NAME", "PROJECT", "LOCATION")
    return f"gcloud container clusters update {name} --project {project} --location {location} {option}"


class ClusterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy looks at.

    Attributes:
        cluster: which one.
        autopilot: whether GKE manages its nodes.
        labels: GKE resource labels.
        release_channel: RAPID, REGULAR, STABLE, EXTENDED or UNSPECIFIED.
        folders: the folders above the project, from the nearest up, as `folders/NUMBER` or by display name; () where
            nobody asked.
    """

    cluster: ClusterRef
    autopilot: bool
    labels: dict[str, str]
    release_channel: str = "UNSPECIFIED"
    folders: tuple[str, ...] = ()


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster, from google.container.v1.Cluster.

    Attributes:
        ref: its name.
        status: PROVISIONING, RUNNING, RECONCILING, STOPPING, ERROR or DEGRADED.
        status_message: GKE's words about an unhealthy status.
        autopilot: whether it is an Autopilot cluster.
        allow_net_admin: whether the workload policy allows NET_ADMIN; absent is no.
        labels: resource labels.
        etag: changes with every change, for optimistic locking.
        version: the control plane's Kubernetes version, such as `1.36.1-gke.1000`.
        release_channel: RAPID, REGULAR, STABLE, EXTENDED or UNSPECIFIED.
        pod_ranges: CIDRs of pods, IPv4 and IPv6, node pools' own included; no duplicates, stable order.
        service_ranges: CIDRs of Services, likewise.
        access: the way to its control plane.
        mesh_label: value of the label `mesh_id` that Cloud Service Mesh puts on clusters, or "".
        created: when it was created (`create_time`); None where GKE doesn't say.
    """

    ref: ClusterRef
    status: str
    status_message: str = ""
    autopilot: bool = False
    allow_net_admin: bool = False
    labels: dict[str, str] = {}
    etag: str = ""
    version: str = ""
    release_channel: str = "UNSPECIFIED"
    pod_ranges: tuple[str, ...] = ()
    service_ranges: tuple[str, ...] = ()
    access: ControlPlaneAccess
    mesh_label: str = ""
    created: dt.datetime | None = None

    @property
    def facts(self) -> ClusterFacts:
        """What the policy looks at."""
        return ClusterFacts(
            cluster=self.ref, autopilot=self.autopilot, labels=self.labels, release_channel=self.release_channel
        )
