"""The enabling stage: what the policy says of a cluster, and what GKE answers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared import gke
from shared.errors import Permanent, Refused, Temporary
from shared.model import ClusterEvent, InstallRequest, Phase, Reason
from shared.outcome import Done, Ignored, Later
from shared.policy import BUILT_IN, Policy, read
from shared.stages import enable
from tests.unit.doors import EU1, NOW, SETTINGS, MemoryGke, autopilot

EVENT = ClusterEvent(cluster=EU1, method="CreateCluster", operation="op-1", request_id="op-1", time=NOW)
RETURNED = InstallRequest(cluster=EU1, mesh="linkerd", reason=Reason.CREATED, request_id="op-1", first_seen=NOW)
BY_HAND = InstallRequest(
    cluster=EU1, mesh="linkerd", version="edge-26.7.1", request_id="m-1", actor="ops@example.com", attempt=2
)
OPERATION = "projects/shop/locations/europe-west1/operations/op-2"
GONE = Permanent(gke.CLUSTER_GONE, "the cluster doesn't exist")


def run(request: ClusterEvent | InstallRequest, google: MemoryGke, rules: Policy = BUILT_IN) -> Done | Ignored | Later:
    return enable.run(request, google=google, rules=rules, settings=SETTINGS)


def ruled(keys: str = "mesh: linkerd") -> Policy:
    """A policy of one rule for every cluster."""
    return read(f"schema: 1\nrules:\n  - {{name: r1, reason: it is so, {keys}}}\n", "p")


@pytest.mark.parametrize("request_", [EVENT, RETURNED])
def test_net_admin_is_allowed_and_the_mesh_queued_behind_the_operation(request_: ClusterEvent | InstallRequest) -> None:
    google = MemoryGke(autopilot(allow_net_admin=False), update=gke.Started(OPERATION))
    outcome = run(request_, google)
    assert google.updates == [(EU1, "e1")]
    assert isinstance(outcome, Done)
    assert outcome.next == (
        InstallRequest(
            cluster=EU1, mesh="linkerd", reason=Reason.CREATED, request_id="op-1", operation=OPERATION, first_seen=None
        ),
    )
    status = outcome.status
    assert status is not None
    assert (status.phase, status.reason, status.net_admin) == (Phase.ENABLING, "AllowingNetAdmin", False)
    assert status.message.startswith("allow-net-admin is being turned on (op-2); linkerd is queued")


@pytest.mark.parametrize(
    ("cluster", "net_admin"),
    [
        (autopilot(), True),
        (autopilot(autopilot=False, allow_net_admin=False, labels={"mesh": "linkerd"}), None),
    ],
)
def test_where_net_admin_needs_nothing_the_mesh_is_queued_at_once(cluster: gke.Cluster, net_admin: bool | None) -> None:
    google = MemoryGke(cluster)
    outcome = run(EVENT, google)
    assert isinstance(outcome, Done)
    assert outcome.next == (InstallRequest(cluster=EU1, mesh="linkerd", reason=Reason.CREATED, request_id="op-1"),)
    assert outcome.status is not None
    assert (outcome.status.phase, outcome.status.reason) == (Phase.PENDING, "Queued")
    assert (outcome.status.net_admin, outcome.status.request_id) == (net_admin, "op-1")
    assert google.updates == []


@pytest.mark.parametrize("request_", [EVENT, RETURNED, BY_HAND])
def test_a_busy_cluster_is_waited_for(request_: ClusterEvent | InstallRequest) -> None:
    google = MemoryGke(autopilot(allow_net_admin=False), update=gke.Busy("Cluster is running incompatible operation"))
    outcome = run(request_, google)
    assert isinstance(outcome, Later)
    assert (outcome.delay, outcome.limit, outcome.reason) == (
        SETTINGS.operation_step,
        SETTINGS.operation_limit,
        "ClusterBusy",
    )
    assert (outcome.status.phase, outcome.status.mesh) == (Phase.ENABLING, "linkerd")
    assert "running incompatible operation" in outcome.status.message
    assert outcome.since is None


IGNORED: dict[str, tuple[dict[str, Any], str]] = {
    "opted out": ({"labels": {"byomesh": "off"}}, "byomesh=off"),
    "no mesh": ({"labels": {"mesh": "none"}}, "mesh=none"),
    "Standard": ({"autopilot": False}, "only with the label mesh=linkerd"),
}


@pytest.mark.parametrize("request_", [EVENT, RETURNED])
@pytest.mark.parametrize("case", IGNORED)
def test_what_the_policy_leaves_out_is_ignored_also_after_a_wait(
    case: str, request_: ClusterEvent | InstallRequest
) -> None:
    changes, words = IGNORED[case]
    google = MemoryGke(autopilot(allow_net_admin=False, **changes))
    outcome = run(request_, google)
    assert isinstance(outcome, Ignored)
    assert str(EU1) in outcome.reason
    assert words in outcome.reason


@pytest.mark.parametrize("request_", [EVENT, RETURNED, BY_HAND])
def test_a_label_that_names_no_mesh_is_refused(request_: ClusterEvent | InstallRequest) -> None:
    google = MemoryGke(autopilot(labels={"mesh": "istia"}))
    with pytest.raises(Refused, match="mesh=istia names no known mesh") as raised:
        run(request_, google)
    assert (raised.value.reason, raised.value.cluster) == ("PolicyRefuses", str(EU1))


def test_a_hand_may_ask_for_more_than_the_policy() -> None:
    outcome = run(BY_HAND, MemoryGke(autopilot(autopilot=False, allow_net_admin=False)))
    assert isinstance(outcome, Done)
    assert outcome.next == (
        InstallRequest(
            cluster=EU1,
            mesh="linkerd",
            version="edge-26.7.1",
            reason=Reason.RERUN,
            request_id="m-1",
            actor="ops@example.com",
        ),
    )


@pytest.mark.parametrize("label", [{"byomesh": "off"}, {"mesh": "none"}])
def test_a_hand_may_not_ask_for_what_the_owner_opted_out_of(label: dict[str, str]) -> None:
    with pytest.raises(Refused, match="no mesh is wanted here: its label") as raised:
        run(BY_HAND, MemoryGke(autopilot(labels=label)))
    assert raised.value.reason == "OptedOut"


@pytest.mark.parametrize("request_", [EVENT, RETURNED])
def test_a_cluster_deleted_before_anybody_looked_is_no_failure(request_: ClusterEvent | InstallRequest) -> None:
    outcome = run(request_, MemoryGke(GONE))
    assert outcome == Ignored(f"{EU1} was deleted before anybody looked")


def test_a_hand_that_names_a_missing_cluster_is_told() -> None:
    with pytest.raises(Permanent) as raised:
        run(BY_HAND, MemoryGke(GONE))
    assert raised.value is GONE


@pytest.mark.parametrize("error", [Permanent("NoClusterName", "other"), Temporary("ApiUnavailable", "down")])
def test_other_faults_pass_through(error: Permanent | Temporary) -> None:
    with pytest.raises(type(error)) as raised:
        run(EVENT, MemoryGke(error))
    assert raised.value is error


def test_an_organisations_denial_passes_through() -> None:
    denial = Refused("OrgPolicyDenied", "constraint custom.x denies it")
    with pytest.raises(Refused) as raised:
        run(EVENT, MemoryGke(autopilot(allow_net_admin=False), update=denial))
    assert raised.value is denial


# What the policy says of NET_ADMIN, and how far its rule goes --------------------------------------------------------

AUTOMATIC = [
    EVENT,
    RETURNED,
    msgspec.structs.replace(RETURNED, reason=Reason.SWEEP),
    msgspec.structs.replace(RETURNED, reason=Reason.DRIFT, mesh="another"),
]


@pytest.mark.parametrize("request_", AUTOMATIC)
@pytest.mark.parametrize(
    ("keys", "cluster", "would"),
    [
        ("mesh: linkerd", {"allow_net_admin": False}, "turn on allow-net-admin and queue linkerd"),
        ("mesh: linkerd", {}, "queue linkerd"),
        ("mesh: linkerd", {"autopilot": False, "allow_net_admin": False}, "queue linkerd"),
        (
            "mesh: linkerd, netAdmin: forbidden",
            {},
            "refuse linkerd (linkerd needs NET_ADMIN, which the rule r1 forbids)",
        ),
        (
            "mesh: linkerd, netAdmin: leave",
            {"allow_net_admin": False},
            "refuse linkerd (linkerd needs NET_ADMIN, which is off, and the rule r1 leaves it as it is)",
        ),
    ],
)
def test_a_rule_that_audits_only_says_what_it_would_do(
    request_: ClusterEvent | InstallRequest, keys: str, cluster: dict[str, Any], would: str
) -> None:
    google = MemoryGke(autopilot(**cluster))
    outcome = run(request_, google, ruled(f"mode: audit, {keys}"))
    assert isinstance(outcome, Done)
    assert (outcome.next, google.updates) == ((), [])
    assert outcome.status is not None
    assert (outcome.status.phase, outcome.status.reason, outcome.status.mesh) == (Phase.REFUSED, "AuditOnly", "linkerd")
    assert outcome.status.message == f"the rule r1 only audits; enforced, it would {would}: it is so"


@pytest.mark.parametrize("request_", AUTOMATIC)
@pytest.mark.parametrize("keys", ["mesh: linkerd, mode: off", "mesh: none", "mesh: none, mode: audit"])
def test_a_rule_that_wants_no_mesh_is_left_to_the_log(request_: ClusterEvent | InstallRequest, keys: str) -> None:
    assert run(request_, MemoryGke(autopilot()), ruled(keys)) == Ignored(f"{EU1}: it is so")


@pytest.mark.parametrize("request_", [*AUTOMATIC, BY_HAND])
@pytest.mark.parametrize("allowed", [True, False])
def test_a_mesh_that_needs_what_is_forbidden_is_refused(
    request_: ClusterEvent | InstallRequest, *, allowed: bool
) -> None:
    google = MemoryGke(autopilot(allow_net_admin=allowed))
    with pytest.raises(Refused) as raised:
        run(request_, google, ruled("mesh: linkerd, netAdmin: forbidden"))
    assert (raised.value.reason, raised.value.cluster) == ("NetAdminForbidden", str(EU1))
    assert raised.value.problem == "linkerd needs NET_ADMIN, which the rule r1 forbids"
    assert raised.value.remedy == "have the rule r1 ask for no mesh, or not forbid NET_ADMIN"
    assert google.updates == []


@pytest.mark.parametrize("request_", [EVENT, BY_HAND])
def test_what_is_left_as_it_is_is_not_turned_on(request_: ClusterEvent | InstallRequest) -> None:
    google = MemoryGke(autopilot(allow_net_admin=False))
    with pytest.raises(Refused) as raised:
        run(request_, google, ruled("mesh: linkerd, netAdmin: leave"))
    assert raised.value.reason == "NetAdminNotAllowed"
    assert raised.value.problem == "linkerd needs NET_ADMIN, which is off, and the rule r1 leaves it as it is"
    assert raised.value.remedy == (
        "gcloud container clusters update eu-1 --project shop --location europe-west1 "
        "--workload-policies=allow-net-admin, then publish the request again; or have the rule require it"
    )
    assert google.updates == []


@pytest.mark.parametrize("cluster", [autopilot(), autopilot(autopilot=False, allow_net_admin=False)])
@pytest.mark.parametrize("net_admin", ["leave", "required"])
def test_where_it_is_allowed_already_the_mesh_is_queued_at_once(cluster: gke.Cluster, net_admin: str) -> None:
    google = MemoryGke(cluster)
    outcome = run(EVENT, google, ruled(f"mesh: linkerd, netAdmin: {net_admin}"))
    assert isinstance(outcome, Done)
    assert [one.mesh for one in outcome.next] == ["linkerd"]
    assert google.updates == []


def test_forbidden_says_nothing_of_a_standard_cluster() -> None:
    google = MemoryGke(autopilot(autopilot=False, allow_net_admin=False))
    assert isinstance(run(EVENT, google, ruled("mesh: linkerd, netAdmin: forbidden")), Done)


@pytest.mark.parametrize("keys", ["mesh: linkerd, mode: off", "mesh: none, mode: audit", "mesh: linkerd, mode: audit"])
def test_a_hand_may_ask_for_what_the_policy_only_leaves_alone(keys: str) -> None:
    google = MemoryGke(autopilot(allow_net_admin=False), update=gke.Started(OPERATION))
    outcome = run(BY_HAND, google, ruled(keys))
    assert isinstance(outcome, Done)
    assert [(one.reason, one.version) for one in outcome.next] == [(Reason.RERUN, "edge-26.7.1")]
    assert google.updates == [(EU1, "e1")]


@pytest.mark.parametrize("reason", [Reason.CREATED, Reason.SWEEP, Reason.DRIFT])
def test_who_asks_for_what_the_policy_says_gets_the_policys_mesh_and_keeps_the_reason(reason: Reason) -> None:
    asked = msgspec.structs.replace(RETURNED, reason=reason, mesh="another")
    outcome = run(asked, MemoryGke(autopilot()), ruled())
    assert isinstance(outcome, Done)
    assert [(one.reason, one.mesh) for one in outcome.next] == [(reason, "linkerd")]
