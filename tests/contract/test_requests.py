"""What the charts' pods request, held against Autopilot's rules, as the policy's switches leave them.

Autopilot's rules for its general-purpose class
(https://cloud.google.com/kubernetes-engine/docs/concepts/autopilot-resource-requests): 1 to 6.5 GiB a vCPU; at least
50m and 52 MiB a pod on clusters that can burst, which is every cluster made at GKE 1.30 or later; and 500m where pods
keep away from each other, or autogke-pod-limit-constraints refuses them. Below the others they are raised unasked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from byomesh.local.build import Binaries
from shared.config import Settings
from shared.helm import Helm
from shared.mesh.choosing import Charts
from shared.mesh.hooks import install_hooks
from shared.mesh.profile import load_profile
from shared.mesh.pulls import pod_spec
from shared.mesh.releases import parse_manifest
from shared.mesh.wanted import desired_release
from shared.model import Images, MeshSettings
from tests.unit.doors import CHARTS

Json = Mapping[str, Any]
PROFILE = load_profile("linkerd")
COMPONENTS = {"linkerd-destination", "linkerd-identity", "linkerd-proxy-injector"}
HA = MeshSettings(ha=True, priority_class="service-mesh", iptables_mode="legacy")


@dataclasses.dataclass(frozen=True)
class Rendered:
    """Every object of every release."""

    objects: tuple[Json, ...]

    def pods(self) -> Iterator[tuple[str, Json]]:
        for obj in self.objects:
            spec = pod_spec(obj)
            if spec is not None:
                yield f"{obj['kind']} {obj['metadata']['name']}", spec

    def deployments(self) -> dict[str, Json]:
        return {obj["metadata"]["name"]: obj for obj in self.objects if obj["kind"] == "Deployment"}


@pytest.fixture(scope="module")
def helm(binaries: Binaries) -> tuple[Helm, Settings]:
    settings = Settings(project="mesh", charts=str(CHARTS), helm=str(binaries.helm))
    return Helm(settings), settings


def render(helm: tuple[Helm, Settings], wish: MeshSettings) -> Rendered:
    program, settings = helm
    charts = Charts(PROFILE, settings, program)
    computed = install_hooks(PROFILE).example_values(wish)
    objects: list[Json] = []
    parts = [(release, PROFILE.namespace.name) for release in PROFILE.releases]
    parts += [
        (extension, extension.namespace.name)
        for extension in PROFILE.extensions
        if extension.bundled or (CHARTS / extension.chart).is_dir()
    ]
    for release, namespace in parts:
        wanted = desired_release(release, charts.find(release, None), wish, computed.get(release.name, {}))
        objects += parse_manifest(program.template(wanted.chart.path, wanted.values, namespace, wanted.name))
    return Rendered(tuple(objects))


def millicores(amount: str) -> int:
    return int(amount[:-1]) if amount.endswith("m") else round(float(amount) * 1000)


def mebibytes(amount: str) -> float:
    units = {"Ki": 1 / 1024, "Mi": 1, "Gi": 1024}
    return float(amount[:-2]) * units[amount[-2:]]


def requested(containers: list[Json]) -> tuple[int, float]:
    """Millicores and MiB of containers that run side by side."""
    requests = [container["resources"]["requests"] for container in containers]
    return sum(millicores(one["cpu"]) for one in requests), sum(mebibytes(one["memory"]) for one in requests)


def side_by_side(spec: Json) -> Iterator[list[Json]]:
    """The containers that run together, without and with the native sidecars: nobody says whether those are counted."""
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    yield list(spec["containers"])
    yield [*spec["containers"], *sidecars]


@pytest.mark.parametrize("wish", [MeshSettings(), HA], ids=["plain", "ha"])
def test_every_container_of_every_pod_has_requests_that_autopilot_takes(
    helm: tuple[Helm, Settings], wish: MeshSettings
) -> None:
    pods = dict(render(helm, wish).pods())
    assert {f"Deployment {name}" for name in COMPONENTS} | {"CronJob linkerd-heartbeat"} <= pods.keys()
    for name, spec in pods.items():
        for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
            resources = container.get("resources") or {}
            assert {"cpu", "memory"} <= resources.get("requests", {}).keys(), f"{name}, {container['name']}"
            limit = resources.get("limits", {}).get("memory")
            assert limit is None or mebibytes(limit) >= mebibytes(resources["requests"]["memory"])
        apart = "podAntiAffinity" in spec.get("affinity", {})
        for containers in side_by_side(spec):
            cpu, memory = requested(containers)
            assert cpu >= (500 if apart else 50), name
            assert memory >= (512 if apart else 52), name
            assert 1 <= (memory / 1024) / (cpu / 1000) <= 6.5, name


def test_a_cron_job_requests_its_limits(helm: tuple[Helm, Settings]) -> None:
    pods = dict(render(helm, MeshSettings()).pods())
    (heartbeat,) = pods["CronJob linkerd-heartbeat"]["containers"]
    assert heartbeat["resources"]["requests"] == heartbeat["resources"]["limits"]
    assert heartbeat["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}


def test_high_availability_is_three_of_each_apart_and_fails_closed(helm: tuple[Helm, Settings]) -> None:
    found = render(helm, HA)
    for name in COMPONENTS:
        spec = found.deployments()[name]["spec"]
        assert spec["replicas"] == 3
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": "25%"}
        apart = spec["template"]["spec"]["affinity"]["podAntiAffinity"]
        (required,) = apart["requiredDuringSchedulingIgnoredDuringExecution"]
        assert required["topologyKey"] == "kubernetes.io/hostname"
        assert spec["template"]["spec"]["priorityClassName"] == "service-mesh"
    kinds = [obj["kind"] for obj in found.objects]
    assert kinds.count("PodDisruptionBudget") >= len(COMPONENTS)
    for obj in found.objects:
        if obj["kind"].endswith("WebhookConfiguration") and obj["metadata"]["name"].startswith("linkerd-p"):
            (webhook,) = obj["webhooks"]
            assert webhook["failurePolicy"] == "Fail"
            names = webhook["namespaceSelector"]["matchExpressions"][1]
            assert {"kube-system", "gke-managed-system", "gmp-system"} <= set(names["values"])


def test_without_it_none_of_that_is_there(helm: tuple[Helm, Settings]) -> None:
    found = render(helm, MeshSettings())
    for name in COMPONENTS:
        spec = found.deployments()[name]["spec"]
        assert spec["replicas"] == 1
        assert not {"affinity", "priorityClassName"} & spec["template"]["spec"].keys()


@pytest.mark.parametrize(("mode", "programs"), [("legacy", set()), ("nft", {"iptables-nft", "iptables-nft-save"})])
def test_the_iptables_mode_reaches_the_init_containers(
    helm: tuple[Helm, Settings], mode: Any, programs: set[str]
) -> None:
    found = render(helm, MeshSettings(iptables_mode=mode))
    for name in COMPONENTS:
        (init,) = (
            one
            for one in found.deployments()[name]["spec"]["template"]["spec"]["initContainers"]
            if one["name"] == "linkerd-init"
        )
        assert {one.rpartition("=")[2] for one in init["args"] if "iptables" in one} == programs
        assert init["securityContext"]["privileged"] is False


def test_registry_and_digests_reach_every_image_and_the_injectors_configuration(helm: tuple[Helm, Settings]) -> None:
    digests = {name: f"sha256:{number:064x}" for number, name in enumerate(("controller", "proxy", "debug"), 1)}
    images = Images(registry="eu.example/p/mesh", digests=digests)
    found = render(helm, MeshSettings(images=images))
    control_plane = [spec for name, spec in found.pods() if name.split()[1] in {*COMPONENTS, "linkerd-heartbeat"}]
    used = {one["image"] for spec in control_plane for one in [*spec.get("initContainers", []), *spec["containers"]]}
    assert used == {f"eu.example/p/mesh/{name}:edge-26.6.3@{digests[name]}" for name in ("controller", "proxy")}
    configs = {obj["metadata"]["name"]: obj for obj in found.objects if obj["kind"] == "ConfigMap"}
    for name in ("proxy", "debug"):
        assert f"eu.example/p/mesh/{name}" in configs["linkerd-config"]["data"]["values"]
        assert digests[name] in configs["linkerd-config"]["data"]["values"]
