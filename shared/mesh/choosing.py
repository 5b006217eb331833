"""Which chart each release gets: that of the wished version, or the one that it has where the version is kept."""

from __future__ import annotations

from pathlib import Path

import msgspec

from shared.config import Settings
from shared.helm import Helm
from shared.kube import Kube
from shared.mesh.charts import Chart, bundled_chart, chart_in_folder, kept_archive, read_chart
from shared.mesh.definitions import definitions_of, lost_by
from shared.mesh.hooks import install_hooks
from shared.mesh.installation import stored_versions
from shared.mesh.plan import DesiredRelease
from shared.mesh.profile import ExtensionProfile, Profile, ReleaseProfile
from shared.mesh.releases import DeployedRelease, parse_manifest
from shared.mesh.versions import is_older

NO_CHART = Path()
"""Path of a chart that is nowhere on this machine: its release stays as it is."""


class Choice(msgspec.Struct, frozen=True):
    """What a release should be.

    Attributes:
        release: the release; held as it is deployed where no chart is at hand, or going back would lose something.
        note: why it isn't as wished, in a sentence; "" where it is.
        holds_values: whether values should be others, and can't be.
    """

    release: DesiredRelease
    note: str = ""
    holds_values: bool = False


class Charts:
    """A mesh's charts, each looked for once."""

    def __init__(self, profile: Profile, settings: Settings, helm: Helm) -> None:
        self._profile = profile
        self._settings = settings
        self._helm = helm
        self._found: dict[tuple[str, str | None], Chart] = {}

    def find(self, release: ReleaseProfile, version: str | None) -> Chart:
        """The chart that installs the mesh's `version`, None for the profile's; of a folder the one that lies there.

        Raises:
            Temporary: the repository can't answer.
            Permanent: there is no such chart, or it is another than the pinned one.
        """
        key = release.name, version
        if key not in self._found:
            self._found[key] = self._look(release, version)
        return self._found[key]

    def _look(self, release: ReleaseProfile, version: str | None) -> Chart:
        if isinstance(release, ExtensionProfile) and release.bundled:
            return bundled_chart(self._profile, release)
        if self._settings.charts:
            return chart_in_folder(Path(self._settings.charts), self._profile, release)
        if version in (None, self._profile.version):
            return self._pulled(release, release.version, release.digest)
        return self._pulled(release, install_hooks(self._profile).chart_version(version or ""), "")

    def _pulled(self, release: ReleaseProfile, version: str, digest: str) -> Chart:
        def fetch(folder: Path) -> Path:
            return self._helm.pull(release.chart, version, self._profile.repository, digest, folder)

        return read_chart(kept_archive(release.chart, version, fetch))

    def deployed(self, release: ReleaseProfile, deployed: DeployedRelease) -> Chart | None:
        """The chart that a release has; None where it can't be had any more, because a folder holds another.

        Raises:
            Temporary, Permanent: as `find` does.
        """
        if self._settings.charts or (isinstance(release, ExtensionProfile) and release.bundled):
            found = self.find(release, None)
            return found if found.version == deployed.version else None
        return self._pulled(release, deployed.version, release.digest if deployed.version == release.version else "")

    def lost(self, kube: Kube, wished: DesiredRelease, deployed: DeployedRelease, namespace: str) -> tuple[str, ...]:
        """What a release's older chart would take from the cluster, in words; empty where it isn't older."""
        if not is_older(wished.chart.version, deployed.version) or not definitions_of(deployed.manifest):
            return ()
        rendered = self._helm.template(wished.chart.path, wished.values, namespace, wished.name)
        return lost_by(deployed.manifest, parse_manifest(rendered), stored_versions(kube, deployed.manifest))


def held(deployed: DeployedRelease) -> DesiredRelease:
    """A release that should be just what it is."""
    chart = Chart(NO_CHART, deployed.chart, deployed.version, deployed.app_version, "")
    return DesiredRelease(name=deployed.name, chart=chart, values=deployed.values)
