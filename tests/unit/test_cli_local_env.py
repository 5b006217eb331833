"""`byomesh local env` in this process."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from typer.testing import CliRunner

from byomesh.cli import local
from byomesh.cli.main import app
from byomesh.local.client import LocalCloudError

VARIABLES = {"GOOGLE_CLOUD_PROJECT": "demo-project", "ODD": "it's $HOME; two words"}


class _Cloud:
    """The local cloud's own API, as far as it is asked here."""

    def call(self, method: str, path: str, *, query: dict[str, str] | None = None) -> dict[str, Any]:
        assert (method, path) == ("GET", "/environment")
        return {"environment": {**VARIABLES, **({"AS": query["as"]} if query else {})}}


def test_a_shell_reads_back_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_client", _Cloud)
    result = CliRunner().invoke(app, ["local", "env"])
    assert result.exit_code == 0
    words = [shlex.split(line) for line in result.stdout.splitlines()]
    assert words == [["export", f"{name}={value}"] for name, value in VARIABLES.items()]


def test_a_program_reads_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_client", _Cloud)
    result = CliRunner().invoke(app, ["local", "env", "-o", "json"])
    assert (result.exit_code, json.loads(result.stdout)) == (0, VARIABLES)


def test_without_a_local_cloud_nothing_is_printed_to_be_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_is_up() -> _Cloud:
        raise LocalCloudError("no local cloud is up")

    monkeypatch.setattr(local, "_client", none_is_up)
    result = CliRunner().invoke(app, ["local", "env"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no local cloud is up" in result.stderr


def test_somebody_else_has_an_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_client", _Cloud)
    result = CliRunner().invoke(app, ["local", "env", "--as", "alice@example.com", "-o", "json"])
    assert json.loads(result.stdout)["AS"] == "alice@example.com"
