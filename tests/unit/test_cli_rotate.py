"""`byomesh rotate-anchor` in this process: what it shows, when it holds back, what it queues."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from byomesh.cli import rotate, target
from byomesh.cli.main import app
from shared import config, gke, pubsub
from shared.errors import Temporary
from shared.mesh.linkerd.rotation import Standing
from tests.unit.doors import EU1, NOW, MemoryGke, MemorySecrets, MemoryStore, autopilot
from tests.unit.memory_kube import MemoryKube

NAME = str(EU1)
READY = Standing(trusts_all=True, moved=True, alone=True)
BEHIND = Standing(trusts_all=False, moved=False, alone=True, waits_for=("Deployment app/[web] is restarted",))


class Fleet:
    """The fleet's secret, one cluster, and the topic.

    Attributes:
        seen: how the cluster stands, or why it can't be looked at.
        published: (topic, message) of each.
    """

    def __init__(self) -> None:
        self.secrets = MemorySecrets()
        self.seen: Standing | Exception = READY
        self.published: list[tuple[str, dict[str, Any]]] = []

    def publish(self, topic: str, data: bytes, attributes: dict[str, str]) -> str:
        assert attributes["cluster"] == NAME
        self.published.append((topic, json.loads(data)))
        return "1"

    def observed(self, ref: object, *_: object) -> Standing:
        assert ref == EU1
        if isinstance(self.seen, Exception):
            raise self.seen
        return self.seen

    def run(self, *arguments: str, answer: str = "") -> Result:
        return CliRunner().invoke(app, ["rotate-anchor", *arguments], input=answer)

    def json(self, *arguments: str, code: int = 0) -> Any:
        ran = self.run(*arguments, "-o", "json")
        assert ran.exit_code == code, ran.output
        return json.loads(ran.stdout)


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    made = Fleet()
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "mesh")
    monkeypatch.setattr(config, "settings", lambda: config.Settings(project="mesh"))
    monkeypatch.setattr(rotate, "_store", lambda: MemoryStore(made.secrets))
    monkeypatch.setattr(rotate, "_observed", made.observed)
    monkeypatch.setattr(pubsub, "publisher", lambda: made)
    return made


def test_three_steps_queue_the_clusters_each_time(fleet: Fleet) -> None:
    assert fleet.json("status", NAME)["next_step"] == "begin"
    for name, following in (("begin", "move"), ("move", "finish"), ("finish", "begin")):
        done = fleet.json(name, NAME, "--yes")
        assert (done["step"], done["done"], done["queue"]) == (name, False, [{"cluster": NAME, "command": ""}])
        assert fleet.json("status", NAME, code=3 if following != "begin" else 0)["next_step"] == following
    topic, message = fleet.published[-1]
    assert topic == "projects/mesh/topics/mesh-install"
    assert (message["cluster"], message["mesh"]) == (NAME, "linkerd")
    assert len(fleet.published) == 3


def test_a_step_that_is_done_only_queues_again(fleet: Fleet) -> None:
    fleet.json("begin", NAME, "--yes")
    before = list(fleet.secrets.versions)
    fleet.seen = BEHIND
    assert fleet.json("begin", NAME)["done"]
    assert fleet.secrets.versions == before
    assert len(fleet.published) == 2


def test_a_cluster_that_is_not_ready_holds_the_step_back(fleet: Fleet) -> None:
    fleet.json("begin", "--yes")
    before = list(fleet.secrets.versions)
    fleet.seen = BEHIND
    held = fleet.run("move", NAME, "--yes")
    assert held.exit_code == 3
    assert f"{NAME}: Deployment app/[web] is restarted" in held.output
    assert "1 clusters aren't ready for move; nothing was changed" in held.output
    fleet.seen = Temporary("ApiUnavailable", "it is away")
    assert "it is away" in fleet.json("move", NAME, "--yes", code=3)["held_back_by"][0]["error"]
    assert (fleet.secrets.versions, fleet.published) == (before, [])
    assert not fleet.json("move", NAME, "--yes", "--without-looking")["done"]


def test_what_depends_on_clusters_wants_them_named(fleet: Fleet) -> None:
    fleet.json("begin", "--yes")
    ran = fleet.run("move", "--yes")
    assert (ran.exit_code, "name them, or give --all" in ran.output) == (1, True)
    ran = fleet.run("finish", NAME, "--yes")
    assert "finish isn't the next step of the rotation, move is" in ran.output


def test_a_dry_run_writes_and_queues_nothing(fleet: Fleet) -> None:
    done = fleet.json("begin", NAME, "--dry-run")
    assert "gcloud pubsub topics publish projects/mesh/topics/mesh-install" in done["queue"][0]["command"]
    assert len(fleet.secrets.versions) == 1
    assert fleet.published == []
    assert "the step begin would be taken" in fleet.run("begin", NAME, "--dry-run").output


def test_it_asks_before_it_writes(fleet: Fleet) -> None:
    assert "nothing was changed" in fleet.run("begin", NAME, answer="n\n").output
    assert len(fleet.secrets.versions) == 1
    said = fleet.run("begin", NAME, "--print", answer="y\n").output
    assert "the step begin is taken" in said
    assert "gcloud pubsub topics publish" in said
    assert "publish the installation of every cluster again" in fleet.run("begin").output
    assert fleet.published == []


def test_status_shows_anchors_and_clusters(fleet: Fleet) -> None:
    shown = fleet.run("status")
    assert shown.exit_code == 0
    assert "root.linkerd.cluster" in shown.output
    assert "no rotation is under way" in shown.output
    fleet.seen = BEHIND
    shown = fleet.run("status", NAME)
    assert (shown.exit_code, "Deployment app/[web] is restarted" in shown.output) == (3, True)


def test_all_are_the_clusters_of_the_projects(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gke, "gke", Listing)
    assert [one["cluster"] for one in fleet.json("begin", "--all", "--yes")["queue"]] == [NAME]
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    assert "--all needs a project" in fleet.run("status", "--all").output


class Listing(MemoryGke):
    def __init__(self) -> None:
        super().__init__(autopilot())

    def list(self, project: str) -> Any:
        assert project == "mesh"
        return [EU1]


def test_a_cluster_that_somebody_works_on_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    kube = MemoryKube()
    monkeypatch.setattr(target, "connected", lambda *_: _Open(kube))
    fleet = MemoryStore().trust(NOW)
    assert rotate._standing(EU1, fleet, NOW)["trusts_all"]
    spec = {"holderIdentity": "install_mesh x", "renewTime": NOW.isoformat(), "leaseDurationSeconds": 300}
    kube.put("/apis/coordination.k8s.io/v1/namespaces/byomesh-system/leases/byomesh", {"spec": spec})
    assert "install_mesh x works on it" in rotate._standing(EU1, fleet, NOW)["error"]


class _Open:
    def __init__(self, kube: MemoryKube) -> None:
        self._kube = kube

    def __enter__(self) -> MemoryKube:
        return self._kube

    def __exit__(self, *_: object) -> None:
        pass
