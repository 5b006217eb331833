"""The stand-in charts under the real Helm: with our values they render as Linkerd's own charts do."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from byomesh.local.build import Binaries
from shared.mesh.linkerd.certificates import AnchorPayload, Webhook, new_anchor_payload, new_issuer
from shared.mesh.linkerd.networks import DEFAULT_NETWORKS
from shared.mesh.linkerd.secrets import wished
from shared.mesh.linkerd.values import computed_values, heartbeat_schedule
from shared.mesh.profile import load_profile

CHARTS = Path(__file__).parent.parent / "charts"
NOW = dt.datetime(2026, 8, 21, tzinfo=dt.UTC)
CLUSTER = "projects/shop/locations/europe-west1/clusters/eu-1"
NETWORKS = f"{DEFAULT_NETWORKS},34.118.224.0/20"
COMPONENTS = ("linkerd-destination", "linkerd-identity", "linkerd-proxy-injector")

# Kind, namespace and name of all that chart 2026.8.3 of Linkerd's own makes of the same values.
CONTROL_PLANE = {
    *(("ServiceAccount", f"linkerd-{name}") for name in ("destination", "heartbeat", "identity", "proxy-injector")),
    ("ConfigMap", "linkerd-config"),
    ("ConfigMap", "linkerd-identity-trust-roots"),
    ("ClusterRole", "linkerd-linkerd-destination"),
    ("ClusterRole", "linkerd-policy"),
    ("ClusterRole", "linkerd-heartbeat"),
    ("ClusterRole", "linkerd-linkerd-identity"),
    ("ClusterRole", "linkerd-linkerd-proxy-injector"),
    ("ClusterRoleBinding", "linkerd-linkerd-destination"),
    ("ClusterRoleBinding", "linkerd-destination-policy"),
    ("ClusterRoleBinding", "linkerd-heartbeat"),
    ("ClusterRoleBinding", "linkerd-linkerd-identity"),
    ("ClusterRoleBinding", "linkerd-linkerd-proxy-injector"),
    ("Role", "ext-namespace-metadata-linkerd-config"),
    ("Role", "remote-discovery"),
    ("Role", "linkerd-heartbeat"),
    ("RoleBinding", "linkerd-destination-remote-discovery"),
    ("RoleBinding", "linkerd-heartbeat"),
    ("Service", "linkerd-dst"),
    ("Service", "linkerd-dst-headless"),
    ("Service", "linkerd-sp-validator"),
    ("Service", "linkerd-policy"),
    ("Service", "linkerd-policy-validator"),
    ("Service", "linkerd-identity"),
    ("Service", "linkerd-identity-headless"),
    ("Service", "linkerd-proxy-injector"),
    *(("Deployment", name) for name in COMPONENTS),
    ("CronJob", "linkerd-heartbeat"),
    ("MutatingWebhookConfiguration", "linkerd-proxy-injector-webhook-config"),
    ("ValidatingWebhookConfiguration", "linkerd-sp-validator-webhook-config"),
    ("ValidatingWebhookConfiguration", "linkerd-policy-validator-webhook-config"),
}
SECRETS = {f"{webhook.service}-k8s-tls" for webhook in Webhook}
CRDS = {
    "authorizationpolicies.policy.linkerd.io",
    "egressnetworks.policy.linkerd.io",
    "externalworkloads.workload.linkerd.io",
    "httplocalratelimitpolicies.policy.linkerd.io",
    "httproutes.policy.linkerd.io",
    "meshtlsauthentications.policy.linkerd.io",
    "networkauthentications.policy.linkerd.io",
    "serverauthorizations.policy.linkerd.io",
    "servers.policy.linkerd.io",
    "serviceprofiles.linkerd.io",
}
ROUTES = {f"{kind}routes.gateway.networking.k8s.io" for kind in ("grpc", "http", "tcp", "tls")}

Object = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Helm:
    """The real Helm in a home of its own."""

    program: Path
    home: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.program), *arguments, "--namespace", "linkerd"]
        environment = {"HOME": str(self.home)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def template(self, chart: str, *arguments: str) -> str:
        done = self.run("template", chart, str(CHARTS / chart), *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def objects(self, chart: str, *arguments: str) -> dict[tuple[str, str], Object]:
        """What a chart renders, by kind and name."""
        documents = yaml.safe_load_all(self.template(chart, *arguments))
        return {(one["kind"], one["metadata"]["name"]): one for one in documents if one}


@pytest.fixture(scope="module")
def helm(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(binaries.helm, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def fleet() -> AnchorPayload:
    return new_anchor_payload(NOW)


@pytest.fixture(scope="module")
def ours(fleet: AnchorPayload, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Arguments with the profile's values and the computed ones over them, as an installation has them."""
    certificates = wished({}, new_issuer(fleet, NOW), "linkerd", NOW)
    computed = computed_values(
        cluster=CLUSTER,
        cluster_networks=NETWORKS,
        trust_anchors=fleet.trust_anchors,
        webhooks=certificates.webhooks,
    )
    folder = tmp_path_factory.mktemp("values")
    (folder / "computed.json").write_text(json.dumps(computed))
    (release,) = (one for one in load_profile("linkerd").releases if one.name == "linkerd-control-plane")
    (folder / "static.json").write_text(json.dumps(release.values))
    return ("-f", str(folder / "static.json"), "-f", str(folder / "computed.json"))


@pytest.fixture(scope="module")
def control_plane_objects(helm: Helm, ours: tuple[str, ...]) -> dict[tuple[str, str], Object]:
    return helm.objects("linkerd-control-plane", *ours)


@pytest.fixture
def issuer_in_values(fleet: AnchorPayload, tmp_path: Path) -> tuple[str, ...]:
    """What somebody gives who follows Linkerd's own instructions: an issuer in the values, nothing pinned."""
    (tmp_path / "anchor.pem").write_text(fleet.trust_anchors)
    (tmp_path / "issuer.key").write_text(fleet.signing.private_key_pem)
    return (
        "--set-file",
        f"identityTrustAnchorsPEM={tmp_path}/anchor.pem,identity.issuer.tls.crtPEM={tmp_path}/anchor.pem",
        "--set-file",
        f"identity.issuer.tls.keyPEM={tmp_path}/issuer.key",
    )


def pod(deployment: Object) -> Object:
    template: Object = deployment["spec"]["template"]["spec"]
    return template


def containers(objects: dict[tuple[str, str], Object]) -> Iterator[tuple[str, Object]]:
    """All containers with the workload's name, those that start first too."""
    for (kind, name), one in objects.items():
        if kind in ("Deployment", "CronJob"):
            spec = pod(one if kind == "Deployment" else one["spec"]["jobTemplate"])
            for container in [*spec.get("initContainers", []), *spec["containers"]]:
                yield name, container


def test_helm_finds_no_fault_with_the_charts(helm: Helm, ours: tuple[str, ...]) -> None:
    for chart, arguments in (("linkerd-crds", ()), ("linkerd-control-plane", ours)):
        done = helm.run("lint", "--strict", str(CHARTS / chart), *arguments)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("chart", ["linkerd-crds", "linkerd-control-plane"])
def test_the_charts_are_of_the_profiles_version_and_say_what_they_are(chart: str) -> None:
    profile = load_profile("linkerd")
    said = yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text())
    (release,) = (one for one in profile.releases if one.chart == chart)
    assert (said["name"], said["version"], said["appVersion"]) == (chart, release.version, profile.version)
    assert "Stand-in" in said["description"]


def test_our_values_render_the_same_bytes_twice(helm: Helm, ours: tuple[str, ...]) -> None:
    assert helm.template("linkerd-control-plane", *ours) == helm.template("linkerd-control-plane", *ours)


def test_without_them_each_render_makes_up_certificates(helm: Helm, issuer_in_values: tuple[str, ...]) -> None:
    one, other = (helm.objects("linkerd-control-plane", *issuer_in_values) for _ in range(2))
    made = {name for kind, name in one if kind == "Secret"}
    assert made == {"linkerd-identity-issuer", *SECRETS}
    for name in SECRETS:
        assert one["Secret", name]["data"] != other["Secret", name]["data"]
    rolled = {
        name: one["Deployment", name]["spec"]["template"] != other["Deployment", name]["spec"]["template"]
        for name in COMPONENTS
    }
    assert rolled == {"linkerd-destination": True, "linkerd-identity": False, "linkerd-proxy-injector": True}
    schedule = one["CronJob", "linkerd-heartbeat"]["spec"]["schedule"].split()
    assert (len(schedule), schedule[2:]) == (5, ["*", "*", "*"])


def test_the_objects_are_those_of_linkerds_chart(control_plane_objects: dict[tuple[str, str], Object]) -> None:
    assert set(control_plane_objects) == CONTROL_PLANE
    for (kind, _), one in control_plane_objects.items():
        cluster_wide = kind.startswith("Cluster") or kind.endswith("WebhookConfiguration")
        assert one["metadata"].get("namespace") == (None if cluster_wide else "linkerd")
        assert one["metadata"]["labels"]["linkerd.io/control-plane-ns"] == "linkerd"


def test_the_cluster_networks_are_in_all_their_places(control_plane_objects: dict[tuple[str, str], Object]) -> None:
    config = control_plane_objects["ConfigMap", "linkerd-config"]["data"]
    assert yaml.safe_load(config["values"])["clusterNetworks"] == NETWORKS
    found: Counter[str] = Counter()
    for workload, container in containers(control_plane_objects):
        variables = [entry for entry in container.get("env", []) if "NETWORKS" in entry["name"]]
        assert {entry["value"] for entry in variables} <= {NETWORKS}
        found.update(f"{workload} {entry['name']}" for entry in variables)
        found.update(
            f"{workload}/{container['name']} {arg}" for arg in container.get("args", []) if "-cluster-networks" in arg
        )
    assert found == {
        f"linkerd-destination/policy --cluster-networks={NETWORKS}": 1,
        **{
            f"{name} LINKERD2_PROXY_{variable}": 1
            for name in COMPONENTS
            for variable in ("DESTINATION_PROFILE_NETWORKS", "POLICY_CLUSTER_NETWORKS")
        },
    }


def test_the_charts_own_networks_are_linkerds(helm: Helm, issuer_in_values: tuple[str, ...]) -> None:
    config = helm.objects("linkerd-control-plane", *issuer_in_values)["ConfigMap", "linkerd-config"]["data"]
    assert yaml.safe_load(config["values"])["clusterNetworks"] == DEFAULT_NETWORKS
    assert set(config) == {"linkerd-crds-chart-version", "values"}


def test_our_values_hold_no_private_key(helm: Helm, ours: tuple[str, ...]) -> None:
    assert "PRIVATE KEY" not in "".join(Path(path).read_text() for path in ours if path != "-f")
    assert "PRIVATE KEY" not in helm.template("linkerd-control-plane", *ours)


def test_a_key_in_the_values_stays_out_of_the_config_map(helm: Helm, issuer_in_values: tuple[str, ...]) -> None:
    pairs = ",".join(f"{webhook.values_key}.keyPEM=secret,{webhook.values_key}.crtPEM=crt" for webhook in Webhook)
    config = helm.objects("linkerd-control-plane", *issuer_in_values, "--set", pairs)["ConfigMap", "linkerd-config"]
    values = yaml.safe_load(config["data"]["values"])
    assert "keyPEM" not in config["data"]["values"]
    assert values["identity"]["issuer"]["tls"]["crtPEM"].startswith("-----BEGIN CERTIFICATE")
    assert values["identityTrustDomain"] == "cluster.local"


def test_the_trust_anchors_and_ca_bundles_are_ours(
    control_plane_objects: dict[tuple[str, str], Object], fleet: AnchorPayload, ours: tuple[str, ...]
) -> None:
    roots = control_plane_objects["ConfigMap", "linkerd-identity-trust-roots"]["data"]["ca-bundle.crt"]
    assert roots == fleet.trust_anchors.strip()
    given = json.loads(Path(ours[-1]).read_text())
    for webhook in Webhook:
        kind = "MutatingWebhookConfiguration" if webhook is Webhook.PROXY_INJECTOR else "ValidatingWebhookConfiguration"
        (entry,) = control_plane_objects[kind, f"{webhook.service}-webhook-config"]["webhooks"]
        bundle = base64.b64decode(entry["clientConfig"]["caBundle"]).decode()
        assert bundle == given[webhook.values_key]["caBundle"].strip()
        assert entry["clientConfig"]["service"]["name"] == webhook.service


def test_the_heartbeat_is_pinned(control_plane_objects: dict[tuple[str, str], Object]) -> None:
    schedule = control_plane_objects["CronJob", "linkerd-heartbeat"]["spec"]["schedule"]
    assert schedule == heartbeat_schedule(CLUSTER)


def test_linkerd_init_wants_net_admin_and_nothing_else_does(
    control_plane_objects: dict[tuple[str, str], Object],
) -> None:
    wanting = {
        workload: container["securityContext"]["capabilities"]["add"]
        for workload, container in containers(control_plane_objects)
        if "add" in container["securityContext"]["capabilities"]
    }
    assert wanting == {name: ["NET_ADMIN", "NET_RAW"] for name in COMPONENTS}


@pytest.mark.parametrize("native", [True, False])
def test_proxies_are_native_sidecars_unless_told_not_to_be(helm: Helm, ours: tuple[str, ...], native: bool) -> None:
    objects = helm.objects("linkerd-control-plane", *ours, "--set", f"proxy.nativeSidecar={json.dumps(native)}")
    for name in COMPONENTS:
        spec = pod(objects["Deployment", name])
        first = {one["name"]: one.get("restartPolicy") for one in spec["initContainers"]}
        beside = [one["name"] for one in spec["containers"]]
        # Identity's own proxy waits for identity, so it is never started before it.
        if native and name != "linkerd-identity":
            assert first == {"linkerd-init": None, "linkerd-proxy": "Always"}
            assert "linkerd-proxy" not in beside
        else:
            assert first == {"linkerd-init": None}
            assert beside.index("linkerd-proxy") == (len(beside) - 1 if name == "linkerd-identity" else 0)


def test_the_profile_gives_every_container_its_requests(control_plane_objects: dict[tuple[str, str], Object]) -> None:
    seen = [(workload, one["name"], one.get("resources", {})) for workload, one in containers(control_plane_objects)]
    assert len(seen) == 12
    lacking = [one[:2] for one in seen if not {"cpu", "memory"} <= one[2].get("requests", {}).keys()]
    assert lacking == []


def test_images_can_come_from_elsewhere(helm: Helm, ours: tuple[str, ...]) -> None:
    settings = "controllerImage=r/c,controllerImageVersion=v1,proxy.image.name=r/p,proxy.image.version=v2"
    objects = helm.objects("linkerd-control-plane", *ours, "--set", settings)
    assert {container["image"] for _, container in containers(objects)} == {"r/c:v1", "r/p:v2"}


def test_high_availability_is_honoured(helm: Helm, ours: tuple[str, ...]) -> None:
    settings = (
        "enablePodDisruptionBudget=true,enablePodAntiAffinity=true,controllerReplicas=3,webhookFailurePolicy=Fail"
    )
    objects = helm.objects("linkerd-control-plane", *ours, "--set", settings)
    budgets = {name for kind, name in objects if kind == "PodDisruptionBudget"}
    assert budgets == {"linkerd-dst", "linkerd-identity", "linkerd-proxy-injector"}
    for name in COMPONENTS:
        assert objects["Deployment", name]["spec"]["replicas"] == 3
        assert "podAntiAffinity" in pod(objects["Deployment", name])["affinity"]
    hooks = [one for (kind, _), one in objects.items() if kind.endswith("WebhookConfiguration")]
    assert [one["webhooks"][0]["failurePolicy"] for one in hooks] == ["Fail", "Fail", "Fail"]


REFUSALS = {
    "identity.issuer.scheme=kubernetes.io/tls,identityTrustAnchorsPEM=": "identityTrustAnchorsPEM is empty",
    "identity.issuer.scheme=linkerd.io/tls": r"identity\.issuer\.tls\.crtPEM is empty",
    "proxyInjector.caBundle=": "proxyInjector: externalSecret wants a caBundle",
    "policyValidator.injectCaFrom=a": "policyValidator: a caBundle is either given or injected",
    "profileValidator.injectCaFrom=a,profileValidator.injectCaFromSecret=b": "exclude each other",
    "policyValidator.injectCaFrom=a,policyValidator.caBundle=,policyValidator.externalSecret=false": "wants external",
    "proxyInit.iptablesMode=ebpf": "it may be nft or legacy",
}


@pytest.mark.parametrize("settings", REFUSALS)
def test_values_that_cannot_work_are_refused(helm: Helm, ours: tuple[str, ...], settings: str) -> None:
    done = helm.run("template", "x", str(CHARTS / "linkerd-control-plane"), *ours, "--set", settings)
    assert done.returncode != 0
    assert re.search(REFUSALS[settings], done.stderr)


@pytest.mark.parametrize(
    ("settings", "routes"),
    [
        ("installGatewayAPI=false", set()),
        ("installGatewayAPI=true", ROUTES),
        ("installGatewayAPI=true,enableHttpRoutes=false", {one for one in ROUTES if one.startswith("t")}),
        ("enableTcpRoutes=true", {"tcproutes.gateway.networking.k8s.io"}),
        ("enableTlsRoutes=true", {"tlsroutes.gateway.networking.k8s.io"}),
    ],
)
def test_the_crds_are_linkerds_and_the_gateways_on_demand(helm: Helm, settings: str, routes: set[str]) -> None:
    objects = helm.objects("linkerd-crds", "--set", settings)
    assert {name for _, name in objects} == CRDS | routes
    for (kind, name), one in objects.items():
        assert kind == "CustomResourceDefinition"
        assert name == f"{one['spec']['names']['plural']}.{one['spec']['group']}"
        assert [version["storage"] for version in one["spec"]["versions"]].count(True) == 1
