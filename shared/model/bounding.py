"""A status made small enough for the log."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.errors import shorten
from shared.model.checks import FailingCheck
from shared.model.codec import encode, to_builtins
from shared.model.messages import MeshStatus

MAX_BYTES = 128 * 1024
"""Of a status in the log: half of what an entry may have (https://cloud.google.com/logging/quotas: 256 KB)."""

_FAILING = 20
_ERROR = 1_000
_WORKLOADS = 20
_TEXT = 4_000


def status_for_the_log(status: MeshStatus) -> dict[str, Any]:
    """The JSON object of a status as it is published; only one above `MAX_BYTES` loses its longest parts.

    Numbers, phase, reason and the first failing checks stay; what is left out is in the published message.
    """
    if len(encode(status)) > MAX_BYTES:
        status = _cut(status)
    return to_builtins(status)


def _cut(status: MeshStatus) -> MeshStatus:
    failing = tuple(
        FailingCheck(shorten(one.category, _ERROR), shorten(one.description, _ERROR), shorten(one.error, _ERROR))
        for one in status.checks.failing[:_FAILING]
    )
    workloads = tuple(shorten(name, _ERROR) for name in status.outdated.workloads[:_WORKLOADS])
    return msgspec.structs.replace(
        status,
        message=shorten(status.message, _TEXT),
        checks=msgspec.structs.replace(status.checks, failing=failing),
        outdated=msgspec.structs.replace(status.outdated, workloads=workloads),
        remedies=(),
        options={},
        repaired=tuple(shorten(name, _ERROR) for name in status.repaired[:_WORKLOADS]),
        waits_for=shorten(status.waits_for, _TEXT),
        findings=tuple(shorten(name, _ERROR) for name in status.findings[:_WORKLOADS]),
        actor=shorten(status.actor, _ERROR),
        advice=(),
        timings={},
    )
