"""Helm's records of its releases, decoded."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest

from shared.errors import Permanent
from shared.mesh.releases import PENDING, decode_release, newest, parse_manifest
from tests.unit.doors import release_secret

CHART = {"name": "linkerd-crds", "version": "2026.6.3", "appVersion": "edge-26.6.3", "type": "application"}
MANIFEST = "---\n# Source: x\n---\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: Role\nmetadata: {name: b}\n"


def record(revision: int = 1, status: str = "deployed", **changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"chart": CHART, "values": {"a": {"b": 1}}, "manifest": MANIFEST}
    return release_secret("crds", revision, status, **{**facts, **changes})


def test_a_record_is_read() -> None:
    release = decode_release(record(3))
    assert (release.name, release.revision, release.status) == ("crds", 3, "deployed")
    assert (release.chart, release.version, release.app_version) == ("linkerd-crds", "2026.6.3", "edge-26.6.3")
    assert release.values == {"a": {"b": 1}}
    assert [one["kind"] for one in release.manifest] == ["ConfigMap", "Role"]
    assert release.secret == "sh.helm.release.v1.crds.v3"
    assert not release.pending


def test_a_record_without_values_has_none() -> None:
    assert decode_release(record(values=None)).values == {}


@pytest.mark.parametrize("status", sorted(PENDING))
def test_what_a_killed_helm_leaves_is_pending(status: str) -> None:
    assert decode_release(record(status=status)).pending


@pytest.mark.parametrize("status", ["deployed", "failed", "superseded", "uninstalled"])
def test_what_has_ended_is_not_pending(status: str) -> None:
    assert not decode_release(record(status=status)).pending


def packed(content: bytes) -> str:
    return base64.b64encode(base64.b64encode(content)).decode()


BAD: dict[str, Any] = {
    "no data": None,
    "no release": {},
    "null": {"release": None},
    "no base64": {"release": "a"},
    "no gzip": {"release": packed(b"text")},
    "cut off": {"release": packed(gzip.compress(b"{}" * 99)[:-12])},
    "garbled": {"release": packed(gzip.compress(b"{}" * 99)[:12] + b"\xff" * 40)},
    "no JSON": {"release": packed(gzip.compress(b"text"))},
    "no release's JSON": {"release": packed(gzip.compress(b'{"name": 1}'))},
    "no YAML": {
        "release": packed(gzip.compress(b'{"name": "x", "version": 1, "info": {}, "chart": {}, "manifest": "{"}'))
    },
}


@pytest.mark.parametrize("case", BAD)
def test_a_record_that_cannot_be_read_is_named(case: str) -> None:
    secret = {"metadata": {"name": "sh.helm.release.v1.crds.v1"}, "data": BAD[case]}
    with pytest.raises(Permanent, match=r"the Secret sh\.helm\.release\.v1\.crds\.v1 doesn't hold") as raised:
        decode_release(secret)
    assert raised.value.reason == "UnreadableRelease"


def test_only_the_newest_is_decoded() -> None:
    unreadable = {**record(2), "data": {}}
    assert newest([record(10), unreadable, record(9)])["crds"].revision == 10
    with pytest.raises(Permanent):
        newest([unreadable, record(1)])


def test_what_is_no_record_of_helms_is_passed_over() -> None:
    labels = [
        {},
        {"owner": "other", "name": "crds", "version": "1"},
        {"owner": "helm", "version": "1"},
        {"owner": "helm", "name": "crds"},
        {"owner": "helm", "name": "crds", "version": "v1"},
        {"owner": "helm", "name": "crds", "version": "0"},
    ]
    assert newest([{"metadata": {"labels": one}} for one in labels] + [{}]) == {}


def test_a_manifest_without_objects_is_empty() -> None:
    assert parse_manifest("---\n# nothing\n---\njust text\n") == ()
