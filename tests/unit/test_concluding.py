"""What a verification says and queues, by what it found."""

from __future__ import annotations

import msgspec
import pytest

from shared.config import Settings
from shared.mesh.drift import Drift, ObjectName
from shared.mesh.profile import load_profile
from shared.model import (
    CheckSummary,
    FailingCheck,
    MeshStatus,
    OutdatedWorkloads,
    Phase,
    Reason,
    Remedy,
    Repair,
    VerifyRequest,
)
from shared.stages.concluding import Found, conclude
from tests.unit.doors import EU1

PROFILE = load_profile("linkerd")
SETTINGS = Settings(project="mesh")
REQUEST = VerifyRequest(cluster=EU1, mesh="linkerd", version="edge-1")
FINE = MeshStatus(
    cluster=EU1, mesh="linkerd", version="edge-1", phase=Phase.VERIFYING, reason="", message="", net_admin=True
)
BROKEN = msgspec.structs.replace(FINE, checks=CheckSummary(failing=(FailingCheck("c", "d", "it is gone"),)))
ROLE = Drift(ObjectName("ClusterRole", "", "linkerd-policy"), ("rules",))
JOB = Drift(ObjectName("CronJob", "linkerd", "linkerd-heartbeat"), ("(missing)",))


def concluded(status: MeshStatus, found: Found, attempt: int = 0) -> tuple[Phase, str, str, tuple[Repair, ...] | None]:
    request = msgspec.structs.replace(REQUEST, attempt=attempt)
    told, following = conclude(request, status, PROFILE, SETTINGS, found)
    assert len(following) <= 1
    for one in following:
        assert (one.reason, one.attempt, one.version) == (Reason.REPAIR, attempt + 1, "edge-1")
    return told.phase, told.reason, told.message, following[0].repairs if following else None


def test_drift_in_a_mesh_that_works_is_handed_on_and_takes_nothing_back() -> None:
    phase, reason, message, repairs = concluded(FINE, Found(drift=(JOB,)))
    assert (phase, reason, repairs) == (Phase.DEGRADED, "Drifted", (Repair.RELEASE_REAPPLIED,))
    assert message == (
        "linkerd passes every check, but CronJob linkerd/linkerd-heartbeat at (missing) is not as its release has it; "
        "a repair is queued"
    )


def test_what_no_check_tries_and_nobody_tunes_is_taken_back() -> None:
    assert concluded(FINE, Found(drift=(ROLE, JOB)))[3] == (Repair.RBAC, Repair.RELEASE_REAPPLIED)


def test_drift_that_pods_or_checks_suffer_from_is_taken_back() -> None:
    assert concluded(FINE, Found(drift=(ROLE, JOB), waits_for="pods"))[3] == (Repair.RBAC, Repair.WORKLOAD)
    remedies = (Remedy("d", (Repair.CRD,)), Remedy("other", (Repair.CONFIG,)))
    found = Found(drift=(ROLE,), remedies=remedies, due=(Repair.ISSUER_RENEWAL,))
    phase, reason, _, repairs = concluded(BROKEN, found)
    assert (phase, reason) == (Phase.DEGRADED, "ChecksFailed")
    assert repairs == (Repair.CRD, Repair.ISSUER_RENEWAL, Repair.RBAC)


def test_renewals_are_queued_though_the_mesh_is_ready() -> None:
    found = Found(due=(Repair.ISSUER_RENEWAL,))
    assert concluded(FINE, found)[::3] == (Phase.READY, found.due)


def test_a_certificate_that_a_check_warns_of_or_skips_is_no_mesh_that_is_ready() -> None:
    ending = msgspec.structs.replace(FINE, checks=CheckSummary(warned=1))
    for status, repair in ((ending, Repair.ISSUER_RENEWAL), (FINE, Repair.SERVING_CERTIFICATE_RENEWAL)):
        phase, reason, message, repairs = concluded(status, Found(due=(repair,)))
        assert (phase, reason, repairs) == (Phase.DEGRADED, "Drifted", (repair,))
        assert message == f"linkerd passes every check, but {repair} is due; a repair is queued"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Found(due=(Repair.NAMESPACE_LABELS,)), "but namespaceLabels is due; a repair"),
        (Found(releases=(Repair.RELEASE_REAPPLIED,)), "but a Helm release is missing or unfinished; a repair"),
        (Found(drift=(ROLE,) * 7), " and 2 more is not as its release has it; a repair"),
    ],
)
def test_what_is_due_is_said(found: Found, words: str) -> None:
    phase, reason, message, _ = concluded(FINE, found)
    assert (phase, reason) == (Phase.DEGRADED, "Drifted")
    assert words in message


def test_attempts_end() -> None:
    found = Found(drift=(ROLE,), due=(Repair.ISSUER_RENEWAL,))
    assert concluded(FINE, found, attempt=3)[::3] == (Phase.READY, None)
    phase, reason, message, repairs = concluded(
        BROKEN, Found(remedies=(Remedy("d", (Repair.CRD,), "look after it"),)), 3
    )
    assert (phase, reason, repairs) == (Phase.FAILED, "RepairsDidNotHelp", None)
    assert message.endswith("publish the request again; what to do: look after it")


def test_what_no_repair_mends_is_said_at_once_with_what_to_do() -> None:
    phase, reason, message, repairs = concluded(BROKEN, Found(remedies=(Remedy("d", (), "ask its owner"),)))
    assert (phase, reason, repairs) == (Phase.DEGRADED, "CannotRepair", None)
    assert message == (
        "1 of the checks failed, the first: d: it is gone; no repair of byomesh's mends that; "
        "what to do: ask its owner; then publish the request again"
    )


def test_a_mesh_of_others_gets_advice_and_no_repair() -> None:
    found = Found(foreign=("helm",), remedies=(Remedy("d", (Repair.CRD,), "ask its owner"),), drift=(ROLE,))
    phase, reason, message, repairs = concluded(BROKEN, found)
    assert (phase, reason, repairs) == (Phase.DEGRADED, "ForeignMesh", None)
    assert message.endswith("so nothing of it is mended; what to do: ask its owner")
    assert concluded(FINE, found)[::3] == (Phase.READY, None)


def test_outdated_workloads_are_said_and_restarted_where_the_policy_says_so() -> None:
    stale = OutdatedWorkloads(9, tuple(f"Deployment shop/{index}" for index in range(7)))
    status = msgspec.structs.replace(FINE, outdated=stale)
    phase, _, message, repairs = concluded(status, Found())
    assert (phase, repairs) == (Phase.READY, None)
    assert "9 pods have outdated proxies or none until their workloads are restarted: Deployment shop/0" in message
    assert message.endswith("Deployment shop/4, …")
    phase, _, message, repairs = concluded(status, Found(restart=True))
    assert (phase, repairs) == (Phase.READY, (Repair.RESTART_WORKLOADS,))
    assert "and are being restarted" in message
    broken = msgspec.structs.replace(BROKEN, outdated=stale)
    assert Repair.RESTART_WORKLOADS not in (concluded(broken, Found(restart=True))[3] or ())


def test_what_nobody_repairs_unasked_is_said_while_all_works() -> None:
    phase, _, message, repairs = concluded(FINE, Found(notes=("the trust anchor ends soon",)))
    assert (phase, repairs) == (Phase.READY, None)
    assert message.endswith("; the trust anchor ends soon")
