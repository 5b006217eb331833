"""Stand-ins for the doors that the stages take: GKE's API, Helm, and the fleet's trust."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from shared import gke, secret_manager
from shared.config import Settings
from shared.errors import ByomeshError
from shared.helm import Helm, HelmResult
from shared.mesh.drift import owned_by_helm
from shared.mesh.fleet import SecretStore
from shared.mesh.releases import decode_release, newest
from shared.model import ClusterRef
from tests.unit.memory_kube import Json, MemoryKube

CHARTS = Path(__file__).parents[1] / "charts"
EU1 = ClusterRef("shop", "europe-west1", "eu-1")
NOW = dt.datetime(2026, 5, 4, 9, 0, tzinfo=dt.UTC)
SETTINGS = Settings(project="mesh", charts=str(CHARTS))


def clock() -> dt.datetime:
    return NOW


def autopilot(**changes: Any) -> gke.Cluster:
    """A running Autopilot cluster where NET_ADMIN is allowed, unless `changes` say otherwise."""
    facts: dict[str, Any] = {
        "ref": EU1,
        "status": "RUNNING",
        "autopilot": True,
        "allow_net_admin": True,
        "etag": "e1",
        "pod_ranges": ("10.4.0.0/14",),
        "service_ranges": ("34.118.224.0/20",),
        "access": gke.ControlPlaneAccess(endpoint="127.0.0.1:1"),
    }
    return gke.Cluster(**{**facts, **changes})


class MemoryGke(gke.Gke):
    """GKE's API with one cluster and one operation.

    Attributes:
        updates: (cluster, etag) of each request to allow NET_ADMIN.
        forbidden: the same of each request to forbid it.
        asked: operations that were asked for.
    """

    def __init__(
        self,
        cluster: gke.Cluster | ByomeshError,
        *,
        update: gke.Started | gke.Busy | ByomeshError | None = None,
        operation: gke.OperationState | None = None,
    ) -> None:
        self._cluster = cluster
        self._update = update
        self._operation = operation
        self.updates: list[tuple[ClusterRef, str]] = []
        self.forbidden: list[tuple[ClusterRef, str]] = []
        self.asked: list[str] = []

    def get(self, ref: ClusterRef) -> gke.Cluster:
        if isinstance(self._cluster, ByomeshError):
            raise self._cluster
        assert ref == self._cluster.ref
        return self._cluster

    def allow_net_admin(self, ref: ClusterRef, etag: str) -> gke.Started | gke.Busy:
        self.updates.append((ref, etag))
        return self._answer()

    def forbid_net_admin(self, ref: ClusterRef, etag: str) -> gke.Started | gke.Busy:
        self.forbidden.append((ref, etag))
        return self._answer()

    def _answer(self) -> gke.Started | gke.Busy:
        assert self._update is not None, "nobody should have changed what NET_ADMIN may do"
        if isinstance(self._update, ByomeshError):
            raise self._update
        return self._update

    def operation(self, name_or_id: str, ref: ClusterRef) -> gke.OperationState:
        assert ref == EU1
        self.asked.append(name_or_id)
        assert self._operation is not None, "nobody should have asked for an operation"
        return self._operation


class MemorySecrets(secret_manager.Secrets):
    """Secret Manager with one secret, kept by this process: its versions, the newest last, None where disabled."""

    def __init__(self) -> None:
        self.versions: list[bytes | None] = []

    def read(self, secret: str) -> secret_manager.SecretVersion | None:
        found = enumerate(self.versions, start=1)
        return next((_version(secret, number, payload) for number, payload in found if payload is not None), None)

    def create_first(self, secret: str, payload: bytes) -> secret_manager.SecretVersion:
        self.versions.append(payload)
        found = self.read(secret)
        assert found is not None
        return found

    def replace(
        self, secret: str, current: secret_manager.SecretVersion, payload: bytes
    ) -> secret_manager.SecretVersion:
        self.versions = [one if number <= current.number else None for number, one in enumerate(self.versions, 1)]
        self.versions.append(payload)
        self.cut()
        self.versions[current.number - 1] = None
        return _version(secret, len(self.versions), payload)

    def cut(self) -> None:
        """Called between the two writes of a replacement."""


def _version(secret: str, number: int, payload: bytes) -> secret_manager.SecretVersion:
    return secret_manager.SecretVersion(f"{secret}/versions/{number}", payload)


class MemoryStore(SecretStore):
    """The fleet's trust, kept by this process."""

    def __init__(self, secrets: MemorySecrets | None = None) -> None:
        super().__init__("projects/mesh/secrets/anchor", secrets or MemorySecrets())


def release_secret(name: str, revision: int, status: str, *, chart: Json, values: Json, manifest: str) -> Json:
    """A Secret as Helm keeps a revision in."""
    stored = {
        "name": name,
        "version": revision,
        "info": {"status": status},
        "chart": {"metadata": chart},
        "manifest": manifest,
        "config": values,
    }
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(stored).encode())))
    return {
        "metadata": {
            "name": f"sh.helm.release.v1.{name}.v{revision}",
            "labels": {"owner": "helm", "name": name, "version": str(revision), "status": status},
        },
        "type": "helm.sh/release.v1",
        "data": {"release": packed.decode()},
    }


class MemoryHelm(Helm):
    """Helm on a `MemoryKube`: writes what few objects its charts have, and the record of the release.

    Attributes:
        runs: (release, whether it was forced) of each run, in order.
        removed: (release, namespace) of each release that was uninstalled, in order.
        rollbacks: (release, revision, whether it was forced) of each rollback, in order.
        taken_over: releases whose objects were there and no release's.
        failure: raised by the next run, after its record was written as pending.
    """

    def __init__(self, kube: MemoryKube) -> None:
        self._kube = kube
        self.runs: list[tuple[str, bool]] = []
        self.removed: list[tuple[str, str]] = []
        self.rollbacks: list[tuple[str, int, bool]] = []
        self.taken_over: list[str] = []
        self.failure: Exception | None = None

    def keep(self, secrets: str, record: Json) -> None:
        """Write the record of a revision."""
        self._kube.put(f"{secrets}/{record['metadata']['name']}", record)

    def template(
        self, chart: Path, values: Mapping[str, Any], namespace: str, name: str, *, kube_version: str = ""
    ) -> str:
        assert not kube_version
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "servers.policy.linkerd.io"},
            "spec": {"group": "policy.linkerd.io"},
        }
        lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items() if key != "clusterNetworks")
        config = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "linkerd-config", "namespace": namespace},
            "data": {"values": f"clusterNetworks: {values.get('clusterNetworks')}\n{lines}"},
        }
        assert chart.name == name or chart.name.startswith(f"{name}-")
        return yaml.safe_dump_all([crd] if name == "linkerd-crds" else [config])

    def upgrade_install(
        self,
        name: str,
        chart: Path,
        namespace: str,
        values: Mapping[str, Any],
        *,
        force_conflicts: bool = False,
        dry_run: bool = False,
        take_ownership: bool = False,
    ) -> HelmResult:
        assert not dry_run
        self.taken_over += [name] if take_ownership else []
        self.runs.append((name, force_conflicts))
        metadata = yaml.safe_load((chart / "Chart.yaml").read_text())
        manifest = self.template(chart, values, namespace, name)
        secrets = f"/api/v1/namespaces/{namespace}/secrets"
        before = newest(list(self._kube.list_items(secrets, field_selector="type=helm.sh/release.v1")))
        revision = before[name].revision + 1 if name in before else 1

        def keep(status: str) -> None:
            self.keep(
                secrets, release_secret(name, revision, status, chart=metadata, values=dict(values), manifest=manifest)
            )

        assert name not in before or not before[name].pending, "Helm refuses to touch a release that is pending"
        keep("pending-install" if revision == 1 else "pending-upgrade")
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        for obj in yaml.safe_load_all(manifest):
            wished = owned_by_helm(obj, name, namespace, namespaced=obj["kind"] == "ConfigMap")
            self._kube.apply(self._kube.path_of(wished), wished, field_manager="helm", force=force_conflicts)
        keep("deployed")
        return HelmResult(
            name=name,
            namespace=namespace,
            revision=revision,
            status="deployed",
            chart=metadata["name"],
            version=metadata["version"],
            manifest=manifest,
        )

    def uninstall(self, release: str, *, namespace: str, keep_history: bool = False) -> None:
        assert not keep_history
        self.removed.append((release, namespace))
        # Its records go last, as Helm has it.
        found = sorted(self._kube.objects.items(), key=lambda one: one[1].get("type") == "helm.sh/release.v1")
        for path, obj in found:
            metadata = obj["metadata"]
            applied = (metadata.get("annotations") or {}).get("meta.helm.sh/release-name")
            recorded = (metadata.get("labels") or {}).get("name") if obj.get("type") == "helm.sh/release.v1" else None
            if release in (applied, recorded):
                self._kube.delete(path)

    def rollback(self, release: str, revision: int, *, namespace: str, force_conflicts: bool = False) -> None:
        self.rollbacks.append((release, revision, force_conflicts))
        secrets = f"/api/v1/namespaces/{namespace}/secrets"
        records = [one for one in self._kube.list_items(secrets) if one["metadata"]["labels"].get("name") == release]
        old = decode_release(next(one for one in records if one["metadata"]["labels"]["version"] == str(revision)))
        chart = {"name": old.chart, "version": old.version, "appVersion": old.app_version}
        text = yaml.safe_dump_all(old.manifest)
        again = newest(records)[release].revision + 1

        def keep(status: str) -> None:
            self.keep(secrets, release_secret(release, again, status, chart=chart, values=old.values, manifest=text))

        assert not newest(records)[release].pending, "Helm refuses to touch a release that is pending"
        keep("pending-rollback")
        for obj in old.manifest:
            wished = owned_by_helm(obj, release, namespace, namespaced=obj["kind"] == "ConfigMap")
            self._kube.apply(self._kube.path_of(wished), wished, field_manager="helm", force=force_conflicts)
        keep("deployed")
