"""The live timeline: every delivery and every status as it happens, a line each."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.text import Text

from byomesh.local.client import Client, LocalCloudError

_POLL = 0.25
_COLOURS = {"Ready": "green", "Degraded": "yellow", "Refused": "red", "Failed": "red", "Stuck": "red"}


class Timeline:
    """Prints what happens in a local cloud until its `with` block is left."""

    def __init__(self, client: Client, console: Console) -> None:
        self._client = client
        self._console = console
        self._began = time.monotonic()
        self._events = 0
        self._statuses = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="timeline", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        """Since the timeline began."""
        return time.monotonic() - self._began

    def say(self, who: str, what: str, style: str = "") -> None:
        """Print one line with the time; `what` is plain text."""
        line = Text.assemble((f"{self.seconds:6.1f} s  ", "dim"), f"{who:<16} ", (what, style))
        self._console.print(line)

    def _follow(self) -> None:
        while not self._ended.wait(_POLL):
            try:
                self._step()
            except LocalCloudError as error:
                self.say("local cloud", str(error), "red")
                return
        self._step()

    def _step(self) -> None:
        answer = self._client.call("GET", "/events", query={"after": str(self._events)})
        self._events = answer["next"]
        for event in answer["events"]:
            self._delivered(event)
        statuses = self._client.call("GET", "/statuses")["statuses"]
        for status in statuses[self._statuses :]:
            style = _COLOURS.get(status["phase"], "cyan")
            self.say("MeshStatus", f"{status['phase']}: {status['message']}", style)
        self._statuses = len(statuses)

    def _delivered(self, event: dict[str, Any]) -> None:
        answer = "taken" if event["error"] is None else f"refused: {event['error'][:160]}"
        again = f" (attempt {event['attempt']})" if event["attempt"] > 1 else ""
        self.say(
            event["kind"],
            f"{event['line']} -> {event['target']}{again}: {answer} in {event['seconds']:.2f} s",
            "" if event["error"] is None else "yellow",
        )
