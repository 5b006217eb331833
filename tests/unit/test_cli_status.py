"""`byomesh status` in this process: what it looks at, prints, writes, and ends with."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.cloud.logging_v2.types import ListLogEntriesRequest, ListLogEntriesResponse
from rich.console import Console
from typer.testing import CliRunner, Result

import shared.cloud_logging
import shared.gke
import shared.tasks
from byomesh.cli import fleet_table, showing, status, watching
from byomesh.cli.fleet_table import explained, plain, table_lines
from byomesh.cli.main import app
from byomesh.fleet import looking
from shared.cluster import Cluster
from shared.config import Settings
from shared.errors import ByomeshError, Permanent, Temporary
from shared.gke import CLUSTER_GONE, Gke, Listing
from shared.model import CheckSummary, ClusterRef, MeshStatus, Phase
from shared.policy import BUILT_IN
from shared.tasks import QueueState
from tests.unit import fleets
from tests.unit.memory_logging import NOW, SHOP, UNAVAILABLE, MemoryLogging, status_line

TWO = ClusterRef("shop", "europe-west1", "eu-2")
OFF = ClusterRef("shop", "europe-west1", "eu-3")
PAY = ClusterRef("pay", "us-east1-b", "pay-1")
MINUTE = dt.timedelta(minutes=1)
DENIED = Temporary("IamNotReady", "403 container.clusters.list is denied", remedy="grant roles/container.viewer")


class Log(MemoryLogging):
    """A log of which some can't be read.

    Attributes:
        secret: what stands in the filters of listings that are denied; "" for none.
    """

    secret = ""

    def _list(self, request: ListLogEntriesRequest) -> ListLogEntriesResponse:
        if self.secret and self.secret in request.filter:
            raise UNAVAILABLE
        return super()._list(request)


class World(Gke):
    """GKE and the log.

    Attributes:
        clusters: what GKE has.
        hidden: locations that it can't reach, or why a project isn't listed.
        log: the log.
        queues: the fleet's queues; nobody may see them where there are none.
    """

    def __init__(self, folder: Path) -> None:
        created = NOW - 60 * MINUTE
        self.clusters: list[Cluster] = [
            fleets.cluster(SHOP, created=created),
            fleets.cluster(TWO, created=created),
            fleets.cluster(OFF, created=created, off=True, allowed=False),
        ]
        self.hidden: dict[str, tuple[str, ...] | ByomeshError] = {}
        self.log = Log()
        self.queues: list[QueueState] = []
        self._folder = folder

    def get(self, ref: ClusterRef) -> Cluster:
        hidden = self.hidden.get(ref.project)
        if isinstance(hidden, ByomeshError):
            raise hidden
        found = [one for one in self.clusters if one.ref == ref]
        if not found:
            raise Permanent(CLUSTER_GONE, "no such cluster")
        return found[0]

    def listing(self, project: str) -> Listing:
        hidden = self.hidden.get(project, ())
        if isinstance(hidden, ByomeshError):
            raise hidden
        return Listing(tuple(one for one in self.clusters if one.ref.project == project), hidden)

    def states(self) -> Sequence[QueueState]:
        if not self.queues:
            raise DENIED
        return self.queues

    def say(self, ref: ClusterRef, phase: Phase, reason: str, at: dt.datetime = NOW, **more: Any) -> None:
        facts = {
            "message": f"it is {phase}",
            "mesh": "linkerd",
            "version": "edge-26.6.3",
            "request_id": "r1",
            "time": at,
        }
        told = MeshStatus(cluster=ref, phase=phase, reason=reason, **{**facts, **more})
        self.log.say(self._folder, {**status_line(told, at), "stage": "verify"})


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    made.say(SHOP, Phase.READY, "ChecksPassed", NOW - MINUTE, checks=CheckSummary(47, 2, 0, 0))
    made.say(TWO, Phase.VERIFYING, "PodsNotReady", NOW - 2 * MINUTE, waits_for="linkerd-destination")
    monkeypatch.setattr(shared.gke, "gke", lambda: made)
    monkeypatch.setattr(shared.cloud_logging, "cloud_logging", lambda: made.log.door)
    monkeypatch.setattr(status, "settings", lambda: Settings(project="shop"))
    monkeypatch.setattr(status, "now", lambda: NOW)
    monkeypatch.setattr(shared.tasks, "queues", lambda: made)
    for name in ("GOOGLE_CLOUD_PROJECT", "BYOMESH_POLICY"):
        monkeypatch.delenv(name, raising=False)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["status", *arguments])


def asked(*arguments: str, code: int = 1) -> Any:
    """What -o json prints."""
    ran = run(*arguments, "-o", "json")
    assert ran.exit_code == code, ran.output
    return json.loads(ran.stdout)


def words(line: str) -> list[str]:
    return line.split()


def test_the_table_has_a_line_a_cluster(world: World) -> None:
    ran = run()
    assert ran.exit_code == 1
    lines = ran.stdout.splitlines()
    assert lines[0] == "1 of 2 clusters is Ready. 1 is under way, 1 left alone."
    assert [words(line) for line in lines[2:4]] == [
        words("CLUSTER PROJECT LOCATION PHASE MESH NET_ADMIN CHECKS CHANGED WAITS FOR, OR WHY"),
        words("eu-2 shop europe-west1 Verifying linkerd edge-26.6.3 allowed 2 m waits for linkerd-destination"),
    ]
    assert words(lines[4]) == words("eu-1 shop europe-west1 Ready linkerd edge-26.6.3 allowed 2 warned 1 m")
    assert words(lines[5])[:6] == words("eu-3 shop europe-west1 Left alone denied")
    assert world.log.requests[0].resource_names == ["projects/mesh"]


@pytest.mark.usefixtures("world")
def test_json_says_the_same() -> None:
    data = asked()
    assert {one["name"]: one["state"] for one in data["clusters"]} == {
        "eu-1": "Ready",
        "eu-2": "Verifying",
        "eu-3": "LeftAlone",
    }
    assert data["counts"] == {"Verifying": 1, "Ready": 1, "LeftAlone": 1}
    assert (data["projects"], data["policy"]) == (["shop"], "the built-in policy")
    assert data["clusters"][1]["age"] == 60
    assert [one["name"] for one in asked("--not-ready")["clusters"]] == ["eu-2"]


def test_all_is_well(world: World) -> None:
    world.say(TWO, Phase.READY, "ChecksPassed")
    ran = run()
    assert ran.exit_code == 0
    assert ran.stdout.startswith("All 2 clusters are Ready. 1 left alone.\n")
    assert "what to do" not in ran.stdout


def test_each_project_that_is_named_is_looked_at_and_one_that_cannot_be_spoils_no_other(world: World) -> None:
    world.clusters.append(fleets.cluster(PAY, created=NOW))
    world.hidden = {"legacy": DENIED, "pay": ("us-central1-a",)}
    world.say(ClusterRef("legacy", "us-east1", "old"), Phase.READY, "ChecksPassed")
    world.say(ClusterRef("other", "us-east1", "not-asked-for"), Phase.READY, "ChecksPassed")
    data = asked("--project", "shop", "--project", "pay", "--project", "legacy", "--project", "pay")
    assert {one["name"]: one["state"] for one in data["clusters"]} == {
        "pay-1": "NeverProcessed",
        "old": "Unknown",
        "eu-2": "Verifying",
        "eu-1": "Ready",
        "eu-3": "LeftAlone",
    }
    assert [(one["project"], one["location"]) for one in data["not_seen"]] == [("legacy", ""), ("pay", "us-central1-a")]
    assert data["projects"] == ["legacy", "pay", "shop"]
    ran = run("--project", "legacy")
    assert ran.exit_code == 2
    assert "not seen: the project legacy: IamNotReady: 403" in ran.stdout


def test_without_a_project_the_policys_sweep_is_looked_at(world: World, tmp_path: Path) -> None:
    rules = tmp_path / "policy.yaml"
    rules.write_text("schema: 1\nsweep: {projects: [pay-prod]}\nrules: [{name: all, mesh: linkerd}]\n")
    assert asked("--policy", str(rules), code=0)["projects"] == ["pay-prod"]
    assert asked("--policy", str(rules), "--project", "shop")["projects"] == ["shop"]
    rules.write_text("schema: 1\nsweep: {scope: folders/42}\nrules: [{name: all, mesh: linkerd}]\n")
    ran = run("--policy", str(rules))
    assert ran.exit_code == 2
    assert "ScopeNotListed" in ran.stderr
    assert world.log.requests


def test_a_log_that_cannot_be_read_is_status_two(world: World) -> None:
    world.log.fault = UNAVAILABLE
    ran = run()
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "logging.logEntries.list" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "soon"], "is no duration"),
        (["--since", "0d"], "is no duration"),
        (["--policy", "/nowhere.yaml"], "can't be read"),
        (["-o", "html", "--watch"], "needs --file"),
        (["-o", "html", "--file", "/nowhere/report.html"], "can't be written"),
        (["nobody"], "NoSuchCluster"),
    ],
)
def test_what_keeps_it_from_looking_is_told(world: World, arguments: list[str], words: str) -> None:
    ran = run(*arguments)
    assert ran.exit_code == 2
    assert words in ran.stderr
    assert world.clusters


def test_without_any_project_there_is_nothing_to_look_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "settings", Settings)
    ran = run()
    assert ran.exit_code == 2
    assert "add --project" in ran.stderr
    assert world.log.requests == []


def test_html_to_standard_output_and_to_a_file(world: World, tmp_path: Path) -> None:
    world.log.operation("CreateCluster", name="operation-1", principal="anna@example.com", at=NOW - 59 * MINUTE)
    ran = run("-o", "html")
    assert ran.exit_code == 1
    assert ran.stdout.startswith("<!DOCTYPE html>\n")
    assert "anna@example.com" in ran.stdout
    file = tmp_path / "report.html"
    ran = run("-o", "html", "--file", str(file), "--no-who")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert str(file) in ran.stderr.replace("\n", "")
    assert "anna@example.com" not in file.read_text()
    assert str(TWO) in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_table_to_a_file_has_no_colours(world: World, tmp_path: Path) -> None:
    file = tmp_path / "status.txt"
    assert run("--file", str(file)).exit_code == 1
    assert "\x1b" not in file.read_text()
    assert "eu-2" in file.read_text()
    assert world.clusters


def test_one_cluster_is_shown_with_its_timeline(world: World) -> None:
    world.log.operation("UpdateCluster", name="operation-1", principal="anna@example.com", at=NOW - 3 * MINUTE)
    ran = run("eu-2", "--project", "shop")
    assert ran.exit_code == 1
    assert ran.stdout.startswith(f"Verifying {TWO} (PodsNotReady)\n")
    assert "waits for linkerd-destination" in ran.stdout
    ran = run(str(SHOP))
    assert ran.exit_code == 0
    assert "updated the cluster by anna@example.com (google-cloud-sdk gcloud/1)" in ran.stdout
    assert "Ready after" in ran.stdout
    assert "2 warned, 47 passed" in ran.stdout
    assert "GKE        RUNNING, Autopilot, 1.36.3-gke.1, regular" in ran.stdout
    assert len(asked(str(SHOP), code=0)["clusters"]) == 1


def test_one_cluster_that_is_gone_or_cannot_be_looked_at(world: World) -> None:
    gone = ClusterRef("shop", "europe-west1", "eu-9")
    world.say(gone, Phase.READY, "ChecksPassed")
    ran = run(str(gone))
    assert ran.exit_code == 0
    assert ran.stdout.startswith(f"Gone {gone} (ClusterGone)\n  GKE no longer lists it")
    world.hidden = {"shop": DENIED}
    ran = run(str(SHOP))
    assert ran.exit_code == 2
    assert "what to do: IamNotReady" in ran.stdout


def test_an_audit_log_that_cannot_be_read_costs_only_who(world: World) -> None:
    world.log.secret = "cloudaudit"
    data = asked("--who")
    assert [one["name"] for one in data["clusters"]] == ["eu-2", "eu-1", "eu-3"]
    [note] = data["notes"]
    assert note.startswith("who changed the clusters of shop isn't known: IamNotReady")


def test_a_pause_of_the_whole_fleet_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "projects/mesh/locations/l/queues/mesh-waits"
    world.queues = [QueueState(name, paused=True)]
    assert asked()["notes"] == []
    monkeypatch.setattr(status, "settings", lambda: Settings(project="shop", queue=name))
    assert asked()["notes"] == ["somebody paused the fleet, so whatever is under way waits until `byomesh resume`"]
    assert "waits until byomesh resume" in run().stdout
    world.queues = [QueueState(name, paused=False)]
    assert asked()["notes"] == []
    world.queues = []
    assert asked()["notes"] == []


def test_more_projects_than_are_audited_are_told(world: World) -> None:
    projects = [option for number in range(21) for option in ("--project", f"project-{number}")]
    assert "isn't shown for more than 20 projects" in asked("--who", *projects, code=0)["notes"][0]
    assert world.log.requests


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has something happen between two looks of --watch, and ends it after the last."""

    def between(*acts: Callable[[], object]) -> None:
        left = list(acts)

        def sleep(_: float) -> None:
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        monkeypatch.setattr(watching, "sleep", sleep)

    return between


def test_watching_as_json_is_a_line_a_change(world: World, looks: Callable[..., None]) -> None:
    def fault() -> None:
        world.log.fault = UNAVAILABLE

    def mended() -> None:
        world.log.fault = None
        world.say(TWO, Phase.READY, "ChecksPassed")

    looks(lambda: None, fault, mended)
    ran = run("--watch", "-o", "json")
    assert ran.exit_code == 130
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(line["name"], line["before"], line["state"]) for line in lines] == [
        ("eu-2", None, "Verifying"),
        ("eu-1", None, "Ready"),
        ("eu-3", None, "LeftAlone"),
        ("eu-2", "Verifying", "Ready"),
    ]
    assert "logging.logEntries.list" in ran.stderr
    # Each look after the first asks only for what is new.
    since = [request.filter.rpartition("timestamp>=")[2] for request in world.log.requests]
    assert since[0] < since[-1]


def test_what_comes_late_into_the_log_is_seen_by_the_next_look(world: World, looks: Callable[..., None]) -> None:
    late = NOW - dt.timedelta(seconds=90)
    looks(lambda: world.say(TWO, Phase.READY, "ChecksPassed", late))
    ran = run("--watch", "-o", "json", "--not-ready")
    assert [json.loads(line)["state"] for line in ran.stdout.splitlines()] == ["Verifying", "Ready"]


def test_where_more_projects_are_asked_for_than_a_filter_holds_the_others_stay_out(world: World) -> None:
    world.say(PAY, Phase.READY, "ChecksPassed")
    wish = looking.Wish(
        projects=("shop", *(f"a-project-with-a-long-name-{number}" for number in range(1_000))),
        since=dt.timedelta(days=1),
    )
    fleet = looking.Looker(world, world.log.door, wish, lambda: NOW).look(BUILT_IN)
    assert {row.ref for row in fleet.rows} == {SHOP, TWO, OFF}


def test_a_log_that_is_too_long_leaves_clusters_unknown_rather_than_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MAX_STATUSES", 1)
    data = asked(code=2)
    assert {one["name"]: one["state"] for one in data["clusters"]} == {
        "eu-1": "Ready",
        "eu-2": "Unknown",
        "eu-3": "LeftAlone",
    }
    assert "more statuses than were read" in data["notes"][0]
    world.clusters = [one for one in world.clusters if one.ref == SHOP]
    assert asked(code=0)["notes"] == []


def test_watching_what_is_not_ready_begins_with_that_and_tells_every_change(
    world: World, looks: Callable[..., None]
) -> None:
    looks(lambda: world.say(TWO, Phase.READY, "ChecksPassed"))
    ran = run("--watch", "-o", "json", "--not-ready")
    assert [json.loads(line)["state"] for line in ran.stdout.splitlines()] == ["Verifying", "Ready"]


def test_watching_as_html_writes_the_file_anew(world: World, looks: Callable[..., None], tmp_path: Path) -> None:
    file = tmp_path / "report.html"

    def fault() -> None:
        assert "1 of 2 clusters is Ready" in file.read_text()
        world.say(TWO, Phase.READY, "ChecksPassed")

    looks(fault)
    run("--watch", "-o", "html", "--file", str(file))
    assert "All 2 clusters are Ready" in file.read_text()


def test_watching_draws_as_much_as_the_terminal_holds(
    world: World, looks: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(force_terminal=True, width=100, height=8, color_system=None, record=True)
    monkeypatch.setattr(watching, "out", console)

    def fault() -> None:
        world.log.fault = UNAVAILABLE

    looks(fault)
    run("--watch")
    drawn = console.export_text().splitlines()
    assert "1 of 2 clusters is Ready" in drawn[0]
    assert "… and 1 more lines" in drawn
    assert any("the newest look failed: IamNotReady" in line for line in drawn)
    assert all(len(line) <= console.width * 2 for line in drawn)


def test_a_terminal_gets_colours_and_lines_that_fit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, width=70, color_system="standard", record=True)
    monkeypatch.setattr(showing, "out", console)
    run()
    assert all(len(line) <= 70 for line in console.export_text(clear=False).splitlines() if "eu-" in line)
    assert world.clusters


def test_what_needs_a_hand_is_explained_together_where_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fleets.fleet(400)
    lines = [line.plain for line in explained(made)]
    never = [row for row in made.rows if row.state.value == "NeverProcessed"]
    [head] = [line for line in lines if line.startswith("Never processed")]
    assert head.startswith(f"Never processed {len(never)} clusters (NoStatus): {never[0].ref.name}, ")
    assert head.endswith(", …")
    assert any("what to do: byomesh rerun CLUSTER --from enable" in line for line in lines)
    monkeypatch.setattr(fleet_table, "EXPLAINED", 2)
    assert "more that need a hand" in [line.plain for line in explained(made)][-1]


def test_a_narrow_terminal_does_without_columns_rather_than_without_the_reason() -> None:
    made = fleets.fleet(40)
    wide, narrow = ([line.plain for line in table_lines(made, made.rows, width)] for width in (200, 100))
    assert wide[0].split()[:4] == words("CLUSTER PROJECT LOCATION PHASE")
    assert "LOCATION" not in narrow[0]
    assert "RepairsDidNotHelp: 1" in narrow[1]
    assert all(len(line) <= 100 for line in narrow)


def test_ten_thousand_lines_are_made_and_none_breaks() -> None:
    made = fleets.fleet(40)
    many = msgspec.structs.replace(made, rows=made.rows * 250)
    lines = list(table_lines(many, many.rows, 120))
    assert len(lines) == 10_001
    assert all(len(line.plain) <= 120 for line in lines)


def test_texts_of_others_do_not_steer_the_terminal(world: World) -> None:
    world.say(TWO, Phase.FAILED, "X", message="a\x1b[2J\x07b\u202ec\nd [bold]e[/bold]")
    ran = run()
    assert "\x1b" not in ran.stdout
    assert "a [2J b c d [bold]e[/bold]" in ran.stdout
    assert plain("a\tb") == "a b"


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5_400), ("12h", 43_200), ("30d", 2_592_000), ("1w", 604_800)])
def test_durations_are_read(text: str, seconds: int) -> None:
    assert looking.duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "d", "-1d", "1.5h", "99999d", "\u0661d", "5", "5y"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Permanent, match="is no duration"):
        looking.duration(text)
