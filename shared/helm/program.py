"""The runs of Helm that are needed: install, upgrade, roll back or remove a release; render or fetch a chart."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from shared.config import Settings
from shared.decoding import prepare
from shared.errors import Permanent
from shared.helm import failure, process
from shared.helm.access import Kubeconfig, workspace

_TEMPLATE_DEADLINE = 60.0
_PULL_DEADLINE = 120.0


class HelmResult(msgspec.Struct, frozen=True, kw_only=True):
    """A release as Helm left it (or would, in a dry run).

    Attributes:
        name: the release's name.
        namespace: where its record is.
        revision: Helm's revision number.
        status: such as `deployed`, or `pending-upgrade` in a dry run.
        chart: the chart's name.
        version: the chart's version.
        manifest: the rendered objects as YAML; may hold Secrets.
    """

    name: str
    namespace: str
    revision: int
    status: str
    chart: str
    version: str
    manifest: str


class _Info(msgspec.Struct, frozen=True):
    status: str = ""


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""
    version: str = ""


class _Chart(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()


class _Release(msgspec.Struct, frozen=True):
    """What is read of Helm's release JSON (helm.sh/helm/v4/pkg/release/v1)."""

    name: str
    namespace: str = ""
    version: int = 0
    info: _Info = _Info()
    chart: _Chart = _Chart()
    manifest: str = ""


prepare(_Release)


class Helm:
    """The Helm program that the settings name.

    Every method raises:
        HelmTimeout: the deadline passed.
        Temporary, Refused, Permanent: as `shared.helm.failure` sorts Helm's words.
    """

    def __init__(self, config: Settings, access: Kubeconfig | None = None, *, cluster: str = "") -> None:
        """Nothing is run yet.

        Args:
            config: the program and its deadline.
            access: the way to the cluster; None is enough to render and to fetch charts.
            cluster: full resource name, for errors.
        """
        self._settings = config
        self._access = access
        self._cluster = cluster

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
        """Install a release, or upgrade it to this chart and exactly these values; returns without waiting for pods.

        Args:
            name: the release's name.
            chart: a folder or an archive.
            namespace: where the release is recorded and its objects go; must exist.
            values: all that differs from the chart's own defaults.
            force_conflicts: take fields from other field managers.
            dry_run: let the API server judge everything, and write nothing.
            take_ownership: adopt objects that no release owns.

        Raises:
            FieldConflict: other managers hold fields, and `force_conflicts` isn't set.
            ReleasePending: an earlier run was killed in the middle.
            OwnedByOthers: objects exist that aren't this release's, and `take_ownership` isn't set.
            AdmissionDenied: the cluster rejects an object.
            ChartInvalid: the chart can't be rendered or applied with these values.
        """
        command = ["upgrade", name, str(chart), "--install", "--namespace", namespace, "--values", "-"]
        command += ["--server-side=true", "--reset-values", "--output", "json", "--timeout"]
        # Server-side apply itself refuses fields that a kind doesn't have; Helm would fetch the whole schema first.
        command += [f"{self._settings.helm_timeout:g}s", "--disable-openapi-validation"]
        command += ["--force-conflicts"] if force_conflicts else []
        command += ["--take-ownership"] if take_ownership else []
        command += ["--dry-run=server"] if dry_run else []
        tried = f"helm upgrade --install {name} ({chart.name}) in {namespace}"
        output = self._run(command, values, deadline=self._settings.helm_timeout, tried=tried)
        release = self._release(output, tried)
        return HelmResult(
            name=release.name,
            namespace=release.namespace,
            revision=release.version,
            status=release.info.status,
            chart=release.chart.metadata.name,
            version=release.chart.metadata.version,
            manifest=release.manifest,
        )

    def _release(self, output: bytes, tried: str) -> _Release:
        try:
            return msgspec.json.decode(output, type=_Release)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise failure.HelmFailed(
                "HelmUnreadable",
                f"Helm succeeded and said nothing that can be read of the release: {error}",
                cluster=self._cluster,
                tried=tried,
                remedy="none; it is tried again, and finds what Helm has done",
            ) from error

    def uninstall(self, release: str, *, namespace: str, keep_history: bool = False) -> None:
        """Remove a release and the objects that are its own; nothing is waited for, and one that is gone is no fault.

        A release left pending, or half uninstalled, is removed like any other. Helm leaves an object that another
        release has taken over, and one with `helm.sh/resource-policy: keep` (helm pkg/action/uninstall.go).

        Args:
            release: its name.
            namespace: where it is recorded.
            keep_history: keep its revisions, for a rollback.

        Raises:
            HelmFailed: objects couldn't be deleted; the release is left `uninstalling`, to be tried again.
        """
        command = ["uninstall", release, "--namespace", namespace, "--ignore-not-found"]
        command += ["--timeout", f"{self._settings.helm_timeout:g}s"]
        command += ["--keep-history"] if keep_history else []
        tried = f"helm uninstall {release} in {namespace}"
        self._run(command, {}, deadline=self._settings.helm_timeout, tried=tried)

    def rollback(self, release: str, revision: int, *, namespace: str, force_conflicts: bool = False) -> None:
        """Bring a release back to an earlier revision, as a new revision; returns without waiting for pods.

        Args:
            release: its name.
            revision: the number of the revision to go back to; at least 1.
            namespace: where it is recorded.
            force_conflicts: take fields from other field managers.

        Raises:
            FieldConflict: other managers hold fields, and `force_conflicts` isn't set.
            RevisionMissing: there is no such revision any more.
            AdmissionDenied: the cluster rejects an object.
        """
        # To Helm a revision of 0 is "the one before", whatever that is by now.
        if revision < 1:
            raise Permanent("NoRevision", f"{revision} is no revision of the release {release}; this is a defect")
        command = ["rollback", release, str(revision), "--namespace", namespace, "--server-side=true"]
        command += ["--timeout", f"{self._settings.helm_timeout:g}s"]
        command += ["--force-conflicts"] if force_conflicts else []
        tried = f"helm rollback {release} to revision {revision} in {namespace}"
        self._run(command, {}, deadline=self._settings.helm_timeout, tried=tried)

    def template(
        self, chart: Path, values: Mapping[str, Any], namespace: str, name: str, *, kube_version: str = ""
    ) -> str:
        """A chart's objects as YAML, its CRDs included, rendered without a cluster.

        Args:
            chart: a folder or an archive.
            values: all that differs from the chart's own defaults.
            namespace: where the objects go.
            name: the release's name.
            kube_version: the Kubernetes version that the chart is told; "" is Helm's own.

        Raises:
            ChartInvalid: the chart can't be rendered with these values.
        """
        command = ["template", name, str(chart), "--namespace", namespace, "--include-crds", "--values", "-"]
        command += ["--kube-version", kube_version] if kube_version else []
        return self._run(
            command, values, deadline=_TEMPLATE_DEADLINE, tried=f"helm template {name} ({chart.name})", cluster=False
        ).decode()

    def pull(self, chart: str, version: str, repository: str, digest: str, into: Path) -> Path:
        """Fetch a chart's archive.

        Args:
            chart: its name.
            version: exactly this one.
            repository: `https://…` of a Helm repository, or `oci://…` of the folder that has the chart.
            digest: sha256 (hex, with or without `sha256:`) that the archive must have; "" where none is pinned.
            into: an existing folder.

        Returns:
            The archive.

        Raises:
            ChartInvalid: there is no such chart or version, or its digest is another.
            HelmFailed: the repository can't be reached.
        """
        from_registry = repository.startswith("oci://")
        command = ["pull", f"{repository.rstrip('/')}/{chart}"] if from_registry else ["pull", chart]
        command += [] if from_registry else ["--repo", repository]
        command += ["--version", version, "--destination", str(into)]
        tried = f"helm pull {chart} {version} from {repository}"
        self._run(command, {}, deadline=_PULL_DEADLINE, tried=tried, cluster=False)
        # Helm writes a version's + as it is in archives' names.
        archive = into / f"{chart}-{version}.tgz"
        if not archive.is_file():
            found = ", ".join(sorted(path.name for path in into.iterdir())) or "nothing"
            raise _invalid("ChartMissing", f"Helm fetched {found} in place of {archive.name}", tried)
        actual = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest and actual != digest.removeprefix("sha256:").lower():
            archive.unlink()
            raise _invalid("ChartDigestMismatch", f"its sha256 is {actual}, not {digest}", tried)
        return archive

    def _run(
        self, command: list[str], values: Mapping[str, Any], *, deadline: float, tried: str, cluster: bool = True
    ) -> bytes:
        with workspace(self._access) as environment, self._kubeconfig(cluster=cluster) as (path, descriptors):
            finished = process.run(
                [self._settings.helm, *command, "--kubeconfig", path],
                environment=environment,
                stdin=msgspec.json.encode(values),
                descriptors=descriptors,
                deadline=deadline,
                cluster=self._cluster,
                tried=tried,
            )
        if finished.code != 0:
            raise failure.read_failure(
                finished.stderr,
                code=finished.code,
                secrets=failure.secrets_of(values),
                cluster=self._cluster,
                tried=tried,
            )
        return finished.stdout

    @contextlib.contextmanager
    def _kubeconfig(self, *, cluster: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The kubeconfig's path, as Helm sees it, and the descriptors that it must inherit for that."""
        if not cluster:
            yield os.devnull, ()
        elif self._access is None:
            raise Permanent("NoClusterAccess", "this Helm was made without a way to a cluster; this is a defect")
        elif isinstance(self._access, Path):
            yield str(self._access), ()
        else:
            with process.in_memory(self._access()) as descriptor:
                yield f"/proc/self/fd/{descriptor}", (descriptor,)


def _invalid(reason: str, problem: str, tried: str) -> failure.ChartInvalid:
    remedy = "correct the chart's version, digest or repository in the mesh's profile"
    return failure.ChartInvalid(reason, problem, tried=tried, remedy=remedy)
