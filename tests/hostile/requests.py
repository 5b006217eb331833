"""Requests as a function's URL may get them: events and messages, mutated in their data, envelope and text."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from random import Random
from typing import Any

import yaml

from shared.events import AUDIT_TYPE, PUBSUB_TYPE
from tests.hostile.mutations import as_text, mutated, noise

_DATA = Path(__file__).parents[1] / "data"
_RECORDED = Path(__file__).parents[3] / "shared" / "audit-logs"
_SENT = "2026-05-04T09:10:20Z"
_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_CLUSTER = "projects/shop-prod/locations/europe-west1/clusters/checkout"
_LONGEST_HEADER = 8_000
"""What gunicorn takes (its --limit-request-field_size)."""

REQUESTS: tuple[dict[str, Any], ...] = (
    {"cluster": _CLUSTER},
    {"cluster": _CLUSTER, "mesh": "linkerd"},
    {
        "cluster": _CLUSTER,
        "mesh": "linkerd",
        "version": "edge-26.6.3",
        "reason": "repair",
        "request_id": "operation-1780000000000-0a1b2c3d",
        "attempt": 1,
        "first_seen": "2026-05-04T09:00:00Z",
        "operation": "operation-1780000000001-0a1b2c3d",
        "actor": "dana@example.com",
        "repairs": ["rbac", "config"],
        "release": [{"name": "linkerd-crds", "chart": "linkerd-crds-2026.6.3", "digest": "", "revision": 1}],
        "waiting": ["linkerd-viz"],
        "schema": 1,
    },
)
"""Messages of our own topics, from the smallest to one with every field."""


def entries() -> tuple[dict[str, Any], ...]:
    """Every audit entry that is kept for the tests, and the recorded ones where they are here."""
    found = [json.loads(file.read_text()) for file in sorted((_DATA / "events").glob("*.json"))]
    for folder in (_DATA / "audit-logs", _RECORDED):
        texts = [file.read_text() for file in sorted(folder.glob("*.yaml"))]
        found += [json.loads(json.dumps(yaml.safe_load(text), default=str)) for text in texts]
    return tuple(one for one in found if "protoPayload" in one)


class Requests:
    """Makes requests; the same `Random` makes the same one."""

    def __init__(self) -> None:
        self._entries = entries()

    def make(self, random: Random) -> tuple[dict[str, str], bytes]:
        """A request's headers and body."""
        data: Any = random.choice(self._entries) if random.random() < 0.5 else random.choice(REQUESTS)
        if random.random() < 0.9:
            data = mutated(data, random)
        if random.random() < 0.02:
            data = noise(random)
        envelope = random.choice((self._binary, self._structured, self._raw, self._raw))
        headers, body = envelope(data, random)
        return headers, as_text(body, random)

    def _binary(self, data: Any, random: Random) -> tuple[dict[str, str], Any]:
        wrapped = random.random() < 0.5
        attributes = self._attributes(random, PUBSUB_TYPE if wrapped else AUDIT_TYPE)
        headers = {f"ce-{key}": str(value) for key, value in attributes.items() if _can_be_header(key, value)}
        return self._typed(headers, random), self._push(data, random) if wrapped else data

    def _structured(self, data: Any, random: Random) -> tuple[dict[str, str], Any]:
        wrapped = random.random() < 0.5
        attributes = self._attributes(random, PUBSUB_TYPE if wrapped else AUDIT_TYPE)
        body = {**attributes, "data": self._push(data, random) if wrapped else data}
        return self._typed({}, random, "application/cloudevents+json"), _perhaps(body, random, 0.3)

    def _raw(self, data: Any, random: Random) -> tuple[dict[str, str], Any]:
        return self._typed({}, random), self._push(data, random)

    @staticmethod
    def _attributes(random: Random, kind: str) -> dict[str, Any]:
        found = {"specversion": "1.0", "id": "1", "source": "//x", "type": kind, "time": _SENT, "traceparent": _TRACE}
        changed = _perhaps(found, random, 0.2)
        return changed if isinstance(changed, dict) else found

    @staticmethod
    def _push(data: Any, random: Random) -> Any:
        message = {
            "data": base64.b64encode(as_text(data, random)).decode(),
            "messageId": "11522334455",
            "publishTime": _SENT,
            "attributes": {"traceparent": _TRACE, "waits": "1", "first_seen": _SENT},
        }
        return _perhaps({"message": message, "subscription": "projects/p/subscriptions/s"}, random, 0.4)

    @staticmethod
    def _typed(headers: dict[str, str], random: Random, usual: str = "application/json") -> dict[str, str]:
        odd = (
            "application/json; charset=utf-16",
            "text/plain",
            "application/octet-stream",
            "application/cloudevents",
            "",
        )
        kind = usual if random.random() < 0.8 else random.choice(odd)
        return {**headers, "Content-Type": kind} if kind else headers


def _perhaps(tree: Any, random: Random, chance: float) -> Any:
    return mutated(tree, random) if random.random() < chance else tree


def _can_be_header(key: str, value: Any) -> bool:
    text = str(value)
    printable = all(" " <= one <= "\xff" and one != "\x7f" for one in key + text)
    return bool(key) and key.isascii() and " " not in key and printable and len(text) < _LONGEST_HEADER
