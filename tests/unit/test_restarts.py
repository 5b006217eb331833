"""Restarts on a cluster in memory: a few at a time, each once, from wherever an earlier run was killed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from shared.config import Settings
from shared.mesh import restarting
from shared.mesh.hooks import Stale
from shared.mesh.linkerd import injecting
from shared.mesh.profile import load_profile
from shared.mesh.rollouts import RESTARTED_FOR, State, Target
from shared.mesh.snapshot import Workload
from shared.model import InstallRequest, MeshStatus, Phase, Reason, Repair
from shared.outcome import Done, Later
from shared.stages import restarts
from tests.unit.doors import EU1, NOW, clock
from tests.unit.memory_kube import Json, MemoryKube, denial

PROFILE = load_profile("linkerd")
SETTINGS = Settings(project="mesh", restarts_at_once=2)
SHOP = "/apis/apps/v1/namespaces/shop"
LINKERD = "/api/v1/namespaces/linkerd"
NAMES = ("a", "b", "c", "d", "e")
STATUS = MeshStatus(cluster=EU1, mesh="linkerd", phase=Phase.INSTALLING, reason="Installing", message="")
REQUEST = InstallRequest(
    cluster=EU1, mesh="linkerd", reason=Reason.REPAIR, request_id="op", repairs=(Repair.RESTART_WORKLOADS,)
)


def deployment(**status: int) -> Json:
    numbers = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1, **status}
    return {"metadata": {"generation": 1}, "spec": {"replicas": 1}, "status": {"observedGeneration": 1, **numbers}}


@pytest.fixture
def kube() -> MemoryKube:
    found = MemoryKube({"/api/v1/namespaces/linkerd": {}, "/api/v1/namespaces/shop": {}})
    for name in PROFILE.deployments:
        found.put(f"/apis/apps/v1/namespaces/linkerd/deployments/{name}", deployment())
    for name in NAMES:
        found.put(f"{SHOP}/deployments/{name}", deployment())
    found.put(f"{LINKERD}/configmaps/linkerd-config", {"data": {"values": "clusterNetworks: 10.0.0.0/8,fd00::/8\n"}})
    found.put(f"{LINKERD}/configmaps/linkerd-identity-trust-roots", {"data": {"ca-bundle.crt": "ROOTS\n"}})
    return found


def pod(networks: str = "fd00::/8,10.0.0.0/8", anchors: str = "ROOTS", name: str = "linkerd-proxy") -> Json:
    variables = {
        "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS": networks,
        "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS": anchors,
    }
    env = [{"name": key, "value": text} for key, text in variables.items()]
    return {"metadata": {}, "spec": {"initContainers": [{"name": name, "env": env}], "containers": [{"name": "app"}]}}


class Cluster:
    """The workloads that still have outdated pods, and an injector that gives what it is told to."""

    def __init__(self, kube: MemoryKube, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kube = kube
        self.left = [Workload("Deployment", "shop", name, ("clusterNetworks",)) for name in NAMES]
        self.given: tuple[int, Json] = (201, pod())
        kube.answers["POST", "/api/v1/namespaces/shop/pods"] = self.given
        monkeypatch.setattr(injecting, "stale", lambda _kube, _profile: Stale(workloads=tuple(self.left), key="k"))

    def injector(self, *answer: Any) -> None:
        self.kube.answers["POST", "/api/v1/namespaces/shop/pods"] = answer if len(answer) > 1 else (201, *answer)

    def run(self, request: InstallRequest = REQUEST, later: float = 0) -> Done | Later | None:
        def now() -> dt.datetime:
            return NOW + dt.timedelta(seconds=later)

        return restarts.restart(request, STATUS, self.kube, PROFILE, SETTINGS, now)

    def restarted(self) -> list[str]:
        """The workloads that bear the mark."""
        found = []
        for name in NAMES:
            template = self.kube.objects[f"{SHOP}/deployments/{name}"]["spec"].get("template") or {}
            if template.get("metadata", {}).get("annotations", {}).get(RESTARTED_FOR) == "k":
                found.append(name)
        return found

    def under_way(self, *names: str) -> None:
        """Their rollouts have begun and aren't over."""
        for name in names:
            path = f"{SHOP}/deployments/{name}"
            self.kube.put(path, {**self.kube.objects[path], "status": deployment(readyReplicas=0)["status"]})

    def rolled_out(self, *names: str) -> None:
        for name in names:
            path = f"{SHOP}/deployments/{name}"
            self.kube.put(path, {**self.kube.objects[path], "status": deployment()["status"]})
        self.left = [one for one in self.left if one.name not in names]


@pytest.fixture
def cluster(kube: MemoryKube, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(kube, monkeypatch)


def waits(outcome: Done | Later | None) -> tuple[str, str]:
    assert isinstance(outcome, Later)
    assert (outcome.delay, outcome.limit) == (SETTINGS.readiness_step, SETTINGS.restart_limit)
    assert outcome.status.phase is Phase.VERIFYING
    return outcome.reason, outcome.waits_for


def test_nobody_asked(cluster: Cluster) -> None:
    assert cluster.run(InstallRequest(cluster=EU1, mesh="linkerd")) is None
    assert cluster.kube.requests == 0


def test_a_few_at_a_time_until_all_are_done(cluster: Cluster) -> None:
    reason, words = waits(cluster.run())
    assert (reason, cluster.restarted()) == ("WorkloadsRestarting", ["a", "b"])
    assert words.startswith("5 workloads to be restarted: Deployment shop/a")
    cluster.under_way("a", "b")
    waits(cluster.run())
    assert cluster.restarted() == ["a", "b"]
    cluster.rolled_out("a")
    waits(cluster.run())
    assert cluster.restarted() == ["a", "b", "c"]
    cluster.rolled_out("b", "c")
    waits(cluster.run())
    assert cluster.restarted() == list("abcde")
    cluster.rolled_out("d", "e")
    written = len(cluster.kube.writes)
    assert cluster.run() is None
    assert len(cluster.kube.writes) == written


def test_a_workload_whose_new_pods_are_outdated_too_is_not_restarted_for_ever(cluster: Cluster) -> None:
    cluster.left = cluster.left[:1]
    waits(cluster.run())
    cluster.rolled_out()
    written = len(cluster.kube.writes)
    assert [cluster.run(later=60 * hour) for hour in range(3)] == [None] * 3
    assert len(cluster.kube.writes) == written


def test_a_stuck_restart_stops_the_others(cluster: Cluster) -> None:
    waits(cluster.run())
    cluster.under_way("a")
    cluster.rolled_out("b")
    outcome = cluster.run(later=SETTINGS.restart_deadline + 1)
    assert isinstance(outcome, Done)
    assert outcome.status is not None
    assert (outcome.status.phase, outcome.status.reason, outcome.next) == (Phase.DEGRADED, "RestartStuck", ())
    assert outcome.status.message.startswith("Deployment shop/a was restarted for new proxies and doesn't get ready; 3")
    assert cluster.restarted() == ["a", "b"]
    cluster.left = cluster.left[:1]
    alone = cluster.run(later=SETTINGS.restart_deadline + 1)
    assert isinstance(alone, Done)
    assert alone.status is not None
    assert "others" not in alone.status.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((pod("10.0.0.0/8"),), 'the injector still gives clusterNetworks "10.0.0.0/8"'),
        ((pod(anchors="OLD"),), "the injector still gives other trust anchors"),
        ((pod(name="other"),), "a new pod gets no proxy"),
        (denial("not here"), "a dry run of a meshed pod in shop is denied: not here"),
    ],
)
def test_an_injector_that_gives_what_was_is_waited_for(cluster: Cluster, answer: Any, words: str) -> None:
    cluster.injector(*answer)
    reason, waits_for = waits(cluster.run())
    assert reason == "InjectorOutdated"
    assert words in waits_for
    assert cluster.restarted() == []
    cluster.injector(pod())
    waits(cluster.run())
    assert cluster.restarted() == ["a", "b"]


def test_a_control_plane_that_is_not_ready_is_waited_for(cluster: Cluster) -> None:
    path = "/apis/apps/v1/namespaces/linkerd/deployments/linkerd-identity"
    cluster.kube.put(path, deployment(readyReplicas=0))
    assert waits(cluster.run()) == ("PodsNotReady", "Deployment linkerd-identity (0 of 1 pods ready)")


def test_another_worker_is_waited_for(cluster: Cluster) -> None:
    cluster.kube.put("/api/v1/namespaces/byomesh-system", {})
    spec = {
        "holderIdentity": "another",
        "leaseDurationSeconds": 300,
        "renewTime": NOW.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    cluster.kube.put("/apis/coordination.k8s.io/v1/namespaces/byomesh-system/leases/byomesh", {"spec": spec})
    assert waits(cluster.run())[0] == "LeaseHeld"
    assert cluster.restarted() == []


def test_what_is_deleted_or_changed_meanwhile_is_left_for_the_next_look(cluster: Cluster) -> None:
    cluster.kube.answers["PATCH", f"{SHOP}/deployments/a"] = (409, {"kind": "Status", "reason": "Conflict"})
    those = [Target("shop", "Deployment", name) for name in ("gone", "a", "b")]
    assert restarting.start(cluster.kube, those, "k", NOW) == (those[2],)


def test_bare_pods_and_jobs_are_listed_only(cluster: Cluster) -> None:
    cluster.left = [Workload("Pod", "shop", "p", ("version",)), Workload("Job", "shop", "j", ("version",))]
    assert cluster.run() is None
    progress = restarting.look(cluster.kube, Stale(workloads=tuple(cluster.left), key="k"), clock(), 600)
    assert [one for _, one in progress.states] == [State.BY_HAND] * 2
