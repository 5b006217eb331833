"""A mesh described as data: one YAML file in `profiles/`, read and validated once.

A profile names its Helm releases in order, the namespace they live in, the values that never depend on a cluster, and
the Deployments whose readiness means that the mesh works. What must be computed from a cluster (networks,
certificates) and how the mesh is judged are named hooks: `hooks: NAME` is the package `shared.mesh.NAME`.
"""

from __future__ import annotations

import functools
import importlib.resources
from typing import Any

import msgspec
import yaml

from shared.decoding import prepare
from shared.errors import Permanent

SCHEMA = 1


class ReleaseProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One Helm release of a mesh.

    Attributes:
        name: the release's name in the cluster.
        chart: the chart's name in the repository or in the charts folder.
        version: the chart's pinned version.
        digest: sha256 (hex) of the chart's archive; "" where it isn't pinned yet.
        values: Helm values that are the same on every cluster.
    """

    name: str
    chart: str
    version: str
    digest: str = ""
    values: dict[str, Any] = {}


class NamespaceProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The namespace of the control plane and the labels that it must bear."""

    name: str
    labels: dict[str, str] = {}


class OwnedElsewhere(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field that the platform edits after apply, so that a difference there is no drift.

    Attributes:
        kind: the object's kind.
        path: dotted path, `*` for any list item, such as `webhooks.*.namespaceSelector`.
    """

    kind: str
    path: str

    @property
    def field(self) -> str:
        """The path as conflicts of fields are matched: `webhooks[*].namespaceSelector`."""
        return self.path.replace(".*", "[*]")


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole mesh; `shared/mesh/profiles/linkerd.yaml` explains each field by example."""

    schema: int
    mesh: str
    version: str
    repository: str
    hooks: str
    namespace: NamespaceProfile
    releases: tuple[ReleaseProfile, ...]
    deployments: tuple[str, ...]
    marker: str
    needs_net_admin: bool = True
    platform_owned: tuple[OwnedElsewhere, ...] = ()


prepare(Profile)


def parse_profile(text: str, source: str) -> Profile:
    """Read a profile.

    Args:
        text: the YAML.
        source: what to call it in an error.

    Raises:
        Permanent: no YAML, a field missing, unknown or of the wrong type.
    """
    try:
        profile = msgspec.convert(yaml.safe_load(text), Profile)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise Permanent("BadProfile", f"the mesh profile {source} can't be used: {error}") from error
    if profile.schema != SCHEMA:
        raise Permanent("BadProfile", f"the mesh profile {source} has schema {profile.schema}; this version reads 1")
    return profile


def known_meshes() -> tuple[str, ...]:
    """Names of all profiles, sorted."""
    folder = importlib.resources.files("shared.mesh") / "profiles"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


@functools.cache
def load_profile(mesh: str) -> Profile:
    """The profile of `mesh`.

    Raises:
        Permanent: there is no such profile, or it can't be used.
    """
    if mesh not in known_meshes():
        raise Permanent(
            "UnknownMesh",
            f"there is no profile for the mesh {mesh[:60]!r}",
            remedy=f"ask for one of: {', '.join(known_meshes())}",
        )
    entry = importlib.resources.files("shared.mesh") / "profiles" / f"{mesh}.yaml"
    return parse_profile(entry.read_text(encoding="utf-8"), entry.name)
