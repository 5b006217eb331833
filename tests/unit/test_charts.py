"""Charts in the operator's folder, and archives that are fetched once."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from shared.errors import Permanent, Temporary
from shared.mesh.charts import Chart, chart_in_folder, chart_values, digest, kept_archive, read_chart
from shared.mesh.profile import load_profile
from tests.unit.doors import CHARTS

PROFILE = load_profile("linkerd")
CRDS = PROFILE.releases[0]
TEXT = "apiVersion: v2\nname: linkerd-crds\nversion: 2026.6.3\nappVersion: edge-26.6.3\n"


def unpacked(folder: Path, text: str = TEXT) -> Path:
    folder.mkdir(parents=True)
    (folder / "Chart.yaml").write_text(text)
    (folder / "templates").mkdir()
    (folder / "templates" / "a.yaml").write_text("kind: ConfigMap\n")
    return folder


def archive(path: Path, files: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as into:
        for name, text in (files or {"linkerd-crds/Chart.yaml": TEXT}).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            into.addfile(entry, io.BytesIO(text.encode()))
    return path


FOUND = {
    "unpacked under the mesh": lambda folder: unpacked(folder / "linkerd" / "linkerd-crds"),
    "unpacked": lambda folder: unpacked(folder / "linkerd-crds"),
    "archive under the mesh": lambda folder: archive(folder / "linkerd" / "linkerd-crds-2026.6.3.tgz"),
    "archive": lambda folder: archive(folder / "linkerd-crds-v1.tgz"),
}


@pytest.mark.parametrize("case", FOUND)
def test_a_chart_is_found_in_the_folder(case: str, tmp_path: Path) -> None:
    path = FOUND[case](tmp_path)
    found = chart_in_folder(tmp_path, PROFILE, CRDS)
    assert found == Chart(path, "linkerd-crds", "2026.6.3", "edge-26.6.3", digest(path))


def test_the_meshs_own_folder_comes_first_and_what_is_unpacked_before_archives(tmp_path: Path) -> None:
    makers: list[Callable[[Path], Path]] = list(FOUND.values())
    paths = [make(tmp_path) for make in reversed(makers)]
    assert chart_in_folder(tmp_path, PROFILE, CRDS).path == paths[-1]


def test_two_archives_are_one_too_many(tmp_path: Path) -> None:
    for version in ("1", "2"):
        archive(tmp_path / f"linkerd-crds-{version}.tgz")
    with pytest.raises(Permanent, match="holds 2 archives of the chart linkerd-crds"):
        chart_in_folder(tmp_path, PROFILE, CRDS)


def test_a_chart_of_a_longer_name_is_another(tmp_path: Path) -> None:
    archive(tmp_path / "linkerd-crds-extra-1.tgz")
    unpacked(tmp_path / "linkerd" / "linkerd-control-plane")
    with pytest.raises(Permanent, match="holds no chart linkerd-crds") as raised:
        chart_in_folder(tmp_path, PROFILE, CRDS)
    assert raised.value.reason == "ChartNotFound"


def test_a_chart_without_an_app_version_has_none(tmp_path: Path) -> None:
    assert read_chart(unpacked(tmp_path / "c", "name: c\nversion: 1.5\n")).app_version == ""


def cut(path: Path) -> None:
    whole = archive(path, {"c/values.yaml": "x" * 4_000, "c/Chart.yaml": TEXT}).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


NO_CHARTS: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path,
    "empty folder": lambda path: path.mkdir(),
    "no mapping": lambda path: unpacked(path, "- name"),
    "empty": lambda path: unpacked(path, ""),
    "no YAML": lambda path: unpacked(path, "{"),
    "no version": lambda path: unpacked(path, "name: c\n"),
    "text": lambda path: path.write_text("chart"),
    "no Chart.yaml": lambda path: archive(path, {"c/values.yaml": "", "c/charts/d/Chart.yaml": TEXT}),
    "half an archive": cut,
}


@pytest.mark.parametrize("case", NO_CHARTS)
def test_what_is_no_chart_is_permanent(case: str, tmp_path: Path) -> None:
    path = tmp_path / "c"
    NO_CHARTS[case](path)
    with pytest.raises(Permanent, match=f"{path} is no Helm chart: .") as raised:
        read_chart(path)
    assert raised.value.reason == "NoChart"


def test_an_archives_digest_is_its_own(tmp_path: Path) -> None:
    path = archive(tmp_path / "c.tgz")
    assert read_chart(path).digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_folders_digest_is_that_of_names_and_contents(tmp_path: Path) -> None:
    one, same, renamed, edited = (unpacked(tmp_path / name) for name in "abcd")
    (renamed / "templates" / "a.yaml").rename(renamed / "templates" / "b.yaml")
    (edited / "templates" / "a.yaml").write_text("kind: ConfigMaq\n")
    assert digest(one) == digest(same)
    assert len({digest(path) for path in (one, renamed, edited)}) == 3


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_an_archive_is_fetched_once_into_a_folder_of_our_own(kept: Path) -> None:
    fetched: list[Path] = []

    def fetch(folder: Path) -> Path:
        fetched.append(folder)
        return archive(folder / "linkerd-crds-2026.6.3.tgz")

    first = kept_archive("linkerd-crds", "2026.6.3", fetch)
    assert kept_archive("linkerd-crds", "2026.6.3", fetch) == first
    assert len(fetched) == 1
    assert read_chart(first).version == "2026.6.3"
    assert first.parent.parent == kept
    assert first.parent.stat().st_mode & 0o077 == 0
    assert list(first.parent.iterdir()) == [first]


def test_a_fetch_that_was_cut_off_leaves_nothing_to_be_taken_for_whole(kept: Path) -> None:
    def fail(folder: Path) -> Path:
        (folder / "linkerd-crds-2026.6.3.tgz").write_bytes(b"half")
        raise Temporary("HelmKilled", "cut off")

    with pytest.raises(Temporary):
        kept_archive("linkerd-crds", "2026.6.3", fail)
    assert [path for path in kept.rglob("*") if path.is_file()] == []
    again = kept_archive("linkerd-crds", "2026.6.3", lambda folder: archive(folder / "a.tgz"))
    assert read_chart(again).name == "linkerd-crds"


def test_another_version_is_another_archive(kept: Path) -> None:
    paths = {kept_archive("c", version, lambda folder: archive(folder / "a.tgz")) for version in ("1", "2")}
    assert sorted(path.name for path in paths) == ["c-1.tgz", "c-2.tgz"]
    assert {path.parent.parent for path in paths} == {kept}


def test_a_chart_is_data() -> None:
    assert msgspec.structs.asdict(Chart(Path("p"), "n", "v", "a", "d"))["digest"] == "d"


def test_a_charts_values_are_read_from_a_folder_and_from_an_archive(tmp_path: Path) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "x-1"), "gztar", CHARTS, "linkerd-control-plane"))
    for path in (CHARTS / "linkerd-control-plane", packed):
        assert chart_values(path)["controllerImage"] == "cr.l5d.io/linkerd/controller"


@pytest.mark.parametrize(("text", "expected"), [("", {}), ("a: 1\n", {"a": 1}), ("- 1\n", {})])
def test_values_that_are_no_map_are_none(tmp_path: Path, text: str, expected: dict[str, object]) -> None:
    (tmp_path / "values.yaml").write_text(text)
    assert chart_values(tmp_path) == expected


def test_values_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("a: [")
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(Permanent, match="NoChart"):
            chart_values(path)
