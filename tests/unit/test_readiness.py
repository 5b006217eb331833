"""Whether a mesh's Deployments are ready, in words."""

from __future__ import annotations

from typing import Any

import pytest

from shared.mesh import readiness
from shared.mesh.profile import load_profile
from tests.unit.memory_kube import MemoryKube

PROFILE = load_profile("linkerd")
APPS = "/apis/apps/v1/namespaces/linkerd"
DONE = {
    "observedGeneration": 2,
    "replicas": 2,
    "updatedReplicas": 2,
    "readyReplicas": 2,
    "availableReplicas": 2,
}


def deployment(name: str = "a", *, replicas: int | None = 2, **status: Any) -> dict[str, Any]:
    spec = {} if replicas is None else {"replicas": replicas}
    return {"metadata": {"name": name, "generation": 2}, "spec": spec, "status": {**DONE, **status}}


def test_all_that_is_wanted_is_ready() -> None:
    assert readiness.unready([deployment("a"), deployment("b"), deployment("c", readyReplicas=0)], ["a", "b"]) == ""


UNREADY: dict[str, tuple[dict[str, Any], str]] = {
    "not observed": (deployment(observedGeneration=1), "Deployment a (2 of 2 pods ready)"),
    "not updated": (deployment(updatedReplicas=1), "Deployment a (2 of 2 pods ready)"),
    "not ready": (deployment(readyReplicas=1), "Deployment a (1 of 2 pods ready)"),
    "not available": (deployment(availableReplicas=1), "Deployment a (2 of 2 pods ready)"),
    "no status": (
        {"metadata": {"name": "a", "generation": 1}, "spec": {"replicas": 1}},
        "Deployment a (0 of 1 pods ready)",
    ),
}


@pytest.mark.parametrize("case", UNREADY)
def test_what_is_not_ready_is_told_in_numbers(case: str) -> None:
    found, words = UNREADY[case]
    assert readiness.unready([found], ["a"]) == words


def test_old_pods_that_are_still_there_are_waited_for() -> None:
    found = deployment()
    found["status"]["replicas"] = 3
    assert readiness.unready([found], ["a"]) == "Deployment a (2 of 2 pods ready)"


def test_the_first_that_is_not_ready_is_named() -> None:
    there = [deployment("c", readyReplicas=0), deployment("a")]
    assert readiness.unready(there, ["a", "b", "c"]) == "Deployment b, which isn't there"


def test_a_deployment_that_does_not_say_wants_one_pod_and_one_of_none_is_ready() -> None:
    assert readiness.unready([deployment(replicas=None, readyReplicas=0)], ["a"]) == "Deployment a (0 of 1 pods ready)"
    nobody = {"metadata": {"name": "a"}, "spec": {"replicas": 0}, "status": {}}
    assert readiness.unready([nobody], ["a"]) == ""


def test_the_cluster_is_looked_at() -> None:
    kube = MemoryKube({f"{APPS}/deployments/{name}": deployment(name) for name in PROFILE.deployments})
    assert readiness.look(kube, PROFILE) == ""
    kube.put(f"{APPS}/deployments/linkerd-identity", deployment(readyReplicas=0))
    assert readiness.look(kube, PROFILE) == "Deployment linkerd-identity (0 of 2 pods ready)"


def replica_set(*conditions: dict[str, str]) -> dict[str, Any]:
    return {"status": {"conditions": list(conditions)}} if conditions else {}


def test_why_pods_are_missing() -> None:
    denied = {"type": "ReplicaFailure", "status": "True", "message": "Warden says no"}
    kube = MemoryKube({f"{APPS}/replicasets/healthy": replica_set()})
    assert readiness.why(kube, PROFILE) == "the cluster has no node yet"
    kube.put("/api/v1/nodes/n", {})
    assert readiness.why(kube, PROFILE) == ""
    kube.put(
        f"{APPS}/replicasets/over", replica_set({**denied, "status": "False"}, {"type": "Other", "status": "True"})
    )
    assert readiness.why(kube, PROFILE) == ""
    unscheduled = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}
    kube.put("/api/v1/namespaces/linkerd/pods/there", replica_set({**unscheduled, "status": "True"}))
    assert readiness.why(kube, PROFILE) == ""
    kube.put("/api/v1/namespaces/linkerd/pods/third", replica_set(unscheduled))
    assert readiness.why(kube, PROFILE) == "0/2 nodes are available"
    kube.put(f"{APPS}/replicasets/denied", replica_set({"type": "Other", "status": "True"}, denied))
    assert readiness.why(kube, PROFILE) == "Warden says no"
