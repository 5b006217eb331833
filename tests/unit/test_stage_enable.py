"""The enabling stage: what the policy says of a cluster, and what GKE answers."""

from __future__ import annotations

from typing import Any

import pytest

from shared import gke
from shared.errors import Permanent, Refused, Temporary
from shared.model import ClusterEvent, InstallRequest, Phase, Reason
from shared.outcome import Done, Ignored, Later
from shared.policy import BUILT_IN
from shared.stages import enable
from tests.unit.doors import EU1, NOW, SETTINGS, MemoryGke, autopilot

EVENT = ClusterEvent(cluster=EU1, method="CreateCluster", operation="op-1", request_id="op-1", time=NOW)
RETURNED = InstallRequest(cluster=EU1, mesh="linkerd", reason=Reason.CREATED, request_id="op-1", first_seen=NOW)
BY_HAND = InstallRequest(
    cluster=EU1, mesh="linkerd", version="edge-26.7.1", request_id="m-1", actor="ops@example.com", attempt=2
)
OPERATION = "projects/shop/locations/europe-west1/operations/op-2"
GONE = Permanent(gke.CLUSTER_GONE, "the cluster doesn't exist")


def run(request: ClusterEvent | InstallRequest, google: MemoryGke) -> Done | Ignored | Later:
    return enable.run(request, google=google, rules=BUILT_IN, settings=SETTINGS)


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
    assert isinstance(run(BY_HAND, MemoryGke(autopilot(labels=label))), Ignored)


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
