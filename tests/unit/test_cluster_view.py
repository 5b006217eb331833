"""One cluster on a terminal: every kind of trouble with its timeline."""

from __future__ import annotations

import pytest

from byomesh.cli.cluster_view import cluster_lines
from byomesh.fleet.model import ClusterRow
from byomesh.fleet.state import State
from shared.model import ClusterRef
from tests.unit.fleets import fleet

FLEET = fleet(60)


def shown(state: State, reason: str) -> str:
    """The lines of the first cluster that is so."""
    row = next(row for row in FLEET.rows if (row.state, row.reason) == (state, reason))
    return "\n".join(line.plain for line in cluster_lines(row, FLEET))


def test_checks_that_fail_and_warn_come_with_what_helps() -> None:
    text = shown(State.DEGRADED, "CannotRepair")
    assert "  fails: cluster networks contains all services: the Linkerd clusterNetworks" in text
    assert "    what to do: the range 34.118.224.0/20 isn't GKE's: name it in the policy's clusterNetworks" in text
    assert "    mended by restartWorkloads" in text
    assert "  warns: control plane is up-to-date\n    what to do: ask for edge-26.6.3 by version" in text
    assert "  outdated   14 pods have outdated proxies or none" in text


def test_what_is_under_way_says_what_it_waits_for_and_how_long_it_has() -> None:
    text = shown(State.VERIFYING, "PodsNotReady")
    assert "  waits for linkerd/linkerd-destination to be ready (0 of 1 replicas: Unschedulable)" in text
    assert ": Verifying for " in text
    assert " so far" in text


def test_who_undid_what_and_what_would_make_their_code_agree() -> None:
    text = shown(State.REFUSED, "Conflict")
    assert "    gcloud container clusters update" in text
    assert "      allow_net_admin = true\n    }" in text
    assert "  differs    NetAdminRequiredButOff" in text
    assert "  changed by anna.schmidt@example.com (Terraform/1.9.5)" in text
    assert "[enforce_policy], after anna.schmidt@example.com" in text
    assert "UpdateCluster  updated the cluster by anna.schmidt@example.com (Terraform/1.9.5)" in text


def test_each_request_has_a_bar_of_its_stages() -> None:
    text = shown(State.FAILED, "RepairsDidNotHelp")
    assert "· create " in text
    assert "░ repair " in text
    ready = next(row for row in FLEET.rows if row.state is State.READY and len(row.journeys) > 1)
    lines = "\n".join(line.plain for line in cluster_lines(ready, FLEET)).splitlines()
    assert sum(line.startswith("  request sweep-") for line in lines) == 1
    assert "  repaired: clusterNetworks" in lines


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"paused": "freeze until Monday"}, "  paused: freeze until Monday"),
        ({"earlier": 1_200}, "  and 1,200 earlier"),
        ({"to_do": "`byomesh rerun X`"}, "  what to do: byomesh rerun X"),
        ({"options": {"viz": "3 of 3 ready"}}, "  extensions viz: 3 of 3 ready"),
        ({"autopilot": False, "gke": "RUNNING"}, "  GKE        RUNNING, Standard"),
        ({"labels": {"team": "a\x1b[31m"}}, "  labels     team=a [31m"),
    ],
)
def test_what_else_is_told(changes: dict[str, object], words: str) -> None:
    facts = {"ref": ClusterRef("p", "l", "c"), "state": State.READY, "reason": "R", "message": "m"}
    row = ClusterRow(**{**facts, **changes})  # type: ignore[arg-type]
    assert words in [line.plain for line in cluster_lines(row, FLEET)]
