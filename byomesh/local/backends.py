"""What is behind the endpoints of the local GKE's clusters: a control plane of its own, a stand-in, or nothing."""

from __future__ import annotations

from byomesh.local.gke.population import Behind
from byomesh.local.gke.state import Backend, LocalCluster, Running
from byomesh.local.stand_in import Manner, StandIn
from byomesh.local.stand_in.cluster import Facts, populated

_NOBODY = "127.0.0.1:9"
"""Discard's port, where nobody listens: a connection is refused at once."""
_MANNERS = {Behind.UNAVAILABLE: Manner.UNAVAILABLE, Behind.SLOW: Manner.SLOW}


class StandIns:
    """The backend of clusters that have no control plane of their own; any number of them costs nearly nothing."""

    def __init__(self, authority_pem: bytes, server: StandIn) -> None:
        """Nothing is started yet.

        Args:
            authority_pem: what such a cluster calls its own CA; `server`'s certificate is of it.
            server: answers for the clusters that have a stand-in.
        """
        self.server = server
        self._authority = authority_pem

    async def create(self, cluster: LocalCluster) -> Running:
        """Have a cluster answered for, if somebody is to."""
        behind = Behind(cluster.options.stand_in)
        if behind is Behind.NOTHING:
            return Running(_NOBODY, self._authority)
        if behind is Behind.SILENT:
            return Running(await self.server.silent(), self._authority)
        facts = Facts(
            name=cluster.ref.name,
            autopilot=cluster.autopilot,
            net_admin=lambda: cluster.net_admin,
            pods=cluster.pods_cidr,
            services=cluster.services_cidr,
            pods_get_ready=behind is not Behind.NEVER_READY,
        )
        manner = _MANNERS.get(behind, Manner.PROMPT)
        return Running(await self.server.serve(str(cluster.ref), populated(facts), manner), self._authority)

    async def delete(self, cluster: LocalCluster) -> None:
        """Let nobody answer for a cluster any more."""
        self.server.forget(str(cluster.ref))

    async def allow_net_admin(self, cluster: LocalCluster, allowed: bool) -> None:
        """Its stand-in asks for itself."""

    async def nodes(self, cluster: LocalCluster) -> None:
        """A stand-in has them from the start."""


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
