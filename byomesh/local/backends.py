"""What is behind the endpoints of the local GKE's clusters: a control plane of its own, a stand-in, or nothing."""

from __future__ import annotations

from byomesh.local.gke.population import Behind
from byomesh.local.gke.state import Backend, LocalCluster, Running

_NOBODY = "127.0.0.1:9"
"""Discard's port, where nobody listens: a connection is refused at once."""


class StandIns:
    """The backend of clusters that have no control plane of their own; any number of them costs nothing."""

    def __init__(self, authority_pem: bytes) -> None:
        """`authority_pem` is what such a cluster calls its own CA."""
        self._authority = authority_pem

    async def running(self, _behind: Behind) -> Running:
        """What answers for a cluster."""
        return Running(_NOBODY, self._authority)

    async def create(self, cluster: LocalCluster) -> Running:
        """Nothing is to be started."""
        return await self.running(Behind(cluster.options.stand_in))

    async def delete(self, cluster: LocalCluster) -> None:
        """Nothing is to be stopped."""

    async def allow_net_admin(self, cluster: LocalCluster, allowed: bool) -> None:
        """There is no Warden to tell."""

    async def nodes(self, cluster: LocalCluster) -> None:
        """No node ever comes."""


class Backends:
    """Leaves each cluster to the backend that it was made with."""

    def __init__(self, planes: Backend, stand_ins: Backend) -> None:
        self._planes = planes
        self._stand_ins = stand_ins

    async def create(self, cluster: LocalCluster) -> Running:
        """Start what answers for a cluster."""
        return await self._of(cluster).create(cluster)

    async def delete(self, cluster: LocalCluster) -> None:
        """Stop everything of a cluster."""
        await self._of(cluster).delete(cluster)

    async def allow_net_admin(self, cluster: LocalCluster, allowed: bool) -> None:
        """Let Warden allow NET_ADMIN, or not."""
        await self._of(cluster).allow_net_admin(cluster, allowed)

    async def nodes(self, cluster: LocalCluster) -> None:
        """Bring the nodes."""
        await self._of(cluster).nodes(cluster)

    def _of(self, cluster: LocalCluster) -> Backend:
        return self._stand_ins if cluster.options.stand_in else self._planes
