"""The verifying stage: what is waited for, what is repaired, what is said, and what is queued."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import gke
from shared.config import Settings
from shared.errors import Permanent, Refused, Temporary
from shared.kube import Conflict, Kube
from shared.mesh.drift import Drift, ObjectName
from shared.mesh.hooks import Stale, Verification
from shared.mesh.ownership import MANAGED_BY
from shared.mesh.patch import Patch
from shared.mesh.profile import Profile, load_profile
from shared.mesh.snapshot import Workload
from shared.model import (
    CategoryReport,
    CheckOutcome,
    CheckReport,
    CheckResult,
    CheckSummary,
    FailingCheck,
    InstallRequest,
    MeshSettings,
    MeshStatus,
    OutdatedWorkloads,
    Phase,
    Reason,
    Release,
    Repair,
    VerifyRequest,
)
from shared.outcome import Done, Ignored, Later
from shared.policy import BUILT_IN, Policy, read
from shared.stages import verify
from shared.stages.concluding import Found, conclude
from tests.unit.doors import EU1, NOW, MemoryGke, autopilot, clock
from tests.unit.memory_kube import MemoryKube

PROFILE = load_profile("linkerd")
SETTINGS = Settings(project="mesh", readiness_poll=0.0)
INSTALLED = (Release("linkerd-control-plane", "linkerd-control-plane-2026.6.3", "", 1),)
REQUEST = VerifyRequest(
    cluster=EU1, mesh="linkerd", version="edge-26.6.3", request_id="op-1", first_seen=NOW, release=INSTALLED
)
CONFIG = "/api/v1/namespaces/linkerd/configmaps/linkerd-config"
APPS = "/apis/apps/v1/namespaces/linkerd"
RECORD = "/api/v1/namespaces/byomesh-system/configmaps/byomesh-status"
GOOD = CheckResult("it works", CheckOutcome.PASS)
WARNED = CheckResult("it is old", CheckOutcome.WARN, "an old version")
BAD = CheckResult("cluster networks contains all services", CheckOutcome.FAIL, "not svc default/kubernetes")
PATCH = Patch(CONFIG, "ConfigMap linkerd-config", "merge", {"metadata": {}, "data": {"values": "mended"}})


def seen(*results: CheckResult, repairs: tuple[Patch, ...] = ()) -> Verification:
    return Verification(report=CheckReport((CategoryReport("c", results),)), repairs=repairs, version="edge-live")


class Hooks:
    """A mesh's own checks: answers one prepared look after another."""

    def __init__(self, *looks: Verification) -> None:
        self._looks = list(looks)
        self.expected: list[str | None] = []

    def __call__(self, _profile: Profile) -> Hooks:
        return self

    def look(
        self,
        kube: Kube,
        profile: Profile,
        cluster: gke.Cluster,
        now: dt.datetime,
        expected_version: str | None,
        _wish: MeshSettings,
    ) -> Verification:
        assert (isinstance(kube, MemoryKube), profile, cluster.ref, now) == (True, PROFILE, EU1, NOW)
        self.expected.append(expected_version)
        return self._looks.pop(0)

    @property
    def left(self) -> int:
        return len(self._looks)


def cluster_with(ready: int = 1) -> MemoryKube:
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    deployment = {
        "metadata": {"generation": 1},
        "spec": {"replicas": 1},
        "status": {**status, "readyReplicas": ready},
    }
    kube = MemoryKube({f"{APPS}/deployments/{name}": deployment for name in PROFILE.deployments})
    kube.put(CONFIG, {"data": {"values": "broken"}})
    kube.put("/api/v1/namespaces/linkerd", {})
    return kube


def run(
    kube: MemoryKube,
    hooks: Hooks,
    request: VerifyRequest = REQUEST,
    google: MemoryGke | None = None,
    rules: Policy = BUILT_IN,
) -> Done | Ignored | Later:
    def connect(_cluster: gke.Cluster) -> Kube:
        return kube

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "verify_hooks", hooks)
        return verify.run(
            request,
            google=google or MemoryGke(autopilot()),
            connect=connect,
            rules=rules,
            settings=SETTINGS,
            clock=clock,
        )


def done(outcome: Done | Ignored | Later) -> tuple[MeshStatus, tuple[InstallRequest | VerifyRequest, ...]]:
    assert isinstance(outcome, Done)
    assert outcome.status is not None
    return outcome.status, outcome.next


REPAIR = InstallRequest(
    cluster=EU1, mesh="linkerd", version="edge-26.6.3", reason=Reason.REPAIR, request_id="op-1", attempt=1
)


NETWORKS = msgspec.structs.replace(REPAIR, repairs=(Repair.CLUSTER_NETWORKS,))


def test_a_healthy_mesh_is_ready_and_recorded_once() -> None:
    kube = cluster_with()
    status, following = done(run(kube, Hooks(seen(GOOD, WARNED))))
    assert following == ()
    assert (status.phase, status.reason, status.version) == (Phase.READY, "ChecksPassed", "edge-26.6.3")
    assert status.message == "linkerd edge-26.6.3 works: 1 checks passed, 1 warned"
    assert (status.net_admin, status.repaired, status.checks.warned) == (True, (), 1)
    assert kube.objects[RECORD]["data"]["phase"] == "Ready"
    written = list(kube.writes)
    run(kube, Hooks(seen(GOOD, WARNED)), msgspec.structs.replace(REQUEST, request_id="other"))
    assert kube.writes == written


def test_a_mesh_of_others_is_judged_and_never_mended() -> None:
    kube = cluster_with()
    looked = msgspec.structs.replace(seen(BAD, repairs=(PATCH,)), foreign=("kubectl-client-side-apply",))
    status, following = done(run(kube, Hooks(looked)))
    assert (status.phase, status.reason, status.repaired, following) == (Phase.DEGRADED, "ForeignMesh", (), ())
    assert "kubectl-client-side-apply" in status.message
    assert kube.objects[CONFIG]["data"]["values"] == "broken"


def test_a_version_that_nobody_asked_for_is_the_clusters() -> None:
    hooks = Hooks(seen(GOOD))
    status, _ = done(run(cluster_with(), hooks, msgspec.structs.replace(REQUEST, version=None)))
    assert (hooks.expected, status.version) == ([None], "edge-live")


def test_networks_are_repaired_proved_and_handed_to_helm() -> None:
    kube = cluster_with()
    hooks = Hooks(seen(GOOD, BAD, repairs=(PATCH,)), seen(GOOD, GOOD))
    status, following = done(run(kube, hooks))
    assert kube.objects[CONFIG]["data"] == {"values": "mended"}
    assert kube.objects[CONFIG]["metadata"]["managedFields"] == [{"manager": "byomesh"}]
    assert (status.phase, status.repaired, status.checks.passed) == (Phase.READY, ("clusterNetworks",), 2)
    assert following == (NETWORKS,)
    assert hooks.expected == ["edge-26.6.3", "edge-26.6.3"]


def test_the_run_after_a_repair_says_the_same_and_queues_nothing() -> None:
    kube = cluster_with()
    first, _ = done(run(kube, Hooks(seen(BAD, repairs=(PATCH,)), seen(GOOD))))
    written = list(kube.writes)
    after = msgspec.structs.replace(REQUEST, reason=Reason.REPAIR, attempt=1)
    second, following = done(run(kube, Hooks(seen(GOOD)), after))
    assert following == ()
    mended = f"{second.message}; found: clusterNetworks leaves out addresses of the cluster"
    assert (second.phase, second.reason, mended) == (first.phase, first.reason, first.message)
    assert (first.findings, second.findings) == (("ClusterNetworksDrifted",), ())
    assert kube.writes == written


def test_a_repair_that_does_not_help_is_tried_again_and_not_for_ever() -> None:
    request, message = REQUEST, ""
    phases = []
    for _ in range(10):
        patches = (PATCH,) if request.attempt < SETTINGS.repair_attempts else ()
        looks = [seen(BAD, repairs=(PATCH,)), *([seen(BAD)] if patches else [])]
        hooks = Hooks(*looks)
        status, following = done(run(cluster_with(), hooks, request))
        assert hooks.left == 0
        phases.append((status.phase, status.reason))
        message = status.message
        if not following:
            break
        (repair,) = following
        assert isinstance(repair, InstallRequest)
        request = msgspec.structs.replace(request, reason=repair.reason, attempt=repair.attempt)
    assert phases == [(Phase.DEGRADED, "ChecksFailed")] * SETTINGS.repair_attempts + [
        (Phase.FAILED, "RepairsDidNotHelp")
    ]
    assert message == (
        "1 of the checks failed, the first: cluster networks contains all services: not svc default/kubernetes; "
        "3 repairs didn't help: mend it by hand, then publish the request again"
    )


def test_a_mesh_of_others_is_judged_and_left_as_it_is() -> None:
    kube = cluster_with()
    theirs = msgspec.structs.replace(seen(GOOD, BAD, repairs=(PATCH,)), foreign=("helm", "kubectl-edit"))
    status, following = done(run(kube, Hooks(theirs)))
    assert (status.phase, status.reason, status.repaired, following) == (Phase.DEGRADED, "ForeignMesh", (), ())
    assert status.message.endswith(
        "byomesh didn't install this mesh (managed by helm, kubectl-edit), so nothing of it is mended"
    )
    assert kube.objects[CONFIG]["data"] == {"values": "broken"}


def test_a_mesh_of_others_that_works_is_ready() -> None:
    theirs = msgspec.structs.replace(seen(GOOD, repairs=(PATCH,)), foreign=("helm",))
    status, following = done(run(cluster_with(), Hooks(theirs)))
    assert (status.phase, status.repaired, following) == (Phase.READY, (), ())


def test_what_fails_without_a_repair_of_ours_is_handed_to_the_installer() -> None:
    status, following = done(run(cluster_with(), Hooks(seen(GOOD, BAD, BAD))))
    assert (status.phase, status.reason) == (Phase.DEGRADED, "ChecksFailed")
    assert status.message.startswith("2 of the checks failed, the first: cluster networks contains all services: not")
    assert status.message.endswith("; a repair is queued")
    assert status.checks.failing[0] == FailingCheck("c", BAD.description, BAD.error)
    assert following == (REPAIR,)


def test_pods_that_are_not_ready_are_waited_for_and_nothing_is_recorded() -> None:
    kube = cluster_with(ready=0)
    outcome = run(kube, Hooks(seen(BAD)))
    assert isinstance(outcome, Later)
    assert (outcome.reason, outcome.delay, outcome.limit) == (
        "PodsNotReady",
        SETTINGS.readiness_step,
        SETTINGS.readiness_limit,
    )
    assert outcome.waits_for == "Deployment linkerd-destination (0 of 1 pods ready): the cluster has no node yet"
    assert outcome.status.message == f"linkerd waits for {outcome.waits_for}"
    assert (outcome.status.phase, outcome.status.checks.failed) == (Phase.VERIFYING, 1)
    assert kube.writes == []


def test_a_wait_without_a_reason_has_none() -> None:
    kube = cluster_with(ready=0)
    kube.put("/api/v1/nodes/n", {})
    outcome = run(kube, Hooks(seen(BAD)))
    assert isinstance(outcome, Later)
    assert outcome.waits_for == "Deployment linkerd-destination (0 of 1 pods ready)"


def test_networks_are_repaired_before_the_pods_are_ready() -> None:
    kube = cluster_with(ready=0)
    status, following = done(run(kube, Hooks(seen(BAD, repairs=(PATCH,)), seen(BAD))))
    assert (status.phase, status.repaired, following) == (Phase.DEGRADED, ("clusterNetworks",), (NETWORKS,))


def test_a_mesh_that_is_not_there_is_judged_and_not_waited_for() -> None:
    kube = MemoryKube({"/api/v1/namespaces/linkerd": {}})
    status, following = done(run(kube, Hooks(seen(BAD))))
    assert (status.phase, following) == (Phase.DEGRADED, (REPAIR,))


@pytest.mark.parametrize("status", ["PROVISIONING", "RECONCILING", "STOPPING", "STATUS_UNSPECIFIED"])
def test_a_cluster_that_is_not_settled_is_waited_for(status: str) -> None:
    kube = cluster_with()
    outcome = run(kube, Hooks(), google=MemoryGke(autopilot(status=status)))
    assert isinstance(outcome, Later)
    assert (outcome.reason, outcome.waits_for) == ("ClusterNotSettled", f"the cluster, which is {status}")
    assert kube.requests == 0


def test_a_mesh_on_a_cluster_that_lost_net_admin_works_and_is_degraded() -> None:
    google = MemoryGke(autopilot(allow_net_admin=False))
    status, following = done(run(cluster_with(), Hooks(seen(GOOD)), google=google))
    assert (status.phase, status.reason, status.net_admin, following) == (Phase.DEGRADED, "NetAdminOff", False, ())
    status, following = done(run(cluster_with(), Hooks(seen(BAD, repairs=(PATCH,)), seen(GOOD)), google=google))
    assert (status.reason, following) == ("NetAdminOff", (NETWORKS,))


def test_a_standard_cluster_needs_nobodys_leave() -> None:
    google = MemoryGke(autopilot(autopilot=False, allow_net_admin=False))
    status, _ = done(run(cluster_with(), Hooks(seen(GOOD)), google=google))
    assert (status.phase, status.net_admin) == (Phase.READY, None)


STALE = msgspec.structs.replace(PATCH, body={"metadata": {"resourceVersion": "0"}, "data": {"values": "old"}})


@pytest.mark.parametrize("times", [1, 4])
def test_an_object_that_changed_since_it_was_seen_is_looked_at_anew(times: int) -> None:
    kube = cluster_with()
    stale = [seen(BAD, repairs=(STALE,))] * times
    status, _ = done(run(kube, Hooks(*stale, seen(BAD, repairs=(PATCH,)), seen(GOOD))))
    assert kube.objects[CONFIG]["data"] == {"values": "mended"}
    assert (status.phase, status.repaired) == (Phase.READY, ("clusterNetworks",))


def test_an_object_that_never_stops_changing_is_tried_again_later() -> None:
    kube = cluster_with()
    hooks = Hooks(*[seen(BAD, repairs=(STALE,))] * 9)
    with pytest.raises(Conflict) as raised:
        run(kube, hooks)
    assert isinstance(raised.value, Temporary)
    assert hooks.left == 4
    assert kube.objects[CONFIG]["data"] == {"values": "broken"}


def test_an_unknown_mesh_and_a_missing_cluster_are_permanent() -> None:
    with pytest.raises(Permanent, match="no profile"):
        run(cluster_with(), Hooks(), msgspec.structs.replace(REQUEST, mesh="istia"))
    with pytest.raises(Permanent, match="doesn't exist"):
        run(cluster_with(), Hooks(), google=MemoryGke(Permanent(gke.CLUSTER_GONE, "the cluster doesn't exist")))


def with_emojivoto(ready: int) -> MemoryKube:
    """A cluster with a mesh and the demo application, of which the Deployments have `ready` pods each."""
    (emojivoto,) = (one for one in PROFILE.extensions if one.option == "emojivoto")
    kube = cluster_with()
    kube.put("/api/v1/namespaces/emojivoto", {"metadata": {"labels": dict(MANAGED_BY)}})
    for name in emojivoto.deployments:
        labels = {"app": name}
        status = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": ready}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}}
        kube.put(f"/apis/apps/v1/namespaces/emojivoto/deployments/{name}", {"spec": spec, "status": status})
        spec = {"containers": [{"name": name}, {"name": "linkerd-proxy"}]}
        kube.put(f"/api/v1/namespaces/emojivoto/pods/{name}-1", {"metadata": {"labels": labels}, "spec": spec})
    return kube


def test_an_extension_that_is_there_is_told_of_and_recorded() -> None:
    kube = with_emojivoto(ready=1)
    status, following = done(run(kube, Hooks(seen(GOOD))))
    words = "4 of 4 deployments ready, 4 meshed"
    assert (status.phase, status.options, following) == (Phase.READY, {"emojivoto": words}, ())
    assert status.message == f"linkerd edge-26.6.3 works: 1 checks passed, 0 warned; emojivoto: {words}"
    assert kube.objects[RECORD]["data"]["options"] == f"emojivoto: {words}"


def test_an_extension_that_is_not_ready_is_waited_for() -> None:
    kube = with_emojivoto(ready=0)
    outcome = run(kube, Hooks(seen(GOOD)))
    assert isinstance(outcome, Later)
    assert outcome.waits_for == "emojivoto's Deployment emoji (0 of 1 pods ready)"
    assert RECORD not in kube.objects


def test_an_extension_that_is_not_ready_keeps_no_fault_of_the_mesh_back() -> None:
    status, (repair,) = done(run(with_emojivoto(ready=0), Hooks(seen(BAD))))
    assert (status.reason, repair.reason) == ("ChecksFailed", Reason.REPAIR)


def test_extensions_that_waited_for_the_mesh_follow_once_it_is_ready() -> None:
    request = msgspec.structs.replace(REQUEST, waiting=("linkerd-viz", "emojivoto"))
    status, following = done(run(cluster_with(), Hooks(seen(GOOD)), request))
    assert (status.phase, following) == (Phase.READY, (REPAIR,))
    assert status.message.endswith("; follows: linkerd-viz, emojivoto")
    last = msgspec.structs.replace(request, attempt=SETTINGS.repair_attempts)
    status, following = done(run(cluster_with(), Hooks(seen(GOOD)), last))
    assert (status.phase, following) == (Phase.READY, ())
    assert status.message.endswith("; not installed: linkerd-viz, emojivoto")


class Time:
    """A clock that moves only when somebody sleeps; the pods are ready after `ready` seconds."""

    def __init__(self, kube: MemoryKube, ready: float) -> None:
        self.now = 0.0
        self._kube, self._ready = kube, ready

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self._ready:
            self._kube.objects |= cluster_with().objects


@pytest.mark.parametrize(
    ("ready", "waits_for", "until"),
    [(0.35, "", 0.4), (9.0, "Deployment linkerd-destination (0 of 1 pods ready)", 1.0)],
)
def test_readiness_is_looked_for_during_a_moment(ready: float, waits_for: str, until: float) -> None:
    kube = cluster_with(ready=0)
    kube.put("/api/v1/nodes/n", {})
    time = Time(kube, ready)
    found = verify.wait_until_ready(kube, PROFILE, 1.0, monotonic=time.monotonic, sleep=time.sleep)
    assert found == waits_for
    assert time.now == pytest.approx(until, abs=0.11)


def test_where_no_moment_helps_nobody_looks_on() -> None:
    kube = cluster_with(ready=0)
    time = Time(kube, 0.35)
    found = verify.wait_until_ready(kube, PROFILE, 1.0, monotonic=time.monotonic, sleep=time.sleep)
    assert (found, time.now) == ("Deployment linkerd-destination (0 of 1 pods ready)", 0)


@pytest.mark.parametrize(
    ("age", "thorough"),
    [(0, True), (14, True), (16, False), (110, False), (121, True), (140, False), (1700, False), (1801, True)],
)
def test_pods_that_are_not_ready_are_mostly_glanced_at(age: float, thorough: bool) -> None:
    """A cluster that has waited for minutes costs seven requests a look, not all checks."""
    request = msgspec.structs.replace(REQUEST, first_seen=NOW - dt.timedelta(seconds=age))
    outcome = run(cluster_with(ready=0), Hooks(*([seen(BAD)] if thorough else [])), request)
    assert isinstance(outcome, Later)
    assert (outcome.reason, outcome.patient) == ("PodsNotReady", True)
    assert outcome.waits_for.endswith(": the cluster has no node yet")
    assert outcome.status.checks.failed == int(thorough)


def test_what_nobody_dated_is_looked_through() -> None:
    request = msgspec.structs.replace(REQUEST, first_seen=None)
    outcome = run(cluster_with(ready=0), Hooks(seen(BAD)), request)
    assert isinstance(outcome, Later)
    assert outcome.status.checks.failed == 1


def test_without_a_step_between_looks_each_is_thorough() -> None:
    assert verify.is_thorough(5.0, Settings(readiness_step=0.0))


def test_ready_pods_are_always_looked_through() -> None:
    request = msgspec.structs.replace(REQUEST, first_seen=NOW - dt.timedelta(seconds=60))
    status, _ = done(run(cluster_with(), Hooks(seen(GOOD)), request))
    assert status.phase is Phase.READY


def test_what_is_ready_costs_no_sleep() -> None:
    time = Time(cluster_with(), 0)
    assert verify.wait_until_ready(cluster_with(), PROFILE, 1.0, monotonic=time.monotonic, sleep=time.sleep) == ""
    assert time.now == 0


SUMMARIES = st.builds(
    CheckSummary,
    passed=st.integers(0, 3),
    failing=st.lists(st.builds(FailingCheck, st.just("c"), st.just("d"), st.just("e")), max_size=2).map(tuple),
)


@given(st.integers(0, 6), st.integers(0, 4), SUMMARIES, st.booleans(), st.sampled_from([None, True, False]))
def test_repairs_are_bounded_and_ready_means_that_nothing_failed(
    attempt: int, attempts: int, checks: CheckSummary, repaired: bool, net_admin: bool | None
) -> None:
    settings = Settings(repair_attempts=attempts)
    request = msgspec.structs.replace(REQUEST, attempt=attempt, actor="a")
    # A stage repairs only while it may hand a repair back.
    repaired = repaired and attempt < attempts
    status = MeshStatus(
        cluster=EU1,
        mesh="linkerd",
        phase=Phase.VERIFYING,
        reason="",
        message="",
        checks=checks,
        net_admin=net_admin,
        repaired=("clusterNetworks",) if repaired else (),
    )
    told, following = conclude(request, status, PROFILE, settings, Found())
    assert (told.phase is Phase.READY) == (not checks.failing and net_admin is not False)
    assert (told.phase is Phase.FAILED) == (bool(checks.failing) and attempt >= attempts)
    assert bool(following) == (attempt < attempts and (bool(checks.failing) or repaired))
    facts: dict[str, Any] = {"reason": Reason.REPAIR, "attempt": attempt + 1, "actor": "a"}
    facts["repairs"] = (Repair.CLUSTER_NETWORKS,) if repaired else ()
    assert all(one == msgspec.structs.replace(REPAIR, **facts) for one in following)


# The policy -----------------------------------------------------------------------------------------------------------


def ruled(keys: str) -> Policy:
    """A policy of one rule for every cluster."""
    return read(f"schema: 1\nrules:\n  - {{name: r1, reason: it is so, {keys}}}\n", "p")


AUDITS = ruled("mesh: linkerd, mode: audit")


def test_a_mesh_that_nobody_wants_is_not_looked_at() -> None:
    kube = cluster_with()
    with pytest.raises(Refused, match="no mesh is wanted here: it is so") as raised:
        run(kube, Hooks(), rules=ruled("mesh: none"))
    assert (raised.value.reason, kube.writes) == ("OptedOut", [])


@pytest.mark.parametrize("reason", [Reason.CREATED, Reason.SWEEP, Reason.DRIFT])
def test_what_was_queued_before_the_policy_changed_stops(reason: Reason) -> None:
    outcome = run(cluster_with(), Hooks(), msgspec.structs.replace(REQUEST, reason=reason), rules=ruled("mode: off"))
    assert outcome == Ignored(f"{EU1}: the rule r1 leaves it alone: it is so")


@pytest.mark.parametrize("reason", list(Reason))
def test_an_audit_judges_and_writes_nothing(reason: Reason) -> None:
    kube = cluster_with()
    request = msgspec.structs.replace(REQUEST, reason=reason)
    status, following = done(run(kube, Hooks(seen(GOOD, BAD, repairs=(PATCH,))), request, rules=AUDITS))
    assert (status.phase, status.reason, status.repaired, following) == (Phase.DEGRADED, "AuditOnly", (), ())
    assert status.message == (
        "1 of the checks failed, the first: cluster networks contains all services: not svc default/kubernetes; "
        "the rule r1 of the policy only audits, so nothing of it is mended"
    )
    assert kube.writes == []
    healthy, following = done(run(kube, Hooks(seen(GOOD)), request, rules=AUDITS))
    assert (healthy.phase, healthy.reason, following, kube.writes) == (Phase.READY, "ChecksPassed", (), [])


def test_an_audit_tells_what_is_due_and_queues_nothing() -> None:
    kube = cluster_with()
    due = msgspec.structs.replace(seen(GOOD), due=(Repair.ISSUER_RENEWAL,))
    status, following = done(run(kube, Hooks(due), rules=AUDITS))
    assert (status.phase, status.reason, following, kube.writes) == (Phase.DEGRADED, "AuditOnly", (), [])
    assert status.message == (
        f"linkerd passes every check, but {Repair.ISSUER_RENEWAL} is due; "
        "the rule r1 of the policy only audits, so nothing of it is mended"
    )


def test_an_audit_waits_for_pods_as_it_is_without_repairs() -> None:
    due = msgspec.structs.replace(seen(GOOD), due=(Repair.ISSUER_RENEWAL,))
    outcome = run(cluster_with(ready=0), Hooks(due), rules=AUDITS)
    assert isinstance(outcome, Later)
    assert outcome.reason == "PodsNotReady"


def test_the_policys_version_is_expected_where_the_request_names_none() -> None:
    rules = ruled("mesh: linkerd, version: edge-26.6.2")
    hooks = Hooks(seen(GOOD), seen(GOOD))
    status, _ = done(run(cluster_with(), hooks, msgspec.structs.replace(REQUEST, version=None), rules=rules))
    run(cluster_with(), hooks, rules=rules)
    assert hooks.expected == ["edge-26.6.2", "edge-26.6.3"]
    assert status.version == "edge-live"


# Outdated workloads ---------------------------------------------------------------------------------------------------

WORKLOAD = Workload("Deployment", "shop", "web", ("version",), 3)


@pytest.mark.parametrize(("keys", "asked"), [("restartWorkloads: true", True), ("restartWorkloads: false", False)])
def test_outdated_workloads_are_told_and_restarted_where_the_policy_says_so(keys: str, asked: bool) -> None:
    kube = cluster_with()
    kube.put("/api/v1/namespaces/shop", {})
    kube.put("/apis/apps/v1/namespaces/shop/deployments/web", {"metadata": {"generation": 1}, "spec": {}})
    looked = msgspec.structs.replace(seen(GOOD), stale=Stale(workloads=(WORKLOAD,), other_pods=4, key="k"))
    status, following = done(run(kube, Hooks(looked), rules=ruled(f"mesh: linkerd, {keys}")))
    assert (status.phase, status.outdated) == (Phase.READY, OutdatedWorkloads(7, ("Deployment shop/web",)))
    assert following == ((msgspec.structs.replace(REPAIR, repairs=(Repair.RESTART_WORKLOADS,)),) if asked else ())


def test_what_no_rollout_restarts_is_told_and_not_asked_for() -> None:
    bare = msgspec.structs.replace(WORKLOAD, kind="Pod")
    looked = msgspec.structs.replace(seen(GOOD), stale=Stale(workloads=(bare,), key="k"))
    status, following = done(run(cluster_with(), Hooks(looked), rules=ruled("mesh: linkerd, restartWorkloads: true")))
    assert (status.outdated.workloads, following) == (("Pod shop/web",), ())


# Drift ----------------------------------------------------------------------------------------------------------------


def test_what_was_patched_a_moment_ago_is_no_drift_and_what_else_differs_is(monkeypatch: pytest.MonkeyPatch) -> None:
    mended = Drift(ObjectName("ConfigMap", "linkerd", "linkerd-config"), ("data.values",))
    role = Drift(ObjectName("ClusterRole", "", "linkerd-config"), ("rules",))
    monkeypatch.setattr(verify, "find_loss", lambda _kube, _profile: ((mended, role), ()))
    by_hand = msgspec.structs.replace(REQUEST, release=())
    _, following = done(run(cluster_with(), Hooks(seen(BAD, repairs=(PATCH,)), seen(GOOD)), by_hand))
    assert following == (msgspec.structs.replace(REPAIR, repairs=(Repair.CLUSTER_NETWORKS, Repair.RBAC)),)
    _, following = done(run(cluster_with(), Hooks(seen(BAD, repairs=(PATCH,)), seen(GOOD))))
    assert following == (NETWORKS,)


def test_drift_is_handed_on_before_pods_that_may_wait_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Drift(ObjectName("ServiceAccount", "linkerd", "linkerd-identity"), ("(missing)",))
    monkeypatch.setattr(verify, "find_loss", lambda _kube, _profile: ((account,), ()))
    kube = cluster_with(ready=0)
    status, following = done(run(kube, Hooks(seen(GOOD)), msgspec.structs.replace(REQUEST, release=())))
    assert (status.phase, status.reason) == (Phase.DEGRADED, "Drifted")
    assert following == (msgspec.structs.replace(REPAIR, repairs=(Repair.SERVICE_ACCOUNT,)),)
    assert RECORD not in kube.objects
