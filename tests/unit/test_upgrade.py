"""What is noted of an upgrade, and what it is blamed for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from shared.errors import ByomeshError, Permanent, Refused, Temporary
from shared.helm import HelmFailed, HelmTimeout
from shared.mesh import upgrade
from shared.mesh.charts import Chart
from shared.mesh.plan import DesiredRelease, RunHelm
from shared.mesh.releases import DeployedRelease, decode_release
from shared.mesh.upgrade import NOT_READY, Previous, Upgrade
from shared.model import CheckSummary, FailingCheck
from tests.unit.doors import NOW, release_secret

CHART = Chart(Path("/charts/crds"), "crds", "2.0.0", "edge-2", "d" * 64)
UNDER_WAY = Upgrade(
    from_version="edge-1",
    to_version="edge-2",
    charts="crds-2.0.0",
    previous=(Previous("crds", "linkerd", 3),),
    failing_before=("linkerd-config: the networks",),
    begun=NOW,
    request_id="r",
)
NETWORKS = FailingCheck("linkerd-config", "the networks", "they lack the Services")
PODS = FailingCheck("linkerd-existence", "the pods", "one is missing")


def deployed(version: str) -> DeployedRelease:
    chart = {"name": "crds", "version": version, "appVersion": "edge-1"}
    return decode_release(release_secret("crds", 3, "deployed", chart=chart, values={}, manifest=""))


def run_of(chart: Chart) -> RunHelm:
    return RunHelm(DesiredRelease(name="crds", chart=chart, values={}), "linkerd", installed=True, why="")


def test_a_run_with_another_chart_is_an_upgrade() -> None:
    assert upgrade.previous_of(run_of(CHART), deployed("1.0.0")) == Previous("crds", "linkerd", 3)
    assert upgrade.previous_of(run_of(CHART), deployed("2.0.0")) is None
    assert upgrade.previous_of(run_of(CHART), None) is None


def test_charts_are_told_apart_by_their_contents_too() -> None:
    changed = Chart(CHART.path, "crds", "2.0.0", "edge-2", "e" * 64)
    assert upgrade.identity([CHART]) == "crds-2.0.0@dddddddddddd"
    assert upgrade.identity([CHART, CHART]) != upgrade.identity([CHART, changed])


def test_an_upgrade_that_follows_on_one_that_is_not_over_goes_back_to_where_that_began() -> None:
    assert upgrade.began(None, UNDER_WAY) == UNDER_WAY
    found = msgspec.structs.replace(
        UNDER_WAY,
        from_version="edge-2",
        to_version="edge-3",
        previous=(Previous("crds", "linkerd", 4), Previous("control", "linkerd", 2)),
        failing_before=(),
        begun=NOW + dt.timedelta(minutes=1),
    )
    known = upgrade.began(UNDER_WAY, found)
    assert (known.from_version, known.to_version) == ("edge-1", "edge-3")
    assert known.previous == (Previous("crds", "linkerd", 3), Previous("control", "linkerd", 2))
    assert (known.failing_before, known.begun) == (UNDER_WAY.failing_before, found.begun)


def test_only_what_failed_newly_is_blamed_on_it() -> None:
    assert upgrade.failing(CheckSummary(failing=(NETWORKS,))) == UNDER_WAY.failing_before
    assert upgrade.blame_checks(UNDER_WAY, CheckSummary()) == ""
    assert upgrade.blame_checks(UNDER_WAY, CheckSummary(failing=(NETWORKS,))) == ""
    assert upgrade.blame_checks(UNDER_WAY, CheckSummary(failing=(NETWORKS, PODS))) == "the pods: one is missing"


WARDEN = 'admission webhook "warden" denied the request: NET_ADMIN'


@pytest.mark.parametrize(
    ("why", "seconds", "cause"),
    [
        ("", 600, ""),
        ("", 601, "Deployment d after 601 s"),
        ("no node yet", 601, "Deployment d after 601 s: no node yet"),
        ('serviceaccount "x" not found', 1, ""),
        (WARDEN, 1, f"Deployment d: {WARDEN}"),
        ('pods "x" is forbidden: violates PodSecurity "baseline"', 1, "Deployment d: pods"),
    ],
)
def test_pods_that_are_denied_are_blamed_on_it_at_once_and_slow_ones_later(why: str, seconds: int, cause: str) -> None:
    now = NOW + dt.timedelta(seconds=seconds)
    found = upgrade.blame_pods(UNDER_WAY, "Deployment d", why, now, 600.0)
    assert found.startswith(cause)
    assert bool(found) is bool(cause)


def test_pods_that_were_not_ready_before_are_not_blamed_on_it() -> None:
    before = msgspec.structs.replace(UNDER_WAY, failing_before=(NOT_READY,))
    assert upgrade.blame_pods(before, "Deployment d", WARDEN, NOW + dt.timedelta(days=1), 600.0) == ""


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (Refused("AdmissionDenied", "no"), True),
        (Permanent("ChartInvalid", "bad"), True),
        (HelmTimeout("HelmTimeout", "slow"), True),
        (HelmFailed("HelmFailed", "odd"), True),
        (HelmFailed("HelmKilled", "signal 9"), False),
        (Temporary("UnknownKind", "no Server"), True),
        (Temporary("ApiServerUnavailable", "away"), False),
        (Temporary("LeaseLost", "another"), False),
    ],
)
def test_errors_that_the_charts_cause_take_it_back(error: ByomeshError, *, blamed: bool) -> None:
    assert upgrade.blame_error(error) == (f"{error.reason}: {error.problem}" if blamed else "")


def test_what_was_rolled_back_is_remembered_with_its_cause() -> None:
    assert not UNDER_WAY.going_back
    back = msgspec.structs.replace(UNDER_WAY, cause="the pods: one is missing")
    assert back.going_back
    failed = upgrade.rolled_back(back)
    assert (failed.version, failed.from_version, failed.cause) == ("edge-2", "edge-1", "the pods: one is missing")
    assert (failed.charts, failed.request_id) == ("crds-2.0.0", "r")
