"""`byomesh images` in this process: what is listed, and when it ends with 1."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

import shared.config
import shared.helm
from byomesh.cli import images, target
from byomesh.cli.main import app
from byomesh.local import build
from shared import gke
from shared.config import Settings
from tests.unit.doors import EU1, SETTINGS, MemoryGke, MemoryHelm, autopilot
from tests.unit.memory_kube import MemoryKube

REGISTRY = "eu.example/p/mesh"
POLICY = """
schema: 1
rules:
  - name: none
    match: {names: [quiet-*]}
    mesh: none
  - name: ours
    match: {names: [eu-*]}
    mesh: linkerd
    images: {registry: eu.example/p/mesh}
  - name: others
    mesh: linkerd
"""
Run = Callable[..., Result]


class Rendering(MemoryHelm):
    """Helm whose control plane has one container of the mesh's and one of others."""

    def __init__(self, _settings: Settings) -> None:
        super().__init__(MemoryKube())

    def template(
        self, chart: Path, values: Mapping[str, Any], namespace: str, name: str, *, kube_version: str = ""
    ) -> str:
        assert (chart.name, kube_version) == (name, "")
        if name == "linkerd-crds":
            return ""
        named = values.get("controllerImage", "cr.l5d.io/linkerd/controller")
        containers = [{"name": "a", "image": f"{named}:v1"}, {"name": "b", "image": "prom/prometheus:v2"}]
        metadata = {"name": "linkerd-destination", "namespace": namespace}
        spec = {"template": {"spec": {"containers": containers}}}
        return yaml.safe_dump({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(shared.helm, "Helm", Rendering)
    monkeypatch.setattr(images, "helm_program", lambda wished: wished)
    monkeypatch.setattr(shared.config, "settings", lambda: SETTINGS)
    monkeypatch.setattr(gke, "gke", lambda: MemoryGke(autopilot()))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["images", *arguments])

    return run


@pytest.fixture
def policy(tmp_path: Path) -> str:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    return str(file)


def listed(result: Result) -> dict[str, bool]:
    found = json.loads(result.stdout)
    return {one["image"]: one["outside"] for one in found["images"]}


def test_without_a_policy_the_images_are_the_charts(run: Run) -> None:
    result = run("-o", "json")
    assert result.exit_code == 0, result.output
    assert listed(result) == {
        "cr.l5d.io/linkerd/controller:v1": False,
        "cr.l5d.io/linkerd/debug:edge-26.6.3": False,
        "cr.l5d.io/linkerd/proxy:edge-26.6.3": False,
        "prom/prometheus:v2": False,
    }
    assert json.loads(result.stdout)["registries"] == []


def test_people_see_who_pulls_what(run: Run) -> None:
    result = run()
    assert result.exit_code == 0
    assert "Deployment linkerd/linkerd-destination (a)" in result.stdout
    assert "every meshed pod" in result.stdout


def test_a_policy_alone_means_all_of_its_rules(run: Run, policy: str) -> None:
    result = run("--policy", policy, "-o", "json")
    assert result.exit_code == 1
    found = listed(result)
    assert found["prom/prometheus:v2"] is True
    assert {f"{REGISTRY}/controller:v1", "cr.l5d.io/linkerd/controller:v1"} <= found.keys()
    assert found["cr.l5d.io/linkerd/controller:v1"] is False
    assert f"1 of {len(found)} images are not from {REGISTRY}" in result.stderr


def test_with_a_cluster_the_rule_that_matches_decides(run: Run, policy: str) -> None:
    result = run("--policy", policy, "--cluster", str(EU1), "-o", "json")
    assert listed(result) == {
        f"{REGISTRY}/controller:v1": False,
        f"{REGISTRY}/debug:edge-26.6.3": False,
        f"{REGISTRY}/proxy:edge-26.6.3": False,
        "prom/prometheus:v2": True,
    }
    told = run("--policy", policy, "--cluster", str(EU1))
    assert (told.exit_code, "outside prom/prometheus:v2" in told.stdout) == (1, True)


def test_a_cluster_without_a_policy_is_judged_by_the_built_in_one(run: Run) -> None:
    assert run("--cluster", str(EU1), "-o", "json").exit_code == 0


NO_MESH = "schema: 1\nrules:\n  - name: none\n    mesh: none\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--policy", "POLICY"), "no rule of .* asks for linkerd"),
        (("--policy", "POLICY", "--cluster", str(EU1)), "the policy wants no mesh on"),
        (("--policy", "missing"), "BadPolicy"),
        (("--mesh", "unknown"), "UnknownMesh"),
        (("--include", "rainbows"), "there is no extension rainbows"),
    ],
)
def test_what_cannot_be_listed_is_told_in_a_sentence(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(NO_MESH)
    result = run(*(str(file) if one == "POLICY" else one for one in arguments))
    assert result.exit_code == 1
    assert re.search(words, result.stderr.replace("\n", " ")), result.stderr


def test_helm_is_the_settings_or_the_local_clouds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "helm"
    program.touch(mode=0o755)
    assert target.helm_program(str(program)) == str(program)
    monkeypatch.setattr(build, "_missing", lambda _folder: [])
    assert target.helm_program(str(tmp_path / "none")).endswith("/helm")
    monkeypatch.setattr(build, "_missing", lambda _folder: ["helm"])
    with pytest.raises(Exception, match="NoHelm"):
        target.helm_program(str(tmp_path / "none"))
