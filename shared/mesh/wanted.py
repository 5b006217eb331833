"""One release as it should be: a chart on this machine and all of its values, and the images that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.helm import Helm
from shared.mesh import images, pulls
from shared.mesh.charts import Chart, chart_values
from shared.mesh.plan import DesiredRelease
from shared.mesh.profile import ReleaseProfile
from shared.mesh.pulls import Pull
from shared.mesh.releases import DeployedRelease, parse_manifest
from shared.mesh.values import release_values
from shared.model import Images, MeshSettings


def desired_release(
    release: ReleaseProfile, chart: Chart, wish: MeshSettings, computed: Mapping[str, Any]
) -> DesiredRelease:
    """A release with all of its values; raises Permanent where the chart's own can't be read.

    Args:
        release: the profile's.
        chart: its chart.
        wish: how the mesh should be.
        computed: what the mesh computes from the cluster.
    """
    own = chart_values(chart.path) if wish.images != Images() else {}
    return DesiredRelease(
        name=release.name, chart=chart, values=release_values(release, wish, computed, own, chart.app_version)
    )


def at_its_version(release: ReleaseProfile, desired: DesiredRelease, deployed: DeployedRelease) -> DesiredRelease:
    """A release whose version is kept, with the images' tags and digests that it has."""
    values = images.with_versions_of(release.images, desired.values, deployed.values)
    return msgspec.structs.replace(desired, values=values)


def images_of(helm: Helm, release: ReleaseProfile, desired: DesiredRelease, namespace: str) -> tuple[Pull, ...]:
    """The images that a release needs, found by rendering it; those too that only an injector uses.

    Raises:
        Permanent: the chart can't be rendered with these values.
    """
    objects = parse_manifest(helm.template(desired.chart.path, desired.values, namespace, desired.name))
    own = chart_values(desired.chart.path)
    later = pulls.injected(release, desired.values, own, desired.chart.app_version)
    return pulls.together((*pulls.rendered(objects), *later))
