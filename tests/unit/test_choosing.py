"""Which chart each release gets where its version is kept, and where an older chart would lose kinds."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.config import Settings
from shared.mesh.choosing import NO_CHART
from shared.mesh.engine import Mesh
from shared.mesh.plan import Kind, RunHelm
from shared.mesh.profile import load_profile
from shared.mesh.versions import FailedUpgrade, Wish
from tests.unit.doors import CHARTS, MemoryHelm, MemoryStore, autopilot, clock, release_secret
from tests.unit.memory_kube import MemoryKube

PROFILE = load_profile("linkerd")
CRDS, CONTROL = (release.name for release in PROFILE.releases)
LINKERD = "/api/v1/namespaces/linkerd"
LABELS = {**PROFILE.namespace.labels, "app.kubernetes.io/managed-by": "byomesh"}


class Repository(MemoryHelm):
    """Helm with a repository that has every version."""

    def __init__(self, kube: MemoryKube) -> None:
        super().__init__(kube)
        self.pulled: list[tuple[str, str]] = []

    def pull(self, chart: str, version: str, repository: str, digest: str, into: Path) -> Path:
        assert repository == PROFILE.repository
        assert not digest
        self.pulled.append((chart, version))
        folder = into / chart
        shutil.copytree(CHARTS / chart, folder)
        text = (folder / "Chart.yaml").read_text()
        (folder / "Chart.yaml").write_text(
            text.replace("2026.6.3", version).replace("edge-26.6.3", f"edge-{version[2:]}")
        )
        return Path(shutil.make_archive(str(into / f"{chart}-{version}"), "gztar", into, chart))

    def template(
        self, chart: Path, values: Mapping[str, Any], namespace: str, name: str, *, kube_version: str = ""
    ) -> str:
        assert chart.name.startswith(name)
        return super().template(Path(name), values, namespace, name, kube_version=kube_version)


def deployed(kube: MemoryKube, name: str, version: str, *manifest: dict[str, Any], **values: Any) -> None:
    chart = {"name": name, "version": version, "appVersion": f"edge-{version[2:]}"}
    text = yaml.safe_dump_all(manifest)
    record = release_secret(name, 1, "deployed", chart=chart, values=values, manifest=text)
    kube.put(f"{LINKERD}/secrets/{record['metadata']['name']}", record)


@pytest.fixture
def kube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryKube:
    """A cluster on which a newer version than the profile's runs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = MemoryKube({LINKERD: {"metadata": {"labels": LABELS}}})
    deployed(found, CRDS, "2026.8.1")
    deployed(found, CONTROL, "2026.8.1")
    return found


def mesh(kube: MemoryKube, charts: str = "") -> tuple[Mesh, Repository]:
    helm = Repository(kube)
    return Mesh(PROFILE, autopilot(), kube, helm, Settings(charts=charts), MemoryStore(), clock), helm


def test_a_newer_version_than_the_profiles_stays_and_gets_its_own_charts(kube: MemoryKube) -> None:
    found, helm = mesh(kube)
    plan = found.plan()
    assert plan.notes[0].startswith("chart 2026.8.1 runs, which is newer than the 2026.6.3 of the profile")
    assert found.version == "edge-26.8.1"
    assert helm.pulled[2:] == [(CRDS, "2026.8.1"), (CONTROL, "2026.8.1")]
    runs = [step for step in plan.steps if isinstance(step, RunHelm)]
    assert [(run.release.chart.version, "values differ" in run.why) for run in runs] == [("2026.8.1", True)] * 2


def test_a_request_that_names_an_older_version_is_followed(kube: MemoryKube) -> None:
    found, _ = mesh(kube)
    plan = found.plan("edge-26.6.3", request=Wish(version="edge-26.6.3"))
    assert (plan.kind, found.version, plan.notes) == (Kind.UPGRADE, "edge-26.6.3", ())


def test_kinds_stay_where_an_older_chart_would_lose_them(kube: MemoryKube) -> None:
    novelty = {"kind": "CustomResourceDefinition", "metadata": {"name": "novelties.x"}, "spec": {"versions": []}}
    deployed(kube, CRDS, "2026.8.1", {"apiVersion": "apiextensions.k8s.io/v1", **novelty})
    kube.put("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/novelties.x", novelty)
    found, _ = mesh(kube)
    plan = found.plan("edge-26.6.3", request=Wish(version="edge-26.6.3"))
    (note,) = plan.notes
    assert (
        note == "release linkerd-crds stays at 2026.8.1, for going back would lose novelties.x and every object of it"
    )
    crds, control = found.desired.releases
    assert (crds.chart.path, control.chart.version) == (NO_CHART, "2026.6.3")
    assert [step.release.name for step in plan.steps if isinstance(step, RunHelm)] == [CONTROL]


def test_a_folder_that_holds_another_chart_holds_the_release_and_its_certificates(kube: MemoryKube) -> None:
    failed, _ = mesh(kube, str(CHARTS))
    failed.plan()
    past = FailedUpgrade(version="edge-26.6.3", charts=failed.charts, from_version="edge-26.8.1", cause="it broke")
    found, helm = mesh(kube, str(CHARTS))
    plan = found.plan(failed=past)
    assert (helm.pulled, found.desired.secrets) == ([], ())
    assert {release.chart.path for release in found.desired.releases} == {NO_CHART}
    assert not [step for step in plan.steps if isinstance(step, RunHelm)]
    assert "wait for its chart 2026.8.1 to be at hand" in json.dumps(plan.notes)
