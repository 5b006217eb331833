"""`byomesh plan`, `repair` and `check` on real API servers, with a mesh that somebody else installed."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from byomesh.cli.main import app
from byomesh.demo.inventory import changes, resource_versions
from byomesh.local.build import Binaries
from byomesh.local.gateway_api import definitions
from byomesh.local.inhabitants import Inhabitants
from byomesh.local.kubernetes import ControlPlane
from shared.mesh.linkerd import networks
from shared.mesh.linkerd.certificates import Webhook, new_anchor_payload, new_issuer, new_serving_certificate
from shared.mesh.linkerd.repairs import PROXY_VARIABLES
from shared.mesh.releases import parse_manifest
from tests.contract.mesh_on_a_cluster import (
    CONFIG,
    DEPLOYMENTS,
    INJECTOR,
    LINKERD,
    PROFILE,
    SECRETS,
    Json,
    World,
    beside_the_loop,
    now,
    until,
)
from tests.unit.doors import CHARTS

CRDS, CONTROL = (CHARTS / release.chart for release in PROFILE.releases)
CRD_VALUES: Json = {"installGatewayAPI": False}
OVERRIDES = f"{SECRETS}/linkerd-config-overrides"
POLICY_ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/linkerd-policy"
DESTINATION = f"{DEPLOYMENTS}/linkerd-destination"
SERVICES = "34.118.224.0/20"
BY_HAND = "kubectl-client-side-apply"


async def world_of(name: str, binaries: Binaries, factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with ControlPlane(name, factory.mktemp(name), binaries) as plane, Inhabitants(plane):
        await plane.add_node(f"gke-{name}-default-pool-0001")
        world = World.of(plane, binaries, factory.mktemp(f"{name}-world"))
        yield world
        world.kube.close()


@pytest.fixture(scope="module")
async def by_hand(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A cluster for a mesh that Helm knows nothing of."""
    async for world in world_of("by-hand", binaries, tmp_path_factory):
        yield world


@pytest.fixture(scope="module")
async def by_helm(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A cluster with a mesh that somebody installed by Helm."""
    async for world in world_of("by-helm", binaries, tmp_path_factory):
        await asyncio.to_thread(install_by_helm, world)
        yield world


def values() -> Json:
    """What the CLI renders with: certificates as PEM, and the chart's own networks."""
    fleet = new_anchor_payload(now())
    issuer = new_issuer(fleet, now())
    tls = {"crtPEM": issuer.certificate_pem, "keyPEM": issuer.private_key_pem}
    found: Json = {"identityTrustAnchorsPEM": fleet.trust_anchors, "identity": {"issuer": {"tls": tls}}}
    for webhook in Webhook:
        own = new_serving_certificate(webhook.service, "linkerd", now())
        given = {"crtPEM": own.certificate_pem, "keyPEM": own.private_key_pem, "caBundle": own.certificate_pem}
        found[webhook.values_key] = given
    return found


def prepare(world: World) -> None:
    """What is there before any mesh: GKE's Gateway API, and the labelled namespace."""
    apply(world, *definitions())
    labels = dict(PROFILE.namespace.labels)
    apply(world, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "linkerd", "labels": labels}})


def apply(world: World, *found: Json) -> None:
    for one in found:
        world.kube.apply(world.kube.path_of(one, namespace="linkerd"), one, field_manager=BY_HAND, force=True)


def install_by_hand(world: World) -> None:
    """As `linkerd install | kubectl apply -f -` leaves a cluster, the values for the next upgrade included."""
    prepare(world)
    for name, chart, given in (("linkerd-crds", CRDS, CRD_VALUES), ("linkerd", CONTROL, values())):
        apply(world, *parse_manifest(world.helm.template(chart, given, "linkerd", name)))
    kept = base64.b64encode(yaml.safe_dump({"controllerReplicas": 1, "linkerdVersion": "edge-26.6.3"}).encode())
    metadata = {"name": "linkerd-config-overrides", "namespace": "linkerd"}
    data = {"linkerd-config-overrides": kept.decode()}
    apply(world, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    world.until_ready()


def install_by_helm(world: World) -> None:
    prepare(world)
    world.helm.upgrade_install("linkerd-crds", CRDS, "linkerd", CRD_VALUES)
    world.helm.upgrade_install("linkerd-control-plane", CONTROL, "linkerd", values())
    world.until_ready()


def run(command: str, kubeconfig: Path, *options: str) -> Result:
    result = CliRunner().invoke(app, [command, "--kubeconfig", str(kubeconfig), *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def quiet(world: World) -> dict[str, str]:
    """Every resourceVersion, once the cluster's own controllers have nothing more to write for a second."""
    found: list[dict[str, str]] = [{}]

    def same_again() -> bool:
        time.sleep(1.0)
        found.append(resource_versions(world.kube))
        return found[-1] == found[-2]

    until(same_again)
    return found[-1]


def planned(world: World) -> Any:
    """What `plan` says as JSON; it must have written nothing, and its exit status must agree."""
    before = quiet(world)
    result = run("plan", world.kubeconfig, "-o", "json")
    assert changes(before, resource_versions(world.kube)) == []
    found = json.loads(result.stdout)
    assert result.exit_code == (3 if found["changes"] else 0)
    return found


def said_networks(world: World) -> dict[str, str]:
    """The networks by every place that holds them."""
    config = yaml.safe_load(world.get(CONFIG)["data"]["values"])
    found = {"config": str(config["clusterNetworks"])}
    overrides = world.kube.get(OVERRIDES)
    if overrides is not None:
        text = base64.b64decode(overrides["data"]["linkerd-config-overrides"])
        found["overrides"] = str(yaml.safe_load(text).get("clusterNetworks"))
    for name in PROFILE.deployments:
        spec = world.get(f"{DEPLOYMENTS}/{name}")["spec"]["template"]["spec"]
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            for one in container.get("args", ()):
                if one.startswith("--cluster-networks="):
                    found[f"{name} {container['name']}"] = one.partition("=")[2]
            for one in container.get("env", ()):
                if one["name"] in PROXY_VARIABLES:
                    found[f"{name} {one['name']}"] = one["value"]
    return found


@beside_the_loop
def test_a_cluster_without_a_mesh_has_nothing_to_repair(by_hand: World) -> None:
    assert by_hand.kube.get(LINKERD) is None
    found = planned(by_hand)
    assert (found["healthy"], found["changes"]) == (False, [])
    result = run("repair", by_hand.kubeconfig)
    assert result.exit_code == 1
    assert "nothing to repair" in result.stdout
    assert "× " in result.stdout  # noqa: RUF001 - the mark that `linkerd check` prints


@beside_the_loop
def test_a_mesh_installed_without_helm_is_planned_then_repaired_everywhere(by_hand: World) -> None:
    install_by_hand(by_hand)
    places = said_networks(by_hand)
    assert len(places) >= 9
    assert {**places, "overrides": networks.DEFAULT_NETWORKS} == dict.fromkeys(places, networks.DEFAULT_NETWORKS)
    assert places["overrides"] == "None"
    found = planned(by_hand)
    assert found["healthy"] is False
    assert [one["description"] for one in found["failing"]] == ["cluster networks contains all services"]
    assert len(found["changes"]) == 5
    shown = run("plan", by_hand.kubeconfig)
    assert shown.exit_code == 3
    assert f"+    clusterNetworks: {networks.DEFAULT_NETWORKS}" in shown.stdout
    assert shown.stdout.endswith("5 repairs would be written\n")
    assert run("check", by_hand.kubeconfig).exit_code == 1

    repaired = run("repair", by_hand.kubeconfig)
    assert (repaired.exit_code, repaired.stdout.splitlines()[-1]) == (0, "√ every check passes")
    assert "5 repairs written" in repaired.stdout
    after = said_networks(by_hand)
    assert after.keys() == places.keys()
    (agreed,) = set(after.values())
    assert SERVICES in agreed.split(",")
    text = base64.b64decode(by_hand.get(OVERRIDES)["data"]["linkerd-config-overrides"])
    assert yaml.safe_load(text)["controllerReplicas"] == 1

    checked = run("check", by_hand.kubeconfig)
    assert (checked.exit_code, checked.stdout.splitlines()[-1]) == (0, "Status check results are √")
    settled = planned(by_hand)
    assert (settled["healthy"], settled["failing"], settled["changes"], settled["left_alone"]) == (True, [], [], [])
    before = quiet(by_hand)
    assert run("repair", by_hand.kubeconfig).exit_code == 0
    assert changes(before, resource_versions(by_hand.kube)) == []


@beside_the_loop
def test_a_mesh_installed_by_helm_stays_repaired_and_gets_back_what_was_deleted(by_helm: World) -> None:
    assert run("repair", by_helm.kubeconfig).exit_code == 0
    (agreed,) = set(said_networks(by_helm).values())
    assert SERVICES in agreed.split(",")
    settled = planned(by_helm)
    assert (settled["healthy"], settled["changes"], settled["left_alone"]) == (True, [], [])

    for path in (INJECTOR, POLICY_ROLE, DESTINATION):
        assert by_helm.kube.delete(path)
    until(lambda: all(by_helm.kube.get(path) is None for path in (INJECTOR, POLICY_ROLE, DESTINATION)))
    lost = {
        f"{what} of release linkerd-control-plane"
        for what in (
            "MutatingWebhookConfiguration linkerd-proxy-injector-webhook-config",
            "ClusterRole linkerd-policy",
            "Deployment linkerd/linkerd-destination",
        )
    }
    assert {one["what"] for one in planned(by_helm)["changes"]} == lost

    result = run("repair", by_helm.kubeconfig, "-o", "json")
    repaired = json.loads(result.stdout)
    assert (result.exit_code, repaired["healthy"]) == (0, True)
    assert lost == {one["what"] for one in repaired["changes"]}
    for path in (INJECTOR, POLICY_ROLE, DESTINATION):
        assert by_helm.get(path)["metadata"]["annotations"]["meta.helm.sh/release-namespace"] == "linkerd"
    assert set(said_networks(by_helm).values()) == {agreed}
    assert run("check", by_helm.kubeconfig).exit_code == 0
    assert planned(by_helm)["changes"] == []


def by_the_owner(world: World, *arguments: str) -> str:
    """Run helm as the owner of the release does; its output."""
    command = [world.settings.helm, *arguments, "-n", "linkerd", "--kubeconfig", str(world.kubeconfig)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@beside_the_loop
def test_the_owners_next_upgrade_keeps_the_repair_and_meets_no_conflict(by_helm: World) -> None:
    assert run("repair", by_helm.kubeconfig).exit_code == 0
    (agreed,) = set(said_networks(by_helm).values())
    given = json.loads(by_the_owner(by_helm, "get", "values", "linkerd-control-plane", "-o", "json"))
    assert given["clusterNetworks"] == agreed
    assert given["identityTrustAnchorsPEM"]
    history = json.loads(by_the_owner(by_helm, "history", "linkerd-control-plane", "-o", "json"))
    assert [one["status"] for one in history] == ["superseded"] * (len(history) - 1) + ["deployed"]
    assert history[-1]["description"] == "clusterNetworks set by byomesh repair"
    options = ("--reuse-values", "--set", "controllerLogLevel=debug")
    by_the_owner(by_helm, "upgrade", "linkerd-control-plane", str(CONTROL), *options)
    by_helm.until_ready()
    assert set(said_networks(by_helm).values()) == {agreed}
    assert run("check", by_helm.kubeconfig).exit_code == 0
    assert planned(by_helm)["changes"] == []


@beside_the_loop
def test_what_somebody_else_changed_in_a_release_is_told_and_left(by_helm: World) -> None:
    assert run("repair", by_helm.kubeconfig).exit_code == 0
    hook = by_helm.get(INJECTOR)["webhooks"][0]
    edit = {"webhooks": [{**hook, "timeoutSeconds": hook.get("timeoutSeconds", 10) + 1}]}
    by_helm.edit(INJECTOR, edit, manager="kubectl-edit")
    found = planned(by_helm)
    assert found["changes"] == []
    (told,) = [one for one in found["left_alone"] if one["manager"] == "kubectl-edit"]
    assert told["object"] == "MutatingWebhookConfiguration linkerd-proxy-injector-webhook-config"
    assert told["path"].endswith(".timeoutSeconds")
    assert (
        f"left alone: {told['object']} at {told['path']}, which kubectl-edit holds"
        in run("plan", by_helm.kubeconfig).stdout
    )
