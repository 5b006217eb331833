"""The word for a pod's status, by the facts of pkg/k8s/api.go GetPodStatus and kubectl's printer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.mesh.fold import wire
from shared.mesh.fold.status import pod_status

_RUNNING = {"state": {"running": {}}, "ready": True}
_DONE = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}


def _named(statuses: list[dict[str, Any]]) -> list[wire.ContainerStatus]:
    named = [{"name": f"c{number}", **status} for number, status in enumerate(statuses)]
    return msgspec.convert(named, list[wire.ContainerStatus])


def _status(
    *,
    phase: str = "Running",
    reason: str = "",
    init: list[dict[str, Any]] | None = None,
    containers: list[dict[str, Any]] | None = None,
    sidecar: str = "",
) -> str:
    statuses = _named(init or [])
    specs = [wire.PodContainer(one.name, restart_policy="Always" if one.name == sidecar else "") for one in statuses]
    return pod_status(wire.PodStatus(phase=phase, reason=reason), specs, statuses, _named(containers or []))


@pytest.mark.parametrize(
    ("expected", "pod"),
    [
        ("Pending", {"phase": "Pending"}),
        ("Evicted", {"phase": "Failed", "reason": "Evicted"}),
        ("Running", {"containers": [_RUNNING]}),
        ("CrashLoopBackOff", {"containers": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}, _RUNNING]}),
        ("Running", {"containers": [{"state": {"waiting": {}}}]}),
        ("Completed", {"phase": "Succeeded", "containers": [_DONE]}),
        ("Running", {"containers": [_DONE, _RUNNING]}),
        ("OOMKilled", {"containers": [{"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}),
        ("Signal:9", {"containers": [{"state": {"terminated": {"exitCode": 0, "signal": 9}}}]}),
        ("ExitCode:3", {"containers": [{"state": {"terminated": {"exitCode": 3}}}]}),
        ("Init:0/1", {"init": [{"state": {"running": {}}}], "containers": [_DONE]}),
        ("Init:1/2", {"init": [_DONE, {"state": {"waiting": {"reason": "PodInitializing"}}}]}),
        ("Init:ErrImagePull", {"init": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}),
        ("Init:Error", {"init": [{"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}),
        ("Init:ExitCode:2", {"init": [{"state": {"terminated": {"exitCode": 2}}}]}),
        ("Init:Signal:9", {"init": [{"state": {"terminated": {"exitCode": 1, "signal": 9}}}]}),
        ("Running", {"init": [_DONE, {**_RUNNING, "started": True}], "sidecar": "c1", "containers": [_RUNNING]}),
        ("Init:1/2", {"init": [_DONE, {**_RUNNING, "started": True, "ready": False}], "sidecar": "c1"}),
        ("Init:1/2", {"init": [_DONE, {**_RUNNING, "started": False}], "sidecar": "c1"}),
        ("Init:1/2", {"init": [_DONE, {**_RUNNING, "started": True}]}),
    ],
)
def test_is_the_word_that_kubectl_shows(expected: str, pod: dict[str, Any]) -> None:
    assert _status(**pod) == expected
