"""Where a release's chart comes from: this project, a folder given by the operator, or the mesh's own repository.

A folder (`BYOMESH_CHARTS`) is trusted as it is, whatever its version: looked up as MESH/CHART, then CHART, unpacked or
as an archive. From a repository exactly the pinned version is fetched, held against the pinned digest, and kept for the
life of the instance.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib.resources
import io
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from shared import bounded_yaml
from shared.errors import Permanent, shorten
from shared.mesh.profile import Profile, ReleaseProfile

MAX_UNPACKED = 32 * 1024 * 1024
MAX_FILE = 5 * 1024 * 1024
"""Bytes of an archive's contents, and of a file that is read of it; Helm itself takes 100 MiB and 5 MiB (helm
pkg/chart/loader/archive/archive.go)."""

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,127}")
_NO_CHART = (OSError, EOFError, ValueError, zlib.error, tarfile.TarError, yaml.YAMLError)
"""What reading something else than a chart ends in."""


class Chart(msgspec.Struct, frozen=True):
    """A chart that lies on this machine.

    Attributes:
        path: a folder or an archive, as Helm takes it.
        name: from its Chart.yaml.
        version: from its Chart.yaml.
        app_version: from its Chart.yaml.
        digest: sha256 (hex) of the archive, or of the folder's file names and contents.
    """

    path: Path
    name: str
    version: str
    app_version: str
    digest: str


def chart_in_folder(folder: Path, profile: Profile, release: ReleaseProfile) -> Chart:
    """Find a release's chart in the operator's folder.

    Raises:
        Permanent: it isn't there, or it is no chart.
    """
    for base in (folder / profile.mesh, folder):
        unpacked = base / release.chart
        if (unpacked / "Chart.yaml").is_file():
            return read_chart(unpacked)
        archives = sorted(base.glob(f"{release.chart}-[0-9v]*.tgz"))
        if len(archives) > 1:
            raise Permanent(
                "AmbiguousChart",
                f"{base} holds {len(archives)} archives of the chart {release.chart}",
                remedy="leave the one that is to be installed",
            )
        if archives:
            return read_chart(archives[0])
    raise Permanent(
        "ChartNotFound",
        f"{folder} holds no chart {release.chart}",
        tried=f"{profile.mesh}/{release.chart} and {release.chart}, unpacked or .tgz",
        remedy="put the chart there, or unset BYOMESH_CHARTS to use the mesh's repository",
    )


def bundled_chart(profile: Profile, release: ReleaseProfile) -> Chart:
    """A chart that is part of this project; raises Permanent where there is none of that name."""
    return read_chart(Path(str(importlib.resources.files("shared.mesh"))) / profile.hooks / "charts" / release.chart)


def chart_without(chart: Chart, part: str, templates: Sequence[str]) -> Chart:
    """The same chart less some of its files, made once in the life of this instance; its digest stays the whole one's.

    Args:
        chart: a folder or an archive.
        part: what is left out, for the folder's name.
        templates: the files to leave out, by path inside the chart, `*` for any text.

    Raises:
        Permanent: the chart has none of these files, so that leaving them out changes nothing.
    """
    target = _kept() / f"{chart.name}-{chart.version}-{chart.digest[:16]}-without-{part}"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=_kept()) as unfinished:
            copy = _unpacked(chart, Path(unfinished))
            files = [file for pattern in templates for file in sorted(copy.glob(pattern))]
            if not files:
                raise Permanent("NoSuchPart", f"the chart {chart.name} {chart.version} has no {', '.join(templates)}")
            for file in files:
                file.unlink()
            # Another thread may have been first; what it made is the same.
            with contextlib.suppress(OSError):
                copy.rename(target)
    return msgspec.structs.replace(chart, path=target)


def _unpacked(chart: Chart, into: Path) -> Path:
    if chart.path.is_dir():
        return Path(shutil.copytree(chart.path, into / chart.name))
    try:
        with _opened(chart.path) as archive:
            archive.extractall(into, filter="data")
    except _NO_CHART as error:
        raise Permanent("NoChart", f"{chart.path} can't be unpacked: {error}") from error
    return into / chart.name


def _kept() -> Path:
    """What this instance keeps; on Cloud Run that is memory."""
    folder = Path(tempfile.gettempdir()) / f"byomesh-charts-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def kept_archive(chart: str, version: str, fetch: Callable[[Path], Path]) -> Path:
    """The archive of a chart's version, fetched once in the life of this instance (on Cloud Run it is kept in memory).

    Only a whole archive ever bears the name that is looked for, however a fetch ends and whoever fetches beside.

    Args:
        chart: the chart's name.
        version: the chart's version.
        fetch: puts the archive into a folder and returns its path; whatever it raises passes through.
    """
    folder = _kept()
    archive = folder / f"{chart}-{version}.tgz"
    if not archive.is_file():
        with tempfile.TemporaryDirectory(dir=folder) as unfinished:
            fetch(Path(unfinished)).replace(archive)
    return archive


def read_chart(path: Path) -> Chart:
    """Read name and version of the chart at `path`, a folder or an archive; raises Permanent if it is none."""
    try:
        data: Any = bounded_yaml.load(_file(path, "Chart.yaml").decode())
        name, version = str(data["name"]), str(data["version"])
        for text in (name, version):
            if _NAME.fullmatch(text) is None:
                # They become parts of files' names.
                raise ValueError(f"its name and version can't be {shorten(name, 100)!r} and {shorten(version, 100)!r}")
        return Chart(path, name, version, shorten(str(data.get("appVersion", "")), 100), digest(path))
    except (*_NO_CHART, AttributeError, LookupError, TypeError) as error:
        raise Permanent("NoChart", f"{path} is no Helm chart: {error}") from error


def chart_values(path: Path) -> dict[str, Any]:
    """The values.yaml of the chart at `path`, a folder or an archive; raises Permanent if it can't be read."""
    try:
        found: Any = bounded_yaml.load(_file(path, "values.yaml").decode())
    except _NO_CHART as error:
        raise Permanent("NoChart", f"the values of the chart {path} can't be read: {error}") from error
    return found if isinstance(found, dict) else {}


def _file(path: Path, name: str) -> bytes:
    if path.is_dir():
        return (path / name).read_bytes()
    with _opened(path) as archive:
        for member in archive:
            if member.isfile() and member.name.count("/") == 1 and member.name.endswith(f"/{name}"):
                if member.size > MAX_FILE:
                    raise tarfile.TarError(f"its {name} has {member.size} bytes")
                content = archive.extractfile(member)
                return content.read() if content is not None else b""
    raise FileNotFoundError(f"it holds no {name}")


def _opened(path: Path) -> tarfile.TarFile:
    """An archive, unpacked as a whole: a few hundred KiB, and never more than `MAX_UNPACKED`."""
    with gzip.open(path) as packed:
        content = packed.read(MAX_UNPACKED + 1)
    if len(content) > MAX_UNPACKED:
        raise tarfile.TarError(f"it unpacks to more than {MAX_UNPACKED // 1024 // 1024} MiB")
    return tarfile.open(fileobj=io.BytesIO(content), mode="r:")


def digest(path: Path) -> str:
    """sha256 (hex) of an archive, or of a folder's relative file names and contents, sorted."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    whole = hashlib.sha256()
    for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
        whole.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
        whole.update(file.read_bytes())
    return whole.hexdigest()
