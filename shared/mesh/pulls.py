"""Which images a cluster must be able to pull for a mesh, and who pulls them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from shared.mesh.images import is_within, reference, repository
from shared.mesh.profile import ReleaseProfile
from shared.mesh.values import leaves, merged

_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"),
        ("spec", "template", "spec"),
    ),
}
"""Where a workload's kind keeps its PodSpec."""


class Pull(msgspec.Struct, frozen=True):
    """One image.

    Attributes:
        image: the reference as the kubelet gets it.
        used_by: who pulls it, in words, sorted.
    """

    image: str
    used_by: tuple[str, ...]

    @property
    def words(self) -> str:
        """The image and who pulls it."""
        return f"{self.image} ({'; '.join(self.used_by)})"


def pod_spec(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The PodSpec of a workload as JSON; None where an object makes no pods."""
    path = _TEMPLATES.get(str(obj.get("kind")))
    if path is None:
        return None
    found: Any = obj
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def rendered(objects: Iterable[Mapping[str, Any]]) -> Iterator[Pull]:
    """The images of a release's objects, one entry a workload and image."""
    for obj in objects:
        spec = pod_spec(obj)
        for image, containers in _containers(spec or {}).items():
            name = "/".join(filter(None, (obj["metadata"].get("namespace"), obj["metadata"]["name"])))
            yield Pull(image, (f"{obj['kind']} {name} ({', '.join(containers)})",))


def _containers(spec: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            found.setdefault(str(container["image"]), []).append(str(container["name"]))
    return found


def injected(
    release: ReleaseProfile, values: Mapping[str, Any], chart_values: Mapping[str, Any], app_version: str
) -> Iterator[Pull]:
    """The images that no object of a release has, and that an injector adds to pods later.

    Args:
        release: the release.
        values: all that is given to Helm.
        chart_values: the chart's own values.
        app_version: the chart's appVersion.
    """
    for place in release.images:
        image = reference(place, merged(chart_values, values), app_version) if place.used_by else ""
        if image:
            yield Pull(image, (place.used_by,))


def together(found: Iterable[Pull]) -> tuple[Pull, ...]:
    """One entry an image, sorted by its name."""
    users: dict[str, set[str]] = {}
    for pull in found:
        users.setdefault(pull.image, set()).update(pull.used_by)
    return tuple(Pull(image, tuple(sorted(users[image]))) for image in sorted(users))


def outside(found: Iterable[Pull], registry: str, stated: Mapping[str, Any]) -> tuple[Pull, ...]:
    """Images that come from another registry than the wished one, and that the policy itself doesn't name.

    Args:
        found: the images.
        registry: `HOST/PATH`.
        stated: the policy's own values, whatever their release: an image whose name is among them is meant so.
    """
    named = tuple(value for _, value in leaves(stated) if isinstance(value, str) and "/" in value)
    return tuple(
        pull
        for pull in found
        if not is_within(pull.image, registry)
        and not any(repository(pull.image) == repository(one) or is_within(pull.image, one) for one in named)
    )
