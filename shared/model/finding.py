"""What differs between a cluster and the policy, by name."""

from __future__ import annotations

import enum


class Finding(enum.StrEnum):
    """One difference; its value is the reason of a status that reports it, and a constant of the messages."""

    NET_ADMIN_REQUIRED_BUT_OFF = "NetAdminRequiredButOff"
    """The policy requires allow-net-admin, and the cluster has it off."""
    NET_ADMIN_FORBIDDEN_BUT_ON = "NetAdminForbiddenButOn"
    """The policy forbids allow-net-admin, and the cluster has it on."""
    MESH_MISSING = "MeshMissing"
    """The policy wants a mesh that isn't on the cluster."""
    MESH_OUTDATED = "MeshOutdated"
    """The mesh is of another version than the policy, or the profile, says."""
    MESH_DRIFTED = "MeshDrifted"
    """Objects of the mesh are gone, or not as its release has them."""
    CLUSTER_NETWORKS_DRIFTED = "ClusterNetworksDrifted"
    """clusterNetworks leaves out addresses of the cluster."""
    CERTIFICATE_NEAR_END = "CertificateNearEnd"
    """A certificate of the mesh is near its end, has ended, or is missing."""
    NEVER_PROCESSED = "NeverProcessed"
    """The policy wants a mesh, and the log knows of no look at the cluster."""
    CLUSTER_GONE = "ClusterGone"
    """A cluster with a mesh doesn't exist any more."""

    @property
    def words(self) -> str:
        """The same in half a sentence."""
        return _WORDS[self]


_WORDS = {
    Finding.NET_ADMIN_REQUIRED_BUT_OFF: "allow-net-admin is off, and the policy requires it",
    Finding.NET_ADMIN_FORBIDDEN_BUT_ON: "allow-net-admin is on, and the policy forbids it",
    Finding.MESH_MISSING: "the mesh that the policy wants is not there",
    Finding.MESH_OUTDATED: "the mesh is of another version than the one wished",
    Finding.MESH_DRIFTED: "objects of the mesh are gone or not as its release has them",
    Finding.CLUSTER_NETWORKS_DRIFTED: "clusterNetworks leaves out addresses of the cluster",
    Finding.CERTIFICATE_NEAR_END: "a certificate of the mesh is near its end or missing",
    Finding.NEVER_PROCESSED: "the policy wants a mesh, and the log tells of no look at the cluster",
    Finding.CLUSTER_GONE: "the cluster doesn't exist any more",
}
