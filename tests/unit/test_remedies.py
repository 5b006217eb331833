"""What helps against each check: every row has an answer, and the answer fits the mesh."""

from __future__ import annotations

from typing import Any

import pytest

from shared.mesh.linkerd.checks import TABLE
from shared.mesh.linkerd.remedies import ENTRIES, About, entry_of, remedies
from shared.model import CategoryReport, CheckOutcome, CheckReport, CheckResult, Remedy, Repair
from tests.unit.doors import EU1

ROWS = {check.id: (category.name, check.description) for category in TABLE for check in category.checks}
OURS = About(ours=True, autopilot=True, cluster=EU1)
THEIRS = About(ours=False)


def remedy(check: str, error: str = "it is wrong", about: About = OURS) -> Remedy:
    category, description = ROWS[check]
    result = CheckResult(description, CheckOutcome.FAIL, error, "https://hint")
    (found,) = remedies(CheckReport((CategoryReport(category, (result,)),)), about)
    assert found.check == description
    return found


def test_every_check_has_a_remedy_and_no_remedy_is_left_of_a_check_that_is_gone() -> None:
    lacking = [check for check in ROWS if entry_of(check) is None]
    assert lacking == [], "say in shared/mesh/linkerd/remedies.py what helps against it"
    assert set(ENTRIES) <= set(ROWS)


@pytest.mark.parametrize("check", ROWS)
@pytest.mark.parametrize("about", [OURS, THEIRS])
def test_every_check_is_repaired_or_says_what_to_do(check: str, about: About) -> None:
    assert remedy(check, about=about).advice


def test_only_what_fails_or_warns_needs_a_remedy() -> None:
    category, description = ROWS["crds"]
    results = tuple(CheckResult(description, outcome, "e") for outcome in CheckOutcome)
    found = remedies(CheckReport((CategoryReport(category, results),)), OURS)
    assert len(found) == 2


@pytest.mark.parametrize(
    ("check", "error", "repairs", "advice"),
    [
        ("networks-nodes", "", (Repair.CLUSTER_NETWORKS,), "to clusterNetworks"),
        ("mutating-webhooks", "", (Repair.WEBHOOK_CONFIGURATION,), "who removes it"),
        ("gateway-api-crds", "", (), "update eu-1 --project shop --location europe-west1 --gateway-api=standard"),
        ("cni-cm-exists", "", (), "can't run on Autopilot"),
        ("schedulable-pods", "", (), "nodes that have room"),
        ("issuer-validity", "", (Repair.ISSUER_RENEWAL, Repair.CONFIG), "linkerd-identity-issuer"),
        ("sp-validator-expiry", "", (Repair.SERVING_CERTIFICATE_RENEWAL, Repair.WEBHOOK_CONFIGURATION), "caBundle"),
        ("replica-sets", 'webhook "x" denied the request: no', (Repair.WORKLOAD,), "webhook named there"),
        (
            "replica-sets",
            "capability 'NET_ADMIN' not allowed",
            (),
            "eu-1 --project shop --location europe-west1 --work",
        ),
        ("ready-pods", "no ready pods", (Repair.WORKLOAD,), "describe pods"),
    ],
)
def test_remedies_of_a_mesh_of_ours(check: str, error: str, repairs: tuple[Repair, ...], advice: str) -> None:
    found = remedy(check, error)
    assert found.repairs == repairs
    assert advice in found.advice


@pytest.mark.parametrize(
    ("check", "advice"),
    [
        ("anchor-validity", "byomesh has no key of this mesh's trust anchor"),
        ("issuer-trust", "cert-manager"),
        ("proxy-injector-validity", "linkerd upgrade"),
        ("gateway-api-crds", "update NAME --project PROJECT"),
        ("cni-cm-exists", "install its chart again"),
    ],
)
def test_what_to_do_about_a_mesh_of_others(check: str, advice: str) -> None:
    assert advice in remedy(check, about=THEIRS).advice


def test_networks_that_the_policy_leaves_to_the_chart_are_not_repaired() -> None:
    found = remedy("networks-services", about=About(ours=True, computed=False))
    assert found.repairs == ()
    assert found.advice.startswith("the policy leaves clusterNetworks as the chart has it")


def test_a_check_that_the_table_does_not_know_is_tried_by_the_release() -> None:
    results: Any = CheckResult("new", CheckOutcome.FAIL, "e", "https://hint"), CheckResult("other", CheckOutcome.WARN)
    found = remedies(CheckReport((CategoryReport("c", results),)), OURS)
    assert found == (
        Remedy("new", (Repair.RELEASE_REAPPLIED,), "see https://hint"),
        Remedy("other", (Repair.RELEASE_REAPPLIED,), ""),
    )
