"""The functions as functions-framework serves them, with what they publish, wait for and ask of GKE stood in."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import functions_framework
import msgspec

from shared import config, gke
from shared.model import ClusterRef, InstallRequest, MeshStatus, Phase, VerifyRequest
from shared.outcome import Done, Later, Outcome
from tests.unit.doors import MemoryGke, autopilot

FOLDER = Path(__file__).parents[2] / "functions"
MAX_ATTRIBUTE = 1024
"""Bytes of an attribute's value that Pub/Sub takes; its key may have 256 (https://cloud.google.com/pubsub/quotas)."""
MAX_STATUS = 20_000
"""Bytes of a status about something that can't be read, and of a log line."""
ANSWERS = frozenset({200, 400, 413})


class Verdict(msgspec.Struct, frozen=True):
    """How a function took a request.

    Attributes:
        answer: the HTTP status, or how a decoder ended.
        seconds: how long it took.
        faults: what may never be, in words.
    """

    answer: int | str
    seconds: float
    faults: tuple[str, ...]


class _Published:
    """Pub/Sub and Cloud Tasks: refuse what the real ones would."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        if len(data) > MAX_STATUS:
            self.faults.append(f"a message of {len(data)} bytes for {topic}")
        if not isinstance(json.loads(data), dict):
            self.faults.append(f"a message for {topic} that is no object")
        for key, value in attributes.items():
            if len(value.encode()) > MAX_ATTRIBUTE:
                self.faults.append(f"the attribute {key} has {len(value.encode())} bytes")
        return "1"

    def publish_later(
        self, topic: str, data: bytes, attributes: Mapping[str, str], delay: float, *, name_parts: Sequence[str]
    ) -> bool:
        assert delay > 0
        assert all(isinstance(part, str) for part in name_parts)
        self.publish(topic, data, attributes)
        return True


class _AnyCluster(MemoryGke):
    """GKE's API, where every cluster is there."""

    def get(self, ref: ClusterRef) -> gke.Cluster:
        return autopilot(ref=ref)


def _work(request: Any, **_: Any) -> Outcome:
    """In place of a stage: waits for whatever has an even name, and is done with the others."""
    cluster = getattr(request, "cluster", None)
    status = MeshStatus(
        cluster=cluster,
        mesh=getattr(request, "mesh", ""),
        version=getattr(request, "version", None) or "",
        request_id=getattr(request, "request_id", ""),
        phase=Phase.PENDING,
        reason="Queued",
        message="queued",
    )
    if cluster is not None and len(str(cluster)) % 2:
        return Later(delay=1, reason="OperationRunning", waits_for="an operation", limit=1e12, status=status)
    return Done(status=status, next=(request,) if isinstance(request, InstallRequest | VerifyRequest) else ())


class _Enforcer:
    """In place of the enforcer."""

    def __init__(self, **_: Any) -> None:
        """It needs nothing."""

    def look(self, subject: Any) -> Outcome:
        """As every other stage here."""
        return _work(subject)


_STAGES = ("install", "verify", "enforce", "sweep")


class Served:
    """One function, and everything that it says."""

    def __init__(self, name: str, published: _Published) -> None:
        self._published = published
        app = functions_framework.create_app(name, str(FOLDER / f"{name}.py"))  # type: ignore[no-untyped-call]
        # As it is where it is served: what isn't caught is answered, and told on standard error.
        app.config["PROPAGATE_EXCEPTIONS"] = False
        self._client = app.test_client()
        self._logger: logging.Logger = app.logger

    def post(self, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Send a request, and judge everything that comes of it."""
        self._published.faults.clear()
        said, shown = io.StringIO(), io.StringIO()
        logged = logging.StreamHandler(shown)
        self._logger.addHandler(logged)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(shown):
            begun = time.perf_counter()
            answer = self._client.post("/", data=body, headers=list(headers.items()))
            seconds = time.perf_counter() - begun
        self._logger.removeHandler(logged)
        faults = list(self._published.faults)
        if answer.status_code not in ANSWERS:
            faults.append(f"answered with {answer.status_code}")
        if len(answer.data) > MAX_ATTRIBUTE:
            faults.append(f"an answer of {len(answer.data)} bytes")
        if shown.getvalue():
            faults.append(f"told on standard error: …{shown.getvalue()[-300:]}")
        faults += [fault for line in said.getvalue().split("\n")[:-1] if (fault := _line(line))]
        return Verdict(answer.status_code, seconds, tuple(faults))


def _line(line: str) -> str:
    """What is wrong with a log line; "" where nothing is."""
    if len(line) > MAX_STATUS:
        return f"a log line of {len(line)} characters"
    try:
        found = json.loads(line)
    except ValueError:
        return f"a log line that is no JSON: {line[:100]!r}"
    return "" if isinstance(found, dict) and {"severity", "message"} <= found.keys() else f"no log line: {line[:100]!r}"


def names() -> list[str]:
    """Names of the functions that there are."""
    return sorted(file.stem for file in FOLDER.glob("[a-z]*.py"))


@contextlib.contextmanager
def served() -> Iterator[dict[str, Served]]:
    """Serve every function, by its name."""
    published = _Published()
    settings = config.Settings(project="mesh", queue="projects/mesh/locations/l/queues/q")
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, {"GOOGLE_CLOUD_PROJECT": "mesh"}))
        for name, stand_in in (
            ("shared.delivery.settings", lambda: settings),
            ("shared.config.settings", lambda: settings),
            ("shared.pubsub.publisher", lambda: published),
            ("shared.tasks.waits", lambda: published),
            ("shared.gke.gke", lambda: _AnyCluster(autopilot())),
            ("shared.mesh.fleet.fleet_store", lambda _: None),
            ("shared.cloud_logging.cloud_logging", lambda: None),
            ("shared.stages.enforce.Enforcer", _Enforcer),
        ):
            stack.enter_context(mock.patch(name, stand_in))
        for stage in _STAGES:
            with contextlib.suppress(ImportError, AttributeError):
                stack.enter_context(mock.patch(f"shared.stages.{stage}.run", _work))
        yield {name: Served(name, published) for name in names()}
