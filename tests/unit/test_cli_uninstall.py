"""`byomesh uninstall` in this process: what it asks, shows, and ends with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from byomesh.cli import target
from byomesh.cli import uninstall as command
from byomesh.cli.main import app
from shared import gke, kube
from shared.mesh import lease
from tests.unit.doors import EU1, MemoryGke, MemoryHelm, autopilot
from tests.unit.test_uninstall import LINKERD, WEB, WHOLE, Cluster, pod

Run = Callable[..., Result]


class Standing:
    """A cluster, and how the command comes to it."""

    def __init__(self) -> None:
        self.kube = Cluster()
        self.helm = MemoryHelm(self.kube)
        self.slept = 0.0

    def run(self, *options: str, typed: str = "") -> Result:
        result = CliRunner().invoke(app, ["uninstall", "--kubeconfig", "/k", *options], input=typed)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def json(self, *options: str, code: int = 0) -> Any:
        result = self.run(*options, "-o", "json")
        assert result.exit_code == code, result.stderr
        return json.loads(result.stdout)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> Standing:
    made = Standing()
    monkeypatch.setattr(kube, "from_kubeconfig", lambda _path: made.kube)
    monkeypatch.setattr(command, "helm_for", lambda *_: made.helm)
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: made.slept, sleep=made.sleep))
    return made


def test_a_dry_run_shows_everything_and_removes_nothing(standing: Standing) -> None:
    result = standing.run("--dry-run")
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    assert lines[:2] == ["would remove Helm release linkerd-viz in linkerd-viz", "would remove namespace linkerd-viz"]
    assert lines[-1] == "allow-net-admin is a setting of the GKE cluster and stays as it is"
    assert standing.json("--dry-run", code=3)["would_remove"] == [str(step) for step in WHOLE]
    assert standing.kube.writes == []


def test_without_a_terminal_it_wants_to_be_told_yes(standing: Standing) -> None:
    assert standing.run().exit_code == 2
    assert standing.run("-o", "json").exit_code == 2
    assert standing.kube.writes == []


@pytest.mark.parametrize(("typed", "code", "removed"), [("y\n", 0, True), ("n\n", 1, False)])
def test_on_a_terminal_it_asks(
    standing: Standing, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, *, removed: bool
) -> None:
    monkeypatch.setattr(command, "_is_terminal", lambda: True)
    assert standing.run(typed=typed).exit_code == code
    assert (LINKERD not in standing.kube.objects) is removed


def test_it_removes_and_a_second_time_there_is_nothing_to_do(standing: Standing) -> None:
    found = standing.json("--yes")
    assert (found["done"], found["removed"], found["kept"]) == (True, [str(step) for step in WHOLE], [])
    again = standing.run("--yes")
    assert (again.exit_code, again.stdout.splitlines()[0]) == (0, "nothing to remove")


def test_what_is_refused_says_so_and_names_the_workloads(standing: Standing) -> None:
    standing.kube.put(WEB, pod())
    result = standing.run("--yes")
    assert result.exit_code == 4
    assert "refused: 1 workloads still run with the mesh's proxy" in result.stderr
    assert standing.json("--yes", code=4)["meshed"] == ["shop/web-abc-1"]
    shown = standing.run("--dry-run", "--force")
    assert (shown.exit_code, shown.stdout.splitlines()[0]) == (3, "! shop/web-abc-1 runs with the mesh's proxy")


def test_kinds_and_their_objects_go_where_that_is_said(standing: Standing) -> None:
    standing.kube.server("shop")
    kept = standing.run("--dry-run")
    assert "kept release linkerd-crds and the namespace linkerd that records it" in kept.stdout
    gone = standing.run("--dry-run", "--with-crds")
    assert "would remove 1 objects of servers.policy.linkerd.io with their definition" in gone.stdout


def test_a_lease_of_another_is_not_taken(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "take", lambda *_: lease.HeldBy("install_mesh r", 60))
    result = standing.run("--yes")
    assert result.exit_code == 1
    assert "LeaseHeld: install_mesh r works on the cluster" in result.stderr


def test_namespaces_that_do_not_go_are_an_error(standing: Standing) -> None:
    stays = standing.kube.delete
    standing.kube.delete = lambda path, **more: path == LINKERD or stays(path, **more)  # type: ignore[method-assign]
    result = standing.run("--yes", "--timeout", "1")
    assert result.exit_code == 1
    assert "after 1 s still on the way out: linkerd" in result.stderr


def test_helm_is_made_for_the_cluster_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(target, "helm_program", lambda wished: wished)
    assert target.helm_for(tmp_path / "k", "", "", "")._access == tmp_path / "k"
    monkeypatch.setattr(gke, "gke", lambda: MemoryGke(autopilot()))
    monkeypatch.setattr(kube, "default_token", lambda: lambda: "the token")
    made = target.helm_for(None, str(EU1), "", "")
    assert callable(made._access)
    assert b"the token" in made._access()
    assert made._cluster == str(EU1)
