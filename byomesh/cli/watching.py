"""`byomesh status --watch`: the fleet looked at again and again, and what has changed."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from time import sleep

from rich.console import Group
from rich.live import Live
from rich.text import Text

from byomesh.cli.output import ERRORS, err, escape, out
from byomesh.cli.showing import Shown, StatusFormat
from byomesh.fleet.as_json import row_json
from byomesh.fleet.looking import Looker
from byomesh.fleet.model import ClusterRow, Fleet
from shared import policy


def watch(looker: Looker, rules: Callable[[], policy.Policy], fleet: Fleet, shown: Shown, every: float) -> None:
    """Look again and again, until interrupted; a look that fails is told, and the next one tries again."""
    with contextlib.ExitStack() as stack:
        tell = _teller(shown, stack)
        tell(fleet, "")
        while True:
            sleep(every)
            trouble = ""
            try:
                fleet = looker.look(rules())
            except ERRORS as error:
                trouble = str(error)
            tell(fleet, trouble)


def _teller(shown: Shown, stack: contextlib.ExitStack) -> Callable[[Fleet, str], None]:
    """What tells of each look."""
    match shown.output:
        case StatusFormat.TABLE:
            live = stack.enter_context(Live(console=out, auto_refresh=False, vertical_overflow="crop"))
            return lambda fleet, trouble: live.update(_screen(shown, fleet, trouble), refresh=True)
        case StatusFormat.JSON:
            return Changes(shown).tell
    return lambda fleet, trouble: err.print(escape(trouble)) if trouble else shown.report(fleet)


def _screen(shown: Shown, fleet: Fleet, trouble: str) -> Group:
    """As much as the terminal holds, the worst first."""
    lines = shown.lines(fleet, out.width)
    words = f"{fleet.time:%H:%M:%S} UTC" + (f"; the newest look failed: {trouble}" if trouble else "")
    room = max(out.height - 3, 1)
    more = [Text(f"… and {len(lines) - room:,} more lines", style="dim")] if len(lines) > room else []
    last = Text(words, style="red" if trouble else "dim", no_wrap=True, overflow="ellipsis")
    return Group(*lines[:room], *more, last)


class Changes:
    """Prints a JSON line for each cluster whose state, reason, version or wait has changed, all of them at first."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._before: dict[str, tuple[str, ...]] = {}

    def tell(self, fleet: Fleet, trouble: str) -> None:
        """Print what has changed since the last look."""
        if trouble:
            err.print(escape(trouble))
            return
        now: dict[str, tuple[str, ...]] = {}
        for row in fleet.rows:
            name, key = str(row.ref), _telling(row)
            now[name] = key
            before = self._before.get(name)
            if before != key and (before is not None or not self._shown.not_ready or not row.state.fine):
                line = {
                    "time": fleet.time.isoformat(),
                    "before": before[0] if before else None,
                    **row_json(row, fleet.time),
                }
                sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        self._before = now


def _telling(row: ClusterRow) -> tuple[str, ...]:
    return (row.state.value, row.reason, row.mesh, row.version, row.waits_for, row.paused, str(row.net_admin))
