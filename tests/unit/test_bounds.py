"""Bounds of what others wrote, each once; `test_hostile_decoders` looks for what has none."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import io
import json
import tarfile
import zlib
from pathlib import Path

import pytest

from shared import decoding, errors, model
from shared.errors import Permanent
from shared.mesh import charts, lease, quantity, releases, stored, versions
from shared.mesh.fold.opaque import _INTEGER
from tests.hostile.samples import ZIPPED_BOMB
from tests.unit.doors import NOW, release_secret


def test_no_more_is_decompressed_than_is_allowed() -> None:
    packed = gzip.compress(b"abc" * 10)
    assert decoding.gunzip(packed, 30) == b"abc" * 10
    for data, fault in ((packed, ValueError), (packed[:-1], EOFError), (packed + b"x", ValueError)):
        with pytest.raises(fault):
            decoding.gunzip(data, 29 if data == packed else 30)
    with pytest.raises(zlib.error):
        decoding.gunzip(b"abc", 30)


def test_a_release_that_would_fill_the_memory_is_unreadable() -> None:
    secret = release_secret("x", 1, "deployed", chart={}, values={}, manifest="")
    secret["data"]["release"] = base64.b64encode(base64.b64encode(ZIPPED_BOMB)).decode()
    for read in (releases.decode_release, stored.unpacked):
        with pytest.raises(Permanent, match="doesn't hold a Helm release"):
            read(secret)


def test_a_secret_without_a_revision_is_no_release() -> None:
    secret = release_secret("x", 1, "deployed", chart={}, values={}, manifest="")
    for version in ("", "²", "-1", "9" * 5_000):
        secret["metadata"]["labels"]["version"] = version
        assert releases.newest([secret]) == {}
        assert releases.last_deployed([secret]) is None
    del secret["metadata"]["labels"]
    assert releases.newest([secret]) == {}
    assert releases.last_deployed([secret]) is None


@pytest.mark.parametrize(
    "chart",
    [
        "name: ../../x\nversion: 1.0.0",
        "name: x\nversion: ../1",
        "name: x",
        "[",
        "- x",
        "name: x\nversion: 1\n" * 2_000_000,
    ],
    ids=["name", "version", "none", "brackets", "list", "long"],
)
def test_a_chart_is_named_as_files_are(tmp_path: Path, chart: str) -> None:
    archive = tmp_path / "x.tgz"
    archive.write_bytes(packed(chart.encode()))
    with pytest.raises(Permanent, match="is no Helm chart"):
        charts.read_chart(archive)


def test_an_archive_that_would_fill_the_memory_is_no_chart(tmp_path: Path) -> None:
    archive = tmp_path / "x.tgz"
    archive.write_bytes(ZIPPED_BOMB)
    with pytest.raises(Permanent, match="unpacks to more than 32 MiB"):
        charts.read_chart(archive)
    chart = charts.Chart(archive, "x", "1.0.0", "", "0" * 64)
    with pytest.raises(Permanent, match="can't be unpacked"):
        charts.chart_without(chart, "part", ["x"])


def packed(chart: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        member = tarfile.TarInfo("x/Chart.yaml")
        member.size = len(chart)
        archive.addfile(member, io.BytesIO(chart))
    return made.getvalue()


def test_a_lease_from_the_future_is_nobodys() -> None:
    def left(renewed: str, seconds: int = 300) -> float:
        spec = {"holderIdentity": "x", "renewTime": renewed, "leaseDurationSeconds": seconds}
        return lease.expires_in({"spec": spec}, NOW)

    assert left((NOW - dt.timedelta(seconds=100)).isoformat()) == 200
    assert left((NOW + dt.timedelta(seconds=100)).isoformat()) == 400
    assert left("9999-12-31T23:59:59.999999Z") == 0
    assert left("not a time") == 0
    assert left("2026-05-04T09:00:00") == 0


def test_numbers_have_an_end() -> None:
    assert not quantity.same_quantity("1e999999999", "1e999999999")
    assert quantity.same_quantity("1e3", "1k")
    assert not versions.is_older("9" * 5_000 + ".0.0", "1.0.0")
    assert versions.is_older("1.0.0-rc.1", "1.0.0-rc." + "9" * 5_000)
    assert _INTEGER.fullmatch("9" * 5_000) is None


@pytest.mark.parametrize(
    "field",
    [
        {"mesh": "m" * 300},
        {"version": "../../x"},
        {"version": "1\n"},
        {"version": "-rf"},
        {"request_id": "r" * 300},
        {"attempt": -1},
        {"attempt": 10**30},
        {"operation": "a b"},
        {"actor": "a" * 400},
        {"repairs": ["rbac"] * 200},
    ],
)
def test_a_request_says_no_more_than_it_may(field: dict[str, object]) -> None:
    body = {"cluster": "projects/p/locations/l/clusters/c", "mesh": "linkerd", **field}
    with pytest.raises(Permanent) as raised:
        model.decode(json.dumps(body).encode(), model.InstallRequest)
    assert raised.value.reason == "MalformedMessage"


def test_words_of_others_fit_into_utf8_and_a_log() -> None:
    assert errors.shorten("a\ud800b") == "a?b"
    error = Permanent("X", "p", cluster="c" * 1_000, tried="t" * 5_000, remedy="\udfff")
    assert len(str(error).encode()) < 5_000
    failing = model.CheckResult("d", model.CheckOutcome.FAIL, "e" * 1_000_000)
    report = model.CheckReport((model.CategoryReport("c", (failing,)),))
    assert len(model.CheckSummary.of(report).failing[0].error) < 11_000
