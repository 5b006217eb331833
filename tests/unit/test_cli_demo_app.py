"""`byomesh demo-app` in this process: what it installs, restarts, leaves and says, and how it ends."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from byomesh.cli import demo_app as command
from byomesh.cli.main import app
from shared import kube
from shared.mesh import alone, lease
from shared.mesh.ownership import MANAGED_BY
from tests.unit.doors import MemoryHelm
from tests.unit.memory_kube import Json, MemoryKube

NAMESPACE = "/api/v1/namespaces/emojivoto"
DEPLOYMENTS = "/apis/apps/v1/namespaces/emojivoto/deployments"
FOUR = ["emoji", "vote-bot", "voting", "web"]
NO_PROXY = "a new pod gets no proxy"


class Standing:
    """A cluster whose Deployments become ready, or don't, while the command sleeps."""

    def __init__(self) -> None:
        self.kube = MemoryKube()
        self.helm = MemoryHelm(self.kube)
        self.slept = 0.0
        self.why = ""
        self.proxies = True
        self.comes_up = True

    def run(self, *options: str) -> Result:
        result = CliRunner().invoke(app, ["demo-app", *options, "--kubeconfig", "/k"])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def json(self, *options: str, code: int = 0) -> Any:
        result = self.run(*options, "-o", "json")
        assert result.exit_code == code, result.stderr
        return json.loads(result.stdout)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        if NAMESPACE in self.kube.objects and self.comes_up:
            for name in FOUR:
                self.deploy(name)

    def deploy(self, name: str) -> None:
        """The Deployment is there; its pod is new, and has a proxy where it gets one."""
        there = self.kube.objects.get(f"{DEPLOYMENTS}/{name}", {"metadata": {}, "spec": {}})
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), 1)
        spec = {**there["spec"], "replicas": 1, "selector": {"matchLabels": {"app": name}}}
        metadata = {"annotations": {"meta.helm.sh/release-name": "emojivoto"}}
        self.kube.put(f"{DEPLOYMENTS}/{name}", {"metadata": metadata, "spec": spec, "status": counts})
        containers: list[Json] = [{"name": name}, *([{"name": "linkerd-proxy"}] if self.proxies else [])]
        metadata = {"labels": {"app": name}, "ownerReferences": [{"kind": "ReplicaSet"}]}  # type: ignore[dict-item]
        self.kube.put(f"{NAMESPACE}/pods/{name}-1", {"metadata": metadata, "spec": {"containers": containers}})


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> Standing:
    made = Standing()
    monkeypatch.setattr(kube, "from_kubeconfig", lambda _path: made.kube)
    monkeypatch.setattr(command, "helm_for", lambda *_: made.helm)
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: made.slept, sleep=made.sleep))
    monkeypatch.setattr(alone, "restart_hooks", lambda _: SimpleNamespace(injected=lambda *_: made.why))
    return made


def test_it_is_installed_waited_for_and_a_second_time_nothing_is_written(standing: Standing) -> None:
    assert standing.json("status", code=3) == {
        "installed": False,
        "ready": False,
        "message": "byomesh has not installed it",
    }
    found = standing.json("install")
    assert (found["message"], found["restarted"]) == ("4 of 4 deployments ready, 4 meshed", [])
    assert standing.helm.runs == [("emojivoto", False)]
    metadata = standing.kube.objects[NAMESPACE]["metadata"]
    assert (metadata["labels"], metadata["annotations"]) == (MANAGED_BY, {"linkerd.io/inject": "enabled"})
    standing.kube.writes.clear()
    assert standing.json("install")["changed"] == []
    assert standing.run("status").stdout == "emojivoto: 4 of 4 deployments ready, 4 meshed\n"
    assert standing.kube.writes == []


def test_pods_without_proxies_are_restarted_once_where_an_injector_answers(standing: Standing) -> None:
    standing.proxies, standing.why = False, NO_PROXY
    plain = standing.json("install")
    assert (plain["ready"], plain["meshed"], plain["injector_answers"], plain["restarted"]) == (True, 0, False, [])
    assert plain["message"].endswith("only the namespace's annotation is verified (a new pod gets no proxy)")
    standing.proxies, standing.why = True, ""
    result = standing.run("install")
    assert result.exit_code == 0
    assert result.stdout.count("whose pods had no proxy") == len(FOUR)


def test_what_a_restart_does_not_mesh_is_an_error_and_not_restarted_for_ever(standing: Standing) -> None:
    standing.proxies = False
    assert standing.json("install", code=1)["restarted"] == FOUR
    assert standing.json("install", code=1)["restarted"] == []


def test_deployments_that_do_not_come_up_are_an_error(standing: Standing) -> None:
    standing.comes_up = False
    found = standing.json("install", "--timeout", "2", code=1)
    assert found["message"].endswith("waits for Deployment emoji, which isn't there")
    assert standing.json("status", code=3)["ready"] is False


def test_it_is_removed_with_its_namespace(standing: Standing) -> None:
    standing.run("install")
    assert standing.json("remove") == {"done": True, "kept": [], "message": "nothing of it is left"}
    assert NAMESPACE not in standing.kube.objects
    assert standing.run("remove").exit_code == 0
    assert standing.helm.removed == [("emojivoto", "emojivoto")]


def test_things_of_others_stay_and_are_named(standing: Standing) -> None:
    standing.run("install")
    standing.kube.put(f"{NAMESPACE}/configmaps/mine", {})
    result = standing.run("remove")
    assert (result.exit_code, NAMESPACE in standing.kube.objects) == (0, True)
    assert "is kept, for it holds things of others: ConfigMap emojivoto/mine" in result.stdout


def test_a_namespace_that_does_not_go_is_an_error(standing: Standing) -> None:
    standing.run("install")
    stays = standing.kube.delete
    standing.kube.delete = lambda path, **more: path == NAMESPACE or stays(path, **more)  # type: ignore[method-assign]
    standing.comes_up = False
    result = standing.run("remove", "--timeout", "1")
    assert result.exit_code == 1
    assert "after 1 s the namespace emojivoto is still on its way out" in result.stderr


@pytest.mark.parametrize("word", ["install", "remove"])
def test_what_others_installed_is_refused(standing: Standing, word: str) -> None:
    standing.kube.put(NAMESPACE, {})
    standing.kube.put(f"{DEPLOYMENTS}/emoji", {"metadata": {"managedFields": [{"manager": "kubectl"}]}})
    standing.kube.writes.clear()
    assert "byomesh didn't install emojivoto (of kubectl)" in standing.json(word, code=4)["refused"]
    assert "refused:" in standing.run(word).stderr
    assert standing.kube.writes == []


def test_a_lease_of_another_is_not_taken(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "take", lambda *_: lease.HeldBy("install_mesh r", 60))
    result = standing.run("install")
    assert (result.exit_code, standing.helm.runs) == (1, [])
    assert "LeaseHeld: install_mesh r works on the cluster" in result.stderr


def test_a_deployment_that_went_or_changed_is_left(standing: Standing) -> None:
    standing.proxies, standing.why = False, NO_PROXY
    standing.run("install")
    standing.why = ""
    path = f"{DEPLOYMENTS}/emoji"
    standing.kube.answers["PATCH", path] = (409, {"reason": "Conflict", "message": "modified"})
    assert standing.run("install", "--timeout", "1").exit_code == 1
    standing.kube.objects.pop(path)
    assert standing.run("install", "--timeout", "0").exit_code == 1
