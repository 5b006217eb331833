"""Upgrades one after another on one cluster, good and bad, by charts that change in the operator's folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from byomesh.demo.inventory import changes, resource_versions
from tests.e2e import charts_folder
from tests.e2e.charts_folder import CONTROL_PLANE, CRDS
from tests.e2e.cloud import PATIENCE, Cloud, cloud

GOOD, OLD = "edge-26.8.1", "edge-26.6.3"
CUSTOM = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NOVELTY = f"{CUSTOM}/novelties.policy.linkerd.io"
BAD: dict[str, tuple[str, tuple[Callable[[Path], object], ...], str]] = {
    "pods denied": ("2026.9.1", (charts_folder.denied_by_warden,), "hostNetwork"),
    "checks fail": ("2026.9.2", (charts_folder.without_heartbeat,), "ServiceAccount"),
    "Helm fails": ("2026.9.3", (charts_folder.with_a_bad_object,), "99999999"),
    "Helm fails, after kinds came": (
        "2026.9.4",
        (charts_folder.with_a_bad_object, charts_folder.with_another_kind),
        "99999999",
    ),
}


class Upgraded:
    """A cluster that is upgraded."""

    def __init__(self, made: Cloud, charts: Path) -> None:
        self.cloud = made
        self.charts = charts
        self.name = ""

    def ask(self, **fields: Any) -> dict[str, Any]:
        """Ask for the mesh, and wait for the last word on it; returns that status."""
        request = self.cloud.publish("mesh-install", {"cluster": self.name, "mesh": "linkerd", **fields})

        def last_word() -> dict[str, Any] | None:
            said = self.cloud.statuses(self.name, request_id=request)
            return next((one for one in said if one["phase"] in ("Ready", "Failed", "Refused", "Stuck")), None)

        found = self.cloud.until(last_word, f"the end of {request}", seconds=PATIENCE)
        assert found is not None
        return found

    def versions(self) -> dict[str, str]:
        """What `byomesh-status` says, and the statuses of the newest revisions."""
        with self.cloud.kube(self.name) as api:
            path = "/api/v1/namespaces/byomesh-system/configmaps/byomesh-status"
            return dict((api.get(path) or {})["data"])

    def newest(self) -> dict[str, str]:
        revisions = self.cloud.revisions(self.name)
        return {release: revisions[release, number] for release, number in sorted(revisions)}


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    """A local cloud with one cluster that has a mesh."""
    charts = tmp_path_factory.mktemp("charts")
    charts_folder.of_version(charts, "2026.6.3")
    with cloud() as made:
        ran = made.run("local", "up", "--pace", "20", BYOMESH_CHARTS=str(charts))
        assert ran.code == 0, ran.err
        found = Upgraded(made, charts)
        found.name = made.create("upgraded")
        assert made.ready(found.name)["version"] == OLD
        yield found


def test_a_good_version_is_upgraded_to_and_a_rerun_writes_nothing(upgraded: Upgraded) -> None:
    assert charts_folder.of_version(upgraded.charts, "2026.8.1") == GOOD
    status = upgraded.ask()
    assert (status["reason"], status["version"], status["checks"]["failed"]) == ("ChecksPassed", GOOD, 0)
    assert upgraded.cloud.revisions(upgraded.name) == {
        (CRDS, 1): "superseded",
        (CRDS, 2): "deployed",
        (CONTROL_PLANE, 1): "superseded",
        (CONTROL_PLANE, 2): "deployed",
    }
    quiet(upgraded)


def quiet(upgraded: Upgraded) -> dict[str, Any]:
    """A bare rerun, which must write nothing; returns its status."""
    with upgraded.cloud.kube(upgraded.name) as api:
        before = resource_versions(api)
        status = upgraded.ask()
        assert changes(before, resource_versions(api)) == []
    return status


@pytest.mark.parametrize("case", BAD)
def test_a_bad_version_is_rolled_back_and_a_rerun_does_not_try_it_again(upgraded: Upgraded, case: str) -> None:
    version, breaks, cause = BAD[case]
    bad = charts_folder.of_version(upgraded.charts, version, *breaks)
    status = upgraded.ask()
    assert (status["phase"], status["reason"], status["version"]) == ("Ready", "RolledBack", GOOD)
    assert f"the upgrade from {GOOD} to {bad} was rolled back, because: " in status["message"]
    assert cause in status["message"]
    assert upgraded.newest() == {CRDS: "deployed", CONTROL_PLANE: "deployed"}
    assert upgraded.versions()["reason"] == "RolledBack"
    again = quiet(upgraded)
    assert (again["reason"], again["version"]) == ("RolledBack", GOOD)
    with upgraded.cloud.kube(upgraded.name) as api:
        assert (api.get(NOVELTY) is not None) is (charts_folder.with_another_kind in breaks)


def test_a_bad_version_is_tried_again_when_it_is_asked_for(upgraded: Upgraded) -> None:
    revision = max(number for release, number in upgraded.cloud.revisions(upgraded.name) if release == CONTROL_PLANE)
    status = upgraded.ask(version="edge-26.9.4")
    assert (status["reason"], status["version"]) == ("RolledBack", GOOD)
    assert (CONTROL_PLANE, revision + 2) in upgraded.cloud.revisions(upgraded.name)


def test_the_next_good_version_is_upgraded_to(upgraded: Upgraded) -> None:
    newest = charts_folder.of_version(upgraded.charts, "2026.9.5", charts_folder.with_another_kind)
    status = upgraded.ask()
    assert (status["reason"], status["version"]) == ("ChecksPassed", newest)
    quiet(upgraded)


def uninstall(upgraded: Upgraded, kubeconfig: Path, *options: str, code: int = 0) -> Any:
    ran = upgraded.cloud.run("uninstall", "--kubeconfig", str(kubeconfig), *options, "-o", "json")
    assert ran.code == code, ran.err
    return json.loads(ran.out)


def test_the_mesh_is_uninstalled_and_installed_again(upgraded: Upgraded, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    upgraded.cloud.local("kubeconfig", upgraded.name, "--file", str(kubeconfig))
    servers = "/apis/policy.linkerd.io/v1beta3/namespaces/default/servers"
    server = {"apiVersion": "policy.linkerd.io/v1beta3", "kind": "Server", "metadata": {"name": "s"}, "spec": {}}
    with upgraded.cloud.kube(upgraded.name) as api:
        api.create(servers, server)
        would = uninstall(upgraded, kubeconfig, "--dry-run", code=3)["would_remove"]
        assert "Helm release linkerd-control-plane in linkerd" in would
        assert api.get("/api/v1/namespaces/linkerd/configmaps/linkerd-config") is not None

        kept = uninstall(upgraded, kubeconfig, "--yes")
        assert (kept["removed"], kept["done"]) == (would, True)
        assert "1 servers.policy.linkerd.io" in kept["kept"][0]
        assert set(upgraded.newest()) == {CRDS}
        assert api.get(f"{servers}/s") is not None
        assert api.get("/api/v1/namespaces/byomesh-system") is None
        assert upgraded.ask()["reason"] == "ChecksPassed"

        uninstall(upgraded, kubeconfig, "--yes", "--with-crds")
        assert api.get("/api/v1/namespaces/linkerd") is None
        assert list(api.list_items(CUSTOM, label_selector="linkerd.io/control-plane-ns=linkerd")) == []
        assert uninstall(upgraded, kubeconfig, "--yes")["removed"] == []
    assert upgraded.ask()["reason"] == "ChecksPassed"
    assert upgraded.newest() == {CRDS: "deployed", CONTROL_PLANE: "deployed"}


def test_nothing_of_it_was_a_fault(upgraded: Upgraded) -> None:
    assert upgraded.cloud.json("events", "--dead-letters") == []
