"""Many stand-in clusters at once: what GKE says of clusters that have been there for a while. Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Container, Iterator

import msgspec
from google.cloud import container_v1

from byomesh.local.gke.state import MASTER_VERSION
from shared.errors import Permanent
from shared.model import ClusterRef

MOST = 100_000
"""Clusters in one population; a fleet of that size takes about 1 GiB."""

_PREFIX = re.compile(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?")
_NODE = {
    "machine_type": "e2-medium",
    "disk_size_gb": 100,
    "disk_type": "pd-balanced",
    "image_type": "COS_CONTAINERD",
    "oauth_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
    "service_account": "default",
    "metadata": {"disable-legacy-endpoints": "true"},
    "shielded_instance_config": {"enable_integrity_monitoring": True},
    "workload_metadata_config": {"mode": "GKE_METADATA"},
}


class NetAdmin(enum.StrEnum):
    """Which of the clusters allow NET_ADMIN."""

    ON = "on"
    OFF = "off"
    MIXED = "mixed"


class Behind(enum.StrEnum):
    """What answers at the endpoint of a stand-in cluster.

    Values:
        NOTHING: connections are refused.
        KUBERNETES: an API server in memory, on which a mesh can be installed (`byomesh.local.stand_in`).
        NEVER_READY: the same, but its pods never get ready: their images can't be pulled.
        UNAVAILABLE: an API server that answers every request with 503.
        SLOW: an API server in memory that thinks for two seconds about each request.
        SILENT: connections are taken, and nothing is ever said.
    """

    NOTHING = "nothing"
    KUBERNETES = "kubernetes"
    NEVER_READY = "never-ready"
    UNAVAILABLE = "unavailable"
    SLOW = "slow"
    SILENT = "silent"


class Envelope(enum.StrEnum):
    """How the audit entries of the clusters' creation are delivered.

    Values:
        NONE: not at all: nobody has heard of these clusters.
        EVENTARC: both entries, as CloudEvents.
        SINK: the last one, in a Pub/Sub message as a log sink of an organisation publishes it.
        BOTH: either way, so that each creation comes twice.
    """

    NONE = "none"
    EVENTARC = "eventarc"
    SINK = "sink"
    BOTH = "both"


class Population(msgspec.Struct, frozen=True, kw_only=True):
    """What `byomesh local populate` asks for.

    Attributes:
        clusters: how many.
        projects: over how many projects they are spread, evenly.
        project: the project of all; with several, the beginning of their ids (`PROJECT-001`, …).
        locations: regions or zones, in turn.
        autopilot: their mode.
        labels: resource labels of each.
        net_admin: which Autopilot clusters allow NET_ADMIN; `mixed` is every second one.
        prefix: begins their names, which go on with a number.
        behind: what answers at their endpoints.
        envelope: how their creation is told.
        operation_seconds: real seconds that each operation on one of them takes.
        busy: whether an operation that never ends runs on each, so that none can be updated.
    """

    clusters: int
    project: str
    projects: int = 1
    locations: tuple[str, ...] = ("europe-west1",)
    autopilot: bool = True
    labels: dict[str, str] = {}
    net_admin: NetAdmin = NetAdmin.OFF
    prefix: str = "fleet"
    behind: Behind = Behind.NOTHING
    envelope: Envelope = Envelope.NONE
    operation_seconds: float = 2.0
    busy: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.clusters <= MOST:
            raise ValueError(f"between 1 and {MOST} clusters can be made at once, not {self.clusters}")
        if not 1 <= self.projects <= self.clusters:
            raise ValueError(f"{self.clusters} clusters can't be spread over {self.projects} projects")
        if not self.locations:
            raise ValueError("clusters need a location")
        if _PREFIX.fullmatch(self.prefix) is None:
            raise ValueError(f"the names can't begin with {self.prefix!r}: letters, digits and hyphens, 30 at most")

    def names(self, taken: Container[ClusterRef] = ()) -> Iterator[ClusterRef]:
        """The clusters' names, none of them among `taken`.

        Raises:
            ValueError: a project or a location can't be one.
        """
        number, made = 0, 0
        while made < self.clusters:
            number += 1
            ref = self._name(number)
            if ref not in taken:
                made += 1
                yield ref

    def _name(self, number: int) -> ClusterRef:
        project = self.project
        if self.projects > 1:
            project = f"{project}-{(number - 1) % self.projects + 1:03}"
        location = self.locations[(number - 1) // self.projects % len(self.locations)]
        try:
            return ClusterRef.parse(f"projects/{project}/locations/{location}/clusters/{self.prefix}-{number:05}")
        except Permanent as error:
            raise ValueError(error.problem) from error

    def allows_net_admin(self, position: int) -> bool:
        """Whether the cluster at a position, from 0, allows NET_ADMIN."""
        return self.net_admin is NetAdmin.ON or (self.net_admin is NetAdmin.MIXED and position % 2 == 1)


def asked(ref: ClusterRef, population: Population, position: int) -> container_v1.Cluster:
    """The cluster that its creator asked for, as large as GKE's answers about such clusters are."""
    cluster = container_v1.Cluster()
    container_v1.Cluster.copy_from(cluster, _common(population.autopilot))
    cluster.name = ref.name
    cluster.resource_labels = population.labels
    cluster.subnetwork = f"nodes-{ref.location}"
    if population.autopilot:
        cluster.autopilot.enabled = True
        if population.allows_net_admin(position):
            cluster.autopilot.workload_policy_config.allow_net_admin = True
    return cluster


_made: dict[bool, container_v1.Cluster] = {}


def _common(autopilot: bool) -> container_v1.Cluster:
    """What all clusters of a mode have in common; made once, since ten thousand are copied from it."""
    if autopilot not in _made:
        _made[autopilot] = container_v1.Cluster(
            network="shared-vpc",
            logging_service="logging.googleapis.com/kubernetes",
            monitoring_service="monitoring.googleapis.com/kubernetes",
            addons_config={
                "http_load_balancing": {},
                "horizontal_pod_autoscaling": {},
                "gce_persistent_disk_csi_driver_config": {"enabled": True},
                "gcp_filestore_csi_driver_config": {"enabled": autopilot},
            },
            network_config={"network": "projects/shared/global/networks/shared-vpc", "datapath_provider": 2},
            workload_identity_config={"workload_pool": "shared.svc.id.goog"},
            shielded_nodes={"enabled": True},
            current_node_version=MASTER_VERSION,
            node_pools=[_pool(name) for name in (("default-pool", "pool-1", "pool-2") if autopilot else ("default",))],
        )
    return _made[autopilot]


def _pool(name: str) -> dict[str, object]:
    groups = (
        "https://www.googleapis.com/compute/v1/projects/shared/zones/europe-west1-{}/instanceGroupManagers/gk3-{}-grp"
    )
    return {
        "name": name,
        "config": _NODE,
        "initial_node_count": 1,
        "version": MASTER_VERSION,
        "status": 2,
        "management": {"auto_upgrade": True, "auto_repair": True},
        "autoscaling": {"enabled": True, "max_node_count": 1000},
        "max_pods_constraint": {"max_pods_per_node": 32},
        "upgrade_settings": {"max_surge": 1, "strategy": 3},
        "instance_group_urls": [groups.format(zone, f"{name}-{zone * 8}") for zone in "bcd"],
        "self_link": f"https://container.googleapis.com/v1/projects/shared/locations/europe-west1/nodePools/{name}",
        "network_config": {"pod_range": f"gke-pods-{name}", "enable_private_nodes": True},
    }
