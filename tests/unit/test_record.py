"""The status in the cluster: written once, without times."""

from __future__ import annotations

import json

import msgspec
import pytest

from shared.mesh import record
from shared.model import CheckSummary, FailingCheck, MeshStatus, Phase
from tests.unit.doors import EU1, NOW
from tests.unit.memory_kube import MemoryKube

PATH = "/api/v1/namespaces/byomesh-system/configmaps/byomesh-status"
STATUS = MeshStatus(
    cluster=EU1,
    mesh="linkerd",
    version="edge-26.6.3",
    phase=Phase.READY,
    reason="ChecksPassed",
    message="it works",
    net_admin=True,
    checks=CheckSummary(passed=3, failed=1, failing=(FailingCheck("c", "d", "e"),)),
)


def test_a_status_is_written_once() -> None:
    kube = MemoryKube()
    assert record.write(kube, STATUS)
    written = list(kube.writes)
    assert written[-1] == f"PATCH {PATH}"
    assert not record.write(kube, STATUS)
    assert kube.writes == written


def test_what_differs_between_two_looks_at_an_unchanged_cluster_is_not_written() -> None:
    kube = MemoryKube()
    record.write(kube, STATUS)
    later = msgspec.structs.replace(
        STATUS, time=NOW, timings={"plan": 1.5}, request_id="other", repaired=("clusterNetworks",), waits_for="x"
    )
    assert not record.write(kube, later)


CHANGES = {
    "phase": Phase.DEGRADED,
    "reason": "Other",
    "message": "other",
    "version": "edge-26.6.4",
    "net_admin": None,
    "checks": CheckSummary(passed=4),
}


@pytest.mark.parametrize("field", CHANGES)
def test_what_is_news_is_written(field: str) -> None:
    kube = MemoryKube()
    record.write(kube, STATUS)
    changed = msgspec.structs.replace(STATUS, **{field: CHANGES[field]})
    assert record.write(kube, changed)
    assert kube.objects[PATH]["data"] == record.data_of(changed)


def test_what_others_add_is_not_fought_over() -> None:
    kube = MemoryKube()
    record.write(kube, STATUS)
    kube.objects[PATH]["data"]["note"] = "theirs"
    assert not record.write(kube, STATUS)
    kube.objects[PATH]["data"]["phase"] = "Fine"
    assert record.write(kube, STATUS)
    assert kube.objects[PATH]["data"]["phase"] == "Ready"


def test_an_emptied_record_is_written_again() -> None:
    kube = MemoryKube()
    record.write(kube, STATUS)
    del kube.objects[PATH]["data"]
    assert record.write(kube, STATUS)


def test_the_data_are_text() -> None:
    data = record.data_of(STATUS)
    assert (data["phase"], data["netAdmin"], data["mesh"]) == ("Ready", "true", "linkerd")
    assert record.data_of(msgspec.structs.replace(STATUS, net_admin=False))["netAdmin"] == "false"
    assert record.data_of(msgspec.structs.replace(STATUS, net_admin=None))["netAdmin"] == ""
    assert json.loads(data["checks"])["failing"] == [{"category": "c", "description": "d", "error": "e"}]
