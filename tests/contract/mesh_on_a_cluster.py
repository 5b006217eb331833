"""One cluster with all that is needed to bring a mesh about on it: the real doors, and a fleet's trust in memory."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import datetime as dt
import functools
import gzip
import json
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ParamSpec

import msgspec

from byomesh.local.build import Binaries
from byomesh.local.kubernetes import ControlPlane
from shared import gke
from shared.config import Settings
from shared.helm import Helm
from shared.kube import Kube, from_kubeconfig
from shared.mesh import apply, lease, readiness
from shared.mesh.engine import Mesh
from shared.mesh.plan import Kind, Plan
from shared.mesh.profile import load_profile
from shared.model import ClusterRef
from tests.unit.doors import CHARTS, MemoryStore

Json = dict[str, Any]
_P = ParamSpec("_P")

PROFILE = load_profile("linkerd")
LINKERD = "/api/v1/namespaces/linkerd"
CONFIG = f"{LINKERD}/configmaps/linkerd-config"
DEPLOYMENTS = "/apis/apps/v1/namespaces/linkerd/deployments"
SECRETS = f"{LINKERD}/secrets"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"
INJECTOR = f"{WEBHOOKS}/mutatingwebhookconfigurations/linkerd-proxy-injector-webhook-config"


def beside_the_loop(test: Callable[_P, None]) -> Callable[_P, Coroutine[Any, Any, None]]:
    """Make a test of the blocking doors one that leaves the event loop to the cluster's own network."""

    @functools.wraps(test)
    async def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        await asyncio.to_thread(test, *args, **kwargs)

    return run


@dataclasses.dataclass
class World:
    """One cluster, as the functions see it."""

    kube: Kube
    helm: Helm
    settings: Settings
    store: MemoryStore
    cluster: gke.Cluster
    kubeconfig: Path

    @classmethod
    def of(cls, plane: ControlPlane, binaries: Binaries, folder: Path) -> World:
        """The world around a running control plane."""
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(plane.admin_kubeconfig())
        kubeconfig.chmod(0o600)
        settings = Settings(project="mesh", charts=str(CHARTS), helm=str(binaries.helm))
        cluster = gke.Cluster(
            ref=ClusterRef("shop", "europe-west1", "eu-1"),
            status="RUNNING",
            autopilot=True,
            allow_net_admin=True,
            pod_ranges=(plane.settings.pods_cidr,),
            service_ranges=(plane.settings.services_cidr,),
            access=gke.ControlPlaneAccess(endpoint=plane.endpoint),
        )
        helm = Helm(settings, kubeconfig, cluster=str(cluster.ref))
        return cls(from_kubeconfig(kubeconfig), helm, settings, MemoryStore(), cluster, kubeconfig)

    def mesh(self, **values: Any) -> Mesh:
        """The mesh to be brought about; `values` are laid over the control plane's."""
        crds, control = PROFILE.releases
        control = msgspec.structs.replace(control, values={**control.values, **values})
        profile = msgspec.structs.replace(PROFILE, releases=(crds, control))
        return Mesh(profile, self.cluster, self.kube, self.helm, self.settings, self.store, now)

    def plan(self, **values: Any) -> Plan:
        """What would be done now."""
        return self.mesh(**values).plan()

    def bring_about(self, **values: Any) -> Plan:
        """Do what is to be done, as install_mesh does it, and return what it was."""
        mesh = self.mesh(**values)
        plan = mesh.plan()
        assert plan.kind is not Kind.REFUSE, plan.reason
        if plan.kind is not Kind.NOTHING:
            taken = lease.take(self.kube, "test", 300)
            assert isinstance(taken, lease.Lease)
            with taken:
                apply.carry_out(plan, self.kube, self.helm, mesh.desired.ours, taken)
        return plan

    def get(self, path: str) -> Json:
        """An object that is there."""
        found = self.kube.get(path)
        assert found is not None, path
        return found

    def edit(self, path: str, body: Json, *, manager: str, strategic: bool = False) -> Json:
        """Somebody else's patch."""
        return self.kube.patch(path, body, kind="strategic" if strategic else "merge", field_manager=manager)

    def until_ready(self) -> None:
        """Wait for the Deployments."""
        until(lambda: not readiness.look(self.kube, PROFILE))

    def record_of(self, release: str) -> tuple[str, Json]:
        """Path and body of the newest record of a release."""
        found = self.kube.list_items(SECRETS, label_selector=f"owner=helm,name={release}")
        newest = max(found, key=lambda one: int(one["metadata"]["labels"]["version"]))
        return f"{SECRETS}/{newest['metadata']['name']}", newest

    def set_status(self, release: str, status: str) -> str:
        """Make the newest record of a release say another status, such as a killed Helm leaves; returns its path."""
        path, record = self.record_of(release)
        packed = base64.b64decode(base64.b64decode(record["data"]["release"]))
        stored = json.loads(gzip.decompress(packed))
        stored["info"]["status"] = status
        again = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(stored).encode()))).decode()
        self.edit(path, {"metadata": {"labels": {"status": status}}, "data": {"release": again}}, manager="Helm")
        return path


def now() -> dt.datetime:
    """The time."""
    return dt.datetime.now(dt.UTC)


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for what is to come true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)
