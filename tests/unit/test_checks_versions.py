from __future__ import annotations

import msgspec
import pytest

from shared.mesh.linkerd import checks
from shared.mesh.linkerd.checks import channels
from shared.mesh.observe import from_objects
from shared.model import CheckOutcome
from tests.unit.cluster_objects import NOW, State, objects

_CATEGORIES = ("linkerd-version", "control-plane-version", "linkerd-control-plane-proxy")


def _results(expected: str | None, state: State | None = None) -> list[tuple[str, str, str]]:
    report = checks.run(from_objects(objects(state)), NOW, expected_version=expected, categories=_CATEGORIES)
    return [(result.description, result.outcome.value, result.error) for _, result in report]


@pytest.mark.parametrize(
    ("latest", "actual", "fault"),
    [
        ("edge-26.8.3", "edge-26.8.3", ""),
        ("edge-26.8.3", "edge-26.8.3-anything", ""),
        ("stable-2.14.1-3", "stable-2.14.1-3-build", ""),
        ("edge-26.8.3", "", "actual version is empty"),
        ("nothing", "edge-26.8.3", "unable to determine version channel"),
        ("edge-26.8.3", "nothing", "failed to parse actual version: unsupported version format: nothing"),
        ("edge-26.8.3", "stable-2.14.1", "unsupported version channel: stable-2.14.1"),
        ("stable-2.14.1", "stable-2.14.1-3", "unsupported version channel: stable-2.14.1-3"),
        ("edge-26.8.3", "edge-26.8.2", "is running version 26.8.2 but the latest edge version is 26.8.3"),
        ("stable-2.14.1-4", "stable-2.14.1-3", "is running version 2.14.1-3 but the latest stable version is 2.14.1-4"),
    ],
)
def test_versions_by_channel(latest: str, actual: str, fault: str) -> None:
    assert channels.mismatch(latest, actual) == fault


def test_without_an_expected_version_nothing_is_compared() -> None:
    reason = "nobody said which version should run"
    assert [(outcome, error) for _, outcome, error in _results(None)] == [
        ("skip", reason),
        ("skip", reason),
        ("pass", ""),
        ("skip", reason),
        ("skip", reason),
        ("pass", ""),
        ("skip", reason),
        ("skip", reason),
    ]


def test_an_expected_version_that_is_none() -> None:
    assert _results("nonsense") == [
        ("can determine the latest version", "warn", "unsupported version format: nonsense"),
        ("cli is up-to-date", "warn", "unable to determine version channel"),
        ("can retrieve the control plane version", "pass", ""),
        ("control plane is up-to-date", "warn", "unable to determine version channel"),
        (
            "control plane and cli versions match",
            "warn",
            "control plane running edge-26.8.3 but cli running nonsense",
        ),
        ("control plane proxies are healthy", "pass", ""),
        ("control plane proxies are up-to-date", "warn", "unable to determine version channel"),
        (
            "control plane proxies and cli versions match",
            "warn",
            "linkerd-destination-5dc89bd97c-x2x2x running edge-26.8.3 but cli running nonsense",
        ),
    ]


def test_a_control_plane_whose_version_is_unknown() -> None:
    state = State(without=("ConfigMap/linkerd-config",))
    assert _results("edge-26.8.3", state)[-1] == (
        "can retrieve the control plane version",
        "fail",
        'failed to fetch linkerd-config: configmaps "linkerd-config" not found',
    )
    evidence = checks.Evidence(from_objects(objects(state)), NOW, "edge-26.8.3")
    row = next(category for category in checks.TABLE if category.name == "control-plane-version")
    assert all(isinstance(check.judge(evidence), checks.Fault) for check in row.checks)


def test_no_proxies_at_all() -> None:
    snapshot = msgspec.structs.replace(from_objects(objects()), mesh_pods=())
    report = checks.run(snapshot, NOW, expected_version=None, categories=["linkerd-control-plane-proxy"])
    ((_, result),) = report
    assert result.outcome is CheckOutcome.FAIL
    assert result.error == 'no "linkerd-proxy" containers found in the "linkerd" namespace'
