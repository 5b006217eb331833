"""Policies that reach the releases: their values, their objects, and what is refused before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.errors import Refused
from shared.mesh.choosing import Charts
from shared.mesh.engine import Mesh
from shared.mesh.hooks import install_hooks
from shared.mesh.plan import Kind, WriteObject
from shared.mesh.priority_class import path_of
from shared.mesh.profile import load_profile
from shared.mesh.releases import decode_release
from shared.mesh.wanted import at_its_version, desired_release, images_of
from shared.model import Images, MeshSettings
from tests.unit.doors import SETTINGS, MemoryHelm, MemorySecrets, MemoryStore, autopilot, clock, release_secret
from tests.unit.memory_kube import MemoryKube

PROFILE = load_profile("linkerd")
CONTROL = "linkerd-control-plane"
REGISTRY = "eu.example/p/mesh"
OTHERS = "prom/prometheus:v2.55.1"


class Rendering(MemoryHelm):
    """Helm whose control plane has Deployments, one with an image that no value names."""

    def __init__(self, kube: MemoryKube, *others: str) -> None:
        super().__init__(kube)
        self._others = others

    def template(
        self, chart: Path, values: Mapping[str, Any], namespace: str, name: str, *, kube_version: str = ""
    ) -> str:
        text = super().template(chart, values, namespace, name, kube_version=kube_version)
        if name != CONTROL:
            return text
        image = f"{values.get('controllerImage', 'cr.l5d.io/linkerd/controller')}:edge-1"
        containers = [{"name": f"c{number}", "image": one} for number, one in enumerate((image, *self._others))]
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "linkerd-destination", "namespace": namespace},
            "spec": {"template": {"spec": {"containers": containers}}},
        }
        return f"{text}---\n{yaml.safe_dump(deployment)}"


def mesh(wish: MeshSettings, *others: str, kube: MemoryKube | None = None) -> Mesh:
    kube = kube or MemoryKube()
    return Mesh(PROFILE, autopilot(), kube, Rendering(kube, *others), SETTINGS, MemoryStore(), clock, wish)


def test_a_wish_reaches_the_control_planes_values() -> None:
    wish = MeshSettings(ha=True, priority_class="mesh", iptables_mode="legacy", images=Images(registry=REGISTRY))
    found = mesh(wish)
    assert found.plan().kind is Kind.INSTALL
    values = found.desired.releases[1].values
    assert (values["controllerReplicas"], values["priorityClassName"]) == (3, "mesh")
    assert values["proxyInit"] == {"iptablesMode": "legacy"}
    assert values["controllerImage"] == f"{REGISTRY}/controller"
    assert values["proxy"]["image"] == {"name": f"{REGISTRY}/proxy"}


def test_the_priority_class_is_made_where_it_is_missing() -> None:
    wish = MeshSettings(priority_class="mesh")
    found = mesh(wish)
    steps = [step for step in found.plan().steps if isinstance(step, WriteObject)]
    assert [step.body["metadata"]["name"] for step in steps] == ["mesh"]
    kube = MemoryKube({path_of("mesh"): {"value": 7}})
    assert not [step for step in mesh(wish, kube=kube).plan().steps if isinstance(step, WriteObject)]


def test_a_class_of_kubernetes_own_is_refused_before_anything_is_done() -> None:
    with pytest.raises(Refused, match=r"PolicySettingsRefused on projects/shop.*kube-system"):
        mesh(MeshSettings(priority_class="system-cluster-critical")).plan()


def test_a_refused_value_is_refused_before_a_certificate_is_made() -> None:
    secrets = MemorySecrets()
    kube = MemoryKube()
    wish = MeshSettings(values={CONTROL: {"cniEnabled": True}})
    with pytest.raises(Refused, match="cniEnabled"):
        Mesh(PROFILE, autopilot(), kube, MemoryHelm(kube), SETTINGS, MemoryStore(secrets), clock, wish).plan()
    assert (secrets.versions, kube.writes) == ([], [])


def test_an_image_outside_the_registry_is_refused_by_name() -> None:
    with pytest.raises(Refused) as caught:
        mesh(MeshSettings(images=Images(registry=REGISTRY)), OTHERS).plan()
    error = caught.value
    assert (error.reason, error.cluster) == ("ImagesOutsideRegistry", str(autopilot().ref))
    assert error.problem == f"not from {REGISTRY}: {OTHERS} (Deployment linkerd/linkerd-destination (c1))"


@pytest.mark.parametrize(
    "wish",
    [
        MeshSettings(),
        MeshSettings(images=Images(registry=REGISTRY), values={CONTROL: {"other": {"image": "prom/prometheus"}}}),
    ],
)
def test_it_is_no_fault_without_a_registry_or_where_the_policy_names_it(wish: MeshSettings) -> None:
    assert mesh(wish, OTHERS).plan().kind is Kind.INSTALL


def test_a_kept_version_runs_its_own_images() -> None:
    digest = f"sha256:{'a' * 64}"
    (_, control) = PROFILE.releases
    wish = MeshSettings(ha=True, images=Images(registry=REGISTRY, digests={"proxy": digest}))
    chart = Charts(PROFILE, SETTINGS, MemoryHelm(MemoryKube())).find(control, None)
    wished = desired_release(control, chart, wish, {})
    assert wished.values["proxy"]["image"] == {"name": f"{REGISTRY}/proxy", "version": f"edge-26.6.3@{digest}"}
    record = release_secret(CONTROL, 1, "deployed", chart={}, values={"controllerImageVersion": "edge-1"}, manifest="")
    kept = at_its_version(control, wished, decode_release(record))
    assert kept.values["proxy"]["image"] == {"name": f"{REGISTRY}/proxy"}
    assert (kept.values["controllerImageVersion"], kept.values["controllerReplicas"]) == ("edge-1", 3)


def test_the_images_are_told_without_a_cluster() -> None:
    wish = MeshSettings(images=Images(registry=REGISTRY))
    helm = Rendering(MemoryKube())
    values = install_hooks(PROFILE).example_values(wish)[CONTROL]
    (_, control) = PROFILE.releases
    release = desired_release(control, Charts(PROFILE, SETTINGS, helm).find(control, None), wish, values)
    found = images_of(helm, control, release, "linkerd")
    assert [pull.image for pull in found] == [
        f"{REGISTRY}/controller:edge-1",
        f"{REGISTRY}/debug:edge-26.6.3",
        f"{REGISTRY}/proxy:edge-26.6.3",
    ]
    assert found[2].used_by == ("every meshed pod (linkerd-init, linkerd-proxy)",)
