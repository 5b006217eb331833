"""What the functions print, as Cloud Run hands it to Cloud Logging: read from their log files, whole lines only.

A line that is a JSON object is a structured entry, whose special fields leave the payload
(https://cloud.google.com/logging/docs/structured-logging#special-payload-fields); any other line is text,
and comes from stderr: the functions print nothing else.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from byomesh.local.cloud_logging.query import SEVERITIES, moment

MAX_BYTES = 256 * 1024
"""Of one entry (https://cloud.google.com/logging/quotas); a line above is cut, as text."""

_LABELS = "logging.googleapis.com/labels"
_TRACE = "logging.googleapis.com/trace"
_SPAN = "logging.googleapis.com/spanId"
_SAMPLED = "logging.googleapis.com/trace_sampled"


class Printed:
    """The log file of one function, read on from where the last reading ended."""

    def __init__(self, path: Path, service: str, project: str, location: str) -> None:
        self._path = path
        self._project = project
        self._offset = 0
        self._resource = {
            "type": "cloud_run_revision",
            "labels": {
                "project_id": project,
                "location": location,
                "service_name": service,
                "configuration_name": service,
                "revision_name": f"{service}-local",
            },
        }

    def begin_anew(self) -> None:
        """The function starts again, and its file from nothing; read the rest of the old one before."""
        self._offset = 0

    def read(self, now: dt.datetime) -> Iterator[dict[str, Any]]:
        """Entries of the lines that were finished since; `now` is the time of those that name none."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            if line.strip():
                yield self._entry(line, now)

    def _entry(self, line: bytes, now: dt.datetime) -> dict[str, Any]:
        payload = _object(line)
        stream = "stderr" if payload is None else "stdout"
        entry: dict[str, Any] = {
            "insertId": secrets.token_hex(8),
            "logName": f"projects/{self._project}/logs/run.googleapis.com%2F{stream}",
            "resource": self._resource,
            "receiveTimestamp": now.isoformat(),
            "timestamp": now.isoformat(),
        }
        if payload is None:
            return entry | {"severity": "DEFAULT", "textPayload": line[:MAX_BYTES].decode(errors="replace")}
        return entry | _structured(payload)


def _object(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"{") or len(line) > MAX_BYTES:
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _structured(payload: dict[str, Any]) -> dict[str, Any]:
    """The fields of an entry that a structured line names, and the payload without them."""
    severity = str(payload.pop("severity", "DEFAULT")).upper()
    entry: dict[str, Any] = {"severity": severity if severity in SEVERITIES else "DEFAULT"}
    try:
        time = str(payload.get("time", ""))
        moment(time)
        entry["timestamp"] = time
        payload.pop("time")
    except ValueError:
        pass
    labels = payload.pop(_LABELS, None)
    if isinstance(labels, dict):
        entry["labels"] = {str(key): str(value) for key, value in labels.items()}
    for key, name in ((_TRACE, "trace"), (_SPAN, "spanId")):
        if key in payload:
            entry[name] = str(payload.pop(key))
    if _SAMPLED in payload:
        entry["traceSampled"] = payload.pop(_SAMPLED) is True
    return entry | {"jsonPayload": payload}
