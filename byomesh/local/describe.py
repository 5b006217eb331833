"""One short line, and the cluster, of whatever the local cloud delivers: for people who read the journal. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

_LONGEST = 160
# The fields of the project's own messages (requests and MeshStatus) that tell one from another.
_TELLING_FIELDS = ("project", "mesh", "phase", "reason", "attempt")


def cluster_of_entry(entry: Mapping[str, Any]) -> str | None:
    """The full name of the cluster that an audit entry is about, from its resource labels; None where it names none.

    The labels are used, not resourceName, because that says zones/ for a zonal cluster.
    """
    resource = _mapping(entry.get("resource"))
    labels = _mapping(resource.get("labels"))
    parts = tuple(labels.get(label) for label in ("project_id", "location", "cluster_name"))
    if not all(isinstance(part, str) and part for part in parts):
        return None
    return "projects/{}/locations/{}/clusters/{}".format(*parts)


def describe_entry(entry: Mapping[str, Any]) -> str:
    """Such as `CreateCluster blue: last entry` or `CreateCluster blue: rejected, no valid versions`."""
    payload = _mapping(entry.get("protoPayload"))
    method = str(payload.get("methodName", "?")).rpartition(".")[2]
    name = str(payload.get("resourceName", "?")).rpartition("/")[2]
    status, operation = _mapping(payload.get("status")), _mapping(entry.get("operation"))
    if status.get("code"):
        stage = f"rejected, {status.get('message', 'no message')}"
    elif operation.get("last"):
        stage = "last entry"
    elif operation.get("first"):
        stage = "first entry"
    else:
        stage = "only entry"
    return _short(f"{method} {name}: {stage}")


def describe_message(topic: str, data: bytes, attributes: Mapping[str, str]) -> tuple[str, str | None]:
    """The line and the cluster of a Pub/Sub message, from its JSON where it has some and from its attributes."""
    name = topic.rpartition("/")[2]
    content = _json_object(data)
    if "protoPayload" in content:
        return _short(f"{name}: {describe_entry(content)}"), cluster_of_entry(content)
    cluster = content.get("cluster") or attributes.get("cluster")
    told = [str(content[field]) for field in _TELLING_FIELDS if content.get(field)]
    if not content:
        told = [f"{len(data)} bytes that are no JSON object" if data else "attributes only"]
    return _short(f"{name}: {', '.join(told)}" if told else name), cluster if isinstance(cluster, str) else None


def describe_publish_request(url: str, body: bytes) -> tuple[str, str | None]:
    """The line and the cluster of the first message in the body of a REST publish; the URL's end for anything else."""
    end = url.partition("?")[0].rpartition("/")[2]
    messages = _json_object(body).get("messages")
    if not isinstance(messages, list) or not messages:
        return _short(end), None
    message = _mapping(messages[0])
    try:
        data = base64.b64decode(str(message.get("data", "")), validate=True)
    except binascii.Error:
        data = b""
    return describe_message(end.partition(":")[0], data, _mapping(message.get("attributes")))


def _json_object(data: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(data))
    except ValueError:  # JSONDecodeError and UnicodeDecodeError are both of this kind
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _short(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
