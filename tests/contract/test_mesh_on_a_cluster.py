"""A mesh brought about on a real API server by the real Helm, broken in every way that is known, and mended."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import msgspec
import pytest
import yaml

from byomesh.demo.inventory import changes, resource_versions
from byomesh.local.build import Binaries
from byomesh.local.gateway_api import definitions
from byomesh.local.kubernetes import ControlPlane
from shared.errors import Refused
from shared.kube import Conflict
from shared.mesh import admission, apply, lease, record
from shared.mesh.drift import MISSING
from shared.mesh.installation import find_drift
from shared.mesh.lease import HeldBy, Lease, LeaseLost
from shared.mesh.linkerd import networks, verifying
from shared.mesh.linkerd.certificates import certificates_of, new_anchor_payload
from shared.mesh.plan import ForgetRevision, Kind, Plan, Reapply, RunHelm
from shared.mesh.releases import PENDING, decode_release
from shared.model import UNDECIDED, CheckOutcome, CheckReport, InstallRequest, MeshStatus, Phase, Reason, VerifyRequest
from shared.outcome import Done
from shared.policy import BUILT_IN
from shared.stages import verify
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
from tests.unit.doors import CHARTS, MemoryGke

RBAC = "/apis/rbac.authorization.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/byomesh-system/leases/byomesh"
OVERRIDES = f"{SECRETS}/linkerd-config-overrides"
DESTINATION = f"{DEPLOYMENTS}/linkerd-destination"
NETWORKS = f"{networks.DEFAULT_NETWORKS},34.118.224.0/20"
CONTROL_PLANE = "linkerd-control-plane"


@pytest.fixture(scope="module")
async def world(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with ControlPlane("mesh", tmp_path_factory.mktemp("mesh-cluster"), binaries) as plane:
        await plane.add_node("gke-mesh-default-pool-0001")
        found = World.of(plane, binaries, tmp_path_factory.mktemp("mesh"))
        yield found
        found.kube.close()


@pytest.fixture
def mesh(world: World) -> Iterator[World]:
    """The world with the mesh on it as it should be; a test must leave nothing to do."""
    found = world.bring_about()
    if found.kind is not Kind.NOTHING:
        found = world.plan()
    assert (found.kind, found.left_alone) == (Kind.NOTHING, ())
    yield world
    left = world.bring_about()
    assert (left.kind, left.left_alone, left.reason) == (Kind.NOTHING, (), "everything is as it should be")


@beside_the_loop
def test_an_empty_cluster_gets_the_mesh_and_a_second_time_nothing_is_written(world: World) -> None:
    plan = world.bring_about()
    assert plan.kind is Kind.INSTALL
    labels = world.get(LINKERD)["metadata"]["labels"]
    assert {**PROFILE.namespace.labels, "app.kubernetes.io/managed-by": "byomesh"}.items() <= labels.items()
    issuer = world.get(f"{SECRETS}/linkerd-identity-issuer")
    assert (issuer["type"], set(issuer["data"])) == ("kubernetes.io/tls", {"tls.crt", "tls.key", "ca.crt"})
    releases = {name: decode_release(world.record_of(name)[1]) for name in ("linkerd-crds", CONTROL_PLANE)}
    assert {release.status for release in releases.values()} == {"deployed"}
    assert releases[CONTROL_PLANE].values["clusterNetworks"] == NETWORKS
    assert yaml.safe_load(world.get(CONFIG)["data"]["values"])["clusterNetworks"] == NETWORKS
    world.until_ready()
    before = resource_versions(world.kube)
    again = world.bring_about()
    assert (again.kind, again.left_alone, again.reason) == (Kind.NOTHING, (), "everything is as it should be")
    assert changes(before, resource_versions(world.kube)) == []


@beside_the_loop
def test_no_private_key_is_where_it_does_not_belong(mesh: World) -> None:
    release = decode_release(mesh.record_of(CONTROL_PLANE)[1])
    assert "PRIVATE KEY" not in f"{release}{mesh.get(CONFIG)}"


# Drift ----------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Damage:
    """How somebody breaks the mesh, and what the plan then says of it."""

    do: Callable[[World], object]
    reason: str
    forced: bool = False


def delete(path: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        assert world.kube.delete(path)
        until(lambda: world.kube.get(path) is None)

    return act


def edit(path: str, body: Json, manager: str = "kubectl-edit", *, strategic: bool = False) -> Callable[[World], Json]:
    return lambda world: world.edit(path, body, manager=manager, strategic=strategic)


def reset_networks(world: World) -> None:
    """What somebody does who puts the chart's default back by hand."""
    values = world.get(CONFIG)["data"]["values"].replace(NETWORKS, networks.DEFAULT_NETWORKS)
    world.edit(CONFIG, {"data": {"values": values}}, manager="kubectl-edit")


def policy(*arguments: str) -> Json:
    return {"spec": {"template": {"spec": {"containers": [{"name": "policy", "args": arguments}]}}}}


DAMAGES = {
    "webhook configuration deleted": Damage(
        delete(INJECTOR), "MutatingWebhookConfiguration linkerd-proxy-injector-webhook-config drifted at (missing)"
    ),
    "role deleted": Damage(
        delete(f"{RBAC}/clusterroles/linkerd-policy"), "ClusterRole linkerd-policy drifted at (missing)"
    ),
    "definition deleted": Damage(
        delete(f"{CRDS}/servers.policy.linkerd.io"),
        "CustomResourceDefinition servers.policy.linkerd.io drifted at (missing)",
    ),
    "Deployment deleted": Damage(
        delete(f"{DEPLOYMENTS}/linkerd-identity"), "Deployment linkerd/linkerd-identity drifted at (missing)"
    ),
    "networks reset": Damage(reset_networks, "ConfigMap linkerd/linkerd-config drifted at data.values", forced=True),
    "argument changed": Damage(
        edit(DESTINATION, policy("--cluster-networks=10.0.0.0/8"), strategic=True),
        "Deployment linkerd/linkerd-destination drifted at spec.template.spec.containers.",
        forced=True,
    ),
    "label removed": Damage(
        edit(CONFIG, {"metadata": {"labels": {"linkerd.io/control-plane-component": None}}}),
        "ConfigMap linkerd/linkerd-config drifted at metadata.labels.linkerd.io/control-plane-component",
    ),
    "Helm's mark removed": Damage(
        edit(CONFIG, {"metadata": {"annotations": {"meta.helm.sh/release-name": None}}}),
        "ConfigMap linkerd/linkerd-config drifted at metadata.annotations.meta.helm.sh/release-name",
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
@beside_the_loop
def test_damage_is_found_and_mended_and_nothing_else_is_touched(mesh: World, case: str) -> None:
    damage = DAMAGES[case]
    records = [mesh.record_of(release.name)[0] for release in PROFILE.releases]
    damage.do(mesh)
    plan = mesh.bring_about()
    assert plan.kind is Kind.REPAIR
    assert plan.reason.startswith(damage.reason)
    (step,) = plan.steps
    assert isinstance(step, Reapply)
    assert step.force is damage.forced
    assert [mesh.record_of(release.name)[0] for release in PROFILE.releases] == records
    mesh.until_ready()


@beside_the_loop
def test_a_lost_secret_is_made_anew_and_what_depends_on_it_follows(mesh: World) -> None:
    kept = mesh.get(f"{SECRETS}/linkerd-identity-issuer")["data"]
    mesh.kube.delete(f"{SECRETS}/linkerd-sp-validator-k8s-tls")
    plan = mesh.bring_about()
    assert plan.reason.startswith("Secret linkerd/linkerd-sp-validator-k8s-tls is missing or due; release")
    assert mesh.plan().kind is Kind.NOTHING
    assert mesh.get(f"{SECRETS}/linkerd-identity-issuer")["data"] == kept


@beside_the_loop
def test_what_others_hold_and_is_not_ours_is_left_alone_and_reported(mesh: World) -> None:
    mesh.edit(DESTINATION, {"spec": {"replicas": 2}}, manager="kubectl-scale")
    before = resource_versions(mesh.kube)
    plan = mesh.bring_about()
    assert (plan.kind, plan.steps) == (Kind.NOTHING, ())
    (drift,) = plan.left_alone
    assert (str(drift.object), drift.paths) == ("Deployment linkerd/linkerd-destination", ("spec.replicas",))
    assert drift.owners == (("kubectl-scale", ".spec.replicas"),)
    mesh.until_ready()
    settling = "pods", "replicasets", "deployments", "endpoint"
    written = changes(before, resource_versions(mesh.kube))
    assert [one for one in written if not any(word in one for word in settling)] == []
    mesh.edit(DESTINATION, {"spec": {"replicas": 1}}, manager="kubectl-scale")


def select_as_gke_does(world: World) -> None:
    expression = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["gke-managed-system"]}
    change = [{"op": "add", "path": "/webhooks/0/namespaceSelector/matchExpressions/-", "value": expression}]
    world.kube.patch(INJECTOR, change, kind="json", field_manager="gke-webhook-controller")


@beside_the_loop
def test_what_gke_edits_is_no_drift(mesh: World) -> None:
    select_as_gke_does(mesh)
    assert "gke-managed-system" in f"{mesh.get(INJECTOR)}"
    plan = mesh.bring_about()
    assert (plan.kind, plan.left_alone) == (Kind.NOTHING, ())
    assert "gke-managed-system" in f"{mesh.get(INJECTOR)}"


@beside_the_loop
def test_what_gke_edits_keeps_no_repair_of_the_same_object_back(mesh: World) -> None:
    select_as_gke_does(mesh)
    label = "linkerd.io/control-plane-component"
    mesh.edit(INJECTOR, {"metadata": {"labels": {label: None}}}, manager="kubectl-edit")
    plan = mesh.bring_about()
    (step,) = plan.steps
    assert isinstance(step, Reapply)
    assert step.drift.owners == (
        ("gke-webhook-controller", '.webhooks[name="linkerd-proxy-injector.linkerd.io"].namespaceSelector'),
    )
    assert mesh.get(INJECTOR)["metadata"]["labels"][label] == "proxy-injector"


@beside_the_loop
def test_a_resource_whose_definition_is_missing_is_made_once_it_is_there(mesh: World) -> None:
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    deployed = msgspec.structs.replace(decode_release(mesh.record_of(CONTROL_PLANE)[1]), manifest=(widget,))
    (drift,) = find_drift(mesh.kube, deployed, "linkerd", ())
    assert (str(drift.object), drift.paths) == ("Widget w", (MISSING,))
    mesh.kube.create(CRDS, definition)
    try:
        until(lambda: mesh.kube.resource("example.com/v1", "Widget") is not None)
        held = lease.take(mesh.kube, "test", 300)
        assert isinstance(held, Lease)
        with held:
            plan = Plan(kind=Kind.REPAIR, steps=(Reapply(deployed, "linkerd", drift, force=False),))
            apply.carry_out(plan, mesh.kube, mesh.helm, (), held)
        made = mesh.get("/apis/example.com/v1/namespaces/linkerd/widgets/w")
        assert (made["spec"], made["metadata"]["labels"]) == ({"size": 1}, {"app.kubernetes.io/managed-by": "Helm"})
        assert find_drift(mesh.kube, deployed, "linkerd", ()) == ()
    finally:
        mesh.kube.delete(f"{CRDS}/widgets.example.com")


# Upgrades and what was left half done ---------------------------------------------------------------------------------


@beside_the_loop
def test_changed_values_are_an_upgrade_of_that_release_alone(mesh: World) -> None:
    crds, revision = mesh.record_of("linkerd-crds")[0], decode_release(mesh.record_of(CONTROL_PLANE)[1]).revision
    plan = mesh.bring_about(controllerLogLevel="debug")
    assert (plan.kind, plan.reason) == (
        Kind.UPGRADE,
        "release linkerd-control-plane: values differ: controllerLogLevel",
    )
    assert yaml.safe_load(mesh.get(CONFIG)["data"]["values"])["controllerLogLevel"] == "debug"
    assert decode_release(mesh.record_of(CONTROL_PLANE)[1]).revision == revision + 1
    assert mesh.record_of("linkerd-crds")[0] == crds
    assert mesh.plan(controllerLogLevel="debug").kind is Kind.NOTHING
    mesh.bring_about()


@beside_the_loop
def test_an_upgrade_takes_back_what_is_ours_and_what_gke_edits(mesh: World) -> None:
    select_as_gke_does(mesh)
    reset_networks(mesh)
    plan = mesh.bring_about(controllerLogLevel="debug")
    assert plan.kind is Kind.UPGRADE
    assert yaml.safe_load(mesh.get(CONFIG)["data"]["values"])["clusterNetworks"] == NETWORKS
    assert mesh.plan(controllerLogLevel="debug").kind is Kind.NOTHING
    mesh.bring_about()


@beside_the_loop
def test_an_upgrade_that_must_take_what_others_hold_is_refused(mesh: World) -> None:
    mesh.edit(DESTINATION, {"spec": {"replicas": 2}}, manager="argocd")
    path = mesh.record_of(CONTROL_PLANE)[0]
    with pytest.raises(Refused) as raised:
        mesh.bring_about(controllerLogLevel="debug")
    assert raised.value.reason == "FieldsHeldByOthers"
    assert "Deployment linkerd/linkerd-destination at .spec.replicas, held by argocd" in raised.value.problem
    assert mesh.record_of(CONTROL_PLANE)[0] == path
    assert mesh.get(LEASE)["spec"].get("holderIdentity", "") == ""
    mesh.edit(DESTINATION, {"spec": {"replicas": 1}}, manager="argocd")


@beside_the_loop
def test_a_renewal_takes_back_what_people_edited(mesh: World) -> None:
    mesh.edit(DESTINATION, {"spec": {"replicas": 2}}, manager="kubectl-scale")
    mesh.kube.delete(f"{LINKERD}/secrets/linkerd-sp-validator-k8s-tls")
    assert mesh.bring_about().kind is Kind.UPGRADE
    assert mesh.get(DESTINATION)["spec"]["replicas"] == 1
    assert mesh.plan().kind is Kind.NOTHING


LOCKED = [(CONTROL_PLANE, status) for status in sorted({*PENDING, "failed"})] + [("linkerd-crds", "pending-upgrade")]


@pytest.mark.parametrize(("release", "status"), LOCKED)
@beside_the_loop
def test_a_locked_release_is_recovered(mesh: World, release: str, status: str) -> None:
    path = mesh.set_status(release, status)
    mesh.kube.delete(f"{DEPLOYMENTS}/linkerd-identity")
    plan = mesh.bring_about()
    assert plan.kind is Kind.UPGRADE
    runs = [step for step in plan.steps if isinstance(step, RunHelm)]
    forgotten = [step for step in plan.steps if isinstance(step, ForgetRevision)]
    if status == "failed":
        assert (forgotten, runs[0].why) == ([], "its last run ended failed")
    else:
        assert path.endswith(f"/{forgotten[0].secret}")
        assert runs[0].why == f"left {status} by a run that was killed"
    assert decode_release(mesh.record_of(release)[1]).status == "deployed"
    mesh.bring_about()
    mesh.until_ready()


@beside_the_loop
def test_a_first_installation_left_pending_is_recovered_also_without_its_record(mesh: World) -> None:
    for record_of in list(mesh.kube.list_items(SECRETS, label_selector=f"owner=helm,name={CONTROL_PLANE}")):
        mesh.kube.delete(f"{SECRETS}/{record_of['metadata']['name']}")
    mesh.kube.delete(f"{DEPLOYMENTS}/linkerd-identity")
    plan = mesh.bring_about()
    assert (plan.kind, plan.reason) == (Kind.INSTALL, "release linkerd-control-plane: not installed")
    mesh.set_status(CONTROL_PLANE, "pending-install")
    assert mesh.bring_about().kind is Kind.UPGRADE
    mesh.until_ready()


@beside_the_loop
def test_a_failed_release_is_run_again(mesh: World) -> None:
    mesh.set_status("linkerd-crds", "failed")
    assert mesh.bring_about().reason == "release linkerd-crds: its last run ended failed"


# The Lease, the record, the probe -------------------------------------------------------------------------------------


@beside_the_loop
def test_one_worker_has_the_cluster(world: World) -> None:
    moment = now()
    first = lease.take(world.kube, "first", 60, lambda: moment)
    assert isinstance(first, Lease)
    held = lease.take(world.kube, "second", 60, lambda: moment + dt.timedelta(seconds=20))
    assert held == HeldBy("first", 40)
    second = lease.take(world.kube, "second", 60, lambda: moment + dt.timedelta(seconds=60))
    assert isinstance(second, Lease)
    with pytest.raises(LeaseLost):
        first.renew()
    with first:
        pass
    assert world.get(LEASE)["spec"]["holderIdentity"] == "second"
    second.renew()
    with pytest.raises(ZeroDivisionError), second:
        raise ZeroDivisionError
    third = lease.take(world.kube, "third", 60)
    assert isinstance(third, Lease)
    with third:
        assert world.get(LEASE)["spec"]["holderIdentity"] == "third"


@beside_the_loop
def test_a_status_is_written_once(world: World) -> None:
    status = MeshStatus(
        cluster=world.cluster.ref, mesh="linkerd", phase=Phase.READY, reason="r", message="m", net_admin=True
    )
    assert record.write(world.kube, status)
    path = "/api/v1/namespaces/byomesh-system/configmaps/byomesh-status"
    version = world.get(path)["metadata"]["resourceVersion"]
    assert not record.write(world.kube, status)
    assert world.get(path)["metadata"]["resourceVersion"] == version
    assert record.write(world.kube, msgspec.structs.replace(status, phase=Phase.DEGRADED))
    assert world.get(path)["data"]["phase"] == "Degraded"


def admission_policy(expression: str) -> tuple[Json, Json]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "no-net-admin"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": expression, "message": "no NET_ADMIN here"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "no-net-admin"},
        "spec": {"policyName": "no-net-admin", "validationActions": ["Deny"]},
    }
    return body, binding


@beside_the_loop
def test_the_cluster_itself_says_whether_net_admin_is_admitted(world: World) -> None:
    assert admission.net_admin_verdict(world.kube) is None
    assert list(world.kube.list_items("/api/v1/namespaces/default/pods")) == []
    written = admission_policy("!object.spec.containers.exists(c, 'NET_ADMIN' in c.securityContext.capabilities.add)")
    for body in written:
        world.kube.apply(world.kube.path_of(body), body, field_manager="test")
    try:
        until(lambda: admission.net_admin_verdict(world.kube) is not None)
        verdict = admission.net_admin_verdict(world.kube)
        assert verdict is not None
        assert not verdict.not_ready
        assert "no NET_ADMIN here" in verdict.words
    finally:
        for body in written:
            world.kube.delete(world.kube.path_of(body))
    until(lambda: admission.net_admin_verdict(world.kube) is None)


@beside_the_loop
def test_a_cluster_without_service_accounts_is_not_ready(world: World) -> None:
    def probe_pod(labels: Mapping[str, str]) -> Json:
        pod = probe(labels)
        return {**pod, "spec": {**pod["spec"], "serviceAccountName": "not-made-yet"}}

    probe = admission.probe_pod
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "probe_pod", probe_pod)
        verdict = admission.net_admin_verdict(world.kube)
    assert verdict is not None
    assert verdict.not_ready


# The networks on the live objects -------------------------------------------------------------------------------------


def network_checks(report: CheckReport) -> dict[str, tuple[CheckOutcome, str]]:
    return {
        one.description: (one.outcome, one.error)
        for _, one in report
        if one.description.startswith("cluster networks contains")
    }


def all_networks(world: World) -> dict[str, set[str]]:
    """What each place says, by the object's name."""
    config = yaml.safe_load(world.get(CONFIG)["data"]["values"])["clusterNetworks"]
    found = {"linkerd-config": {config}}
    for name in PROFILE.deployments:
        pod = world.get(f"{DEPLOYMENTS}/{name}")["spec"]["template"]["spec"]
        containers = [*pod["initContainers"], *pod["containers"]]
        said = {
            one["value"] for container in containers for one in container.get("env", []) if "NETWORKS" in one["name"]
        }
        said |= {
            argument.partition("=")[2]
            for container in containers
            for argument in container.get("args", [])
            if argument.startswith("--cluster-networks=")
        }
        found[name] = said
    overrides = world.kube.get(OVERRIDES)
    if overrides is not None:
        text = base64.b64decode(overrides["data"]["linkerd-config-overrides"])
        found["linkerd-config-overrides"] = {yaml.safe_load(text)["clusterNetworks"]}
    return found


@beside_the_loop
def test_networks_are_repaired_in_every_place_and_proved(mesh: World) -> None:
    for definition in definitions():
        mesh.kube.apply(f"{CRDS}/{definition['metadata']['name']}", definition, field_manager="gke")
    metadata = {"name": "linkerd-config-overrides", "namespace": "linkerd"}
    text = base64.b64encode(b"clusterNetworks: 10.0.0.0/8\nproxy:\n  logLevel: debug\n").decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"linkerd-config-overrides": text}}
    mesh.kube.create(SECRETS, secret)
    mesh.until_ready()
    for name in PROFILE.deployments:
        deployment = mesh.get(f"{DEPLOYMENTS}/{name}")
        text = msgspec.json.encode(deployment["spec"]).decode().replace(NETWORKS, networks.DEFAULT_NETWORKS)
        spec = msgspec.json.decode(text)
        mesh.kube.replace(f"{DEPLOYMENTS}/{name}", {**deployment, "spec": spec}, field_manager="kubectl-edit")
    reset_networks(mesh)

    seen = verifying.look(mesh.kube, PROFILE, mesh.cluster, now(), None, UNDECIDED)
    outcome, error = network_checks(seen.report)["cluster networks contains all services"]
    assert outcome is CheckOutcome.FAIL
    assert f'the Linkerd clusterNetworks ["{networks.DEFAULT_NETWORKS}"] do not include svc' in error
    assert "default/kubernetes (34.118.224.1)" in error
    assert len(seen.repairs) == 2 + len(PROFILE.deployments)

    request = VerifyRequest(cluster=mesh.cluster.ref, mesh="linkerd", request_id="op-1")
    done = verify.run(
        request,
        google=MemoryGke(mesh.cluster),
        connect=lambda _: mesh.kube,
        rules=BUILT_IN,
        settings=mesh.settings,
        clock=now,
    )
    assert isinstance(done, Done)
    assert done.status is not None
    assert done.status.repaired == ("clusterNetworks",)
    assert not [one for one in done.status.checks.failing if "networks" in one.description]
    assert [(type(one), one.reason, one.attempt) for one in done.next] == [(InstallRequest, Reason.REPAIR, 1)]
    assert all_networks(mesh) == {
        place: {NETWORKS} for place in ("linkerd-config", *PROFILE.deployments, "linkerd-config-overrides")
    }
    kept = base64.b64decode(mesh.get(OVERRIDES)["data"]["linkerd-config-overrides"])
    assert yaml.safe_load(kept)["proxy"] == {"logLevel": "debug"}

    mesh.until_ready()
    again = verifying.look(mesh.kube, PROFILE, mesh.cluster, now(), None, UNDECIDED)
    assert {outcome for outcome, _ in network_checks(again.report).values()} == {CheckOutcome.PASS}
    assert again.repairs == ()
    with pytest.raises(Conflict):
        apply.patch(mesh.kube, seen.repairs)
    assert mesh.plan().kind is Kind.NOTHING
    mesh.kube.delete(OVERRIDES)


# Somebody else's ------------------------------------------------------------------------------------------------------


async def test_a_mesh_of_others_is_refused_and_can_be_handed_over(
    binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with ControlPlane("foreign", tmp_path_factory.mktemp("foreign-cluster"), binaries) as plane:
        await plane.add_node("gke-foreign-default-pool-0001")
        await _hand_over(World.of(plane, binaries, tmp_path_factory.mktemp("foreign")))


@beside_the_loop
def _hand_over(world: World) -> None:
    anchor = new_anchor_payload(now())
    issuer = {"crtPEM": anchor.trust_anchors, "keyPEM": anchor.signing.private_key_pem}
    values = {"identityTrustAnchorsPEM": anchor.trust_anchors, "identity": {"issuer": {"tls": issuer}}}
    world.kube.create("/api/v1/namespaces", {"metadata": {"name": "linkerd"}})
    world.helm.upgrade_install("linkerd-crds", CHARTS / "linkerd-crds", "linkerd", {})
    half = world.plan()
    assert half.kind is Kind.REFUSE
    assert half.reason.endswith("didn't install (of helm, release linkerd-crds)")
    world.helm.upgrade_install(CONTROL_PLANE, CHARTS / CONTROL_PLANE, "linkerd", values)
    world.until_ready()
    before = resource_versions(world.kube)
    plan = world.plan()
    assert (plan.kind, plan.steps) == (Kind.REFUSE, ())
    assert plan.reason == "the namespace linkerd holds a mesh that byomesh didn't install (of helm)"
    assert changes(before, resource_versions(world.kube)) == []

    labels = {"app.kubernetes.io/managed-by": "byomesh"}
    world.edit(LINKERD, {"metadata": {"labels": labels}}, manager="kubectl-label")
    assert world.bring_about().kind is Kind.UPGRADE
    world.until_ready()
    theirs = base64.b64encode(anchor.trust_anchors.encode()).decode().rstrip("=")
    secret = world.get(ISSUER)
    assert (secret["type"], secret["data"]["tls.crt"].startswith(theirs[:-2])) == ("kubernetes.io/tls", True)
    assert trusted_here(world) == 2
    # Their proxies trust both anchors only now, and only now may the fleet's own sign.
    until(lambda: world.plan().kind is Kind.REPAIR)
    moved = world.bring_about()
    assert moved.reason == "Secret linkerd/linkerd-identity-issuer is missing or due"
    assert world.get(ISSUER)["data"]["tls.crt"] != secret["data"]["tls.crt"]
    again = world.plan()
    assert again.kind is Kind.NOTHING
    (note,) = again.notes
    assert note.startswith("the old trust anchor stays until 20")
    assert trusted_here(world) == 2


ISSUER = f"{SECRETS}/linkerd-identity-issuer"


def trusted_here(world: World) -> int:
    roots = world.get("/api/v1/namespaces/linkerd/configmaps/linkerd-identity-trust-roots")["data"]["ca-bundle.crt"]
    return len(certificates_of(roots, "it"))
