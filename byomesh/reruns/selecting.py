"""The clusters that a command line means, looked up in GKE and in the newest statuses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from byomesh.reruns.planning import Planned, is_ready, why_not
from byomesh.reruns.selector import Selector
from shared import policy
from shared.cluster import Cluster
from shared.errors import Permanent
from shared.gke import Listing
from shared.model import ClusterRef, MeshStatus

Newest = Callable[[Iterable[str]], dict[ClusterRef, MeshStatus]]
"""The newest statuses of the clusters of some projects."""


class Lister(Protocol):
    """What is asked of GKE."""

    def listing(self, project: str) -> Listing:
        """The clusters of a project."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which clusters of some projects are meant.

    Attributes:
        selector: those with these labels.
        not_ready: those that are not Ready.
        any_mesh: whether a mesh was named, so that it doesn't matter what the policy names.
    """

    selector: Selector = Selector()
    not_ready: bool = False
    any_mesh: bool = False


def chosen(
    choice: Choice,
    clusters: Iterable[Cluster],
    newest: dict[ClusterRef, MeshStatus],
    rules: policy.Policy,
    now: dt.datetime,
) -> tuple[Planned, ...]:
    """Each cluster with those labels, and why it is left out where it is; by name; pure."""
    found: list[Planned] = []
    for cluster in sorted(clusters, key=lambda one: one.ref):
        if not choice.selector.holds(cluster.labels):
            continue
        status = newest.get(cluster.ref)
        skipped = is_ready(status, now) if choice.not_ready else ""
        if not skipped and not choice.any_mesh:
            skipped = why_not(cluster, rules)
        found.append(
            Planned(cluster=cluster.ref, skipped=skipped, phase=status.phase.value if status is not None else "")
        )
    return tuple(found)


def listed(google: Lister, projects: Sequence[str], warn: Callable[[str], None]) -> tuple[Cluster, ...]:
    """The clusters of some projects.

    Raises:
        Permanent: no project is named.
        Temporary: the GKE API can't answer.
    """
    if not projects:
        raise Permanent(
            "NoProject", "nothing says whose clusters", remedy="add --project, once for each project of clusters"
        )
    found: list[Cluster] = []
    for project in dict.fromkeys(projects):
        listing = google.listing(project)
        found += listing.clusters
        if listing.missing_zones:
            warn(f"{project}: GKE couldn't reach {', '.join(listing.missing_zones)}; their clusters are left out")
    return tuple(found)


def named(
    names: Iterable[str], google: Callable[[], Lister], projects: Sequence[str], location: str
) -> tuple[ClusterRef, ...]:
    """The clusters that are named one by one, each once, in their order; GKE is asked only for short names.

    Raises:
        Permanent: a name is none, or means no cluster or several.
        Temporary: the GKE API can't answer.
    """
    found: list[ClusterRef] = []
    known: tuple[Cluster, ...] | None = None
    for name in names:
        if "/" in name:
            found.append(ClusterRef.parse(name))
            continue
        if location and len(projects) == 1:
            found.append(ClusterRef(projects[0], location, name))
            continue
        if known is None:
            known = listed(google(), projects, lambda _: None)
        found.append(_unique(name, [one.ref for one in known], location))
    return tuple(dict.fromkeys(found))


def _unique(name: str, known: Iterable[ClusterRef], location: str) -> ClusterRef:
    fitting = [ref for ref in known if ref.name == name and location in ("", ref.location)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        words = f"{name} is {' and '.join(map(str, fitting))}"
        raise Permanent("AmbiguousCluster", words, remedy="write its full name, or add --location")
    raise Permanent(
        "NoSuchCluster", f"there is no cluster {name} in these projects", remedy="see gcloud container clusters list"
    )
