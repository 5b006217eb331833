"""The only door to the GKE API (google-cloud-container)."""

from shared.cluster import UNSETTLED, Cluster, ClusterFacts, ControlPlaneAccess
from shared.gke.api import CLUSTER_GONE, Busy, Gke, Listing, OperationState, Started, gke
from shared.gke.reading import choose_access, read_cluster

__all__ = [
    "CLUSTER_GONE",
    "UNSETTLED",
    "Busy",
    "Cluster",
    "ClusterFacts",
    "ControlPlaneAccess",
    "Gke",
    "Listing",
    "OperationState",
    "Started",
    "choose_access",
    "gke",
    "read_cluster",
]
