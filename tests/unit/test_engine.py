"""The desired state: charts, values laid over one another, and what may be taken back."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import Settings
from shared.mesh.engine import Mesh
from shared.mesh.plan import Kind
from shared.mesh.profile import Profile, load_profile
from shared.mesh.values import merged
from tests.unit.doors import CHARTS, MemoryHelm, MemoryStore, autopilot, clock
from tests.unit.memory_kube import MemoryKube

PROFILE = load_profile("linkerd")
CONTROL_PLANE = "linkerd-control-plane"


def mesh(profile: Profile = PROFILE, charts: Path | None = CHARTS, helm: MemoryHelm | None = None) -> Mesh:
    kube = MemoryKube()
    settings = Settings(charts=str(charts) if charts else "")
    return Mesh(profile, autopilot(), kube, helm or MemoryHelm(kube), settings, MemoryStore(), clock)


def test_what_is_desired_comes_from_profile_cluster_and_fleet() -> None:
    found = mesh()
    assert found.plan().kind is Kind.INSTALL
    desired = found.desired
    assert (desired.namespace, desired.labels) == ("linkerd", PROFILE.namespace.labels)
    crds, control = desired.releases
    assert (crds.name, crds.values) == ("linkerd-crds", {"installGatewayAPI": False})
    assert control.values["proxy"] == {"resources": PROFILE.releases[1].values["proxy"]["resources"]}
    assert control.values["clusterNetworks"].endswith(",34.118.224.0/20")
    assert {secret["metadata"]["name"] for secret in desired.secrets} >= {"linkerd-identity-issuer"}
    ours = set(desired.ours)
    assert ("ConfigMap", "linkerd-config", "data.values") in ours
    assert ("MutatingWebhookConfiguration", "", "webhooks[*].namespaceSelector") in ours
    assert ("ValidatingWebhookConfiguration", "", "webhooks[*].namespaceSelector") in ours


def test_the_version_is_the_one_that_the_charts_tell(tmp_path: Path) -> None:
    shutil.copytree(CHARTS, tmp_path, dirs_exist_ok=True)
    chart = tmp_path / CONTROL_PLANE / "Chart.yaml"
    chart.write_text(chart.read_text().replace("edge-26.6.3", "edge-26.8.1"))
    found = mesh(charts=tmp_path)
    assert found.version == PROFILE.version
    found.plan()
    assert found.version == "edge-26.8.1"
    found.plan("edge-1.1.1")
    assert found.version == "edge-26.8.1"


def test_charts_that_tell_no_version_are_of_the_one_asked_for(tmp_path: Path) -> None:
    shutil.copytree(CHARTS, tmp_path, dirs_exist_ok=True)
    chart = tmp_path / CONTROL_PLANE / "Chart.yaml"
    chart.write_text("apiVersion: v2\nname: linkerd-control-plane\nversion: 1.0.0\n")
    for asked, version in (("edge-1.1.1", "edge-1.1.1"), (None, PROFILE.version)):
        found = mesh(charts=tmp_path)
        found.plan(asked)
        assert found.version == version


class Repository(MemoryHelm):
    """Helm with a repository whose archives are the stand-in charts."""

    def __init__(self) -> None:
        super().__init__(MemoryKube())
        self.pulled: list[tuple[str, str, str, str]] = []

    def pull(self, chart: str, version: str, repository: str, digest: str, into: Path) -> Path:
        self.pulled.append((chart, version, repository, digest))
        return Path(shutil.make_archive(str(into / f"{chart}-{version}"), "gztar", CHARTS, chart))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Repository()


def pinned(digest: str) -> Profile:
    releases = tuple(msgspec.structs.replace(release, digest=digest) for release in PROFILE.releases)
    return msgspec.structs.replace(PROFILE, releases=releases)


def test_pinned_charts_are_fetched_once_by_version_and_digest(repository: Repository) -> None:
    for _ in range(2):
        assert mesh(pinned("d1"), None, repository).plan().kind is Kind.INSTALL
    where = PROFILE.repository
    assert repository.pulled == [
        ("linkerd-crds", "2026.6.3", where, "d1"),
        (CONTROL_PLANE, "2026.6.3", where, "d1"),
    ]


@pytest.mark.parametrize(
    ("asked", "chart", "digest"),
    [("edge-26.6.3", "2026.6.3", "d1"), ("edge-26.7.2", "2026.7.2", ""), ("2026.8.1", "2026.8.1", "")],
)
def test_another_version_has_charts_of_its_own_without_the_digest(
    repository: Repository, asked: str, chart: str, digest: str
) -> None:
    mesh(pinned("d1"), None, repository).plan(asked)
    assert [(version, pinned) for _, version, _, pinned in repository.pulled] == [(chart, digest)] * 2


def test_one_mesh_looks_for_its_charts_once(repository: Repository) -> None:
    found = mesh(helm=repository, charts=None)
    found.plan()
    shutil.rmtree(found.desired.releases[0].chart.path.parent)
    found.plan()
    assert len(repository.pulled) == 2


MERGES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({}, {}, {}),
    ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
    ({"a": {"b": {"c": 1}}}, {"a": {"b": {"d": 2}}}, {"a": {"b": {"c": 1, "d": 2}}}),
    ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
    ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
    ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
    ({"a": (1, 2)}, {}, {"a": [1, 2]}),
]


@pytest.mark.parametrize(("base", "over", "result"), MERGES)
def test_values_are_merged_key_by_key_as_plain_json(
    base: dict[str, Any], over: dict[str, Any], result: dict[str, Any]
) -> None:
    found = merged(base, over)
    assert found == result
    assert msgspec.json.decode(msgspec.json.encode(found)) == found


VALUES = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
MAPS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(MAPS, MAPS)
def test_what_is_laid_over_wins_and_twice_is_once(base: dict[str, Any], over: dict[str, Any]) -> None:
    once = merged(base, over)
    assert merged(once, over) == once
    assert merged(base, {}) == base
    assert merged({}, over) == over
    assert once.keys() == base.keys() | over.keys()
