"""The fleet's picture: rows out of what GKE lists, the log tells and the policy decides; journeys; words; JSON."""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import Any

import msgspec
import pytest

from byomesh.fleet import advice, words
from byomesh.fleet.as_json import fleet_json
from byomesh.fleet.journeys import journeys, moments
from byomesh.fleet.model import ClusterRow, Fleet, Unseen
from byomesh.fleet.rows import MAX_MOMENTS, Sources, assemble
from byomesh.fleet.state import State
from byomesh.fleet.told import Change, Said, Work
from shared.cluster import Cluster
from shared.model import CheckSummary, ClusterRef, FailingCheck, MeshStatus, Phase, Remedy, Repair
from shared.policy import BUILT_IN, Policy, read
from tests.unit.fleets import NOW, SINCE, Teller, cluster, fleet, sources

SHOP = ClusterRef("shop-prod", "europe-west1", "checkout")
MINUTE = dt.timedelta(minutes=1)
CREATED = NOW - 60 * MINUTE


def said(
    phase: Phase, reason: str, at: dt.datetime, *, stage: str = "verify", ref: ClusterRef = SHOP, **more: Any
) -> Said:
    facts = {"message": f"it is {phase}", "mesh": "linkerd", "version": "edge-26.6.3", "request_id": "r1"}
    status = MeshStatus(cluster=ref, phase=phase, reason=reason, time=at, **{**facts, **more})
    return Said(status=status, time=at, stage=stage)


def one(*told: Said, seen: Cluster | None = None, rules: Policy = BUILT_IN, **more: Any) -> ClusterRow:
    """The row of the one cluster that is seen or spoken of."""
    read = Sources(seen=(seen,) if seen else (), said={SHOP: told} if told else {}, **more)
    [row] = assemble(read, rules, projects=["shop-prod"], since=SINCE, now=NOW).rows
    return row


def checkout(**changes: Any) -> Cluster:
    return msgspec.structs.replace(cluster(SHOP, created=CREATED), **changes)


def test_a_cluster_is_as_its_newest_status_says() -> None:
    row = one(
        said(Phase.VERIFYING, "Verifying", CREATED + 5 * MINUTE),
        said(Phase.READY, "ChecksPassed", CREATED + 6 * MINUTE, checks=CheckSummary(47, 2, 0, 1)),
        seen=checkout(),
    )
    assert (row.state, row.reason, row.mesh, row.version) == (State.READY, "ChecksPassed", "linkerd", "edge-26.6.3")
    assert (row.passed, row.warned, row.failed, row.skipped, row.checks) == (47, 2, 0, 1, 49)
    assert (row.net_admin, row.gke, row.autopilot, row.rule, row.mode) == (
        True,
        "RUNNING",
        True,
        "autopilot",
        "install",
    )
    assert row.changed == CREATED + 6 * MINUTE
    assert row.to_do == ""


def test_net_admin_is_gkes_own_word_and_a_standard_cluster_has_none() -> None:
    told = said(Phase.READY, "ChecksPassed", NOW - MINUTE, net_admin=True)
    assert one(told, seen=checkout(allow_net_admin=False)).net_admin is False
    assert one(told, seen=checkout(autopilot=False, labels={"mesh": "linkerd"})).net_admin is None


def test_a_cluster_that_nothing_was_said_of_was_never_processed() -> None:
    row = one(seen=checkout())
    assert (row.state, row.reason, row.mesh, row.changed) == (State.NEVER_PROCESSED, "NoStatus", "linkerd", None)
    assert f"byomesh rerun {SHOP} --from enable" in row.to_do
    assert "since 2026-10-25" in row.message


def test_nothing_is_said_of_a_cluster_that_gke_still_creates() -> None:
    row = one(seen=checkout(status="PROVISIONING"))
    assert (row.state, row.waits_for) == (State.PENDING, "GKE to create the cluster")


def test_what_the_policy_leaves_alone_is_shown_as_such() -> None:
    row = one(seen=checkout(labels={"byomesh": "off"}))
    assert (row.state, row.message) == (State.LEFT_ALONE, "its label byomesh=off asks for no mesh")
    assert one(seen=checkout(autopilot=False)).state is State.LEFT_ALONE
    opted = said(Phase.REFUSED, "OptedOut", NOW)
    assert one(opted, seen=checkout(labels={"byomesh": "off"})).state is State.LEFT_ALONE
    assert one(opted, seen=checkout()).state is State.REFUSED


def test_a_mesh_that_works_where_the_policy_wants_none_now_is_ready_with_a_note() -> None:
    row = one(said(Phase.READY, "ChecksPassed", NOW), seen=checkout(labels={"byomesh": "off"}))
    assert row.state is State.READY
    assert row.message.endswith("; the policy leaves the cluster alone: its label byomesh=off asks for no mesh")


def test_what_the_policy_refuses_is_refused_before_anything_is_said() -> None:
    row = one(seen=checkout(labels={"mesh": "nonsense"}))
    assert (row.state, row.reason, row.to_do) == (State.REFUSED, "PolicyRefuses", "correct the label")


def test_a_pause_is_told() -> None:
    rules = read("schema: 1\nrules: [{name: all, mesh: linkerd}]\npaused: [{reason: freeze until Monday}]\n", "policy")
    assert one(seen=checkout(), rules=rules).paused == "freeze until Monday"
    assert one(seen=checkout()).paused == ""


def test_rules_with_folders_are_told_to_match_nothing_where_no_folders_are_known() -> None:
    rules = read("schema: 1\nrules: [{name: a, match: {folders: prod}, mesh: linkerd}]\n", "policy")
    made = assemble(Sources(seen=(checkout(),), said={}), rules, projects=["shop-prod"], since=SINCE, now=NOW)
    assert [row.state for row in made.rows] == [State.LEFT_ALONE]
    assert "no rule with folders matches" in made.notes[0]


def test_a_cluster_that_is_spoken_of_and_not_listed_is_gone() -> None:
    row = one(said(Phase.STUCK, "PodsNotReady", NOW - MINUTE, waits_for="pods"))
    assert (row.state, row.reason, row.to_do, row.waits_for) == (State.GONE, "ClusterGone", "", "")
    assert row.message == "GKE no longer lists it; said last: Stuck: it is Stuck"


@pytest.mark.parametrize("where", ["", "europe-west1", "europe-west1-b"])
def test_a_cluster_where_nobody_could_look_is_not_known_rather_than_gone(where: str) -> None:
    hidden = Unseen("shop-prod", where, "denied")
    row = one(said(Phase.READY, "ChecksPassed", NOW), unseen=(hidden,))
    assert (row.state, row.reason, row.to_do) == (State.UNKNOWN, "NotSeen", "denied")
    elsewhere = Unseen("shop-prod", "us-central1", "denied")
    assert one(said(Phase.READY, "ChecksPassed", NOW), unseen=(elsewhere,)).state is State.GONE
    other = Unseen("shop", where, "denied")
    assert one(said(Phase.READY, "ChecksPassed", NOW), unseen=(other,)).state is State.GONE


def test_a_name_that_nobody_knows_is_told() -> None:
    row = one(only=SHOP)
    assert (row.state, row.reason) == (State.GONE, "NoSuchCluster")


def test_nobody_is_called_never_processed_where_the_log_was_not_read_to_its_end() -> None:
    read = Sources(seen=(checkout(),), said={}, complete=False)
    made = assemble(read, BUILT_IN, projects=["shop-prod"], since=SINCE, now=NOW)
    assert [row.state for row in made.rows] == [State.UNKNOWN]
    assert "more statuses than were read" in made.notes[0]


def test_what_was_said_of_a_namesake_before_a_clusters_creation_counts_no_more() -> None:
    old = said(Phase.FAILED, "RepairsDidNotHelp", CREATED - 60 * MINUTE)
    row = one(old, seen=checkout())
    assert row.state is State.NEVER_PROCESSED
    assert [moment.reason for moment in row.moments] == ["RepairsDidNotHelp"]
    # Google's clocks may differ a little.
    assert one(said(Phase.READY, "x", CREATED - dt.timedelta(seconds=5)), seen=checkout()).state is State.READY


def test_moments_are_bounded_and_the_rest_is_counted() -> None:
    reasons = ("ChecksPassed", "RolledBack")
    times = [CREATED + number * MINUTE / 10 for number in range(MAX_MOMENTS + 5)]
    told = [said(Phase.READY, reasons[number % 2], time) for number, time in enumerate(times)]
    row = one(*told, seen=checkout())
    assert (len(row.moments), row.earlier) == (MAX_MOMENTS, 5)
    assert row.moments[0].time == told[-1].time


def test_what_a_sweep_says_again_every_hour_is_no_change() -> None:
    first = said(Phase.VERIFYING, "Verifying", CREATED + MINUTE)
    again = [
        said(Phase.READY, "ChecksPassed", CREATED + number * MINUTE, request_id=f"r{number}") for number in range(2, 30)
    ]
    row = one(first, *again, seen=checkout())
    assert (row.changed, row.heard) == (CREATED + 2 * MINUTE, CREATED + 29 * MINUTE)
    assert [moment.time for moment in row.moments] == [CREATED + 29 * MINUTE, CREATED + 2 * MINUTE, CREATED + MINUTE]
    assert (len(row.journeys), row.earlier) == (3, 0)


def test_what_is_said_in_other_words_is_kept() -> None:
    told = [
        said(Phase.VERIFYING, "Verifying", CREATED + number * MINUTE, message=f"attempt {number}")
        for number in (1, 2, 3)
    ]
    assert len(one(*told, seen=checkout()).moments) == 3


def test_what_was_under_way_in_between_is_no_change_once_it_is_over() -> None:
    ready = [said(Phase.READY, "ChecksPassed", CREATED + number * MINUTE) for number in (1, 5)]
    looked = said(Phase.VERIFYING, "PodsNotReady", CREATED + 4 * MINUTE)
    assert one(ready[0], looked, ready[1], seen=checkout()).changed == CREATED + MINUTE
    assert one(ready[0], looked, seen=checkout()).changed == CREATED + 4 * MINUTE
    newer = said(Phase.READY, "ChecksPassed", CREATED + 5 * MINUTE, version="edge-26.7.1")
    assert one(ready[0], looked, newer, seen=checkout()).changed == CREATED + 5 * MINUTE
    worse = said(Phase.DEGRADED, "ChecksFailed", CREATED + 3 * MINUTE)
    assert one(ready[0], worse, ready[1], seen=checkout()).changed == CREATED + 5 * MINUTE


def test_checks_that_fail_come_with_their_remedies_and_then_those_that_warn() -> None:
    failing = FailingCheck("linkerd-config", "cluster networks contains all pods", "10.9.0.1 is left out")
    row = one(
        said(
            Phase.DEGRADED,
            "CannotRepair",
            NOW,
            checks=CheckSummary(40, 1, 1, 0, (failing,)),
            remedies=(
                Remedy("control plane is up-to-date", (), "ask for a newer one"),
                Remedy(failing.description, (Repair.CLUSTER_NETWORKS,), "name the range"),
            ),
        ),
        seen=checkout(),
    )
    assert [(one.check, one.error, one.repairs, one.advice) for one in row.troubles] == [
        (failing.description, failing.error, ("clusterNetworks",), "name the range"),
        ("control plane is up-to-date", "", (), "ask for a newer one"),
    ]
    assert row.to_do == f"name the range; then `byomesh rerun {SHOP}`"


def test_what_differs_from_the_policy_who_made_it_so_and_the_owners_own_code() -> None:
    fight = said(
        Phase.REFUSED,
        "Conflict",
        NOW,
        stage="enforce",
        findings=("NetAdminRequiredButOff",),
        actor="anna@example.com (Terraform/1.9)",
        advice=("gcloud container clusters update", 'resource "google_container_cluster" "checkout" {}'),
    )
    row = one(fight, seen=checkout())
    assert (row.findings, row.actor) == (("NetAdminRequiredButOff",), "anna@example.com (Terraform/1.9)")
    assert row.advice[1].startswith("resource")
    assert (row.moments[0].who, row.moments[0].actor) == ("enforce_policy", "anna@example.com (Terraform/1.9)")
    assert one(fight).advice == ()


def test_what_is_being_mended_needs_no_hand() -> None:
    row = one(said(Phase.DEGRADED, "ChecksFailed", NOW), seen=checkout())
    assert (words.mending(row), words.amiss(row)) == (True, False)
    made = Fleet(time=NOW, since=SINCE, projects=("p",), rows=(row,))
    assert words.details(made) == ("1 is being mended",)
    assert made.exit_code == 1
    row = one(said(Phase.DEGRADED, "CannotRepair", NOW), seen=checkout())
    assert (words.mending(row), words.amiss(row)) == (False, True)


@pytest.mark.parametrize(
    ("phase", "reason", "message", "to_do"),
    [
        (Phase.READY, "ChecksPassed", "fine", ""),
        (Phase.PENDING, "OperationRunning", "waits", ""),
        (Phase.STUCK, "OperationRunning", "waited", "see GKE's operation, then publish the request again"),
        (Phase.STUCK, "NetAdminPropagating", "w", "GKE allows NET_ADMIN and Warden doesn't, ask Google's support"),
        (Phase.REFUSED, "OperationFailed", "no", "mend what GKE names, then publish the request again"),
        (Phase.REFUSED, "X", f"X on {SHOP}: it is so Next: do this", "do this"),
        (Phase.FAILED, "RepairsDidNotHelp", "no", "mend the checks that fail, then publish the request again"),
        (Phase.FAILED, "NobodyKnows", "no", ""),
        (Phase.STUCK, "Conflict", "no", "stop whoever keeps changing what the message names"),
        (Phase.DEGRADED, "ChecksFailed", "no", "nothing: a repair is queued"),
    ],
)
def test_what_to_do(phase: Phase, reason: str, message: str, to_do: str) -> None:
    status = MeshStatus(cluster=SHOP, phase=phase, reason=reason, message=message)
    assert advice.what_to_do(status) == to_do


def test_one_reason_may_mean_another_thing_in_another_phase() -> None:
    fight = MeshStatus(cluster=SHOP, phase=Phase.REFUSED, reason="Conflict", message="no")
    assert advice.what_to_do(fight).startswith("allow-net-admin was undone again and again")


def test_a_message_says_nothing_twice() -> None:
    status = MeshStatus(cluster=SHOP, phase=Phase.REFUSED, reason="X", message=f"X on {SHOP}: it is so Next: do this")
    assert advice.problem_and_remedy(status) == ("it is so", "do this")


def told_by(story: Any) -> Teller:
    teller = Teller(SHOP, CREATED, random.Random(1))  # noqa: S311 - a fixture
    story(teller)
    return teller


def test_the_journey_of_a_creation_has_its_stages_without_gaps() -> None:
    teller = told_by(lambda tell: tell.enabled().waiting().installed().pods().ready(repaired=("clusterNetworks",)))
    [journey] = journeys(teller.said, CREATED, NOW)
    assert journey.created
    assert [span.work for span in journey.spans] == [Work.CREATE, Work.NET_ADMIN, Work.INSTALL, Work.VERIFY]
    for before, after in zip(journey.spans, journey.spans[1:], strict=False):
        assert before.ended == after.began
    assert journey.began == CREATED
    assert journey.spans[-1].ended == teller.said[-1].time
    assert journey.seconds == pytest.approx(sum(span.seconds for span in journey.spans))
    assert (journey.outcome, journey.repaired) == (State.READY, ("clusterNetworks",))
    assert not any(span.open for span in journey.spans)


def test_a_journey_that_goes_on_is_open_until_now() -> None:
    teller = told_by(lambda tell: tell.enabled().waiting())
    [journey] = journeys(teller.said, CREATED, NOW)
    assert journey.spans[-1].work is Work.NET_ADMIN
    assert journey.spans[-1].open
    assert journey.spans[-1].ended == NOW
    assert journey.outcome is State.PENDING


def test_what_follows_a_failed_check_is_repair() -> None:
    told = [
        said(Phase.VERIFYING, "Verifying", CREATED + MINUTE, stage="install", timings={"apply": 20}),
        said(Phase.DEGRADED, "ChecksFailed", CREATED + 2 * MINUTE),
        said(Phase.VERIFYING, "Verifying", CREATED + 3 * MINUTE, stage="install"),
        said(Phase.READY, "ChecksPassed", CREATED + 4 * MINUTE),
    ]
    [journey] = journeys(told, None, NOW)
    assert [(span.work, span.seconds) for span in journey.spans] == [
        (Work.INSTALL, 20),
        (Work.VERIFY, 60),
        (Work.REPAIR, 120),
    ]
    assert not journey.created


def test_the_time_before_a_piece_of_work_is_the_wait_that_was_told_of() -> None:
    told = [
        said(Phase.PENDING, "LeaseHeld", CREATED, stage="install", timings={"plan": 2}),
        said(Phase.VERIFYING, "Verifying", CREATED + MINUTE, stage="install", timings={"plan": 5, "apply": 15}),
    ]
    [journey] = journeys(told, None, CREATED + MINUTE)
    assert [(span.work, span.seconds) for span in journey.spans] == [
        (Work.INSTALL, 2),
        (Work.WAIT, 40),
        (Work.INSTALL, 20),
    ]


def test_each_request_is_a_journey_the_newest_first() -> None:
    told = [
        said(Phase.READY, "ChecksPassed", CREATED + MINUTE),
        said(Phase.READY, "ChecksPassed", CREATED + 30 * MINUTE, request_id="r2"),
    ]
    assert [journey.request_id for journey in journeys(told, CREATED, NOW)] == ["r2", "r1"]
    assert [journey.created for journey in journeys(told, CREATED, NOW)] == [False, True]
    # The first word so late is none about the creation.
    assert not journeys(told, CREATED - dt.timedelta(days=9), NOW)[-1].created


def test_a_status_alone_is_a_journey_too() -> None:
    [journey] = journeys([said(Phase.REFUSED, "OrgPolicyDenied", NOW, stage="enable")], None, NOW)
    assert (journey.seconds, len(journey.spans), journey.outcome) == (0, 1, State.REFUSED)


def test_moments_tell_who_did_what() -> None:
    change = Change(
        cluster=SHOP, time=NOW, method="UpdateCluster", principal="anna@example.com", client="gcloud", problem="busy"
    )
    newest, oldest = moments([said(Phase.READY, "ChecksPassed", NOW - MINUTE)], [change])
    assert (newest.who, newest.what, newest.client, newest.state) == (
        "anna@example.com",
        "updated the cluster; GKE refused: busy",
        "gcloud",
        None,
    )
    assert (oldest.who, oldest.state) == ("verify_mesh", State.READY)


@pytest.mark.parametrize(
    ("states", "unseen", "code"),
    [
        ([], False, 0),
        ([State.READY, State.LEFT_ALONE, State.GONE], False, 0),
        ([State.READY, State.PENDING], False, 1),
        ([State.NEVER_PROCESSED], False, 1),
        ([State.READY], True, 2),
        ([State.READY, State.UNKNOWN], False, 2),
        ([State.FAILED, State.UNKNOWN], True, 1),
    ],
)
def test_exit_status(states: list[State], unseen: bool, code: int) -> None:
    rows = tuple(ClusterRow(ref=SHOP, state=state, reason="", message="") for state in states)
    hidden = (Unseen("p", "", "denied"),) if unseen else ()
    made = Fleet(time=NOW, since=SINCE, projects=("p",), rows=rows, unseen=hidden)
    assert made.exit_code == code


def test_a_fleet_is_ordered_and_counted_the_worst_first() -> None:
    made = fleet(40)
    ranks = [list(State).index(row.state) for row in made.rows]
    assert ranks == sorted(ranks)
    assert sum(made.counts().values()) == len(made.rows) == 40
    assert list(made.counts()) == sorted(made.counts(), key=list(State).index)
    assert made == fleet(40)


def test_the_json_has_every_cluster_with_the_documented_fields() -> None:
    made = fleet(40)
    data = json.loads(json.dumps(fleet_json(made)))
    assert set(data) == {"schema", "time", "since", "policy", "projects", "counts", "not_seen", "notes", "clusters"}
    assert [one["cluster"] for one in data["clusters"]] == [str(row.ref) for row in made.rows]
    documented = (
        "cluster project location name state ready reason message to_do waits_for paused mesh version net_admin"
    )
    documented += (
        " checks troubles findings actor advice changed heard age request_id repaired options outdated_pods gke policy"
    )
    documented += " journeys timeline earlier"
    assert all(set(one) == set(documented.split()) for one in data["clusters"])
    ready = next(one for one in data["clusters"] if one["state"] == "Ready")
    assert ready["ready"] is True
    assert ready["checks"]["passed"] == 47
    assert ready["journeys"][0]["stages"][0].keys() == {"stage", "began", "seconds", "open"}
    assert data["not_seen"][0]["project"] == "legacy-batch"


def test_headlines() -> None:
    def made(*states: State) -> Fleet:
        rows = tuple(ClusterRow(ref=SHOP, state=state, reason="", message="") for state in states)
        return Fleet(time=NOW, since=SINCE, projects=("p",), rows=rows)

    assert words.headline(made()) == "There is no cluster to show."
    assert words.headline(made(State.LEFT_ALONE)) == "No cluster is to have a mesh."
    assert words.headline(made(State.READY)) == "The cluster is Ready."
    assert words.headline(made(State.READY, State.READY)) == "All 2 clusters are Ready."
    assert words.headline(made(State.READY, State.FAILED)) == "1 of 2 clusters is Ready."
    assert words.headline(made(State.FAILED)) == "The cluster isn't Ready."
    assert words.headline(made(State.FAILED, State.STUCK)) == "None of 2 clusters is Ready."
    told = words.details(made(State.READY, State.FAILED, State.PENDING, State.PENDING, State.GONE, State.UNKNOWN))
    assert told == ("1 needs a hand", "2 are under way", "1 not known", "1 gone")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.26, "0.3 s"),
        (9.7, "9.7 s"),
        (9.98, "10 s"),
        (2.0, "2 s"),
        (0.02, "0 s"),
        (59.6, "1 m"),
        (356, "5 m 56 s"),
        (3_600, "1 h"),
        (3_661, "1 h 1 m"),
        (90_000, "1 d 1 h"),
        (86_405, "1 d"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_ages_and_checks() -> None:
    assert words.age(NOW - dt.timedelta(days=6, hours=5), NOW) == "6 d"
    assert words.age(NOW + MINUTE, NOW) == "0 s"
    assert words.age(None, NOW) == ""
    row = ClusterRow(ref=SHOP, state=State.READY, reason="", message="", passed=46, warned=2, failed=1)
    assert words.checks(row) == "1 failed, 2 warned, 46 passed"
    assert words.few_checks(row) == "1 failed, 2 warned"
    assert words.few_checks(msgspec.structs.replace(row, warned=0, failed=0)) == "46 passed"


def test_the_fixtures_tell_every_state() -> None:
    assert {row.state for row in fleet(40).rows} >= {*State} - {State.ENABLING, State.INSTALLING, State.UNKNOWN}
    assert len(sources(3).seen) == 3


def test_a_wait_of_a_moment_falls_to_what_follows() -> None:
    told = [
        said(Phase.PENDING, "LeaseHeld", CREATED, stage="install", timings={"plan": 2}),
        said(Phase.READY, "ChecksPassed", CREATED + dt.timedelta(seconds=1.02), timings={"checks": 1}),
    ]
    [journey] = journeys(told, None, NOW)
    assert [(span.work, span.seconds) for span in journey.spans] == [(Work.INSTALL, 2), (Work.VERIFY, 1.02)]
