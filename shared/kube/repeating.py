"""Which requests to an API server are sent again, and when; pure.

A pass over a cluster takes some hundred requests: with one fault in a hundred most would fail, and each is begun again
from its beginning by a later delivery. Repeated is what surely does no harm: reads, dry runs, deletions, and patches
that name no version, whatever went wrong on the way; and any request that the API server says it didn't look at (429)
or doesn't know the token of (401). A create or a replacement whose answer was lost may have been carried out, so it is
the caller's to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

PAUSES = (0.2, 0.6, 1.5)
"""Seconds before each repetition."""
LONGEST_PAUSE = 5.0
"""Seconds that a Retry-After is obeyed for."""

_BROKEN = frozenset(
    {
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_UNSEEN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS})
_WEBHOOK = b"failed calling webhook"
"""A webhook that can't be reached is news, and each try may take its whole time-out
(k8s.io/apiserver pkg/admission/plugin/webhook/errors)."""


def is_harmless(method: str, query: Mapping[str, str], body: Any, content_type: str) -> bool:
    """Whether a request may be carried out twice."""
    if method in ("GET", "DELETE") or query.get("dryRun"):
        return True
    names_version = isinstance(body, Mapping) and (body.get("metadata") or {}).get("resourceVersion")
    return method == "PATCH" and isinstance(body, Mapping) and not names_version and "json-patch" not in content_type


def pause(code: int, body: bytes, retry_after: str, tries: int, *, harmless: bool) -> float | None:
    """Seconds until a request that was answered so is sent again; None where it isn't.

    Args:
        code: the HTTP status.
        body: the answer.
        retry_after: the header of that name, or "".
        tries: how often the request was sent.
        harmless: as `is_harmless` says.
    """
    again = code in _UNSEEN or (harmless and code in _BROKEN and _WEBHOOK not in body)
    if not again or tries > len(PAUSES):
        return None
    asked = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    return max(PAUSES[tries - 1], min(asked, LONGEST_PAUSE))
