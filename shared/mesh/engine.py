"""One mesh on one cluster: profile and hooks made into a desired state, and that held against the cluster."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from shared import gke, secret_manager
from shared.config import Settings
from shared.helm import Helm
from shared.kube import Kube
from shared.mesh.charts import Chart, bundled_chart, chart_in_folder, chart_values, kept_archive, read_chart
from shared.mesh.contents import foreign_objects
from shared.mesh.hooks import Prepared, TrustStore, install_hooks
from shared.mesh.installation import read_installation, read_namespace, with_drift
from shared.mesh.ownership import is_ours
from shared.mesh.plan import Desired, DesiredRelease, Kind, Plan, joined, make_plan, removal, untouched, wished
from shared.mesh.profile import ExtensionProfile, Profile, ReleaseProfile
from shared.mesh.values import refuse, release_values
from shared.model import UNDECIDED, Images, MeshSettings


class FleetStore:
    """The fleet's trust in Secret Manager."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def read(self) -> bytes | None:
        """The payload; None before the first was made; raises as `Secrets.read` does."""
        version = secret_manager.secrets().read(self._secret)
        return version.payload if version is not None else None

    def create_first(self, payload: bytes) -> bytes:
        """Offer a first payload, and return the one agreed on; raises as `Secrets.create_first` does."""
        return secret_manager.secrets().create_first(self._secret, payload).payload


class Mesh:
    """A mesh to be brought about on one cluster.

    Attributes:
        desired: what should be there, extensions left out; set by `plan`.
        extensions: those extensions that should be there, in order; set by `plan`.
        version: the mesh's version as its charts tell it; set by `plan`.
    """

    desired: Desired
    extensions: tuple[Desired, ...]
    version: str

    def __init__(
        self,
        profile: Profile,
        cluster: gke.Cluster,
        kube: Kube,
        helm: Helm,
        settings: Settings,
        store: TrustStore,
        clock: Callable[[], dt.datetime],
        wish: MeshSettings = UNDECIDED,
    ) -> None:
        self._profile = profile
        self._cluster = cluster
        self._kube = kube
        self._helm = helm
        self._settings = settings
        self._store = store
        self._clock = clock
        self._wish = wish
        self._charts: dict[str, Chart] = {}
        self.extensions = ()
        self.version = profile.version

    def plan(self, version: str | None = None) -> Plan:
        """Look at the cluster and decide what to do; sets `desired`, `extensions` and `version`.

        Args:
            version: the mesh's version, where another than the profile's is asked for.

        Raises:
            Temporary: an API or the chart repository can't answer now.
            Permanent: the charts or the certificates can't be used.
            Refused: the policy's settings can't be carried out.
        """
        refuse(self._profile, self._wish, str(self._cluster.ref))
        charts = [self._chart(release, version) for release in self._profile.releases]
        prepared = install_hooks(self._profile).prepare(
            self._kube, self._profile, self._cluster, self._store, self._clock(), self._wish
        )
        self.version = charts[-1].app_version or version or self._profile.version
        self.desired = Desired(
            namespace=self._profile.namespace.name,
            labels=self._profile.namespace.labels,
            secrets=prepared.secrets,
            releases=tuple(
                self._desired_release(release, chart, prepared)
                for release, chart in zip(self._profile.releases, charts, strict=True)
            ),
            ours=prepared.ours + self._platforms(),
            annotations=self._profile.namespace.annotations,
        )
        there = read_installation(self._kube, self._profile, self.desired.releases)
        plan = make_plan(there, self.desired, adopt=self._wish.adopt)
        self.extensions = ()
        if plan.kind is Kind.REFUSE:
            return plan
        return joined(plan, [self._plan_extension(extension, version) for extension in self._profile.extensions])

    @property
    def releases(self) -> tuple[DesiredRelease, ...]:
        """All releases that should be there, the extensions' too."""
        return tuple(release for part in (self.desired, *self.extensions) for release in part.releases)

    def _plan_extension(self, extension: ExtensionProfile, version: str | None) -> Plan:
        namespace = extension.namespace.name
        there = read_namespace(self._kube, namespace, extension.marker)
        option = self._wish.options.get(extension.option) if extension.option else True
        if there.foreign and not (option and self._wish.adopt):
            return untouched(extension.name, there) if option is not None else Plan(kind=Kind.NOTHING)
        if option is False:
            foreign = foreign_objects(self._kube, namespace, extension.name) if is_ours(there.namespace_labels) else ()
            return removal(extension.name, namespace, there, foreign)
        if not wished(option, there):
            return Plan(kind=Kind.NOTHING)
        release = self._desired_release(
            extension, self._chart(extension, version), Prepared(secrets=(), values={}, ours=())
        )
        desired = Desired(
            namespace=namespace,
            labels=extension.namespace.labels,
            annotations=extension.namespace.annotations,
            secrets=(),
            releases=(release,),
            ours=self._platforms(),
        )
        self.extensions += (desired,)
        there = with_drift(self._kube, there, namespace, desired.releases, self._profile.platform_owned)
        return make_plan(there, desired, adopt=self._wish.adopt)

    def _desired_release(self, release: ReleaseProfile, chart: Chart, prepared: Prepared) -> DesiredRelease:
        values = release_values(
            release,
            self._wish,
            prepared.values.get(release.name, {}),
            chart_values(chart.path) if self._wish.images != Images() else {},
            chart.app_version,
        )
        return DesiredRelease(name=release.name, chart=chart, values=values)

    def _platforms(self) -> tuple[tuple[str, str, str], ...]:
        return tuple((entry.kind, "", entry.field) for entry in self._profile.platform_owned)

    def _chart(self, release: ReleaseProfile, version: str | None) -> Chart:
        if release.name not in self._charts:
            self._charts[release.name] = self._find_chart(release, version)
        return self._charts[release.name]

    def _find_chart(self, release: ReleaseProfile, version: str | None) -> Chart:
        if isinstance(release, ExtensionProfile) and release.bundled:
            return bundled_chart(self._profile, release)
        if self._settings.charts:
            return chart_in_folder(Path(self._settings.charts), self._profile, release)
        pinned = version in (None, self._profile.version)
        wished = release.version if pinned else install_hooks(self._profile).chart_version(version or "")
        digest = release.digest if pinned else ""

        def fetch(folder: Path) -> Path:
            return self._helm.pull(release.chart, wished, self._profile.repository, digest, folder)

        return read_chart(kept_archive(release.chart, wished, fetch))
