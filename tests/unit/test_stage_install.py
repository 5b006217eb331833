"""The installing stage over doors in memory: waits, refusals, and the plan that is carried out under the Lease."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import gke
from shared.config import Settings
from shared.errors import Permanent, Refused, Temporary
from shared.helm import HelmTimeout
from shared.kube import Kube
from shared.mesh import lease
from shared.mesh.engine import Mesh
from shared.mesh.lease import LeaseLost
from shared.mesh.linkerd.networks import DEFAULT_NETWORKS
from shared.mesh.plan import Plan
from shared.mesh.profile import load_profile
from shared.mesh.releases import decode_release
from shared.model import InstallRequest, MeshSettings, Phase, Reason, Repair, VerifyRequest
from shared.outcome import Done, Ignored, Later
from shared.policy import BUILT_IN, Policy, Rule, read
from shared.stages import install
from tests.unit.doors import EU1, NOW, SETTINGS, MemoryGke, MemoryHelm, MemoryStore, autopilot, clock, release_secret
from tests.unit.memory_kube import MemoryKube, denial, refusal

REQUEST = InstallRequest(cluster=EU1, mesh="linkerd", reason=Reason.CREATED, request_id="op-1", first_seen=NOW)
BY_HAND = InstallRequest(cluster=EU1, mesh="linkerd", request_id="m-1", first_seen=NOW)
OPERATION = "projects/shop/locations/europe-west1/operations/op-2"
PROBE = ("POST", "/api/v1/namespaces/default/pods")
LINKERD = "/api/v1/namespaces/linkerd"
CONFIG = f"{LINKERD}/configmaps/linkerd-config"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/servers.policy.linkerd.io"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/byomesh-system/leases/byomesh"
NETWORKS = f"{DEFAULT_NETWORKS},34.118.224.0/20"
WARDEN = (
    'admission webhook "warden-validating.common-webhooks.networking.gke.io" denied the request: GKE Warden rejected '
    "the request because it violates one or more constraints: linux capability 'NET_ADMIN'\n"
    "Requested by user: 'install-mesh@mesh.iam.gserviceaccount.com', groups: 'system:authenticated'."
)
BOTH = [("linkerd-crds", False), ("linkerd-control-plane", False)]


class World:
    """One cluster with all that the stage is handed."""

    def __init__(self) -> None:
        self.kube = MemoryKube()
        self.helm = MemoryHelm(self.kube)
        self.store = MemoryStore()
        self.rules = BUILT_IN
        self.settings = SETTINGS
        self.clock: Callable[[], dt.datetime] = clock

    def run(
        self, request: InstallRequest = REQUEST, google: MemoryGke | None = None, **changes: Any
    ) -> Done | Ignored | Later:
        return install.run(
            request,
            google=google or MemoryGke(autopilot(**changes)),
            connect=self.connect,
            helm_for=lambda _cluster: self.helm,
            store=self.store,
            rules=self.rules,
            settings=self.settings,
            clock=self.clock,
        )

    def connect(self, _cluster: gke.Cluster) -> Kube:
        return self.kube

    def installed(self) -> None:
        """Bring it about, and forget how."""
        assert isinstance(self.run(), Done)
        self.helm.runs.clear()
        self.kube.writes.clear()

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = self.kube.objects[CONFIG]
        return found


@pytest.fixture
def world() -> World:
    return World()


def told(outcome: Done | Ignored | Later) -> tuple[str, str]:
    assert isinstance(outcome, Done)
    assert outcome.status is not None
    return outcome.status.phase.value, outcome.status.message


def test_an_empty_cluster_gets_the_mesh_and_its_verification_is_queued(world: World) -> None:
    outcome = world.run()
    assert world.helm.runs == BOTH
    assert isinstance(outcome, Done)
    (following,) = outcome.next
    assert isinstance(following, VerifyRequest)
    assert (following.cluster, following.mesh, following.request_id) == (EU1, "linkerd", "op-1")
    assert (following.reason, following.attempt, following.first_seen) == (Reason.CREATED, 0, None)
    assert [one.name for one in following.release] == ["linkerd-crds", "linkerd-control-plane"]
    assert all(one.chart == f"{one.name}-2026.6.3" and len(one.digest) == 64 for one in following.release)
    assert outcome.status is not None
    assert outcome.status.version == following.version == "edge-26.6.3"
    assert told(outcome)[0] == "Verifying"
    assert outcome.status.message.startswith("install: namespace linkerd lacks labels; Secret linkerd/")
    assert outcome.status.net_admin is True
    assert f"clusterNetworks: {NETWORKS}\n" in world.config["data"]["values"]
    assert world.kube.objects[LINKERD]["metadata"]["labels"]["linkerd.io/is-control-plane"] == "true"
    assert world.kube.objects[LEASE]["spec"]["holderIdentity"] == ""


def test_a_second_time_writes_nothing_and_takes_no_lease(world: World) -> None:
    world.installed()
    outcome = world.run()
    assert world.kube.writes == []
    assert world.helm.runs == []
    assert told(outcome) == ("Verifying", "nothing: everything is as it should be")


def test_a_repair_that_finds_nothing_to_do_says_nothing(world: World) -> None:
    world.installed()
    outcome = world.run(msgspec.structs.replace(REQUEST, reason=Reason.REPAIR, attempt=1, actor="a"))
    assert isinstance(outcome, Done)
    assert outcome.status is None
    (following,) = outcome.next
    assert (following.reason, following.attempt, following.actor) == (Reason.REPAIR, 1, "a")


def test_an_operation_is_waited_for(world: World) -> None:
    google = MemoryGke(autopilot(), operation=gke.OperationState(OPERATION, done=False, error="", kind="UPDATE"))
    outcome = world.run(msgspec.structs.replace(REQUEST, operation="op-2"), google)
    assert google.asked == ["op-2"]
    assert isinstance(outcome, Later)
    assert (outcome.reason, outcome.waits_for) == ("OperationRunning", f"operation {OPERATION}")
    assert (outcome.delay, outcome.limit) == (SETTINGS.operation_step, SETTINGS.operation_limit)
    assert (outcome.status.phase, outcome.status.message) == (
        Phase.PENDING,
        f"linkerd waits for operation {OPERATION}",
    )


def test_an_operation_that_ended_well_is_gone_beyond(world: World) -> None:
    google = MemoryGke(autopilot(), operation=gke.OperationState(OPERATION, done=True, error="", kind=""))
    assert told(world.run(msgspec.structs.replace(REQUEST, operation="op-2"), google))[0] == "Verifying"


def test_an_operation_that_failed_is_refused_in_gkes_words(world: World) -> None:
    google = MemoryGke(autopilot(), operation=gke.OperationState(OPERATION, done=True, error="quota", kind="UPDATE"))
    with pytest.raises(Refused, match=r"ended the operation .* with: quota") as raised:
        world.run(msgspec.structs.replace(REQUEST, operation="op-2"), google)
    assert (raised.value.reason, raised.value.cluster) == ("OperationFailed", str(EU1))


@pytest.mark.parametrize("status", ["PROVISIONING", "RECONCILING", "STOPPING", "STATUS_UNSPECIFIED"])
def test_a_cluster_that_is_not_settled_is_waited_for(world: World, status: str) -> None:
    outcome = world.run(status=status)
    assert isinstance(outcome, Later)
    assert (outcome.reason, outcome.waits_for) == ("ClusterNotSettled", f"the cluster, which is {status}")
    assert outcome.limit == SETTINGS.operation_limit
    assert outcome.status.net_admin is True
    assert world.kube.requests == 0


@pytest.mark.parametrize("status", ["RUNNING", "DEGRADED", "ERROR"])
def test_a_cluster_that_will_not_change_by_itself_is_tried(world: World, status: str) -> None:
    assert isinstance(world.run(status=status), Done)


def test_an_unknown_mesh_and_a_missing_cluster_are_permanent(world: World) -> None:
    with pytest.raises(Permanent, match="no profile for the mesh"):
        world.run(msgspec.structs.replace(REQUEST, mesh="istia"))
    gone = Permanent(gke.CLUSTER_GONE, "the cluster doesn't exist")
    with pytest.raises(Permanent) as raised:
        world.run(REQUEST, MemoryGke(gone))
    assert raised.value is gone


def test_pods_that_cannot_be_made_yet_are_waited_for(world: World) -> None:
    words = (
        'pods "x" is forbidden: error looking up service account default/default: serviceaccount "default" not found'
    )
    world.kube.answers[PROBE] = denial(words)
    outcome = world.run(allow_net_admin=False)
    assert isinstance(outcome, Later)
    assert (outcome.reason, outcome.waits_for) == ("ClusterNotReady", f"the cluster to admit pods ({words})")


def test_warden_that_does_not_know_yet_is_waited_for_in_its_words(world: World) -> None:
    world.kube.answers[PROBE] = denial(WARDEN)
    outcome = world.run()
    assert isinstance(outcome, Later)
    assert outcome.reason == "NetAdminPropagating"
    assert outcome.waits_for.startswith("Warden to learn that NET_ADMIN is allowed (admission webhook")
    assert len(outcome.waits_for) < 500


def test_warden_that_says_no_is_refused_with_the_command_that_helps(world: World) -> None:
    world.kube.answers[PROBE] = denial(WARDEN)
    with pytest.raises(Refused, match="rejects pods with NET_ADMIN") as raised:
        world.run(allow_net_admin=False)
    assert raised.value.reason == "NetAdminNotAllowed"
    assert raised.value.remedy == (
        "gcloud container clusters update eu-1 --project shop --location europe-west1 "
        "--workload-policies=allow-net-admin, then publish the request again"
    )
    assert world.kube.writes == []


def test_a_standard_clusters_own_policy_is_not_gkes_to_change(world: World) -> None:
    world.kube.answers[PROBE] = denial('admission webhook "opa" denied the request: NET_ADMIN')
    with pytest.raises(Refused) as raised:
        world.run(BY_HAND, autopilot=False, allow_net_admin=False)
    assert raised.value.remedy == "let what denies it admit NET_ADMIN, then publish the request again"


def test_an_api_server_without_an_answer_is_temporary(world: World) -> None:
    world.kube.answers[PROBE] = refusal(503, "ServiceUnavailable", "down")
    with pytest.raises(Temporary, match="down"):
        world.run()


def test_a_foreign_mesh_is_refused_and_left_alone(world: World) -> None:
    world.kube.put(LINKERD, {})
    world.kube.put(CONFIG, {"data": {"values": ""}, "metadata": {"managedFields": [{"manager": "linkerd"}]}})
    with pytest.raises(Refused, match=r"a mesh that byomesh didn't install \(of linkerd\)") as raised:
        world.run()
    assert raised.value.reason == "ForeignMesh"
    assert "app.kubernetes.io/managed-by=byomesh" in raised.value.remedy
    assert world.kube.writes == []


def test_a_lease_of_another_is_waited_for(world: World) -> None:
    world.kube.put(
        LEASE,
        {
            "spec": {
                "holderIdentity": "install_mesh other",
                "renewTime": "2026-05-04T09:00:00Z",
                "leaseDurationSeconds": 60,
            }
        },
    )
    outcome = world.run()
    assert isinstance(outcome, Later)
    assert (outcome.reason, outcome.delay, outcome.limit) == (
        "LeaseHeld",
        SETTINGS.lease_step,
        SETTINGS.operation_limit,
    )
    assert outcome.waits_for == "install_mesh other, who works on the cluster"
    assert world.kube.writes == []
    assert world.helm.runs == []
    # It may have restarted workloads for hours before it meets the other worker.
    restarts = msgspec.structs.replace(REQUEST, repairs=(Repair.RESTART_WORKLOADS,))
    outcome = world.run(restarts)
    assert isinstance(outcome, Later)
    assert (outcome.reason, outcome.limit) == ("LeaseHeld", SETTINGS.restart_limit)


def test_somebody_who_finished_before_the_lease_was_ours_left_nothing_to_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = World()
    other.kube, other.store = world.kube, world.store
    other.helm = MemoryHelm(world.kube)
    take = lease.take

    def late(*args: Any) -> Any:
        monkeypatch.setattr(lease, "take", take)
        other.installed()
        return take(*args)

    monkeypatch.setattr(lease, "take", late)
    outcome = world.run()
    assert told(outcome) == ("Verifying", "nothing: everything is as it should be")
    assert world.helm.runs == []
    assert world.kube.objects[LEASE]["spec"]["holderIdentity"] == ""


def test_a_helm_that_ran_out_of_time_gives_the_lease_back_and_the_next_run_recovers(world: World) -> None:
    world.helm.failure = HelmTimeout("HelmTimeout", "too slow")
    with pytest.raises(HelmTimeout):
        world.run()
    assert world.kube.objects[LEASE]["spec"]["holderIdentity"] == ""
    assert told(world.run())[1].startswith("install: release linkerd-crds: left pending-install by a run that was")
    assert world.helm.runs == [("linkerd-crds", False), *BOTH]
    assert told(world.run())[1] == "nothing: everything is as it should be"


def test_a_lost_lease_stops_the_work_before_helm(world: World) -> None:
    moments = [NOW]

    def slow() -> dt.datetime:
        return moments[0]

    world.clock = slow
    apply = world.kube.apply

    def apply_and_lose(path: str, *args: Any, **options: Any) -> Any:
        moments[0] = NOW + dt.timedelta(seconds=SETTINGS.lease_duration)
        world.kube.put(LEASE, {"spec": {**world.kube.objects[LEASE]["spec"], "holderIdentity": "other"}})
        return apply(path, *args, **options)

    world.kube.apply = apply_and_lose  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        world.run()
    assert world.helm.runs == []
    assert world.kube.objects[LEASE]["spec"]["holderIdentity"] == "other"


def test_networks_reset_by_hand_are_taken_back(world: World) -> None:
    world.installed()
    values = world.config["data"]["values"].replace(NETWORKS, DEFAULT_NETWORKS)
    world.kube.put(CONFIG, {**world.config, "data": {"values": values}})
    world.kube.held = lambda path: [("kubectl-edit", ".data.values")] if path == CONFIG else []
    outcome = world.run()
    assert f"clusterNetworks: {NETWORKS}\n" in world.config["data"]["values"]
    assert told(outcome)[1] == "repair: ConfigMap linkerd/linkerd-config drifted at data.values"
    assert world.helm.runs == []
    assert [write for write in world.kube.writes if "lease" not in write] == [f"PATCH {CONFIG}"]


def test_networks_widened_by_hand_become_the_releases_own(world: World) -> None:
    world.installed()
    wider = f"{NETWORKS},203.0.113.0/24"
    world.kube.put(CONFIG, {**world.config, "data": {"values": f'clusterNetworks: "{wider}"\n'}})
    world.kube.held = lambda path: [("kubectl-edit", ".data.values")] if path == CONFIG else []
    outcome = world.run()
    assert world.helm.runs == [("linkerd-control-plane", True)]
    assert told(outcome)[1] == "upgrade: release linkerd-control-plane: values differ: clusterNetworks"
    assert f"clusterNetworks: {wider}\n" in world.config["data"]["values"]


def test_a_drift_that_others_hold_is_left_alone_and_reported(world: World) -> None:
    world.installed()
    crd = world.kube.objects[CRD]
    world.kube.put(CRD, {**crd, "spec": {"group": "other"}})
    world.kube.held = lambda path: [("argo", ".spec.group")] if path == CRD else []
    for reason in (Reason.RERUN, Reason.REPAIR):
        outcome = world.run(msgspec.structs.replace(REQUEST, reason=reason))
        assert told(outcome)[1] == (
            "nothing: all that may be repaired is as it should be; "
            "left alone: CustomResourceDefinition servers.policy.linkerd.io at .spec.group, held by argo"
        )
    assert world.kube.writes == []


def test_a_missing_object_is_made_again(world: World) -> None:
    world.installed()
    del world.kube.objects[CRD]
    assert told(world.run())[1] == ("repair: CustomResourceDefinition servers.policy.linkerd.io drifted at (missing)")
    assert world.kube.objects[CRD]["spec"] == {"group": "policy.linkerd.io"}


def test_an_object_that_the_cluster_would_reject_is_refused(world: World) -> None:
    world.installed()
    world.kube.answers["PATCH", CRD] = denial('admission webhook "x" denied the request: no')
    with pytest.raises(Refused, match="no"):
        world.run()
    assert world.kube.objects[LEASE]["spec"]["holderIdentity"] == ""


def test_an_upgrade_that_must_take_what_others_hold_is_refused(world: World) -> None:
    world.installed()
    secret = f"{LINKERD}/secrets/sh.helm.release.v1.linkerd-crds.v1"
    world.kube.objects[secret]["data"] = failed_release(world, secret)
    world.kube.held = lambda path: [("argo", ".spec.group")] if path == CRD else []
    with pytest.raises(Refused) as raised:
        world.run()
    assert raised.value.reason == "FieldsHeldByOthers"
    assert "CustomResourceDefinition servers.policy.linkerd.io at .spec.group, held by argo" in raised.value.problem
    assert world.helm.runs == []


def test_nothing_is_written_where_helm_may_not_run(world: World) -> None:
    world.installed()
    held = world.kube.held
    del world.kube.objects[f"{LINKERD}/secrets/linkerd-sp-validator-k8s-tls"]
    world.kube.held = lambda path: [("argo", ".spec.group")] if path == CRD else held(path)
    secret = f"{LINKERD}/secrets/sh.helm.release.v1.linkerd-crds.v1"
    world.kube.objects[secret]["data"] = failed_release(world, secret)
    with pytest.raises(Refused, match="held by argo"):
        world.run()
    assert f"{LINKERD}/secrets/linkerd-sp-validator-k8s-tls" not in world.kube.objects


@pytest.mark.parametrize("manager", ["kubectl", "kubectl-edit", "kubectl-set"])
def test_helm_takes_back_what_people_edited_which_is_told(world: World, manager: str) -> None:
    world.installed()
    secret = f"{LINKERD}/secrets/sh.helm.release.v1.linkerd-crds.v1"
    world.kube.objects[secret]["data"] = failed_release(world, secret)
    world.kube.held = lambda path: [(manager, ".spec.group")] if path == CRD else []
    said = f"taken back: CustomResourceDefinition servers.policy.linkerd.io at .spec.group, held by {manager}"
    assert said in told(world.run())[1]
    assert len(world.helm.runs) == 1


def failed_release(world: World, secret: str) -> dict[str, str]:
    """The data of a release's Secret as a run that failed leaves them."""
    release = decode_release(world.kube.objects[secret])
    made = release_secret(
        release.name,
        release.revision,
        "failed",
        chart={"name": release.chart, "version": release.version},
        values=release.values,
        manifest=world.helm.template(Path("linkerd-crds"), release.values, "linkerd", "linkerd-crds"),
    )
    data: dict[str, str] = made["data"]
    return data


def test_another_version_is_looked_for_in_the_repository(world: World, tmp_path: Path) -> None:
    pulled: list[tuple[Any, ...]] = []

    def pull(chart: str, version: str, repository: str, digest: str, into: Path) -> Path:
        pulled.append((chart, version, repository, digest))
        raise Temporary("ChartUnavailable", f"nothing in {into}")

    world.settings = Settings(project="mesh")
    world.helm.pull = pull  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path))
        for version in (None, "edge-26.7.1", "2026.8.1"):
            with pytest.raises(Temporary):
                world.run(msgspec.structs.replace(REQUEST, version=version))
    repository = "https://helm.linkerd.io/edge"
    digest = load_profile("linkerd").releases[0].digest
    assert pulled == [
        ("linkerd-crds", "2026.6.3", repository, digest),
        ("linkerd-crds", "2026.7.1", repository, ""),
        ("linkerd-crds", "2026.8.1", repository, ""),
    ]


# The policy -----------------------------------------------------------------------------------------------------------


def ruled(keys: str) -> Policy:
    """A policy of one rule for every cluster."""
    return read(f"schema: 1\nrules:\n  - {{name: r1, reason: it is so, {keys}}}\n", "p")


@pytest.mark.parametrize("request_", [REQUEST, BY_HAND])
@pytest.mark.parametrize(
    ("keys", "labels"), [("mesh: none", {}), ("mesh: linkerd", {"byomesh": "off"}), ("mode: off", {"byomesh": "off"})]
)
def test_where_no_mesh_is_wanted_none_is_installed_whoever_asks(
    world: World, request_: InstallRequest, keys: str, labels: dict[str, str]
) -> None:
    world.rules = ruled(keys)
    with pytest.raises(Refused, match="no mesh is wanted here: it") as raised:
        world.run(request_, labels=labels)
    assert (raised.value.reason, raised.value.cluster) == ("OptedOut", str(EU1))
    assert (world.kube.writes, world.helm.runs) == ([], [])


@pytest.mark.parametrize(
    ("keys", "stopped"),
    [
        ("mesh: linkerd, mode: audit", {Reason.CREATED, Reason.SWEEP, Reason.DRIFT, Reason.REPAIR}),
        ("mesh: linkerd, mode: off", {Reason.CREATED, Reason.SWEEP, Reason.DRIFT}),
        ("mesh: none, mode: audit", {Reason.CREATED, Reason.SWEEP, Reason.DRIFT}),
        ("mesh: linkerd", set()),
    ],
)
@pytest.mark.parametrize("reason", list(Reason))
def test_what_was_queued_before_the_policy_changed_stops(
    world: World, reason: Reason, keys: str, stopped: set[Reason]
) -> None:
    world.rules = ruled(keys)
    outcome = world.run(msgspec.structs.replace(REQUEST, reason=reason))
    if reason in stopped:
        verb = "only audits" if "linkerd, mode: audit" in keys else "leaves it alone"
        assert outcome == Ignored(f"{EU1}: the rule r1 {verb}: it is so")
        assert (world.kube.writes, world.helm.runs) == ([], [])
    else:
        assert isinstance(outcome, Done)
        assert world.helm.runs == BOTH


def test_what_was_begun_is_taken_back_whatever_the_policy_says_by_now(world: World) -> None:
    world.rules = ruled("mesh: none")
    assert isinstance(world.run(msgspec.structs.replace(REQUEST, reason=Reason.ROLLBACK)), Done)


def test_the_least_that_works_by_hand_works_wherever_nobody_opted_out(world: World) -> None:
    least = InstallRequest(cluster=EU1, mesh="linkerd")
    assert isinstance(world.run(least, autopilot=False, allow_net_admin=False), Done)
    assert world.helm.runs == BOTH


def asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch, request: InstallRequest
) -> tuple[str | None, MeshSettings]:
    """The version that the request names, and the settings of the policy, that the mesh is planned with."""
    seen: list[tuple[str | None, MeshSettings]] = []

    def plan(mesh: Mesh, version: str | None = None, **_: object) -> Plan:
        seen.append((version, mesh._wish))
        raise Temporary("Enough", "seen")

    monkeypatch.setattr(Mesh, "plan", plan)
    with pytest.raises(Temporary, match="seen"):
        world.run(request)
    return seen[0]


def test_the_policys_version_and_settings_are_the_wish(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.rules = ruled("mesh: linkerd, version: edge-26.6.2, adopt: true")
    wish = MeshSettings(version="edge-26.6.2", adopt=True)
    assert asked_for(world, monkeypatch, REQUEST) == (None, wish)
    named = msgspec.structs.replace(BY_HAND, version="edge-26.6.1")
    assert asked_for(world, monkeypatch, named) == ("edge-26.6.1", wish)


def test_a_rules_settings_are_not_those_of_another_mesh(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.rules = msgspec.structs.replace(ruled("mode: off"), rules=(Rule(name="r", reason="r", mesh="istio"),))
    world.rules = msgspec.structs.replace(world.rules, meshes=frozenset({"istio"}))
    assert asked_for(world, monkeypatch, BY_HAND) == (None, MeshSettings())


def test_a_wait_tells_the_version_that_the_policy_wishes(world: World) -> None:
    world.rules = ruled("mesh: linkerd, version: edge-26.6.2")
    outcome = world.run(status="RECONCILING")
    assert isinstance(outcome, Later)
    assert outcome.status.version == "edge-26.6.2"
