"""One cluster held against the policy: who made a difference, and what follows from it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import gke, kube
from shared.config import Settings
from shared.errors import Permanent, Refused, Temporary
from shared.mesh.profile import load_profile
from shared.model import ClusterEvent, InstallRequest, MeshStatus, Phase, Reason, VerifyRequest
from shared.outcome import Done, Ignored, Later, Outcome
from shared.policy import Policy, read
from shared.stages.braking import Brake
from shared.stages.case import Subject
from shared.stages.enforce import Enforcer, digest
from tests.unit.doors import MemoryGke, autopilot
from tests.unit.memory_logging import NOW, SHOP, UNAVAILABLE, MemoryLogging, status_line

SETTINGS = Settings(project="mesh")
OURS = "enable-net-admin@mesh.iam.gserviceaccount.com"
OPERATION = "projects/shop/locations/europe-west1/operations/op-2"
MINUTE = dt.timedelta(minutes=1)
KEY = "desiredAutopilotWorkloadPolicyConfig"
ENFORCED = "mesh: linkerd"
AUDITED = "mesh: linkerd, mode: audit"
FORBIDDEN = "mesh: none, netAdmin: forbidden"
OFF = autopilot(allow_net_admin=False)
READY = MeshStatus(
    cluster=SHOP,
    phase=Phase.READY,
    reason="ChecksPassed",
    message="works",
    mesh="linkerd",
    version=load_profile("linkerd").version,
    time=NOW - 60 * MINUTE,
)
UPDATE = Subject.of(ClusterEvent(cluster=SHOP, method="UpdateCluster", operation="op-1", request_id="op-1", time=NOW))
BY_HAND = Subject(cluster=SHOP, reason=Reason.RERUN, request_id="m-1")


def ruled(keys: str) -> Policy:
    return read(f"schema: 1\nrules:\n  - {{name: r1, reason: it is so, {keys}}}\n", "p")


class Pods(kube.Kube):
    """An API server with these pods, and nothing else."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self._pods = pods

    def list_raw(
        self, path: str, *, label_selector: str = "", field_selector: str = "", limit: int = 500
    ) -> Iterator[bytes]:
        assert (path, label_selector, field_selector, limit) == ("/api/v1/pods", "", "", 500)
        yield json.dumps({"items": self._pods}).encode()


class World:
    """GKE, the log and a cluster, and an enforcer between them."""

    paused = False

    def __init__(self, folder: Path) -> None:
        self.log = MemoryLogging()
        self.google = MemoryGke(OFF)
        self.rules = ruled(ENFORCED)
        self.pods: Pods | None = None
        self._folder = folder
        self.now = NOW + MINUTE / 2

    def connect(self, cluster: gke.Cluster) -> kube.Kube:
        assert cluster.ref == SHOP
        assert self.pods is not None, "nobody should have looked inside"
        return self.pods

    def say(self, *statuses: MeshStatus) -> None:
        self.log.say(self._folder, *(status_line(one, one.time or NOW) for one in statuses))

    def turned(
        self, *, allowed: bool, ago: float = 0, by: str = "alice@example.com", operation: str = "op-1", **more: Any
    ) -> None:
        self.log.operation(
            name=operation, principal=by, at=NOW - ago * MINUTE, update={KEY: {"allowNetAdmin": allowed}, **more}
        )

    def look(self, subject: Subject = UPDATE) -> Outcome:
        return Enforcer(
            google=self.google,
            log=self.log.door,
            connect=self.connect,
            rules=self.rules,
            undone_within_a_day=3,
            settings=SETTINGS,
            clock=lambda: self.now,
            brake=Brake(paused=lambda: self.paused),
        ).look(subject)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def done(outcome: Outcome) -> tuple[MeshStatus, Done]:
    assert isinstance(outcome, Done)
    assert outcome.status is not None
    return outcome.status, outcome


def test_net_admin_that_somebody_turned_off_is_begun_again_and_they_are_named(world: World) -> None:
    world.say(READY)
    world.turned(allowed=False)
    status, outcome = done(world.look())
    assert outcome.next == ()
    assert outcome.begin == (
        InstallRequest(cluster=SHOP, mesh="linkerd", reason=Reason.DRIFT, request_id="op-1", actor="alice@example.com"),
    )
    assert (status.phase, status.reason, status.net_admin) == (Phase.PENDING, "NetAdminRequiredButOff", False)
    assert status.actor == "alice@example.com (google-cloud-sdk gcloud/1)"
    assert "since alice@example.com (google-cloud-sdk gcloud/1), 2026-05-04 08:59:00 UTC set it so" in status.message
    assert "rule r1: it is so" in status.message
    assert "--workload-policies=allow-net-admin" in status.message
    assert "allow_net_admin  = true" in status.advice[1]
    # What was known of the mesh stays known.
    assert (status.version, status.request_id, status.findings) == (READY.version, "op-1", ("NetAdminRequiredButOff",))
    assert world.google.updates == []


def test_where_the_rule_only_audits_it_is_only_told(world: World) -> None:
    world.rules = ruled(AUDITED)
    world.say(READY)
    world.turned(allowed=False)
    status, outcome = done(world.look())
    assert (outcome.next, outcome.begin) == ((), ())
    assert (status.phase, status.reason) == (Phase.DEGRADED, "NetAdminRequiredButOff")
    assert status.actor.startswith("alice@example.com")
    assert "the rule only audits, so nothing is changed" in status.message


@pytest.mark.parametrize(
    ("rule", "cluster", "words"),
    [
        ("mode: off", OFF, "it is so"),
        ("mesh: none", OFF, "it is so"),
        (ENFORCED, autopilot(allow_net_admin=False, labels={"byomesh": "off"}), "byomesh=off"),
        (ENFORCED, autopilot(), "changed nothing that the policy speaks of"),
    ],
)
def test_an_update_that_changed_nothing_of_ours_is_silent(
    world: World, rule: str, cluster: gke.Cluster, words: str
) -> None:
    world.google = MemoryGke(cluster)
    world.rules = ruled(rule)
    world.log.operation(name="op-1", update={"desiredLoggingService": "none"})
    outcome = world.look()
    assert isinstance(outcome, Ignored)
    assert words in outcome.reason
    assert len(world.log.requests) <= 1


def test_our_own_update_begins_nothing(world: World) -> None:
    world.turned(allowed=True, by=OURS)
    outcome = world.look()
    assert isinstance(outcome, Ignored)
    assert OURS in outcome.reason


def test_a_deleted_cluster_is_ignored_for_an_update_and_told_where_it_was_asked_for(world: World) -> None:
    world.google = MemoryGke(Permanent(gke.CLUSTER_GONE, "it doesn't exist"))
    assert isinstance(world.look(), Ignored)
    with pytest.raises(Permanent, match="doesn't exist"):
        world.look(BY_HAND)
    world.google = MemoryGke(Permanent("ApiRejected", "no"))
    with pytest.raises(Permanent, match="no"):
        world.look()


def test_an_author_that_the_log_does_not_show_yet_is_waited_for_and_then_unknown(world: World) -> None:
    outcome = world.look()
    assert isinstance(outcome, Later)
    assert (outcome.reason, outcome.delay) == ("AuthorNotLogged", SETTINGS.log_step)
    assert "op-1" in outcome.waits_for
    world.now = NOW + 2 * MINUTE
    world.say(READY)
    status, more = done(world.look())
    assert more.begin[0].actor is None
    assert status.actor == "somebody unknown"


def test_the_author_is_who_turned_it_off_not_who_changed_something_else(world: World) -> None:
    world.say(READY)
    world.turned(allowed=False, ago=30, by="carol@example.com", operation="op-0")
    world.log.operation(name="op-1", principal="bob@example.com", update={"desiredReleaseChannel": {}})
    status, _ = done(world.look())
    assert status.actor.startswith("carol@example.com")


def test_a_cluster_that_gke_works_on_is_waited_for(world: World) -> None:
    world.google = MemoryGke(autopilot(allow_net_admin=False, status="RECONCILING"))
    world.turned(allowed=False)
    outcome = world.look()
    assert isinstance(outcome, Later)
    assert (outcome.reason, outcome.delay) == ("ClusterNotSettled", SETTINGS.operation_step)


def test_a_fight_is_not_fought(world: World) -> None:
    world.say(READY)
    world.turned(allowed=False, ago=300, by="bob@example.com", operation="op-a")
    world.turned(allowed=True, ago=290, by=OURS, operation="op-b")
    world.turned(allowed=False, ago=200, operation="op-c")
    assert done(world.look(BY_HAND))[1].begin
    world.turned(allowed=False)
    status, outcome = done(world.look())
    assert (outcome.next, outcome.begin) == ((), ())
    assert (status.phase, status.reason) == (Phase.REFUSED, "Conflict")
    assert "was undone 3 times within a day" in status.message
    for words in ("bob@example.com (google-cloud-sdk gcloud/1), 2026-05-04 03:59:00 UTC", "alice@example.com"):
        assert words in status.message
    assert "until 2026-05-05 03:59:00 UTC or until the policy is changed" in status.message
    assert status.policy == digest(world.rules)

    # The same policy keeps it a conflict; another one begins to count anew.
    world.say(msgspec.structs.replace(status, time=NOW))
    assert done(world.look(BY_HAND))[0].reason == "Conflict"
    world.rules = ruled(f"{ENFORCED}, netAdmin: required")
    assert done(world.look(BY_HAND))[1].begin


def test_in_audit_nothing_is_a_conflict(world: World) -> None:
    world.rules = ruled(AUDITED)
    for number in range(5):
        world.turned(allowed=False, ago=number + 1, operation=f"op-{number}")
    assert done(world.look(BY_HAND))[0].reason == "NetAdminRequiredButOff"


def pod(name: str) -> dict[str, Any]:
    capable = {"name": "linkerd-init", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"containers": [{"name": "app"}], "initContainers": [capable]},
        "status": {"phase": "Running"},
    }


def test_net_admin_that_is_forbidden_is_turned_off_where_nobody_uses_it(world: World) -> None:
    world.rules = ruled(FORBIDDEN)
    world.google = MemoryGke(autopilot(), update=gke.Started(OPERATION))
    world.pods = Pods()
    world.turned(allowed=True)
    status, outcome = done(world.look())
    assert world.google.forbidden == [(SHOP, "e1")]
    assert (outcome.next, outcome.begin) == ((), ())
    assert (status.phase, status.reason) == (Phase.REFUSED, "NetAdminTurnedOff")
    assert "it is turned off (op-2)" in status.message
    assert status.actor.startswith("alice@example.com")
    assert "--remove-workload-policies=allow-net-admin" in status.advice[0]


def test_nothing_is_set_on_a_cluster_while_the_fleet_is_paused(world: World) -> None:
    world.rules = ruled(FORBIDDEN)
    world.google = MemoryGke(autopilot(), update=gke.Started(OPERATION))
    world.paused = True
    world.turned(allowed=True)
    outcome = world.look()
    assert isinstance(outcome, Ignored)
    assert "is paused, so the next sweep looks again" in outcome.reason
    assert world.google.forbidden == []


def test_net_admin_that_is_forbidden_and_used_stays_and_its_users_are_named(world: World) -> None:
    world.rules = ruled(FORBIDDEN)
    world.google = MemoryGke(autopilot())
    world.pods = Pods(pod("web"), pod("api"))
    world.turned(allowed=True)
    with pytest.raises(Refused, match="2 pods of 2 workloads use NET_ADMIN: Pod shop/api, Pod shop/web") as caught:
        world.look()
    assert caught.value.reason == "NetAdminInUse"
    assert "alice@example.com" in caught.value.problem
    assert world.google.forbidden == []


def test_net_admin_that_is_forbidden_in_audit_is_only_told(world: World) -> None:
    world.rules = ruled(f"{FORBIDDEN}, mode: audit")
    world.google = MemoryGke(autopilot())
    status, _ = done(world.look(BY_HAND))
    assert (status.phase, status.reason) == (Phase.DEGRADED, "NetAdminForbiddenButOn")
    assert status.actor == "somebody unknown"


def test_a_busy_cluster_is_waited_for(world: World) -> None:
    world.rules = ruled(FORBIDDEN)
    world.google = MemoryGke(autopilot(), update=gke.Busy("FAILED_PRECONDITION: busy"))
    world.pods = Pods()
    outcome = world.look(BY_HAND)
    assert isinstance(outcome, Later)
    assert outcome.reason == "ClusterBusy"


def test_a_rule_that_wants_net_admin_and_no_mesh_has_it_turned_on_here(world: World) -> None:
    world.rules = ruled("mesh: none, netAdmin: required")
    world.google = MemoryGke(OFF, update=gke.Started(OPERATION))
    status, _ = done(world.look(BY_HAND))
    assert world.google.updates == [(SHOP, "e1")]
    assert status.reason == "NetAdminTurnedOn"


def test_a_cluster_asked_for_by_hand_is_looked_into(world: World) -> None:
    world.google = MemoryGke(autopilot())
    world.say(READY)
    assert world.look(BY_HAND) == Done(
        next=(VerifyRequest(cluster=SHOP, mesh="linkerd", reason=Reason.RERUN, request_id="m-1"),)
    )
    world.rules = ruled(FORBIDDEN)
    world.google = MemoryGke(autopilot(allow_net_admin=False))
    assert isinstance(world.look(BY_HAND), Ignored)


def test_ranges_that_changed_are_looked_at_inside(world: World) -> None:
    world.google = MemoryGke(autopilot())
    world.say(READY)
    world.log.operation(name="op-1", update={"desiredAdditionalIpRangesConfig": {}})
    assert world.look() == Done(
        next=(VerifyRequest(cluster=SHOP, mesh="linkerd", reason=Reason.DRIFT, request_id="op-1"),)
    )


def test_a_cluster_that_nobody_processed_begins(world: World) -> None:
    world.google = MemoryGke(autopilot())
    sweep = msgspec.structs.replace(BY_HAND, reason=Reason.SWEEP)
    status, outcome = done(world.look(sweep))
    assert (status.phase, status.reason) == (Phase.PENDING, "NeverProcessed")
    assert "linkerd is queued" in status.message
    assert outcome.begin == (InstallRequest(cluster=SHOP, mesh="linkerd", reason=Reason.SWEEP, request_id="m-1"),)
    world.rules = ruled(AUDITED)
    status, outcome = done(world.look(sweep))
    assert (status.phase, status.reason) == (Phase.DEGRADED, "NeverProcessed")
    assert [type(one) for one in outcome.next] == [VerifyRequest]


def test_what_a_verification_found_is_looked_at_again(world: World) -> None:
    world.google = MemoryGke(autopilot())
    world.say(msgspec.structs.replace(READY, phase=Phase.DEGRADED, findings=("CertificateNearEnd",)))
    outcome = world.look(BY_HAND)
    assert isinstance(outcome, Done)
    assert (outcome.status, [type(one) for one in outcome.next]) == (None, [VerifyRequest])


def test_without_the_log_nothing_is_changed(world: World) -> None:
    world.log.fault = UNAVAILABLE
    with pytest.raises(Temporary, match=r"logging\.logEntries\.list"):
        world.look()


def test_without_the_log_an_update_that_left_all_as_it_should_be_is_no_fault(world: World) -> None:
    """Of a thousand creations each is told of by an update of our own, and the log answers sixty reads a minute."""
    world.google = MemoryGke(autopilot(allow_net_admin=True))
    world.log.fault = UNAVAILABLE
    outcome = world.look()
    assert isinstance(outcome, Ignored)
    assert "the next sweep looks at it" in outcome.reason
    with pytest.raises(Temporary):
        world.look(BY_HAND)


@pytest.mark.parametrize(("minutes", "reads"), [(29, 0), (31, 1)])
def test_updates_of_a_new_cluster_that_is_as_wanted_cost_no_read_of_the_log(
    world: World, minutes: int, reads: int
) -> None:
    world.google = MemoryGke(autopilot(allow_net_admin=True, created=world.now - minutes * MINUTE))
    world.turned(allowed=True, by=min(SETTINGS.accounts))
    assert isinstance(world.look(), Ignored)
    assert len(world.log.requests) == reads


def test_whoever_turns_net_admin_off_on_a_new_cluster_is_found(world: World) -> None:
    world.google = MemoryGke(msgspec.structs.replace(OFF, created=world.now - MINUTE))
    world.say(READY)
    world.turned(allowed=False)
    status, _ = done(world.look())
    assert status.reason == "NetAdminRequiredButOff"
