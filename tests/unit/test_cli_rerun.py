"""`byomesh rerun`, `pause` and `resume` in this process: what they publish, print and end with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import shared.cloud_logging
import shared.config
import shared.gke
import shared.pubsub
import shared.tasks
from byomesh.cli import pause, rerun
from byomesh.cli.main import app
from byomesh.reruns import following
from shared.cloud_logging.entries import NewestStatuses
from shared.cluster import Cluster
from shared.config import Settings
from shared.errors import Temporary
from shared.gke import Listing
from shared.model import ClusterRef, MeshStatus, Phase
from shared.tasks import QueueState
from tests.unit.doors import autopilot

SETTINGS = Settings(project="mesh", queue="projects/mesh/locations/l/queues/mesh-waits")
FULL = "projects/shop/locations/europe-west1/clusters/eu-1"
EU1 = ClusterRef.parse(FULL)
EU2 = ClusterRef("shop", "europe-west1", "eu-2")


class World:
    """GKE, Pub/Sub, Cloud Tasks and the log."""

    def __init__(self) -> None:
        self.clusters: list[Cluster] = [autopilot(labels={"team": "shop"}), autopilot(ref=EU2)]
        self.asked: list[str] = []
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.tasks: list[tuple[str, float]] = []
        self.newest: dict[ClusterRef, Phase] = {}
        self.fault: Temporary | None = None
        self.paused: list[bool] = []

    def listing(self, project: str) -> Listing:
        self.asked.append(project)
        return Listing(tuple(one for one in self.clusters if one.ref.project == project))

    def publish(self, topic: str, data: bytes, _attributes: Mapping[str, str]) -> str:
        if self.fault is not None:
            raise self.fault
        self.published.append((topic, json.loads(data)))
        return "42"

    def publish_later(
        self, topic: str, _data: bytes, _attributes: Mapping[str, str], delay: float, *, name_parts: Sequence[str]
    ) -> bool:
        assert name_parts
        self.tasks.append((topic, delay))
        return True

    def newest_statuses(self, projects: Sequence[str], since: Any) -> NewestStatuses:
        assert set(projects) <= {"shop"}
        return NewestStatuses(
            {
                ref: MeshStatus(cluster=ref, phase=phase, reason="R", message="so it is", time=since)
                for ref, phase in self.newest.items()
            },
            complete=True,
        )

    def pause(self) -> Iterator[QueueState]:
        if self.fault is not None:
            raise self.fault
        self.paused.append(True)
        yield QueueState(SETTINGS.queue, paused=True)

    def resume(self) -> Iterator[QueueState]:
        self.paused.append(False)
        yield QueueState(SETTINGS.queue, paused=False)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    for module in (rerun, pause):
        monkeypatch.setattr(module, "settings", lambda: SETTINGS)
    monkeypatch.setattr(rerun, "_actor", lambda: None)
    monkeypatch.setattr(shared.gke, "gke", lambda: found)
    monkeypatch.setattr(shared.pubsub, "publisher", lambda: found)
    monkeypatch.setattr(shared.tasks, "Waits", lambda _: found)
    monkeypatch.setattr(shared.tasks, "Queues", lambda _: found)
    monkeypatch.setattr(shared.cloud_logging, "CloudLogging", lambda _: found)
    monkeypatch.setattr(following, "STEP", 0.0)
    return found


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(
        app, list(arguments), env={"COLUMNS": "300", "BYOMESH_POLICY": None, "BYOMESH_PROJECT": None}
    )
    assert result.exit_code == code, result.output
    return result


def test_a_cluster_is_asked_for_by_its_full_name(world: World) -> None:
    result = run("rerun", FULL)
    ((topic, message),) = world.published
    assert topic == "projects/mesh/topics/mesh-install"
    assert {key: message[key] for key in message if key != "request_id"} == {"cluster": FULL}
    assert message["request_id"].startswith("rerun-")
    assert "published as 42" in result.stdout
    assert world.asked == []


def test_the_automations_project_is_not_the_clusters(world: World) -> None:
    run(
        "rerun",
        "eu-1",
        "--project",
        "shop",
        "--automation-project",
        "platform",
        "--from",
        "verify",
        "--mesh",
        "linkerd",
    )
    ((topic, message),) = world.published
    assert (topic, message["cluster"], message["mesh"]) == ("projects/platform/topics/mesh-verify", FULL, "linkerd")


def test_a_dry_run_shows_the_messages_and_publishes_none(world: World) -> None:
    result = run("rerun", "--all", "--project", "shop", "--dry-run", "--rate", "30/min", "-o", "json")
    first, second = json.loads(result.stdout)
    assert (first["cluster"], first["message"]["cluster"], first["delay"]) == (FULL, FULL, 0.0)
    assert (second["delay"], second["published"], second["topic"]) == (2.0, False, "projects/mesh/topics/mesh-install")
    shown = run("rerun", "--selector", "team=shop", "--project", "shop", "--dry-run")
    assert "eu-1" in shown.stdout
    assert "eu-2" not in shown.stdout
    assert "nothing was published" in shown.stderr
    assert (world.published, world.tasks) == ([], [])


def test_a_rate_hands_the_messages_to_cloud_tasks(world: World) -> None:
    run("rerun", "--all", "--project", "shop", "--rate", "6/min")
    assert sorted(delay for _, delay in world.tasks) == [0.0, 10.0]
    assert world.published == []


def test_those_that_are_not_ready_are_asked_for(world: World) -> None:
    world.newest = {EU1: Phase.READY, EU2: Phase.FAILED}
    result = run("rerun", "--not-ready", "--project", "shop")
    assert [message["cluster"] for _, message in world.published] == [str(EU2)]
    assert "left out: it is Ready" in result.stdout
    assert "1 asked for, 1 left out" in result.stderr
    world.newest = {EU1: Phase.READY, EU2: Phase.READY}
    assert "nothing to ask for" in run("rerun", "--not-ready", "--project", "shop").stderr


def test_a_selector_that_nothing_fits_ends_with_1(world: World) -> None:
    assert "nothing to ask for" in run("rerun", "--selector", "team=none", "--project", "shop", code=1).stderr
    assert world.published == []


def test_what_could_not_be_published_is_told_and_ends_with_1(world: World) -> None:
    world.fault = Temporary("TopicMissing", "there is none", remedy="create the topic")
    result = run("rerun", FULL, code=1)
    assert "TopicMissing" in result.stdout
    assert "0 asked for, 1 failed" in result.stderr


@pytest.mark.parametrize(("phase", "code"), [(Phase.READY, 0), (Phase.FAILED, 1)])
def test_clusters_are_followed_to_their_end(world: World, phase: Phase, code: int) -> None:
    world.newest = {EU1: phase}
    result = run("rerun", FULL, "--wait", code=code)
    assert f"{phase.value} so it is" in result.stdout
    (one,) = json.loads(run("rerun", FULL, "--wait", "-o", "json", code=code).stdout)
    assert (one["phase"], one["says"], one["published"]) == (phase.value, "so it is", True)


def test_a_cluster_of_which_nothing_is_heard_is_not_ready(world: World) -> None:
    run("rerun", FULL, "--wait", "--timeout", "0", code=1)
    assert len(world.published) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "one of these"),
        ([FULL, "--all"], 2, "one of these"),
        (["--all", "--selector", "a=b"], 2, "one of these"),
        ([FULL, "--mesh", "lnkerd"], 1, "UnknownMesh"),
        (["--selector", "a~b", "--project", "shop"], 1, "BadSelector"),
        (["--all", "--project", "shop", "--rate", "fast"], 1, "BadRate"),
        ([FULL, "--from", "begin"], 2, "begin"),
    ],
)
def test_a_command_line_that_is_wrong_publishes_nothing(
    world: World, arguments: list[str], code: int, words: str
) -> None:
    assert words in run("rerun", *arguments, code=code).stderr
    assert (world.published, world.asked) == ([], [])


def test_the_fleet_is_paused_and_resumed(world: World) -> None:
    result = run("pause")
    assert "queues/mesh-waits is paused" in result.stdout
    assert json.loads(run("resume", "-o", "json").stdout) == [{"queue": SETTINGS.queue, "paused": False}]
    assert world.paused == [True, False]


def test_a_fleet_that_cannot_be_paused_is_told(world: World) -> None:
    world.fault = Temporary("IamNotReady", "denied", remedy="grant cloudtasks.queues.pause")
    assert "grant cloudtasks.queues.pause" in run("pause", code=1).stderr


def test_who_asks_is_said_where_it_is_a_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    class Credentials:
        service_account_email = "operator@mesh.iam.gserviceaccount.com"

    monkeypatch.setattr("google.auth.default", lambda: (Credentials(), "mesh"))
    assert rerun._actor() == Credentials.service_account_email
    monkeypatch.setattr("google.auth.default", lambda: (object(), "mesh"))
    assert rerun._actor() is None
