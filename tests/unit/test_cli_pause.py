"""`byomesh pause` and `resume` of some clusters: the policy's text, in a file and in Cloud Storage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from byomesh.cli.main import app
from shared.cloud_storage import CloudStorage, ObjectName, StoredObject
from shared.policy import read_file

POLICY = "# ours\nschema: 1\nrules: [{name: all, mesh: linkerd}]\n"
SHOP = ("--project", "shop-*", "--label", "tier=dev")


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300", "BYOMESH_POLICY": None})
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "policy.yaml"
    found.write_text(POLICY)
    found.chmod(0o640)
    return found


def test_some_clusters_are_paused_and_resumed_in_the_policy(file: Path) -> None:
    arguments = (*SHOP, "--policy", str(file))
    shown = run("pause", *arguments, "--reason", "freeze", "--dry-run")
    assert '+  - {"reason": "freeze", "match": {"projects": ["shop-*"], "labels": {"tier": "dev"}}}' in shown.stdout
    assert file.read_text() == POLICY
    run("pause", *arguments, "--reason", "freeze")
    assert [one.reason for one in read_file(file).paused] == ["freeze"]
    assert file.stat().st_mode & 0o777 == 0o640
    assert "is as it should be" in run("pause", *arguments, "--reason", "freeze").stderr
    told = json.loads(run("resume", *arguments, "-o", "json").stdout)
    assert told["changed"]
    assert file.read_text() == POLICY
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    assert "no pause with this match" in run("resume", *arguments, code=1).stderr


def test_a_policy_in_cloud_storage_is_replaced_only_as_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, int]] = []
    answer: list[int | None] = [8]

    class Door(CloudStorage):
        def __init__(self, _: object) -> None:
            pass

        def read(self, name: ObjectName, limit: int, known: StoredObject | None = None) -> StoredObject | None:
            assert (limit, known) == (64 * 1024, None)
            return StoredObject(7, POLICY.encode()) if str(name).endswith("policy.yaml") else None

        def replace(self, name: ObjectName, text: str, if_generation_match: int) -> int | None:
            assert str(name) == "gs://mesh-policy/policy.yaml"
            written.append((text, if_generation_match))
            return answer[0]

    monkeypatch.setattr("shared.cloud_storage.CloudStorage", Door)
    run("pause", "--name", "eu-1", "--reason", "r", "--policy", "gs://mesh-policy/policy.yaml")
    ((text, generation),) = written
    assert (text.startswith(POLICY), generation) == (True, 7)
    answer[0] = None
    again = run("pause", "--name", "eu-1", "--reason", "r", "--policy", "gs://mesh-policy/policy.yaml", code=1)
    assert "PolicyChanged" in again.stderr
    assert "PolicyUnreadable" in run("resume", "--name", "a", "--policy", "gs://mesh-policy/other", code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["pause", "--name", "a", "--policy", "p"], 2, "--reason"),
        (["pause", "--name", "a", "--reason", "r"], 2, "--policy"),
        (["pause", "--reason", "r"], 2, "whole fleet"),
        (["resume", "--dry-run"], 2, "whole fleet"),
        (["pause", "--label", "a", "--reason", "r", "--policy", "p"], 2, "KEY=VALUE"),
        (["pause", "--name", "a", "--reason", "r", "--policy", "/nowhere/p"], 1, "PolicyUnreadable"),
    ],
)
def test_what_is_missing_is_told(arguments: list[str], code: int, words: str) -> None:
    assert words in run(*arguments, code=code).stderr
