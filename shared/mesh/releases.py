"""What Helm remembers of its releases: the Secrets `sh.helm.release.v1.NAME.vREVISION`, decoded.

Helm keeps each revision as base64(gzip(JSON)) in the Secret's key `release` (helm pkg/storage/driver/util.go), inside
the base64 that Kubernetes puts around Secret data; name, status and revision are labels too.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import yaml

from shared.decoding import prepare
from shared.errors import Permanent

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
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    documents = yaml.load_all(text, Loader=loader)
    return tuple(document for document in documents if isinstance(document, dict))


def decode_release(secret: Mapping[str, Any]) -> DeployedRelease:
    """Read one revision from its Secret.

    Raises:
        Permanent: the Secret isn't what Helm writes.
    """
    name = str(secret.get("metadata", {}).get("name", ""))
    try:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        stored = msgspec.json.decode(gzip.decompress(packed), type=_Stored)
        manifest = parse_manifest(stored.manifest)
    except (KeyError, TypeError, ValueError, OSError, EOFError, zlib.error, yaml.YAMLError) as error:
        raise Permanent(
            "UnreadableRelease",
            f"the Secret {name} doesn't hold a Helm release that can be read ({type(error).__name__})",
            remedy="see `helm history`; delete the Secret if nothing uses the release, and run again",
        ) from error
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
        (int(labels["version"]), secret)
        for secret in secrets
        if (labels := secret["metadata"].get("labels", {})).get("status") == "deployed"
    ]
    return decode_release(max(found, key=lambda one: one[0])[1]) if found else None


def newest(secrets: Iterable[Mapping[str, Any]]) -> dict[str, DeployedRelease]:
    """The newest revision of each release among Secrets of type `helm.sh/release.v1`, by release name.

    Only the newest is decoded: a release of Linkerd is about 100 KiB of JSON.
    """
    latest: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for secret in secrets:
        labels = secret.get("metadata", {}).get("labels", {})
        name, revision = labels.get("name", ""), labels.get("version", "")
        if labels.get("owner") != "helm" or not name or not revision.isdigit():
            continue
        if int(revision) > latest.get(name, (0, secret))[0]:
            latest[name] = (int(revision), secret)
    return {name: decode_release(secret) for name, (_, secret) in latest.items()}
