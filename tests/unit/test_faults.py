"""What one cluster alone suffers from: a wait for it, and nothing for the others."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from shared.config import Settings
from shared.delivery import Deliver
from shared.errors import Temporary
from shared.events import enforcement, install_request, verify_request
from shared.helm.process import HelmTimeout
from shared.kube import ClusterFault, Conflict, IamNotReady
from shared.kube_errors import from_response, unavailable
from shared.mesh.lease import LeaseLost
from shared.model import ClusterEvent, EnforceRequest, InstallRequest, Phase, Stage, SweepRequest, VerifyRequest
from shared.outcome import Later, Outcome
from shared.stages import faults
from tests.unit.doors import EU1
from tests.unit.test_delivery import BODY, ENTRY, SETTINGS, Doors, audit, doors, message

__all__ = ["doors"]

REFUSED = "the API server can't be reached: NewConnectionError: Connection refused"
UNREACHABLE = unavailable(REFUSED, tried="GET /api/v1/namespaces/linkerd", cluster=str(EU1))


@pytest.mark.parametrize(
    ("kind", "decode", "phase"),
    [(InstallRequest, install_request, "Pending"), (VerifyRequest, verify_request, "Verifying")],
)
def test_an_unreachable_control_plane_is_waited_for(doors: Doors, kind: Any, decode: Any, phase: str) -> None:
    def act(request: Any) -> Outcome:
        assert isinstance(request, kind)
        raise UNREACHABLE

    stage: Stage = "verify" if kind is VerifyRequest else "install"
    Deliver[Any](stage, decode)(act)(message(BODY, dt.datetime.now(dt.UTC).isoformat(), waits="2"))
    (status,) = doors.statuses
    assert (status["phase"], status["reason"]) == (phase, "ApiServerUnavailable")
    assert status["waits_for"] == f"a fault of the cluster to pass: {REFUSED} (tried: GET /api/v1/namespaces/linkerd)"
    assert status["message"] == f"linkerd waits for {status['waits_for']}"
    ((topic, _body, attributes, delay, _name),) = doors.waits
    assert (topic, attributes["waits"], delay) == (f"mesh-{stage}", "3", faults.FIRST * 4)


def test_past_the_limit_of_an_operation_it_is_stuck_with_what_was_tried(doors: Doors) -> None:
    def act(_: InstallRequest) -> Outcome:
        raise UNREACHABLE

    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=SETTINGS.operation_limit + 60)
    body = {**BODY, "first_seen": long_ago.isoformat()}
    Deliver("install", install_request)(act)(message(body, waits="20"))
    (status,) = doors.statuses
    assert (status["phase"], doors.waits) == ("Stuck", [])
    assert REFUSED in status["message"]
    assert "longer than the 3600 s allowed" in status["message"]


def test_a_look_that_an_update_asked_for_waits_as_a_request(doors: Doors) -> None:
    def act(_: ClusterEvent | EnforceRequest | SweepRequest) -> Outcome:
        raise UNREACHABLE

    entry: dict[str, Any] = {**ENTRY, "timestamp": dt.datetime.now(dt.UTC).isoformat()}
    method = "google.container.v1.ClusterManager.UpdateCluster"
    event = audit()
    event.data = {**entry, "protoPayload": {**entry["protoPayload"], "methodName": method}}
    Deliver[ClusterEvent | EnforceRequest | SweepRequest]("enforce", enforcement)(act)(event)
    (status,) = doors.statuses
    assert (status["phase"], status["reason"], status["mesh"]) == ("Pending", "ApiServerUnavailable", "")
    assert status["message"].startswith("the cluster waits for a fault of the cluster to pass: ")
    ((topic, body, _attributes, _delay, _name),) = doors.waits
    assert (topic, body["operation"]) == ("mesh-enforce", "op-1")


def test_a_fault_that_all_clusters_share_is_refused(doors: Doors) -> None:
    def act(_: InstallRequest) -> Outcome:
        raise Temporary("ApiUnavailable", "GKE is down")

    with pytest.raises(Temporary):
        Deliver("install", install_request)(act)(message(BODY))
    assert doors.waits == []


@pytest.mark.parametrize("code", [401, 409, 410, 429, 500, 502, 503, 504])
def test_whatever_an_api_server_answers_is_its_clusters_own_fault(code: int) -> None:
    assert isinstance(from_response(code, b"", tried="GET /x"), ClusterFault)


def test_so_is_what_helm_or_a_lease_meets_there() -> None:
    assert issubclass(HelmTimeout, ClusterFault)
    assert issubclass(LeaseLost, ClusterFault)
    assert issubclass(IamNotReady, ClusterFault)


def test_waits_double_up_to_five_minutes() -> None:
    request = InstallRequest(cluster=EU1, mesh="linkerd", version="v")
    waits = [faults.wait_out(UNREACHABLE, request, times, Settings()) for times in (0, 1, 2, 6, 1000)]
    assert [one.delay for one in waits] == [5.0, 10.0, 20.0, 300.0, 300.0]
    assert {one.limit for one in waits} == {3600.0}
    assert {(one.status.phase, one.status.version) for one in waits} == {(Phase.PENDING, "v")}


@pytest.mark.parametrize(("age", "seconds"), [(0, 60.0), (600, 60.0), (601, 15.0)])
def test_who_has_been_slow_for_long_is_given_less_time(age: float, seconds: float) -> None:
    now = dt.datetime.now(dt.UTC)
    request = VerifyRequest(cluster=EU1, mesh="linkerd", first_seen=now - dt.timedelta(seconds=age))
    assert faults.patience(request, Settings(), now) == seconds
    assert faults.patience(InstallRequest(cluster=EU1, mesh="linkerd"), Settings(), now) == 60.0


def test_what_may_help_is_said() -> None:
    error = Conflict("Conflict", "it changed", tried="PUT /x", remedy="stop whoever changes it")
    words = faults.wait_out(error, InstallRequest(cluster=EU1, mesh="linkerd"), 0, Settings()).waits_for
    assert words == "a fault of the cluster to pass: it changed (tried: PUT /x); what may help: stop whoever changes it"


@pytest.mark.parametrize(
    ("age", "patient", "impatient"), [(0, 15, 15), (119, 15, 15), (480, 60, 15), (900, 112.5, 15), (3000, 120, 15)]
)
def test_a_patient_wait_is_an_eighth_of_the_waiting_so_far(age: float, patient: float, impatient: float) -> None:
    def later(patient: bool) -> Later:
        status = faults.wait_out(UNREACHABLE, InstallRequest(cluster=EU1, mesh="linkerd"), 0, Settings()).status
        return Later(delay=15.0, reason="R", waits_for="w", limit=1.0, patient=patient, status=status)

    assert (later(patient=True).delay_after(age), later(patient=False).delay_after(age)) == (patient, impatient)
