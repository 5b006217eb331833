"""What makes the local GKE's clusters real: a control plane each, Warden, GKE's own CRDs, and nodes when due."""

from __future__ import annotations

import asyncio
import json
import shutil

from byomesh.local import gateway_api, managed_namespaces, warden
from byomesh.local.authority import Authority
from byomesh.local.build import Binaries
from byomesh.local.gke.state import LocalCluster, Running
from byomesh.local.home import Home
from byomesh.local.inhabitants import Inhabitants
from byomesh.local.kubernetes import ClusterSettings, ControlPlane, Webhook
from shared.model import ClusterRef


def folder_name(ref: ClusterRef) -> str:
    """One name for a cluster's folder and webhook path, unlike any other cluster's."""
    return f"{ref.project}_{ref.location}_{ref.name}"


class Clusters:
    """The backend of the local GKE.

    Attributes:
        planes: the control planes that are up.
        inhabitants: who answers in their networks.
    """

    def __init__(
        self, *, home: Home, binaries: Binaries, authority: Authority, guard: warden.Warden, pod_seconds: float
    ) -> None:
        self.planes: dict[ClusterRef, ControlPlane] = {}
        self.inhabitants: dict[ClusterRef, Inhabitants] = {}
        self._home = home
        self._binaries = binaries
        self._authority = authority
        self._guard = guard
        self._pod_seconds = pod_seconds
        self.webhooks = ""
        """https URL of the local cloud's webhooks; set before the first cluster is made."""

    async def create(self, cluster: LocalCluster) -> Running:
        """Start a control plane with what GKE has pre-installed; returns when it answers."""
        folder = self._home.cluster_folder(folder_name(cluster.ref))
        # A cluster of that name may have been there before; nothing of it comes back.
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        managed = Webhook(
            f"{self.webhooks}{managed_namespaces.PATH}", self._authority.pem, tuple(managed_namespaces.conditions())
        )
        settings = ClusterSettings(
            pods_cidr=cluster.pods_cidr,
            services_cidr=cluster.services_cidr,
            pod_seconds=self._pod_seconds,
            authentication=Webhook(f"{self.webhooks}/iam/authenticate", self._authority.pem),
            authorization=Webhook(f"{self.webhooks}/iam/authorize", self._authority.pem),
            managed=managed if cluster.autopilot and cluster.options.managed_namespaces else None,
        )
        plane = ControlPlane(cluster.ref.name, folder, self._binaries, settings)
        self.planes[cluster.ref] = plane
        # The API server dials webhooks through the cluster's network, those at a URL too.
        address = self.webhooks.removeprefix("https://")
        plane.network.answer(address, int(address.rpartition(":")[2]))
        await plane.start()
        inhabitants = self.inhabitants[cluster.ref] = Inhabitants(plane)
        await inhabitants.start()
        objects = gateway_api.definitions()
        if cluster.autopilot:
            self._guard.guard(folder_name(cluster.ref), allow_net_admin=cluster.net_admin)
            url = f"{self.webhooks}/warden/{folder_name(cluster.ref)}"
            objects = [*objects, warden.webhook_configuration(url, self._authority.pem)]
        await _create(plane, objects)
        return Running(plane.endpoint, plane.ca_pem)

    async def delete(self, cluster: LocalCluster) -> None:
        """Stop everything of a cluster."""
        self._guard.forget(folder_name(cluster.ref))
        inhabitants = self.inhabitants.pop(cluster.ref, None)
        if inhabitants is not None:
            await inhabitants.stop()
        plane = self.planes.pop(cluster.ref, None)
        if plane is not None:
            await plane.stop()

    async def allow_net_admin(self, cluster: LocalCluster, allowed: bool) -> None:
        """Let Warden allow NET_ADMIN, or not."""
        self._guard.guard(folder_name(cluster.ref), allow_net_admin=allowed)

    async def nodes(self, cluster: LocalCluster) -> None:
        """Bring the nodes."""
        plane = self.planes[cluster.ref]
        for number in range(1, cluster.options.nodes + 1):
            await plane.add_node(f"gk3-{cluster.ref.name}-{number}", project=cluster.ref.project)

    async def close(self) -> None:
        """Stop every control plane."""
        await asyncio.gather(*(inhabitants.stop() for inhabitants in self.inhabitants.values()))
        self.inhabitants.clear()
        await asyncio.gather(*(plane.stop() for plane in self.planes.values()))
        self.planes.clear()


_PATHS = {
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "ValidatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
}


async def _create(plane: ControlPlane, objects: list[dict[str, object]]) -> None:
    """Create objects as an administrator, side by side."""
    async with plane.client() as session:

        async def create(body: dict[str, object]) -> None:
            async with session.post(
                _PATHS[str(body["kind"])], data=json.dumps(body), headers={"Content-Type": "application/json"}
            ) as answer:
                if answer.status not in (201, 409):
                    raise RuntimeError(f"{plane.name} refused {body['kind']}: {(await answer.text())[:500]}")

        await asyncio.gather(*(create(body) for body in objects))
