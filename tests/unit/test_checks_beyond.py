"""The category of our own, beyond what `linkerd check` asks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.mesh.linkerd import checks
from shared.mesh.observe import from_objects
from shared.mesh.snapshot import SHOWN, Admission, Admitted, MeshSnapshot, Workload, Workloads
from shared.model import CheckOutcome, CheckReport, CheckResult
from tests.unit.cluster_objects import NOW, VERSION, State, objects


def _run(snapshot: MeshSnapshot) -> CheckReport:
    return checks.run(snapshot, NOW, expected_version=VERSION, categories=checks.BEYOND)


def _result(description: str, state: State | None = None, **facts: Any) -> CheckResult:
    snapshot = msgspec.structs.replace(from_objects(objects(state)), **facts)
    return next(result for _, result in _run(snapshot) if result.description == description)


@pytest.mark.parametrize(
    ("admission", "outcome", "words"),
    [
        (Admission(Admitted.INJECTED, "default"), CheckOutcome.PASS, ""),
        (Admission(Admitted.PLAIN, "default"), CheckOutcome.FAIL, "without a linkerd-proxy container"),
        (Admission(Admitted.PLAIN, "default"), CheckOutcome.FAIL, "TCP 8443"),
        (Admission(Admitted.UNCALLED, "shop", "no answer"), CheckOutcome.FAIL, "can't be called: no answer; allow TCP"),
        (Admission(Admitted.REJECTED, "shop", "bad CIDR"), CheckOutcome.FAIL, "the injector rejects it: bad CIDR"),
        (Admission(Admitted.DENIED, "shop", "over quota"), CheckOutcome.WARN, "so it is unknown: over quota"),
        (None, CheckOutcome.SKIP, "no pod was tried"),
    ],
)
def test_the_admission_proof(admission: Admission | None, outcome: CheckOutcome, words: str) -> None:
    found = _result("new pods get a proxy", admission=admission)
    assert found.outcome is outcome
    assert words in found.error


@pytest.mark.parametrize(
    "state",
    [
        State(unready={"proxy-injector": ("proxy-injector",)}),
        State(replica_failure="denied"),
        State(without=("MutatingWebhookConfiguration/linkerd-proxy-injector-webhook-config",)),
    ],
)
def test_an_injector_that_is_not_ready_is_not_blamed_twice(state: State) -> None:
    found = _result("new pods get a proxy", state, admission=Admission(Admitted.PLAIN, "default"))
    assert found.outcome is CheckOutcome.SKIP


_OURS = Workload("Deployment", "linkerd", "linkerd-identity", ("identity: cpu",))
_THEIRS = Workload("StatefulSet", "shop", "db", ("db: cpu, memory", "proxy: cpu"), 3)
_REQUESTS = "Containers without requests (Autopilot bills 0.5 vCPU and 2 GiB for each):\n"


@pytest.mark.parametrize(
    ("description", "fact", "found", "error"),
    [
        (
            "control plane containers have resource requests",
            "unrequested",
            Workloads((_OURS, _THEIRS), 5),
            _REQUESTS + "\t* Deployment linkerd/linkerd-identity (1 pod)\n\t\tidentity: cpu",
        ),
        (
            "meshed containers have resource requests",
            "unrequested",
            Workloads((_OURS, _THEIRS), 5),
            _REQUESTS + "\t* StatefulSet shop/db (3 pods)\n\t\tdb: cpu, memory\n\t\tproxy: cpu\n"
            "\tand 5 pods of other workloads",
        ),
        (
            "workloads that are to be meshed have proxies",
            "unmeshed",
            Workloads((Workload("Pod", "shop", "p", ("namespace", "pod")),)),
            (
                "Workloads that are to be meshed and run without a proxy; restart them:\n"
                "\t* Pod shop/p (1 pod): linkerd.io/inject on its namespace or pod"
            ),
        ),
        (
            "meshed workloads run the control plane's proxy version",
            "outdated",
            Workloads((Workload("Deployment", "shop", "web", ("version", "trust anchors"), 2),), 7),
            (
                "Proxies of another version than the control plane gives; restart:\n"
                "\t* Deployment shop/web (2 pods)\n\tand 7 pods of other workloads"
            ),
        ),
        (
            "meshed workloads trust the control plane's trust anchors",
            "outdated",
            Workloads((Workload("Deployment", "shop", "web", ("version", "trust anchors"), 2),)),
            "Proxies with other trust anchors than the control plane's; restart:\n\t* Deployment shop/web (2 pods)",
        ),
        (
            "meshed workloads know the control plane's clusterNetworks",
            "outdated",
            Workloads((Workload("Deployment", "shop", "web", ("version",)),), 7),
            "",
        ),
    ],
)
def test_workloads_that_stand_out_are_named(description: str, fact: str, found: Workloads, error: str) -> None:
    facts: dict[str, Any] = {fact: found}
    result = _result(description, **facts)
    assert result.error == error
    assert result.outcome is (CheckOutcome.WARN if error else CheckOutcome.PASS)
    assert not error or result.hint.startswith("docs/checks.md#")


def test_a_list_of_workloads_is_cut() -> None:
    many = tuple(Workload("Pod", "shop", f"p{number}", ("pod",)) for number in range(SHOWN + 5))
    error = _result("workloads that are to be meshed have proxies", unmeshed=Workloads(many)).error
    assert error.endswith("\tand 5 more")


def test_a_failing_proof_fails_only_what_is_strict() -> None:
    snapshot = msgspec.structs.replace(from_objects(objects()), admission=Admission(Admitted.PLAIN, "default"))
    report = checks.run(snapshot, NOW, expected_version=VERSION, categories=(*checks.POST_INSTALL, *checks.BEYOND))
    shown = checks.render(report)
    assert shown["success"]
    assert shown["categories"][-1]["categoryName"] == "byomesh"
    assert checks.exit_code(report) == 0
    assert not checks.render(report, strict=True)["success"]
    assert checks.exit_code(report, strict=True) == 1
    assert not report.healthy
