"""Mesh profiles: the one that ships, and what a bad one is told."""

from __future__ import annotations

import importlib.resources

import pytest
import yaml

from shared.errors import Permanent
from shared.mesh.hooks import install_hooks
from shared.mesh.profile import OwnedElsewhere, load_profile, parse_profile
from shared.model import known_meshes

TEXT = (importlib.resources.files("shared.mesh") / "profiles" / "linkerd.yaml").read_text(encoding="utf-8")


def test_linkerds_profile_is_known_and_read_once() -> None:
    assert "linkerd" in known_meshes()
    profile = load_profile("linkerd")
    assert profile is load_profile("linkerd")
    assert [release.name for release in profile.releases] == ["linkerd-crds", "linkerd-control-plane"]
    assert [extension.option for extension in profile.extensions] == ["viz", "emojivoto"]
    assert {release.version for release in profile.releases} == {install_hooks(profile).chart_version(profile.version)}
    assert profile.needs_net_admin
    assert profile.marker.startswith(f"/api/v1/namespaces/{profile.namespace.name}/")


def test_every_profile_can_be_used() -> None:
    assert [load_profile(mesh).mesh for mesh in known_meshes()] == list(known_meshes())


@pytest.mark.parametrize("mesh", ["", "istia", "../../x", "linkerd.yaml", "x" * 1000])
def test_an_unknown_mesh_is_permanent_and_told_which_are_known(mesh: str) -> None:
    with pytest.raises(Permanent) as raised:
        load_profile(mesh)
    assert (raised.value.reason, raised.value.remedy) == ("UnknownMesh", f"ask for one of: {', '.join(known_meshes())}")
    assert len(raised.value.problem) < 200


BAD = {
    "no YAML": ("{", "while parsing"),
    "no mapping": ("linkerd", "Expected `object`"),
    "empty": ("", "Expected `object`"),
    "schema": (TEXT.replace("schema: 1", "schema: 2"), "has schema 2; this version reads 1"),
    "unknown field": (f"{TEXT}\nextra: 1\n", "unknown field `extra`"),
    "field missing": (TEXT.replace("hooks: linkerd", ""), "missing required field `hooks`"),
    "wrong type": (TEXT.replace("\ndeployments: [", "\ndeployments: [1, "), r"\$\.deployments\[0\]"),
    "unknown inside": (TEXT.replace("chart: linkerd-crds", "chart: a\n    wait: true"), "unknown field `wait`"),
}


def extension(name: str = "viz", namespace: str = "viz", **more: object) -> dict[str, object]:
    found = {"name": name, "chart": "c", "version": "1", "namespace": {"name": namespace}, "deployments": ["web"]}
    return {**found, **more}


EXTENSIONS = {
    "two of one name": ([extension("linkerd-crds")], "two releases are named linkerd-crds"),
    "the mesh's namespace": ([extension(namespace="linkerd")], "viz shares the namespace linkerd"),
    "one namespace for two": ([extension(), extension("other")], "other shares the namespace viz"),
    "no deployments": ([extension(deployments=[])], "viz names no deployments"),
    "nobody decides": ([extension(option="ha")], "an option that no setting decides: 'ha'"),
}


@pytest.mark.parametrize("case", EXTENSIONS)
def test_an_extension_that_cannot_be_is_permanent(case: str) -> None:
    extensions, words = EXTENSIONS[case]
    with pytest.raises(Permanent, match=words):
        parse_profile(yaml.safe_dump({**yaml.safe_load(TEXT), "extensions": extensions}), "linkerd.yaml")


def test_an_extension_is_told_by_its_first_deployment() -> None:
    text = yaml.safe_dump({**yaml.safe_load(TEXT), "extensions": [extension(option="viz"), extension("b", "b")]})
    assert parse_profile(text, "x").extensions[0].marker == "/apis/apps/v1/namespaces/viz/deployments/web"


@pytest.mark.parametrize("case", BAD)
def test_a_bad_profile_says_what_is_wrong_with_it(case: str) -> None:
    text, words = BAD[case]
    assert text != TEXT
    with pytest.raises(Permanent, match=words) as raised:
        parse_profile(text, "linkerd.yaml")
    assert raised.value.reason == "BadProfile"
    assert "linkerd.yaml" in raised.value.problem


def test_fields_of_the_platform_are_known_by_both_their_spellings() -> None:
    owned = OwnedElsewhere("MutatingWebhookConfiguration", "webhooks.*.namespaceSelector")
    assert owned.field == "webhooks[*].namespaceSelector"
    assert owned in parse_profile(TEXT, "x").platform_owned


def test_the_profiles_values_are_plain_data() -> None:
    profile = parse_profile(TEXT, "x")
    assert yaml.safe_load(TEXT)["releases"][1]["values"] == profile.releases[1].values
