"""`byomesh pause` and `byomesh resume`: the whole fleet, by the queues of Cloud Tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from byomesh.cli.output import Format, Output, err, out, print_json, told
from shared.config import settings

if TYPE_CHECKING:
    from shared.tasks import Queues, QueueState


def pause(output: Output = Format.TABLE) -> None:
    """Pause the whole fleet: no cluster is changed until `byomesh resume`; nothing is lost, and nothing gets Stuck.

    What is being changed at this moment is brought to its end. What was asked for, or is asked for meanwhile, waits in
    the queue. Checks go on.

    Exit status: 0; 1 where Cloud Tasks can't be reached, or you lack cloudtasks.queues.pause.
    """
    _switch(lambda queues: queues.pause(), output, "paused: no cluster is changed until `byomesh resume`")


def resume(output: Output = Format.TABLE) -> None:
    """Let the whole fleet go on after `byomesh pause`: what waited is taken up at the queue's rate.

    Exit status: 0; 1 where Cloud Tasks can't be reached, or you lack cloudtasks.queues.resume.
    """
    _switch(lambda queues: queues.resume(), output, "resumed: what waited is taken up now")


def _switch(act: Callable[[Queues], Iterator[QueueState]], output: Format, words: str) -> None:
    from shared.tasks import Queues  # noqa: PLC0415 - loads Google's client, and --help needs none

    found = []
    with told(), err.status("asking Cloud Tasks"):
        found = list(act(Queues(settings())))
    if output is Format.JSON:
        print_json([{"queue": one.name, "paused": one.paused} for one in found])
        return
    for one in found:
        out.print(f"{one.name} is {'paused' if one.paused else 'running'}")
    err.print(words)
