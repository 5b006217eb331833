"""Upgrades through both stages: begun, watched, taken back, and not tried again by themselves."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import gke
from shared.config import Settings
from shared.errors import Refused, Temporary
from shared.helm import ChartInvalid, HelmTimeout
from shared.kube import Kube
from shared.mesh import engine
from shared.mesh.hooks import Verification
from shared.mesh.profile import Profile, load_profile
from shared.mesh.releases import newest
from shared.mesh.upgrade import NOT_READY, Upgrade
from shared.mesh.upgrade_record import UpgradeRecord
from shared.model import (
    CategoryReport,
    CheckOutcome,
    CheckReport,
    CheckResult,
    InstallRequest,
    MeshStatus,
    Reason,
    VerifyRequest,
)
from shared.outcome import Done, Ignored, Later
from shared.policy import BUILT_IN
from shared.stages import install, verify
from tests.unit.doors import CHARTS, EU1, NOW, MemoryGke, MemoryHelm, MemoryStore, autopilot
from tests.unit.test_stage_verify import cluster_with

CRDS, CONTROL = "linkerd-crds", "linkerd-control-plane"
APPS = "/apis/apps/v1/namespaces/linkerd"
SECRETS = "/api/v1/namespaces/linkerd/secrets"
WARDEN = 'admission webhook "warden" denied the request: NET_ADMIN'
OLD, NEW = "edge-26.6.3", "edge-26.8.1"
BARE = InstallRequest(cluster=EU1, mesh="linkerd", request_id="bare")
ASKED = InstallRequest(cluster=EU1, mesh="linkerd", version=NEW, request_id="asked")
GOOD = CheckResult("it works", CheckOutcome.PASS)
BAD = CheckResult("the networks", CheckOutcome.FAIL, "they lack the Services")
WORSE = CheckResult("the roles", CheckOutcome.FAIL, "one is missing")


class World:
    """A cluster with the old version on it, and the new one's charts in the folder."""

    def __init__(self, charts: Path) -> None:
        shutil.copytree(CHARTS, charts, dirs_exist_ok=True)
        self.charts = charts
        self.kube = cluster_with()
        self.helm = MemoryHelm(self.kube)
        self.store = MemoryStore()
        self.settings = Settings(project="mesh", charts=str(charts), readiness_poll=0.0)
        self.now = NOW
        self.checks: tuple[CheckResult, ...] = (GOOD,)
        # What `cluster_with` puts there belongs to nobody.
        self.kube.put(
            "/api/v1/namespaces/linkerd", {"metadata": {"labels": {"app.kubernetes.io/managed-by": "byomesh"}}}
        )
        self.told, self.following = self.install(BARE)
        self.helm.runs.clear()
        self.chart_version("2026.8.1")

    def chart_version(self, version: str, old: str = "2026.6.3") -> None:
        for name in (CRDS, CONTROL):
            file = self.charts / name / "Chart.yaml"
            text = file.read_text().replace(old, version).replace(f"edge-{old[2:]}", f"edge-{version[2:]}")
            file.write_text(text)

    def __call__(self, _profile: Profile) -> World:
        return self

    def look(self, *_: object) -> Verification:
        report = CheckReport((CategoryReport("c", self.checks),))
        return Verification(report=report, repairs=(), version="edge-live")

    def clock(self) -> dt.datetime:
        return self.now

    def connect(self, _cluster: gke.Cluster) -> Kube:
        return self.kube

    def install(self, request: InstallRequest) -> tuple[MeshStatus, Any]:
        self.outcome = install.run(
            request,
            google=MemoryGke(autopilot()),
            connect=self.connect,
            helm_for=lambda _cluster: self.helm,
            store=self.store,
            rules=BUILT_IN,
            settings=self.settings,
            clock=self.clock,
        )
        return self._done()

    def verify(self, request: VerifyRequest | None = None) -> tuple[MeshStatus, Any]:
        self.outcome = verify.run(
            request or self.following,
            google=MemoryGke(autopilot()),
            connect=self.connect,
            rules=BUILT_IN,
            settings=self.settings,
            clock=self.clock,
        )
        return self._done()

    def _done(self) -> tuple[MeshStatus, Any]:
        outcome: Done | Ignored | Later = self.outcome
        if isinstance(outcome, Later):
            return outcome.status, None
        assert isinstance(outcome, Done)
        self.following = outcome.next[0] if outcome.next else None
        self.told = outcome.status or self.told
        return self.told, self.following

    def unready(self, why: str = "") -> None:
        for deployment in self.kube.list_items(f"{APPS}/deployments"):
            path = f"{APPS}/deployments/{deployment['metadata']['name']}"
            self.kube.put(path, {**deployment, "status": {**deployment["status"], "readyReplicas": 0}})
        if why:
            condition = {"type": "ReplicaFailure", "status": "True", "message": why}
            self.kube.put(f"{APPS}/replicasets/new", {"status": {"conditions": [condition]}})

    def ready(self) -> None:
        for path, obj in cluster_with().objects.items():
            if path.startswith(APPS):
                self.kube.put(path, obj)
        self.kube.objects.pop(f"{APPS}/replicasets/new", None)

    @property
    def upgrade(self) -> Upgrade | None:
        return UpgradeRecord(self.kube).memory.upgrade

    @property
    def versions(self) -> dict[str, tuple[str, int]]:
        found = newest(list(self.kube.list_items(SECRETS, field_selector="type=helm.sh/release.v1")))
        return {name: (release.version, release.revision) for name, release in found.items()}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(engine, "verify_hooks", made)
    monkeypatch.setattr(verify, "verify_hooks", made)
    return made


def test_an_upgrade_is_noted_done_and_forgotten_once_it_is_good(world: World) -> None:
    told, following = world.install(BARE)
    assert world.helm.runs == [(CRDS, False), (CONTROL, False)]
    assert told.message.startswith("upgrade: release linkerd-crds: chart linkerd-crds 2026.6.3 is installed")
    assert (told.version, following.version) == (NEW, NEW)
    noted = world.upgrade
    assert noted is not None
    assert (noted.from_version, noted.to_version, noted.request_id, noted.begun) == (OLD, NEW, "bare", NOW)
    assert [(one.release, one.revision) for one in noted.previous] == [(CRDS, 1), (CONTROL, 1)]
    assert noted.failing_before == ()
    told, following = world.verify()
    assert (told.phase.value, told.reason, told.version, following) == ("Ready", "ChecksPassed", NEW, None)
    assert world.upgrade is None
    world.kube.writes.clear()
    world.install(BARE)
    world.verify()
    assert world.kube.writes == []


def test_what_failed_before_is_not_blamed_on_the_upgrade(world: World) -> None:
    world.checks = (GOOD, BAD)
    world.unready()
    world.install(BARE)
    assert world.upgrade is not None
    assert world.upgrade.failing_before == ("c: the networks", NOT_READY)
    world.ready()
    told, following = world.verify()
    assert (told.reason, following.reason) == ("ChecksFailed", Reason.REPAIR)
    assert world.upgrade is None


def rolled_back(world: World) -> None:
    """Carry out the rollback that is queued, and verify it."""
    assert world.following.reason is Reason.ROLLBACK
    assert (world.told.phase.value, world.told.reason) == ("Degraded", "RollingBack")
    world.ready()
    world.checks = (GOOD,)
    told, following = world.install(world.following)
    assert (told.version, following.version, following.reason) == (OLD, OLD, Reason.ROLLBACK)
    told, following = world.verify()
    assert (told.phase.value, told.reason, told.version, following) == ("Ready", "RolledBack", OLD, None)
    assert f"the upgrade from {OLD} to {NEW} was rolled back, because: " in told.message
    assert {version for version, _ in world.versions.values()} == {"2026.6.3"}


def test_checks_that_newly_fail_get_one_repair_and_then_take_the_upgrade_back(world: World) -> None:
    world.install(BARE)
    world.checks = (GOOD, WORSE)
    told, following = world.verify()
    assert (told.reason, following.reason, following.attempt) == ("ChecksFailed", Reason.REPAIR, 1)
    assert world.upgrade is not None
    assert not world.upgrade.going_back
    world.install(following)
    told, _ = world.verify()
    assert told.message == f"the upgrade from {OLD} to {NEW} is taken back, because: the roles: one is missing"
    rolled_back(world)
    assert world.helm.rollbacks == [(CONTROL, 1, False), (CRDS, 1, False)]
    assert world.told.message.endswith("the roles: one is missing")


def test_a_fault_that_a_repair_mends_is_not_the_upgrades(world: World) -> None:
    world.install(BARE)
    world.checks = (GOOD, WORSE)
    _, repair = world.verify()
    world.install(repair)
    world.checks = (GOOD,)
    told, _ = world.verify()
    assert (told.phase.value, told.reason) == ("Ready", "ChecksPassed")
    assert world.upgrade is None


def test_pods_that_are_denied_take_it_back_at_once(world: World) -> None:
    world.install(BARE)
    world.unready(WARDEN)
    told, _ = world.verify()
    assert WARDEN in told.message
    rolled_back(world)


def test_pods_that_never_become_ready_take_it_back_after_the_limit(world: World) -> None:
    world.install(BARE)
    world.unready()
    world.now = NOW + dt.timedelta(seconds=600)
    assert world.verify()[0].phase.value == "Verifying"
    assert isinstance(world.outcome, Later)
    world.now = NOW + dt.timedelta(seconds=601)
    told, _ = world.verify(VerifyRequest(cluster=EU1, mesh="linkerd", version=NEW))
    assert "after 601 s" in told.message
    rolled_back(world)


@pytest.mark.parametrize(
    "failure",
    [
        ChartInvalid("ChartInvalid", "a bad object"),
        Refused("AdmissionDenied", "no"),
        HelmTimeout("HelmTimeout", "slow"),
    ],
)
def test_a_helm_that_fails_takes_it_back(world: World, failure: Exception) -> None:
    world.helm.failure = failure
    told, _ = world.install(BARE)
    assert failure.args[0] in told.message
    rolled_back(world)


def test_a_fault_that_passes_by_itself_leaves_the_upgrade_under_way(world: World) -> None:
    world.helm.failure = Temporary("ApiServerUnavailable", "away")
    with pytest.raises(Temporary):
        world.install(BARE)
    assert world.upgrade is not None
    world.install(BARE)
    assert world.verify()[0].reason == "ChecksPassed"
    assert world.versions[CONTROL][0] == "2026.8.1"


def test_an_upgrade_whose_worker_died_before_it_could_tell_is_watched_all_the_same(world: World) -> None:
    world.install(BARE)
    world.unready(WARDEN)
    world.verify(VerifyRequest(cluster=EU1, mesh="linkerd"))
    rolled_back(world)


def test_a_decision_whose_worker_died_is_carried_out_by_whoever_comes_next(world: World) -> None:
    world.install(BARE)
    world.unready(WARDEN)
    world.verify()
    again, queued = world.verify(VerifyRequest(cluster=EU1, mesh="linkerd", request_id="sweep"))
    assert (again.reason, queued.reason) == ("RollingBack", Reason.ROLLBACK)
    world.ready()
    told, _ = world.install(BARE)
    assert told.version == OLD
    assert world.verify()[0].reason == "RolledBack"


def failing_upgrade(world: World) -> None:
    world.helm.failure = ChartInvalid("ChartInvalid", "a bad object")
    world.install(BARE)
    rolled_back(world)
    world.helm.runs.clear()
    world.helm.rollbacks.clear()
    world.kube.writes.clear()


def test_a_bare_rerun_does_not_try_it_again_and_writes_nothing(world: World) -> None:
    failing_upgrade(world)
    for _ in range(2):
        told, following = world.install(BARE)
        assert (told.version, following.version) == (OLD, OLD)
        assert f"{NEW} is skipped, for the upgrade to it was rolled back to {OLD}" in told.message
        assert world.verify()[0].reason == "RolledBack"
    assert (world.helm.runs, world.helm.rollbacks, world.kube.writes) == ([], [], [])


def test_it_is_tried_again_when_it_is_asked_for_but_not_by_a_duplicate(world: World) -> None:
    world.helm.failure = ChartInvalid("ChartInvalid", "a bad object")
    world.install(ASKED)
    rolled_back(world)
    world.helm.runs.clear()
    world.install(ASKED)
    assert world.helm.runs == []
    world.install(msgspec.structs.replace(ASKED, request_id="once more"))
    assert world.verify()[0].reason == "ChecksPassed"
    assert world.versions[CONTROL][0] == "2026.8.1"
    assert UpgradeRecord(world.kube).memory.failed is None


def test_mended_charts_are_another_wish(world: World) -> None:
    failing_upgrade(world)
    (world.charts / CONTROL / "mended.txt").write_text("x")
    world.install(BARE)
    assert [name for name, _ in world.helm.runs] == [CRDS, CONTROL]
    assert world.verify()[0].version == NEW


def test_a_wish_that_went_back_forgets_what_failed(world: World) -> None:
    failing_upgrade(world)
    world.chart_version("2026.6.3", "2026.8.1")
    world.install(BARE)
    assert world.helm.runs == []
    assert UpgradeRecord(world.kube).memory.failed is None
    assert world.verify()[0].reason == "ChecksPassed"


def test_the_rollback_itself_remembers_what_only_a_request_had_wished(world: World) -> None:
    world.install(ASKED)
    world.checks = (GOOD, BAD)
    world.verify()
    world.install(world.following)
    world.verify()
    world.chart_version("2026.6.3", "2026.8.1")
    rolled_back(world)
    world.install(BARE)
    assert UpgradeRecord(world.kube).memory.failed is None


def test_definitions_alone_are_not_tried_again_and_again(world: World) -> None:
    world.chart_version("2026.6.3", "2026.8.1")
    (world.charts / CRDS / "Chart.yaml").write_text("name: linkerd-crds\nversion: 2026.8.1\n")
    world.helm.failure = ChartInvalid("ChartInvalid", "a bad object")
    world.install(BARE)
    world.helm.runs.clear()
    world.install(world.following)
    world.install(BARE)
    assert (world.helm.runs, world.helm.rollbacks) == ([], [(CRDS, 1, False)])
    assert world.verify()[0].reason == "RolledBack"


def test_two_upgrades_in_a_row_where_the_second_is_rolled_back_end_on_the_first(world: World) -> None:
    world.install(BARE)
    world.verify()
    world.chart_version("2026.9.1", "2026.8.1")
    world.install(BARE)
    world.unready(WARDEN)
    world.verify()
    world.ready()
    world.install(world.following)
    told, _ = world.verify()
    assert (told.phase.value, told.reason, told.version) == ("Ready", "RolledBack", NEW)
    assert {version for version, _ in world.versions.values()} == {"2026.8.1"}


def test_values_that_should_change_wait_while_an_older_version_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_upgrade(world)
    profile = load_profile("linkerd")
    crds, control = profile.releases
    control = msgspec.structs.replace(control, values={**control.values, "controllerLogLevel": "debug"})
    changed = msgspec.structs.replace(profile, releases=(crds, control))
    monkeypatch.setattr(install, "load_profile", lambda _mesh: changed)
    told, _ = world.install(BARE)
    assert (
        "values of linkerd-control-plane (controllerLogLevel) wait for its chart 2026.6.3 to be at hand" in told.message
    )
    assert world.helm.runs == []
