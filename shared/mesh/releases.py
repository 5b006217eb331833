"""What Helm remembers of its releases: the Secrets `sh.helm.release.v1.NAME.vREVISION`, decoded.

Helm keeps each revision as base64(gzip(JSON)) in the Secret's key `release` (helm pkg/storage/driver/util.go), inside
the base64 that Kubernetes puts around Secret data; name, status and revision are labels too.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import yaml

from shared import bounded_yaml
from shared.decoding import gunzip, prepare
from shared.errors import Permanent

MAX_RELEASE = 32 * 1024 * 1024
"""Bytes of a revision's JSON. A Secret has 1 MiB at most, which gzip could blow up to a thousand times of that."""
UNREADABLE = (KeyError, TypeError, ValueError, OSError, EOFError, RecursionError, zlib.error, yaml.YAMLError)
"""What reading something else than a release ends in."""
_DIGITS = 9
PENDING = frozenset({"pending-install", "pending-upgrade", "pending-rollback", "uninstalling"})
"""Statuses that a killed Helm leaves behind."""


class DeployedRelease(msgspec.Struct, frozen=True, kw_only=True):
    """The newest revision of one Helm release.

    Attributes:
        name: the release's name.
        revision: its number, from 1.
        status: Helm's word: `deployed`, `failed`, `pending-install`, …
        chart: the chart's name.
        version: the chart's version.
        app_version: what the chart says that it installs.
        values: the values given by the user (Helm's `config`), not the chart's defaults.
        manifest: the objects that it rendered, hooks left out.
        secret: name of the Secret that holds this revision.
    """

    name: str
    revision: int
    status: str
    chart: str
    version: str
    app_version: str
    values: dict[str, Any]
    manifest: tuple[dict[str, Any], ...]
    secret: str

    @property
    def pending(self) -> bool:
        """Whether a Helm run began this revision and never finished it."""
        return self.status in PENDING


class _Metadata(msgspec.Struct):
    name: str = ""
    version: str = ""
    appVersion: str = ""  # noqa: N815 - Helm's own field name


class _Chart(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Info(msgspec.Struct):
    status: str = ""


class _Stored(msgspec.Struct):
    name: str
    version: int
    info: _Info
    chart: _Chart
    manifest: str = ""
    config: dict[str, Any] | None = None


prepare(_Stored)


def parse_manifest(text: str) -> tuple[dict[str, Any], ...]:
    """The objects of a rendered manifest, in its order; empty documents left out."""
    return tuple(document for document in bounded_yaml.load_all(text) if isinstance(document, dict))


def unreadable(secret: str, error: Exception) -> Permanent:
    """The error of a revision's Secret that isn't what Helm writes."""
    return Permanent(
        "UnreadableRelease",
        f"the Secret {secret} doesn't hold a Helm release that can be read ({type(error).__name__})",
        remedy="see `helm history`; delete the Secret if nothing uses the release, and run again",
    )


def decode_release(secret: Mapping[str, Any]) -> DeployedRelease:
    """Read one revision from its Secret.

    Raises:
        Permanent: the Secret isn't what Helm writes.
    """
    name = str((secret.get("metadata") or {}).get("name", ""))
    try:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        stored = msgspec.json.decode(gunzip(packed, MAX_RELEASE), type=_Stored)
        manifest = parse_manifest(stored.manifest)
    except UNREADABLE as error:
        raise unreadable(name, error) from error
    return DeployedRelease(
        name=stored.name,
        revision=stored.version,
        status=stored.info.status,
        chart=stored.chart.metadata.name,
        version=stored.chart.metadata.version,
        app_version=stored.chart.metadata.appVersion,
        values=stored.config or {},
        manifest=manifest,
        secret=name,
    )


def last_deployed(secrets: Iterable[Mapping[str, Any]]) -> DeployedRelease | None:
    """The newest revision that Helm holds for deployed, among the Secrets of one release; None where there is none."""
    found = [
        (revision, secret)
        for secret in secrets
        if (labels := _labels(secret)).get("status") == "deployed" and (revision := _revision(labels))
    ]
    return decode_release(max(found, key=lambda one: one[0])[1]) if found else None


def newest(secrets: Iterable[Mapping[str, Any]]) -> dict[str, DeployedRelease]:
    """The newest revision of each release among Secrets of type `helm.sh/release.v1`, by release name.

    Only the newest is decoded: a release of Linkerd is about 100 KiB of JSON.
    """
    latest: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for secret in secrets:
        labels = _labels(secret)
        name, revision = labels.get("name", ""), _revision(labels)
        if labels.get("owner") == "helm" and name and revision > latest.get(name, (0, secret))[0]:
            latest[name] = (revision, secret)
    return {name: decode_release(secret) for name, (_, secret) in latest.items()}


def _labels(secret: Mapping[str, Any]) -> Mapping[str, str]:
    return (secret.get("metadata") or {}).get("labels") or {}


def _revision(labels: Mapping[str, str]) -> int:
    """The number of a revision, from 1; 0 where the label says none, as on a Secret that Helm didn't write."""
    text = labels.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0
