"""Looks at a mesh of others before it is taken over, and refuses what can't be made safe."""

from __future__ import annotations

from typing import Any

import msgspec

from shared import gke
from shared.errors import Refused
from shared.helm import Helm
from shared.kube import Kube
from shared.mesh import adoption
from shared.mesh.adoption import Owned
from shared.mesh.apply import find_conflicts, find_live, held_by_others
from shared.mesh.hooks import adopt_hooks
from shared.mesh.plan import Desired, Installation, Plan, WriteObject, may_take_back
from shared.mesh.profile import Profile
from shared.mesh.releases import parse_manifest


class TakeOver:
    """One mesh on one cluster that others may have installed.

    Attributes:
        begun: whether it was taken over, or that was begun; known once `owned` was called.
    """

    def __init__(self, profile: Profile, cluster: gke.Cluster, kube: Kube, helm: Helm, *, adopt: bool) -> None:
        self._profile = profile
        self._cluster = cluster
        self._kube = kube
        self._helm = helm
        self._adopt = adopt
        self._kept: dict[str, dict[str, Any]] = {}
        self.begun = False

    def owned(self, there: Installation) -> Owned | None:
        """What a mesh is made of that is to be taken over, or whose take-over was cut off; None where there is none.

        Raises:
            Temporary: the API server can't answer.
        """
        config = self._kube.get(adoption.PATH)
        self.begun = config is not None
        self._kept = adoption.kept_values(config)
        recorded = self._profile.releases[-1].name in there.releases
        if there.marked is None or (recorded and not there.foreign) or (there.foreign and not self._adopt):
            return None
        if not there.foreign and not self.begun and self._is_helms():
            # Ours, and only the record is lost: Helm finds its own marks.
            return None
        owned = adopt_hooks(self._profile).owned(self._kube, self._profile.namespace.name, there.releases)
        self._kept = self._kept or owned.values
        return owned

    def _is_helms(self) -> bool:
        marker = self._kube.get(self._profile.marker) or {}
        names = [release.name for release in self._profile.releases]
        annotations = (marker.get("metadata") or {}).get("annotations") or {}
        return annotations.get(adoption.RELEASE) in names

    def values(self, release: str) -> dict[str, Any]:
        """The former owner's values of a release; known once `owned` was called."""
        return self._kept.get(release, {})

    def refuse(self, owned: Owned, there: Installation, desired: Desired) -> None:
        """Refuse a mesh that can't be taken over, before anything is written.

        Raises:
            Refused: with what its owner must do first.
            Temporary: the API server can't answer.
            Permanent: the charts can't be rendered.
        """
        live: list[dict[str, Any]] = []
        for release in desired.releases:
            text = self._helm.template(release.chart.path, release.values, desired.namespace, release.name)
            rendered = parse_manifest(text)
            live += find_live(self._kube, rendered, desired.namespace)
            if release.name in there.releases:
                held = find_conflicts(self._kube, rendered, release.name, desired.namespace)
                foreign = [drift for drift in held if not may_take_back(drift, desired.ours)]
                if foreign:
                    raise held_by_others(foreign, release.name)
        for secret in desired.secrets:
            found = self._kube.get(self._kube.path_of(secret))
            live += [found] if found is not None else []
        names = [release.name for release in desired.releases]
        chart = desired.releases[-1].chart.app_version
        found_obstacles = adoption.obstacles(live, names, desired.namespace, owned.version, chart)
        if found_obstacles:
            raise Refused(
                "AdoptionRefused",
                f"the mesh in the namespace {desired.namespace} can't be taken over yet: {'; '.join(found_obstacles)}",
                cluster=str(self._cluster.ref),
                tried="to look at every object that byomesh's releases would have; nothing was written",
                remedy="do what it says, then publish the request again",
            )

    def remembering(self, plan: Plan, owned: Owned) -> Plan:
        """A plan that begins with keeping the owner's values, for its next step makes the mesh ours."""
        return msgspec.structs.replace(plan, steps=(WriteObject(adoption.to_write(owned)), *plan.steps))
