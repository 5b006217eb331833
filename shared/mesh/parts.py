"""Parts of an extension that some clusters refuse: found out by a dry run, and left out of the chart."""

from __future__ import annotations

import msgspec

from shared.kube import AdmissionDenied, AlreadyExists, Kube
from shared.mesh.charts import chart_without
from shared.mesh.ownership import LEFT_OUT
from shared.mesh.plan import DesiredRelease
from shared.mesh.profile import ExtensionProfile, ReleaseProfile


class Parts:
    """What of each extension a cluster refuses; it is asked once an extension."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._refused: dict[str, str] = {}

    def refused(self, extension: ExtensionProfile) -> str:
        """That the cluster refuses an extension's optional part, in words; "" where it doesn't, or there is none.

        Raises:
            Temporary: the API server can't answer, or the caller has no access yet.
        """
        if extension.name not in self._refused:
            self._refused[extension.name] = self._look(extension)
        return self._refused[extension.name]

    def annotations(self, extension: ExtensionProfile) -> dict[str, str]:
        """The annotations of an extension's namespace, what is left out among them; raises as `refused` does."""
        if extension.optional_part is None:
            return extension.namespace.annotations
        left_out = extension.optional_part.name if self.refused(extension) else ""
        return {**extension.namespace.annotations, LEFT_OUT: left_out}

    def without_refused(self, release: ReleaseProfile, desired: DesiredRelease) -> DesiredRelease:
        """A release less the part that the cluster refuses; the same where it refuses none.

        Raises:
            Temporary: as `refused` does.
            Permanent: the chart has no such part.
        """
        part = release.optional_part if isinstance(release, ExtensionProfile) else None
        if part is None or not isinstance(release, ExtensionProfile) or not self.refused(release):
            return desired
        # No chart reads the value; it makes the release another one once nothing has to be left out any more.
        values = {**desired.values, "byomesh": {"leftOut": part.name}}
        less = chart_without(desired.chart, part.name, part.templates)
        return msgspec.structs.replace(desired, chart=less, values=values)

    def _look(self, extension: ExtensionProfile) -> str:
        part = extension.optional_part
        if part is None:
            return ""
        collection = self._kube.path_of(part.probe).rpartition("/")[0]
        try:
            self._kube.create(collection, part.probe, dry_run=True)
        except AlreadyExists:
            return ""
        except AdmissionDenied as denied:
            return f"{extension.name} is without {part.name}, which this cluster refuses: {denied.problem}"
        return ""
