"""One extension on its own, for an operator by hand: planned, carried out and looked at without the rest of its mesh.

The same pieces as the engine's: nobody else's is touched, a release that is as it should be isn't run again, and what
is there already keeps its values, which a policy may have set.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import msgspec

from shared.config import Settings
from shared.helm import Helm
from shared.kube import Conflict, Kube
from shared.mesh import extensions
from shared.mesh.apply import carry_out
from shared.mesh.choosing import Charts
from shared.mesh.contents import foreign_objects
from shared.mesh.drift import ObjectName
from shared.mesh.extensions import ExtensionState
from shared.mesh.hooks import install_hooks, restart_hooks
from shared.mesh.installation import read_namespace, with_drift
from shared.mesh.lease import Lease
from shared.mesh.ownership import FIELD_MANAGER, is_ours
from shared.mesh.parts import Parts
from shared.mesh.plan import Desired, Installation, Kind, Plan, Step, make_plan, removal
from shared.mesh.profile import ExtensionProfile, Profile
from shared.mesh.rollouts import State, Target, restart_patch, state_of
from shared.mesh.wanted import desired_release
from shared.model import UNDECIDED

RESTARTED_FOR_A_PROXY = "proxy"
"""What a restart is marked with: a workload is restarted for it once."""


class Alone:
    """One extension of a mesh on one cluster."""

    def __init__(self, profile: Profile, extension: ExtensionProfile, kube: Kube) -> None:
        self._profile = profile
        self._extension = extension
        self._kube = kube
        self._namespace = extension.namespace.name
        self._ours = tuple((entry.kind, "", entry.field) for entry in profile.platform_owned)

    def installation(self, helm: Helm, settings: Settings, now: dt.datetime) -> Plan:
        """What installs it or puts it right; of kind `refuse` where it is somebody else's. Writes nothing.

        Raises:
            Temporary: the API server or the chart repository can't answer.
            Permanent: its chart or its release can't be read.
        """
        there = self._there()
        if there.foreign:
            return _foreign(there, self._extension.name)
        parts = Parts(self._kube)
        prepared = install_hooks(self._profile).prepare_extension(self._kube, self._extension, now)
        chart = Charts(self._profile, settings, helm).find(self._extension, None)
        release = desired_release(self._extension, chart, UNDECIDED, prepared.values.get(self._extension.name, {}))
        release = parts.without_refused(self._extension, release)
        deployed = there.releases.get(release.name)
        if deployed is not None and deployed.status == "deployed":
            release = msgspec.structs.replace(release, values=deployed.values)
        desired = Desired(
            namespace=self._namespace,
            labels=self._extension.namespace.labels,
            annotations=parts.annotations(self._extension),
            secrets=prepared.secrets,
            releases=(release,),
            ours=self._ours,
        )
        there = with_drift(self._kube, there, self._namespace, desired.releases, self._profile.platform_owned)
        return make_plan(there, desired)

    def removal(self) -> Plan:
        """What removes it, as far as byomesh installed it; raises as `installation` does. Writes nothing."""
        there = self._there()
        if there.foreign:
            return _foreign(there, self._extension.name)
        return removal(self._extension.name, self._namespace, there, self.foreign())

    def carry_out(self, plan: Plan, helm: Helm, lease: Lease, tell: Callable[[Step], None]) -> tuple[str, ...]:
        """Do what a plan says; returns and raises as `shared.mesh.apply.carry_out` does."""
        return carry_out(plan, self._kube, helm, self._ours, lease, tell)

    def look(self) -> ExtensionState | None:
        """What is there of it; None where byomesh didn't install it. Raises Temporary."""
        return extensions.look_at(self._kube, self._profile, self._extension)

    def foreign(self) -> tuple[ObjectName, ...]:
        """What of others is in its namespace, where byomesh made that; raises Temporary."""
        namespace = self._kube.get(f"/api/v1/namespaces/{self._namespace}")
        if namespace is None or not is_ours(namespace["metadata"].get("labels")):
            return ()
        return foreign_objects(self._kube, self._namespace, self._extension.name)

    def gone(self) -> bool:
        """Whether its namespace is gone; raises Temporary."""
        return self._kube.get(f"/api/v1/namespaces/{self._namespace}") is None

    def unanswered(self) -> str:
        """Why a new pod in its namespace wouldn't get a proxy, by a dry run; "" where it would. Raises Temporary."""
        return restart_hooks(self._profile).injected(self._kube, self._profile, self._namespace)

    def restarts(self, state: ExtensionState, now: dt.datetime, deadline: float) -> dict[Target, State]:
        """How far the restart is of each Deployment that has pods without a proxy; raises Temporary."""
        targets = [Target(self._namespace, "Deployment", name) for name in state.unmeshed]
        return {
            target: state_of(target, self._kube.get(target.path), RESTARTED_FOR_A_PROXY, now, deadline)
            for target in targets
        }

    def restart(self, target: Target, now: dt.datetime) -> None:
        """Restart a Deployment by rollout, unless it went or changed meanwhile; raises Temporary."""
        found = self._kube.get(target.path)
        if found is None:
            return
        try:
            body = restart_patch(found, RESTARTED_FOR_A_PROXY, now)
            self._kube.patch(target.path, body, field_manager=FIELD_MANAGER)
        except Conflict:
            return

    def _there(self) -> Installation:
        return read_namespace(self._kube, self._namespace, self._extension.marker)


def _foreign(there: Installation, name: str) -> Plan:
    managers = ", ".join(there.marked or (f"helm, release {release}" for release in there.releases)) or "nobody known"
    return Plan(kind=Kind.REFUSE, reason=f"byomesh didn't install {name} (of {managers})")
