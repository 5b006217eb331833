"""What should be, and what is there: the two things that a plan is made from."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.mesh.charts import Chart
from shared.mesh.drift import Drift
from shared.mesh.ownership import is_ours
from shared.mesh.releases import DeployedRelease


class DesiredRelease(msgspec.Struct, frozen=True, kw_only=True):
    """A release as it should be.

    Attributes:
        name: the release's name.
        chart: the chart on this machine.
        values: all of the user's values, static and computed.
    """

    name: str
    chart: Chart
    values: dict[str, Any]


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """What should be in one namespace of one cluster: a mesh, or an extension of it.

    Attributes:
        namespace: the namespace.
        labels: labels that the namespace must bear.
        annotations: annotations that it must bear.
        secrets: Secrets that are missing or due to be replaced, as JSON; empty on a healthy cluster.
        objects: what else is missing that the releases need and don't have, as JSON; empty on a healthy cluster.
        releases: in the order of installation.
        ours: (kind, name, path) of the fields that may be taken back from others, all below the path included: what
            this system itself repairs, and what the platform edits after every apply. A name of "" is any object of
            the kind, `[*]` in a path is any item of a list, and a path of "" is the whole object.
        taken_over: whether others installed it, so that the first run of Helm takes its objects from them.
    """

    namespace: str
    labels: dict[str, str]
    secrets: tuple[dict[str, Any], ...]
    releases: tuple[DesiredRelease, ...]
    ours: tuple[tuple[str, str, str], ...] = ()
    objects: tuple[dict[str, Any], ...] = ()
    annotations: dict[str, str] = {}
    taken_over: bool = False


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """What a cluster holds of a mesh, or of an extension of it.

    Attributes:
        namespace_labels: labels of its namespace; None where it doesn't exist.
        releases: newest revision of each Helm release in it, by name.
        drift: by release, the objects that aren't as it rendered them.
        marked: field managers of the object that tells that it is there; None where it isn't.
        namespace_annotations: the namespace's annotations.
    """

    namespace_labels: dict[str, str] | None
    releases: dict[str, DeployedRelease]
    drift: dict[str, tuple[Drift, ...]]
    marked: tuple[str, ...] | None
    namespace_annotations: dict[str, str] = {}

    @property
    def foreign(self) -> bool:
        """Whether it, or a Helm release of it, is there and this system didn't install it."""
        labels = self.namespace_labels or {}
        there = self.marked is not None or bool(self.releases)
        return there and not is_ours(labels)
