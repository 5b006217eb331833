"""`byomesh local up` in this process: what the daemon is told of the policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from byomesh.cli import local
from byomesh.cli.main import app
from byomesh.local.home import Home


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The arguments that the daemon is started with."""
    found: list[str] = []

    def start(_home: Home, arguments: list[str], _say: Callable[[str], None]) -> None:
        found.extend(arguments)

    monkeypatch.setenv("BYOMESH_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(local, "start", start)
    monkeypatch.setattr(local, "build_with_display", lambda _console: None)
    return found


def up(*options: str) -> Result:
    return CliRunner().invoke(app, ["local", "up", *options])


def test_a_policys_file_is_named_to_the_functions(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy.yaml").write_text("schema: 1\nrules: []\n")
    monkeypatch.chdir(tmp_path)
    assert up("--policy", "policy.yaml", "--setting", "BYOMESH_HELM_TIMEOUT=30").exit_code == 0
    settings = [told[at + 1] for at, one in enumerate(told) if one == "--setting"]
    assert settings == ["BYOMESH_HELM_TIMEOUT=30", f"BYOMESH_POLICY={tmp_path}/policy.yaml"]


def test_a_policy_that_cannot_be_used_starts_nothing(told: list[str], tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("rules: []\n")
    result = up("--policy", str(file))
    assert (result.exit_code, told) == (1, [])
    assert f"{file}:1:1: the policy doesn't say its schema" in result.stderr


def test_without_one_the_built_in_policy_holds(told: list[str]) -> None:
    assert up().exit_code == 0
    assert "--setting" not in told
