"""Shows the build of the local cloud's programs: a bar while it runs, a line for each program, and the time in all."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from byomesh.local.build import Binaries, BuildError, ensure_binaries

_QUIET_EVERY = 15.0  # seconds between lines where the output is no terminal, so that a log shows that it goes on


def build_with_display(console: Console) -> Binaries:
    """The programs, as `ensure_binaries` returns them, with its progress shown on the console.

    Raises:
        BuildError: as `ensure_binaries`.
    """
    display = _Display(console)
    with display.bars:
        binaries = ensure_binaries(display.tell)
    display.finish(binaries)
    return binaries


class _Display:
    """Turns progress into bars on a terminal, and into an occasional line elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._spoke = self._began
        self._doing = ""
        self._built = 0
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self.bars.add_task("looking for the local cloud's programs", total=None)

    def tell(self, what: str, done: int, total: int) -> None:
        """Takes one progress call of `ensure_binaries`."""
        self.bars.update(self._task, description=what, completed=done, total=total or None)
        now = time.monotonic()
        if what.startswith(("kube-", "etcd", "helm", "kwok", "pubsub")):
            self._built += 1
            self._say(f"built {what} ({done} of {total}, after {now - self._began:.0f} s)")
        elif not self._console.is_terminal and (what != self._doing or now - self._spoke >= _QUIET_EVERY):
            self._doing, self._spoke = what, now
            counted = f" {done} of {total}" if total else ""
            self._say(f"{what}{counted} ({now - self._began:.0f} s)")

    def finish(self, binaries: Binaries) -> None:
        """Says where the programs are and what that took."""
        seconds = time.monotonic() - self._began
        how = f"built {self._built} in {seconds:.0f} s" if self._built else "built before"
        self._say(f"the local cloud's programs: {how}, in {binaries.etcd.parent}")

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def main() -> None:
    """Builds with progress; exits with status 1 and the reason where that fails."""
    try:
        build_with_display(Console())
    except BuildError as error:
        Console(stderr=True).print(f"error: {error}", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)
