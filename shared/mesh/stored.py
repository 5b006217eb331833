"""A Helm release's own memory, written as Helm writes it: the next revision with other values; pure.

Helm's stored revision has the chart without its dependencies (helm pkg/chart/v2, Chart.dependencies isn't exported), so
a release can't be rendered from it again. But a value whose every place in the manifest is known needs no rendering:
the revision that `helm upgrade --reuse-values --set KEY=VALUE` would make is the present one with that value and those
places changed.
"""

from __future__ import annotations

import base64
import copy
import datetime as dt
import gzip
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from shared import bounded_yaml
from shared.decoding import gunzip
from shared.mesh.drift import ObjectName
from shared.mesh.releases import MAX_RELEASE, UNREADABLE, unreadable

_SEPARATOR = re.compile(r"^---[ \t]*\n", re.MULTILINE)
_TYPE = "helm.sh/release.v1"


def unpacked(secret: Mapping[str, Any]) -> dict[str, Any]:
    """What a revision's Secret holds, whole (helm pkg/storage/driver/util.go).

    Raises:
        Permanent: it isn't what Helm writes; `decode_release` reads less of it, and may have taken it.
    """
    try:
        within = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        found: dict[str, Any] = json.loads(gunzip(within, MAX_RELEASE))
    except UNREADABLE as error:
        raise unreadable(str(secret["metadata"]["name"]), error) from error
    return found


def packed(stored: Mapping[str, Any]) -> str:
    """The data of a revision's Secret."""
    return base64.b64encode(base64.b64encode(gzip.compress(json.dumps(stored).encode(), mtime=0))).decode()


def next_revision(
    secret: Mapping[str, Any],
    values: Mapping[str, Any],
    objects: Iterable[Mapping[str, Any]],
    why: str,
    now: dt.datetime,
) -> dict[str, Any]:
    """The Secret of the revision after `secret`'s: the same chart, with other values and objects.

    Args:
        secret: the newest revision's, which is deployed.
        values: the user's values that change, by top-level key.
        objects: the objects that change, whole.
        why: a sentence for `helm history`.
        now: when the revision is deployed.
    """
    stored = unpacked(secret)
    revision = int(stored["version"]) + 1
    moment = now.isoformat()
    stored |= {
        "version": revision,
        "config": {**(stored.get("config") or {}), **values},
        "manifest": replaced(stored.get("manifest", ""), objects),
        "info": {**stored["info"], "status": "deployed", "last_deployed": moment, "description": why},
    }
    labels = {**secret["metadata"]["labels"], "version": str(revision), "status": "deployed"}
    labels |= {"createdAt": str(int(now.timestamp()))} if "createdAt" in labels else {}
    labels.pop("modifiedAt", None)
    metadata = {
        "name": f"sh.helm.release.v1.{stored['name']}.v{revision}",
        "namespace": secret["metadata"]["namespace"],
        "labels": labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": _TYPE,
        "data": {"release": packed(stored)},
    }


def superseded(secret: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch by which a deployed revision becomes one that another took the place of."""
    stored = copy.deepcopy(unpacked(secret))
    stored["info"]["status"] = "superseded"
    return {
        "metadata": {
            "resourceVersion": secret["metadata"]["resourceVersion"],
            "labels": {"status": "superseded"},
        },
        "data": {"release": packed(stored)},
    }


def replaced(manifest: str, objects: Iterable[Mapping[str, Any]]) -> str:
    """A manifest with some of its objects replaced, each under its comment; the others stay to the byte."""
    changed = {ObjectName.of(one): one for one in objects}
    documents = _SEPARATOR.split(manifest)
    return "---\n".join(_document(text, changed) for text in documents)


def _document(text: str, changed: Mapping[ObjectName, Mapping[str, Any]]) -> str:
    if not any(name.name in text for name in changed):
        return text
    found = bounded_yaml.load(text)
    obj = changed.get(ObjectName.of(found)) if isinstance(found, dict) else None
    if obj is None:
        return text
    comments = [line for line in text.splitlines() if line.startswith("# Source:")]
    return "\n".join([*comments, yaml.safe_dump(dict(obj), width=10_000, sort_keys=False)])
