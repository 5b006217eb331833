"""Which objects are a control plane's, by their labels (healthcheck.go, controlPlaneComponentsSelector)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from shared.mesh.fold import names


class _Labelled(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> dict[str, str]: ...


def components(objects: Iterable[_Labelled]) -> list[str]:
    """The names of those that are a control plane's and not linkerd-cni's."""
    return [
        one.name for one in objects if names.CONTROL_PLANE_NS in one.labels and names.CNI_RESOURCE not in one.labels
    ]
