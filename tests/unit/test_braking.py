"""What a paused fleet keeps each stage from: to change anything, and nothing else."""

from __future__ import annotations

import math

import pytest

from shared import gke
from shared.model import ClusterEvent, InstallRequest, Phase, Reason
from shared.outcome import Done, Ignored, Later
from shared.policy import BUILT_IN
from shared.stages import enable, install
from shared.stages.braking import Brake
from tests.unit.doors import EU1, NOW, SETTINGS, MemoryGke, MemoryHelm, MemoryStore, autopilot, clock
from tests.unit.memory_kube import MemoryKube

PAUSED = Brake(paused=lambda: True)
EVENT = ClusterEvent(cluster=EU1, method="CreateCluster", operation="op-1", request_id="op-1", time=NOW)
REQUEST = InstallRequest(cluster=EU1, mesh="linkerd", request_id="op-1", first_seen=NOW)


def installed(request: InstallRequest, kube: MemoryKube, brake: Brake) -> tuple[Done | Ignored | Later, MemoryHelm]:
    helm = MemoryHelm(kube)
    outcome = install.run(
        request,
        google=MemoryGke(autopilot()),
        connect=lambda _: kube,
        helm_for=lambda _: helm,
        store=MemoryStore(),
        rules=BUILT_IN,
        settings=SETTINGS,
        clock=clock,
        brake=brake,
    )
    return outcome, helm


def test_no_cluster_is_updated_while_the_fleet_is_paused() -> None:
    google = MemoryGke(autopilot(allow_net_admin=False))
    outcome = enable.run(EVENT, google=google, rules=BUILT_IN, settings=SETTINGS, brake=PAUSED)
    assert google.updates == []
    assert isinstance(outcome, Later)
    assert (outcome.reason, outcome.limit, outcome.uncounted) == ("Paused", math.inf, True)
    assert (outcome.status.phase, outcome.delay) == (Phase.PENDING, SETTINGS.pause_look)
    assert "byomesh resume" in outcome.waits_for


def test_what_needs_no_update_goes_on_to_where_it_waits() -> None:
    outcome = enable.run(EVENT, google=MemoryGke(autopilot()), rules=BUILT_IN, settings=SETTINGS, brake=PAUSED)
    assert isinstance(outcome, Done)
    assert isinstance(outcome.next[0], InstallRequest)


@pytest.mark.parametrize("reason", list(Reason))
def test_nothing_is_installed_mended_or_taken_back_while_the_fleet_is_paused(reason: Reason) -> None:
    kube = MemoryKube()
    outcome, helm = installed(InstallRequest(cluster=EU1, mesh="linkerd", reason=reason), kube, PAUSED)
    assert isinstance(outcome, Later)
    assert (outcome.reason, outcome.status.message) == (
        "Paused",
        "linkerd waits for the fleet to be resumed (`byomesh resume`)",
    )
    assert (helm.runs, kube.writes) == ([], [])
    # As if nothing had been.
    outcome, helm = installed(InstallRequest(cluster=EU1, mesh="linkerd"), kube, Brake(paused=lambda: False))
    assert isinstance(outcome, Done)
    assert helm.runs != []


def test_a_fleet_is_asked_once_and_only_by_who_would_change_something() -> None:
    asked: list[int] = []

    def paused() -> bool:
        asked.append(1)
        return False

    google = MemoryGke(autopilot(labels={"byomesh": "off"}))
    enable.run(EVENT, google=google, rules=BUILT_IN, settings=SETTINGS, brake=Brake(paused=paused))
    assert asked == []
    google = MemoryGke(autopilot(allow_net_admin=False), update=gke.Started("operations/op-2"))
    enable.run(EVENT, google=google, rules=BUILT_IN, settings=SETTINGS, brake=Brake(paused=paused))
    assert len(asked) == 1
