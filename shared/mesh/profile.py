"""A mesh described as data: one YAML file in `profiles/`, read and validated once.

A profile names its Helm releases in order, the namespace they live in, the values that never depend on a cluster, and
the Deployments whose readiness means that the mesh works. What must be computed from a cluster (networks,
certificates) and how the mesh is judged are named hooks: `hooks: NAME` is the package `shared.mesh.NAME`.

What goes beside the mesh into a namespace of its own is an extension: one Helm release, which the policy's settings may
ask for or forbid by the name of its option.
"""

from __future__ import annotations

import functools
import importlib.resources
from typing import Any

import msgspec
import yaml

from shared import bounded_yaml
from shared.decoding import prepare
from shared.errors import Permanent
from shared.model import OPTIONS, known_meshes

SCHEMA = 1


class ImagePlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a chart's values name one image; each path is dotted, and a value that the chart doesn't have is left out.

    Attributes:
        image: the image's last name, as the policy's `images.digests` has it.
        name: path of its name with the registry (`R/proxy`), or of the bare name where `registry` is given.
        version: path of its tag; where the chart leaves it empty it is the chart's appVersion.
        registry: path of its registry; "" where `name` holds that too.
        used_by: who runs it, where it is no object of the chart: what an injector adds to pods later.
    """

    image: str
    name: str
    version: str
    registry: str = ""
    used_by: str = ""


class RefusedValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that no policy may set.

    Attributes:
        path: dotted path, `*` for any one key; all below it is meant too.
        because: why, and what to use instead: a sentence for people.
        harmless: values that change nothing, so that naming them is no fault.
    """

    path: str
    because: str
    harmless: tuple[Any, ...] = ()


class ReleaseProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One Helm release of a mesh.

    Attributes:
        name: the release's name in the cluster.
        chart: the chart's name in the repository or in the charts folder.
        version: the chart's pinned version.
        digest: sha256 (hex) of the chart's archive; "" where it isn't pinned yet.
        values: Helm values that are the same on every cluster.
        ha: Helm values laid over `values` where the policy asks for high availability.
        images: where the chart's values name its images.
        refused: values that no policy may set.
    """

    name: str
    chart: str
    version: str
    digest: str = ""
    values: dict[str, Any] = {}
    ha: dict[str, Any] = {}
    images: tuple[ImagePlace, ...] = ()
    refused: tuple[RefusedValue, ...] = ()


class NamespaceProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A namespace, and the labels and annotations that it must bear."""

    name: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class OptionalPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of an extension that some clusters refuse, and that the rest works without.

    Attributes:
        name: what it is called in messages.
        probe: an object of the part, as JSON; where a dry run of it is denied, the part is left out.
        templates: the chart's files that make the part, `*` for any text: left out with it.
        deployments: those of the extension's deployments that go with it.
    """

    name: str
    probe: dict[str, Any]
    templates: tuple[str, ...]
    deployments: tuple[str, ...] = ()


class ExtensionProfile(ReleaseProfile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Helm release beside the mesh, in a namespace of its own.

    Attributes:
        namespace: its namespace, which byomesh makes and removes; no other extension's, and not the mesh's.
        deployments: those whose readiness means that it works, at least one; the first tells that the extension is
            there, whoever installed it.
        option: the field of the policy's settings that decides: true installs it, false removes what byomesh
            installed of it, absent keeps it as it should be where byomesh installed it, and never installs it. ""
            means that it belongs to the mesh and is always installed.
        optional_part: what is left out where the cluster refuses it.
        bundled: whether the chart lies in this project, as `shared/mesh/HOOKS/charts/CHART`, and in no repository.
    """

    namespace: NamespaceProfile
    deployments: tuple[str, ...]
    option: str = ""
    optional_part: OptionalPart | None = None
    bundled: bool = False

    @property
    def marker(self) -> str:
        """Path of the object that tells that it is there."""
        return f"/apis/apps/v1/namespaces/{self.namespace.name}/deployments/{self.deployments[0]}"


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
    """A whole mesh; `shared/mesh/profiles/linkerd.yaml` explains each field by example.

    Attributes:
        schema: version of this format.
        mesh: the mesh's name, as messages and policies have it.
        version: the mesh's own version, which the charts install.
        repository: `https://` of a Helm repository, or `oci://` of the folder that has the charts.
        hooks: the package of `shared.mesh` that knows the mesh.
        namespace: the control plane's namespace.
        releases: in the order of installation, all in that namespace.
        deployments: those whose readiness means that the mesh works.
        marker: path of the object that tells that this mesh is there, whoever installed it.
        proxy: name of the container that tells a meshed pod.
        extensions: releases beside the mesh.
        needs_net_admin: whether its pods need the capability NET_ADMIN.
        pod_labels: labels by which the mesh's own webhooks leave its pods alone, so that a broken mesh doesn't stand in
            the way of its own repair.
        platform_owned: fields that the platform edits.
    """

    schema: int
    mesh: str
    version: str
    repository: str
    hooks: str
    namespace: NamespaceProfile
    releases: tuple[ReleaseProfile, ...]
    deployments: tuple[str, ...]
    marker: str
    proxy: str = ""
    extensions: tuple[ExtensionProfile, ...] = ()
    needs_net_admin: bool = True
    pod_labels: dict[str, str] = {}
    platform_owned: tuple[OwnedElsewhere, ...] = ()
    proxy_label: str = ""


prepare(Profile)


def parse_profile(text: str, source: str) -> Profile:
    """Read a profile.

    Args:
        text: the YAML.
        source: what to call it in an error.

    Raises:
        Permanent: no YAML, a field missing, unknown or of the wrong type, or an extension that can't be.
    """
    try:
        profile = msgspec.convert(bounded_yaml.load(text), Profile)
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeError) as error:
        raise Permanent("BadProfile", f"the mesh profile {source} can't be used: {error}") from error
    if profile.schema != SCHEMA:
        raise Permanent("BadProfile", f"the mesh profile {source} has schema {profile.schema}; this version reads 1")
    wrong = _wrong_extension(profile)
    if wrong:
        raise Permanent("BadProfile", f"the mesh profile {source} can't be used: {wrong}")
    return profile


def _wrong_extension(profile: Profile) -> str:
    """What is wrong with the extensions, in words; "" where nothing is."""
    names = {release.name for release in profile.releases}
    namespaces = {profile.namespace.name}
    for extension in profile.extensions:
        if extension.name in names:
            return f"two releases are named {extension.name}"
        if extension.namespace.name in namespaces:
            return f"the extension {extension.name} shares the namespace {extension.namespace.name}"
        if not extension.deployments:
            return f"the extension {extension.name} names no deployments"
        if extension.option not in ("", *OPTIONS):
            return f"the extension {extension.name} has an option that no setting decides: {extension.option[:60]!r}"
        names.add(extension.name)
        namespaces.add(extension.namespace.name)
    return ""


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
