"""What differs between a cluster and the policy, without a look inside."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.config import Settings
from shared.mesh.profile import load_profile
from shared.model import Finding, MeshStatus, Phase, Repair
from shared.policy import decide, read
from shared.stages import advice, findings
from tests.unit.doors import EU1, NOW, autopilot

VERSION = load_profile("linkerd").version
SETTINGS = Settings(project="mesh")
READY = MeshStatus(
    cluster=EU1, phase=Phase.READY, reason="ChecksPassed", message="works", mesh="linkerd", version=VERSION, time=NOW
)


def judged(
    newest: MeshStatus | None = READY,
    *,
    rule: str = "mesh: linkerd",
    charts: str = "",
    now: dt.datetime = NOW,
    **cluster: Any,
) -> tuple[Finding, ...]:
    found = autopilot(**cluster)
    rules = read(f"schema: 1\nrules:\n  - {{name: r1, reason: it is so, {rule}}}\n", "p")
    return findings.judge(found, decide(found.facts, rules), newest, Settings(charts=charts), now)


def said(**changes: Any) -> MeshStatus:
    return msgspec.structs.replace(READY, **changes)


def test_a_cluster_as_the_policy_wants_it_has_none() -> None:
    assert judged() == ()


@pytest.mark.parametrize(
    ("rule", "cluster", "found"),
    [
        ("mesh: linkerd", {"allow_net_admin": False}, Finding.NET_ADMIN_REQUIRED_BUT_OFF),
        ("mesh: none, netAdmin: required", {"allow_net_admin": False}, Finding.NET_ADMIN_REQUIRED_BUT_OFF),
        ("mesh: linkerd, mode: audit", {"allow_net_admin": False}, Finding.NET_ADMIN_REQUIRED_BUT_OFF),
        ("mesh: none, netAdmin: forbidden", {}, Finding.NET_ADMIN_FORBIDDEN_BUT_ON),
        ("mesh: none, netAdmin: forbidden, mode: audit", {}, Finding.NET_ADMIN_FORBIDDEN_BUT_ON),
        ("mesh: none, netAdmin: forbidden", {"allow_net_admin": False}, None),
        ("mesh: none, netAdmin: leave", {}, None),
        ("mesh: linkerd, netAdmin: leave", {"allow_net_admin": False}, None),
        ("mode: off", {"allow_net_admin": False}, None),
        ("mesh: linkerd", {"allow_net_admin": False, "autopilot": False}, None),
        ("mesh: linkerd", {"allow_net_admin": False, "labels": {"byomesh": "off"}}, None),
    ],
)
def test_net_admin_is_held_against_the_policy(rule: str, cluster: dict[str, Any], found: Finding | None) -> None:
    assert judged(rule=rule, **cluster) == ((found,) if found else ())


def test_a_cluster_of_which_nothing_was_said_was_never_processed() -> None:
    assert judged(None) == (Finding.NEVER_PROCESSED,)
    assert judged(None, allow_net_admin=False) == (Finding.NET_ADMIN_REQUIRED_BUT_OFF, Finding.NEVER_PROCESSED)
    assert judged(None, rule="mode: off") == ()


@pytest.mark.parametrize(
    ("changes", "rule", "charts", "outdated"),
    [
        ({"version": "edge-24.1.1"}, "mesh: linkerd", "", True),
        ({"version": "edge-24.1.1", "phase": Phase.DEGRADED, "reason": "ChecksFailed"}, "mesh: linkerd", "", True),
        ({"version": "edge-24.1.1", "reason": "RolledBack"}, "mesh: linkerd", "", False),
        ({"version": "edge-24.1.1", "phase": Phase.INSTALLING}, "mesh: linkerd", "", False),
        ({"version": "edge-99.1.1"}, "mesh: linkerd", "", False),
        ({"version": "edge-99.1.1"}, "mesh: linkerd, version: edge-26.1.1", "", True),
        ({"version": "edge-24.1.1"}, "mesh: linkerd", "/charts", False),
        ({"version": ""}, "mesh: linkerd", "", False),
    ],
)
def test_a_mesh_of_another_version_is_outdated(changes: dict[str, Any], rule: str, charts: str, outdated: bool) -> None:
    expected = (Finding.MESH_OUTDATED,) if outdated else ()
    assert judged(said(**changes), rule=rule, charts=charts) == expected


def test_a_mesh_that_was_only_audited_is_missing_once_it_is_enforced() -> None:
    audited = said(phase=Phase.REFUSED, reason="AuditOnly", version="")
    assert judged(audited) == (Finding.MESH_MISSING,)
    assert judged(audited, rule="mesh: linkerd, mode: audit") == ()


def test_another_mesh_than_the_wished_one_is_none() -> None:
    assert judged(said(mesh="istio")) == (Finding.MESH_MISSING,)


def test_what_a_verification_found_holds_until_it_is_ready() -> None:
    drifted = [Finding.CERTIFICATE_NEAR_END.value, Finding.CLUSTER_NETWORKS_DRIFTED.value, "OfTheFuture"]
    found = judged(said(phase=Phase.DEGRADED, findings=tuple(drifted)))
    assert found == (Finding.CLUSTER_NETWORKS_DRIFTED, Finding.CERTIFICATE_NEAR_END)
    assert judged(said(findings=tuple(drifted))) == ()


@pytest.mark.parametrize("phase", [Phase.STUCK, Phase.FAILED, Phase.REFUSED, Phase.INSTALLING])
def test_what_ended_before_its_checks_is_tried_again_after_a_day(phase: Phase) -> None:
    status = said(phase=phase, reason="Because", version="")
    assert judged(status, now=NOW + dt.timedelta(hours=23)) == ()
    assert judged(status, now=NOW + dt.timedelta(hours=25)) == (Finding.MESH_MISSING,)


@pytest.mark.parametrize(
    ("repairs", "missing", "found"),
    [
        ((), False, ()),
        ((Repair.RESTART_WORKLOADS,), False, ()),
        ((Repair.CLUSTER_NETWORKS,), False, (Finding.CLUSTER_NETWORKS_DRIFTED,)),
        ((Repair.ISSUER_RENEWAL,), False, (Finding.CERTIFICATE_NEAR_END,)),
        (
            (Repair.WEBHOOK_CONFIGURATION, Repair.SERVING_CERTIFICATE_RENEWAL),
            False,
            (Finding.MESH_DRIFTED, Finding.CERTIFICATE_NEAR_END),
        ),
        ((Repair.RELEASE_REAPPLIED,), True, (Finding.MESH_MISSING,)),
    ],
)
def test_what_a_look_inside_found_goes_by_its_repairs(
    repairs: tuple[Repair, ...], missing: bool, found: tuple[Finding, ...]
) -> None:
    assert findings.of_repairs(repairs, missing=missing) == found


def test_every_finding_has_words() -> None:
    assert all(finding.words for finding in Finding)


def test_the_advice_is_what_gcloud_and_terraform_take() -> None:
    command, resource = advice.net_admin(EU1, allowed=True)
    assert command == (
        "gcloud container clusters update eu-1 --project shop --location europe-west1 "
        "--workload-policies=allow-net-admin"
    )
    assert resource == (
        'resource "google_container_cluster" "eu-1" {\n'
        '  name             = "eu-1"\n'
        '  project          = "shop"\n'
        '  location         = "europe-west1"\n'
        "  enable_autopilot = true\n"
        "  allow_net_admin  = true\n"
        "}"
    )
    assert "--remove-workload-policies=allow-net-admin" in advice.gcloud(EU1, allowed=False)
    assert "allow_net_admin  = false" in advice.hcl(EU1, allowed=False)


def test_the_argument_is_one_of_the_providers() -> None:
    recorded = Path(__file__).parents[3] / "shared" / "terraform-schema"
    schemas = sorted(recorded.glob("google-*.json"))
    if not schemas:
        pytest.skip("no recorded schema of the provider here")
    cluster = json.loads(schemas[-1].read_text())["resource_schemas"]["google_container_cluster"]["block"]
    assert {"name", "project", "location", "enable_autopilot", "allow_net_admin"} <= cluster["attributes"].keys()
