"""What is there of a mesh's extensions: whether they are ready, and whether their pods have a proxy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from shared.kube import Kube
from shared.mesh.ownership import LEFT_OUT, is_ours
from shared.mesh.profile import ExtensionProfile, Profile
from shared.mesh.readiness import unready


class ExtensionState(msgspec.Struct, frozen=True, kw_only=True):
    """One extension that byomesh installed.

    Attributes:
        name: the extension's release.
        option: what decides on it.
        deployments: how many Deployments it should have.
        ready: how many of them are ready.
        meshed: of how many of them every pod has a proxy; at least one pod each.
        waits_for: the first that isn't ready, in words; "" where all are.
        left_out: the part that the cluster refuses; "" where nothing is left out.
        unmeshed: those that are there and of which some pod has no proxy, or that have no pod.
    """

    name: str
    option: str
    deployments: int
    ready: int
    meshed: int
    waits_for: str = ""
    left_out: str = ""
    unmeshed: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The state for people."""
        found = f"{self.ready} of {self.deployments} deployments ready, {self.meshed} meshed"
        if self.left_out:
            found += f"; without {self.left_out}, which the cluster refuses"
        if self.ready == self.deployments and not self.meshed:
            found += "; no injector has answered, so all that is verified of the mesh is the annotation"
        return found


def look(kube: Kube, profile: Profile, options: Mapping[str, bool] | None = None) -> tuple[ExtensionState, ...]:
    """Look at those extensions that byomesh installed: one request each, and two more where one is there.

    Args:
        kube: the cluster.
        profile: the mesh.
        options: what the policy decides; what isn't wished isn't looked at, though its namespace may be kept.

    Raises:
        Temporary: the API server can't answer.
    """
    found = []
    for extension in profile.extensions:
        if (options or {}).get(extension.option) is False:
            continue
        state = look_at(kube, profile, extension)
        found += [state] if state is not None else []
    return tuple(found)


def look_at(kube: Kube, profile: Profile, extension: ExtensionProfile) -> ExtensionState | None:
    """Look at one extension; None where byomesh didn't install it or it is on its way out. Raises as `look` does."""
    namespace = kube.get(f"/api/v1/namespaces/{extension.namespace.name}")
    metadata = namespace["metadata"] if namespace is not None else {}
    if not is_ours(metadata.get("labels")) or "deletionTimestamp" in metadata:
        return None
    left_out = (metadata.get("annotations") or {}).get(LEFT_OUT, "")
    return _state(kube, extension, left_out, profile.proxy)


def waits_for(states: Iterable[ExtensionState]) -> str:
    """The first Deployment of an extension that isn't ready, in words; "" where all are."""
    return next((f"{state.name}'s {state.waits_for}" for state in states if state.waits_for), "")


def _state(kube: Kube, extension: ExtensionProfile, left_out: str, proxy: str) -> ExtensionState:
    namespace = extension.namespace.name
    part = extension.optional_part
    absent = part.deployments if part is not None and left_out else ()
    names = [name for name in extension.deployments if name not in absent]
    deployments = list(kube.list_items(f"/apis/apps/v1/namespaces/{namespace}/deployments"))
    pods = list(kube.list_items(f"/api/v1/namespaces/{namespace}/pods"))
    selectors = {str(one["metadata"]["name"]): one["spec"]["selector"].get("matchLabels") or {} for one in deployments}
    there = [name for name in names if name in selectors]
    unmeshed = tuple(name for name in there if not _meshed(selectors[name], pods, proxy))
    return ExtensionState(
        name=extension.name,
        option=extension.option,
        deployments=len(names),
        ready=sum(not unready(deployments, [name]) for name in names),
        meshed=len(there) - len(unmeshed),
        waits_for=unready(deployments, names),
        left_out=left_out,
        unmeshed=unmeshed,
    )


def _meshed(selector: Mapping[str, str], pods: Sequence[Mapping[str, Any]], proxy: str) -> bool:
    own = [
        pod["spec"]
        for pod in pods
        if selector.items() <= (pod["metadata"].get("labels") or {}).items()
        and "deletionTimestamp" not in pod["metadata"]
    ]
    # A native sidecar is among the init containers.
    return bool(own) and all(
        any(container["name"] == proxy for container in [*spec["containers"], *(spec.get("initContainers") or ())])
        for spec in own
    )
