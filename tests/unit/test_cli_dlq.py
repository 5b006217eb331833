"""`byomesh dlq` in this process: what is shown, what is left, and how it ends."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import shared.cloud_logging
import shared.pubsub
import shared.pulling
from byomesh.cli import dlq
from byomesh.cli.main import app
from shared.errors import Temporary
from tests.unit.memory_pubsub import INSTALL, VERIFY, MemoryPublisher, MemoryPuller, subscription
from tests.unit.test_dead_letters import EU1, REQUEST, MemoryLog, said

EU2 = EU1.replace("eu-1", "eu-2")
Run = Callable[..., Result]


@pytest.fixture
def puller(monkeypatch: pytest.MonkeyPatch) -> MemoryPuller:
    made = MemoryPuller()
    monkeypatch.setattr(shared.pulling, "Puller", lambda: made)
    return made


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> MemoryPublisher:
    made = MemoryPublisher()
    monkeypatch.setattr(shared.pubsub, "publisher", lambda: made)
    return made


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    made = MemoryLog([said(8, "WARNING", "UNAVAILABLE: [try] again")], [])
    monkeypatch.setattr(shared.cloud_logging, "cloud_logging", lambda: made)
    return made


@pytest.fixture
def run(puller: MemoryPuller, publisher: MemoryPublisher, log: MemoryLog) -> Run:
    assert puller is not None
    assert publisher is not None
    assert log is not None

    def run(*arguments: str, answer: str = "") -> Result:
        return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["dlq", *arguments, "--project", "mesh"], input=answer)

    return run


def fill(puller: MemoryPuller) -> None:
    puller.put(INSTALL, json.dumps(REQUEST).encode(), {"waits": "2"})
    puller.put(VERIFY, json.dumps({"cluster": EU2, "mesh": "linkerd"}).encode())
    puller.put(VERIFY, b"no [json] here")


def listed(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run("list", "-o", "json", *arguments)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_nothing_is_listed_of_an_empty_dead_letter(run: Run) -> None:
    assert listed(run) == []
    result = run("list", "--exit-code")
    assert (result.exit_code, result.stdout) == (0, "no dead letters\n")
    for command in ("replay", "drop"):
        result = run(command, "--all")
        assert (result.exit_code, result.stdout) == (0, "no dead letters\n")


def test_letters_are_listed_and_stay(run: Run, puller: MemoryPuller) -> None:
    fill(puller)
    for _ in range(2):
        assert [(one["id"], one["topic"], one["kind"]) for one in listed(run)] == [
            ("1", INSTALL, "request"),
            ("2", VERIFY, "request"),
            ("3", VERIFY, "poison"),
        ]
    assert not any(puller.held.values())
    result = run("list", "--exit-code")
    assert result.exit_code == 3
    for words in ("eu-1", "repair", "no [json] here", "3 dead letters"):
        assert words in result.stdout


def test_letters_are_listed_by_topic_and_cluster(run: Run, puller: MemoryPuller) -> None:
    fill(puller)
    assert [one["id"] for one in listed(run, "--topic", VERIFY)] == ["2", "3"]
    assert [one["id"] for one in listed(run, "--topic", f"projects/mesh/topics/{VERIFY}-dead-letter")] == ["2", "3"]
    assert [one["id"] for one in listed(run, "--cluster", "eu-2")] == ["2"]
    assert [one["id"] for one in listed(run, "--cluster", EU1)] == ["1"]
    assert [one["id"] for one in listed(run, "--topic", INSTALL, "--topic", VERIFY)] == ["1", "2", "3"]


def test_what_is_not_all_is_said(run: Run, puller: MemoryPuller) -> None:
    fill(puller)
    del puller.there[subscription("cluster-events")]
    result = run("list", "--limit", "1")
    assert result.exit_code == 0
    assert "cluster-events-dead-letter has no subscription" in result.stderr
    assert "raise --limit" in result.stderr


def test_a_letter_is_shown_with_its_last_error(run: Run, puller: MemoryPuller) -> None:
    fill(puller)
    result = run("show", "1")
    assert result.exit_code == 0
    for words in (
        EU1,
        "linkerd",
        "repair",
        "after 5 deliveries",
        "UNAVAILABLE: [try] again",
        '"attempt": 2',
        "waits=2",
    ):
        assert words in result.stdout
    shown = json.loads(run("show", "1", "-o", "json").stdout)
    assert (shown["body"], shown["attributes"]) == (REQUEST, {"waits": "2"})
    assert shown["last_error"]["message"] == "UNAVAILABLE: [try] again"
    assert not any(puller.held.values())


def test_poison_is_shown_as_it_is(run: Run, puller: MemoryPuller) -> None:
    fill(puller)
    result = run("show", "3")
    assert result.exit_code == 0
    assert "poison (it is no JSON" in result.stdout
    assert "no [json] here" in result.stdout
    assert "none in the log" in result.stdout


def test_a_log_that_cannot_be_read_hides_no_letter(run: Run, puller: MemoryPuller, monkeypatch: Any) -> None:
    fill(puller)
    broken = MemoryLog(Temporary("IamNotReady", "PERMISSION_DENIED"), [])
    monkeypatch.setattr(shared.cloud_logging, "cloud_logging", lambda: broken)
    result = run("show", "1")
    assert result.exit_code == 0
    assert "unknown: IamNotReady" in result.stdout
    shown = json.loads(run("show", "1", "-o", "json").stdout)
    assert (shown["last_error"], shown["log_unread"]) == (None, "IamNotReady: PERMISSION_DENIED")
    assert "the log wasn't asked" in run("show", "1", "--no-log").stdout


@pytest.mark.parametrize("command", ["show", "replay", "drop"])
def test_a_letter_that_is_not_there_is_said(run: Run, puller: MemoryPuller, command: str) -> None:
    fill(puller)
    result = run(command, "77")
    assert result.exit_code == 1
    assert "no dead letter 77" in result.stderr
    assert sum(map(len, puller.there.values())) == 3
    assert not any(puller.held.values())


@pytest.mark.parametrize("command", ["replay", "drop"])
def test_letters_must_be_chosen(run: Run, puller: MemoryPuller, command: str) -> None:
    fill(puller)
    for arguments in ((), ("1", "--all")):
        result = run(command, *arguments)
        assert result.exit_code == 2
        assert "--all" in result.stderr
    assert sum(map(len, puller.there.values())) == 3


def test_letters_are_replayed_by_id(run: Run, puller: MemoryPuller, publisher: MemoryPublisher) -> None:
    fill(puller)
    result = run("replay", "2", "1", "2")
    assert result.exit_code == 0
    assert "replayed 2 dead letters" in result.stdout
    assert [topic for topic, _, _ in publisher.published] == [
        f"projects/mesh/topics/{VERIFY}",
        f"projects/mesh/topics/{INSTALL}",
    ]
    first_seen = dt.datetime.fromisoformat(publisher.published[1][2].pop("first_seen"))
    assert first_seen.tzinfo is not None
    assert publisher.published[1][2] == {}
    assert [one["id"] for one in listed(run)] == ["3"]


def test_all_letters_of_a_cluster_are_replayed(run: Run, puller: MemoryPuller, publisher: MemoryPublisher) -> None:
    fill(puller)
    result = run("replay", "--all", "--cluster", "eu-1", "-o", "json")
    assert json.loads(result.stdout) == [
        {"id": "1", "topic": INSTALL, "cluster": EU1, "message_id": "new-1", "error": ""}
    ]
    assert len(publisher.published) == 1
    assert [one["id"] for one in listed(run)] == ["2", "3"]


def test_a_letter_that_stays_is_said(run: Run, puller: MemoryPuller, publisher: MemoryPublisher) -> None:
    fill(puller)
    publisher.failing = {json.dumps(REQUEST).encode()}
    result = run("replay", "--all")
    assert result.exit_code == 1
    assert "stays: 1 of mesh-install: PublishUnconfirmed" in result.stderr
    assert [one["id"] for one in listed(run)] == ["1"]


def test_letters_are_dropped_after_a_yes(run: Run, puller: MemoryPuller, monkeypatch: Any) -> None:
    fill(puller)
    result = run("drop", "3")
    assert result.exit_code == 2
    assert "say --yes" in result.stderr
    monkeypatch.setattr(dlq, "_is_terminal", lambda: True)
    result = run("drop", "3", answer="n\n")
    assert result.exit_code == 1
    assert len(listed(run)) == 3
    assert run("drop", "3", "-o", "json").exit_code == 2
    result = run("drop", "3", answer="y\n")
    assert result.exit_code == 0
    assert "dropped 1 dead letter" in result.stdout
    assert [one["id"] for one in listed(run)] == ["1", "2"]
    assert run("drop", "--all", "--yes").exit_code == 0
    assert listed(run) == []


def test_a_project_must_be_named(monkeypatch: Any) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    result = CliRunner().invoke(app, ["dlq", "list"])
    assert result.exit_code == 2
    assert "--project" in result.stderr
