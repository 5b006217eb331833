"""What the functions say of themselves: one JSON line a fact on stdout, W3C trace context, the seconds of each stage.

The lines are in Cloud Logging's format (https://cloud.google.com/logging/docs/structured-logging): `severity`,
`message` and `time`, with the labels and the trace under `logging.googleapis.com/`. Facts are scalars chosen by the
caller, never a message's payload; only a status is there whole.
"""

from __future__ import annotations

import contextlib
import contextvars
import datetime as dt
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Self

import msgspec

from shared.errors import shorten

Scalar = str | int | float | bool | None

STATUS_KEY = "mesh_status"
"""The field of a line that holds a whole MeshStatus, as it was published (less what a line can't hold)."""

_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?:-.*)?"
)


class Trace(msgspec.Struct, frozen=True):
    """A position in a W3C trace (https://www.w3.org/TR/trace-context/).

    Attributes:
        trace_id: 32 hexadecimal digits, shared by everything that follows from one event.
        span_id: 16 hexadecimal digits, this hop's own.
        flags: 2 hexadecimal digits; 01 is "sampled".
    """

    trace_id: str
    span_id: str
    flags: str = "01"

    @classmethod
    def new(cls) -> Self:
        """A trace that begins here."""
        return cls(secrets.token_hex(16), secrets.token_hex(8))

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Read a `traceparent`; None where it is absent or malformed, which the specification says to treat alike."""
        match = _TRACEPARENT.fullmatch(text or "")
        if match is None or match["version"] == "ff" or not int(match["trace"], 16) or not int(match["span"], 16):
            return None
        if match["version"] == "00" and len(match[0]) != len("00-") + 32 + 1 + 16 + 1 + 2:
            return None
        return cls(match["trace"], match["span"], match["flags"])

    def child(self) -> Self:
        """The next hop of the same trace."""
        return type(self)(self.trace_id, secrets.token_hex(8), self.flags)

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_labels: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("labels")
_trace: contextvars.ContextVar[Trace] = contextvars.ContextVar("trace")
_project: contextvars.ContextVar[str] = contextvars.ContextVar("project", default="")
_timings: contextvars.ContextVar[dict[str, float]] = contextvars.ContextVar("timings")


@contextlib.contextmanager
def bind(*, cluster: str = "", request_id: str = "", mesh: str = "", project: str = "") -> Iterator[None]:
    """Label every line of a block; what is "" stays as it was outside.

    Args:
        cluster: full resource name.
        request_id: what all that follows from one event shares.
        mesh: the profile's name.
        project: id of the project whose traces the lines belong to; without one they carry no trace.
    """
    given = {"cluster": cluster, "request_id": request_id, "mesh": mesh}
    labels = {**_labels.get({}), **{key: value for key, value in given.items() if value}}
    labels_token = _labels.set(labels)
    project_token = _project.set(project or _project.get())
    try:
        yield
    finally:
        _project.reset(project_token)
        _labels.reset(labels_token)


@contextlib.contextmanager
def continue_trace(attribute: str | None) -> Iterator[None]:
    """Handle one event: go on with its trace, or begin one, and collect the seconds of its stages from nothing.

    Args:
        attribute: the message's `traceparent`, if it had one.
    """
    parent = Trace.parse(attribute)
    trace_token = _trace.set(parent.child() if parent is not None else Trace.new())
    timings_token = _timings.set({})
    try:
        yield
    finally:
        _timings.reset(timings_token)
        _trace.reset(trace_token)


def traceparent() -> str:
    """The `traceparent` for what is sent now; outside of `continue_trace`, a new trace's."""
    return str(_trace.get(None) or Trace.new())


@contextlib.contextmanager
def stage_timer(name: str, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Add the block's seconds to the stage `name`, also where it fails; outside of `continue_trace` nothing is kept."""
    begun = clock()
    try:
        yield
    finally:
        kept = _timings.get(None)
        if kept is not None:
            kept[name] = kept.get(name, 0.0) + clock() - begun


def timings() -> dict[str, float]:
    """Seconds by stage of the event being handled, in the order in which stages ended, to the millisecond."""
    return {name: round(seconds, 3) for name, seconds in _timings.get({}).items()}


def info(message: str, **facts: Scalar) -> None:
    """Say a fact."""
    _write("INFO", message, facts)


def status(message: str, mesh_status: Mapping[str, object], **facts: Scalar) -> None:
    """Say a cluster's status, whole: the log is where it is looked up later.

    Args:
        message: the status in words.
        mesh_status: its JSON object, small enough for an entry (`shared.model.status_for_the_log`).
        **facts: as in `info`.
    """
    _write("INFO", message, facts, {STATUS_KEY: mesh_status})


def warning(message: str, **facts: Scalar) -> None:
    """Say what may need somebody's eye, such as a fault that will be tried again."""
    _write("WARNING", message, facts)


def error(message: str, **facts: Scalar) -> None:
    """Say what needs somebody's hand."""
    _write("ERROR", message, facts)


def _write(severity: str, message: str, facts: dict[str, Scalar], objects: Mapping[str, object] | None = None) -> None:
    line: dict[str, object] = {key: shorten(value) if isinstance(value, str) else value for key, value in facts.items()}
    line |= objects or {}
    line |= {"severity": severity, "message": shorten(message), "time": dt.datetime.now(dt.UTC)}
    labels = _labels.get({})
    if labels:
        line["logging.googleapis.com/labels"] = labels
    trace = _trace.get(None)
    project = _project.get()
    if trace is not None and project:
        line["logging.googleapis.com/trace"] = f"projects/{project}/traces/{trace.trace_id}"
        line["logging.googleapis.com/spanId"] = trace.span_id
        line["logging.googleapis.com/trace_sampled"] = trace.flags[-1] in "13579bdf"
    # One write a line, so that the lines of several threads don't mix.
    sys.stdout.write(f"{msgspec.json.encode(line).decode()}\n")
    sys.stdout.flush()
