"""The extensions' charts under the real Helm: viz's stand-in whole and less tap, and Emojivoto's."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from byomesh.local.build import Binaries
from shared.config import Settings
from shared.helm import Helm
from shared.mesh.charts import Chart, bundled_chart, chart_in_folder, chart_without
from shared.mesh.linkerd.secrets import wished_serving
from shared.mesh.profile import load_profile
from shared.mesh.releases import parse_manifest

CHARTS = Path(__file__).parent.parent / "charts"
PROFILE = load_profile("linkerd")
VIZ, EMOJIVOTO = PROFILE.extensions
NOW = dt.datetime(2026, 8, 21, tzinfo=dt.UTC)
Objects = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def helm(binaries: Binaries) -> Helm:
    return Helm(Settings(helm=str(binaries.helm)))


def viz_values() -> dict[str, Any]:
    serving, _ = wished_serving({}, ("tap", "tap-injector"), "linkerd-viz", NOW)
    bundles = {"tap": serving["tap"].ca_bundle, "tapInjector": serving["tap-injector"].ca_bundle}
    served = {key: {**VIZ.values[key], "externalSecret": True, "caBundle": pem} for key, pem in bundles.items()}
    return {**VIZ.values, **served}


def rendered(helm: Helm, chart: Chart, namespace: str, values: Mapping[str, Any]) -> Objects:
    text = helm.template(chart.path, values, namespace, chart.name)
    return {(one["kind"], one["metadata"]["name"]): one for one in parse_manifest(text)}


def containers(objects: Objects) -> dict[str, dict[str, Any]]:
    pods = {name: one["spec"]["template"]["spec"] for (kind, name), one in objects.items() if kind == "Deployment"}
    return {name: pod["containers"][0] for name, pod in pods.items()}


def test_viz_takes_the_profiles_values_and_makes_nothing_up(helm: Helm) -> None:
    chart, values = chart_in_folder(CHARTS, PROFILE, VIZ), viz_values()
    objects = rendered(helm, chart, "linkerd-viz", values)
    assert set(containers(objects)) == set(VIZ.deployments)
    assert all(one["resources"]["requests"].keys() == {"cpu", "memory"} for one in containers(objects).values())
    assert not [name for kind, name in objects if kind in ("Secret", "Job", "Namespace")]
    assert json.dumps(list(objects.values())) == json.dumps(list(rendered(helm, chart, "linkerd-viz", values).values()))
    outside = {name for (_, name), one in objects.items() if one["metadata"].get("namespace") == "kube-system"}
    assert VIZ.optional_part is not None
    assert outside == {VIZ.optional_part.probe["metadata"]["name"]}
    reader = objects["RoleBinding", "linkerd-linkerd-viz-tap-auth-reader"]
    assert {key: reader[key] for key in ("roleRef", "subjects")} == {
        key: VIZ.optional_part.probe[key] for key in ("roleRef", "subjects")
    }


def test_less_tap_nothing_of_it_is_left(helm: Helm) -> None:
    part = VIZ.optional_part
    assert part is not None
    chart = chart_without(chart_in_folder(CHARTS, PROFILE, VIZ), part.name, part.templates)
    objects = rendered(helm, chart, "linkerd-viz", {**viz_values(), "byomesh": {"leftOut": "tap"}})
    assert set(containers(objects)) == set(VIZ.deployments) - set(part.deployments)
    assert not [name for _, name in objects if "tap" in name]
    assert {one["metadata"].get("namespace") for one in objects.values()} == {None, "linkerd", "linkerd-viz"}


def test_emojivotos_four_parts_have_requests_and_find_each_other(helm: Helm) -> None:
    objects = rendered(helm, bundled_chart(PROFILE, EMOJIVOTO), "emojivoto", EMOJIVOTO.values)
    found = containers(objects)
    assert set(found) == set(EMOJIVOTO.deployments)
    assert all(one["resources"]["requests"].keys() == {"cpu", "memory"} for one in found.values())
    assert {one["image"] for one in found.values()} == {
        f"docker.l5d.io/buoyantio/emojivoto-{name}:v11" for name in ("emoji-svc", "voting-svc", "web")
    }
    told = {one["name"]: one["value"] for part in found.values() for one in part["env"]}
    for variable in ("EMOJISVC_HOST", "VOTINGSVC_HOST", "WEB_HOST"):
        host, _, port = told[variable].partition(":")
        service = objects["Service", host.removesuffix(".emojivoto")]
        assert [one["port"] for one in service["spec"]["ports"]] == [int(port)]
        selector = service["spec"]["selector"].items()
        meant = [one for (kind, _), one in objects.items() if kind == "Deployment"]
        assert len([one for one in meant if selector <= one["spec"]["template"]["metadata"]["labels"].items()]) == 1
