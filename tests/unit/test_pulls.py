"""Which images a cluster must be able to pull."""

from __future__ import annotations

from typing import Any

import pytest

from shared.mesh.profile import ImagePlace, ReleaseProfile
from shared.mesh.pulls import Pull, injected, outside, pod_spec, rendered, together

SPEC = {
    "initContainers": [{"name": "init", "image": "r/proxy:1"}],
    "containers": [{"name": "app", "image": "r/app:1"}, {"name": "proxy", "image": "r/proxy:1"}],
}


def workload(kind: str) -> dict[str, Any]:
    template = {"spec": SPEC}
    spec: dict[str, Any] = (
        {"jobTemplate": {"spec": {"template": template}}} if kind == "CronJob" else {"template": template}
    )
    return {"kind": kind, "metadata": {"name": "w", "namespace": "n"}, "spec": SPEC if kind == "Pod" else spec}


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "Pod"])
def test_every_kind_that_makes_pods_is_looked_into(kind: str) -> None:
    assert pod_spec(workload(kind)) == SPEC
    assert list(rendered([workload(kind)])) == [
        Pull("r/proxy:1", (f"{kind} n/w (init, proxy)",)),
        Pull("r/app:1", (f"{kind} n/w (app)",)),
    ]


def test_what_makes_no_pods_pulls_nothing() -> None:
    objects: list[dict[str, Any]] = [
        {"kind": "ConfigMap", "metadata": {"name": "c"}},
        {"kind": "Deployment", "metadata": {"name": "d"}},
        {"kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": {"spec": None}}},
    ]
    assert list(rendered(objects)) == []


def test_an_image_is_named_once_with_everybody_who_pulls_it() -> None:
    found = together([Pull("b", ("y",)), Pull("a", ("x",)), Pull("b", ("x", "y"))])
    assert found == (Pull("a", ("x",)), Pull("b", ("x", "y")))
    assert found[1].words == "b (x; y)"


def test_what_only_an_injector_uses_is_read_from_the_values() -> None:
    places = (
        ImagePlace(image="proxy", name="proxy.image.name", version="proxy.image.version", used_by="meshed pods"),
        ImagePlace(image="old", name="old.image.name", version="old.image.version", used_by="nobody"),
        ImagePlace(image="controller", name="controllerImage", version="controllerImageVersion"),
    )
    release = ReleaseProfile(name="r", chart="c", version="1", images=places)
    chart = {"proxy": {"image": {"name": "a/proxy", "version": ""}}, "controllerImage": "a/controller"}
    found = list(injected(release, {"proxy": {"image": {"name": "r/proxy"}}}, chart, "edge-1"))
    assert found == [Pull("r/proxy:edge-1", ("meshed pods",))]


def test_images_outside_the_registry_are_found_unless_the_policy_names_them() -> None:
    found = (
        Pull("eu.example/mesh/proxy:1", ("x",)),
        Pull("prom/prometheus:v2@sha256:1", ("y",)),
        Pull("d/e/f:1", ("z",)),
    )
    assert outside(found, "eu.example/mesh/", {}) == found[1:]
    assert outside(found, "eu.example", {"viz": {"image": {"name": "prom/prometheus"}}}) == found[2:]
    assert outside(found, "eu.example/mesh", {"r": {"a": ["x", 1], "b": {"registry": "d/e"}}}) == found[1:2]
    assert outside(found, "eu.example/mesh", {"r": {"registry": "d", "name": "prometheus"}}) == found[1:]
