"""The restart of outdated workloads by hand: the passes that the functions make, one after another, with progress."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

from rich.text import Text

from byomesh.cli.output import err, out

if TYPE_CHECKING:
    from shared.kube import Kube
    from shared.mesh.profile import Profile
    from shared.mesh.rollouts import Progress

AT_ONCE = 3
"""How many workloads are under way at once."""
_STEP = 0.5


def restart(api: Kube, profile: Profile, timeout: float) -> Progress:
    """Restart every workload that a rollout brings up to date; ends when all are done, one is stuck, or time is over.

    Raises:
        Temporary: the API server can't answer.
        AdmissionDenied: admission control rejects the change of a workload.
    """
    # Loads the Kubernetes client, which --help has no need of.
    from shared.mesh import restarting  # noqa: PLC0415
    from shared.mesh.hooks import restart_hooks  # noqa: PLC0415

    hooks = restart_hooks(profile)
    deadline = time.monotonic() + timeout
    with err.status("looking for workloads with outdated proxies") as status:
        while True:
            now = dt.datetime.now(dt.UTC)
            stale = hooks.stale(api, profile)
            progress = restarting.look(api, stale, now, timeout)
            if not progress.pending or time.monotonic() >= deadline:
                return progress
            coming = progress.next(AT_ONCE)
            why = hooks.injected(api, profile, coming[0].namespace) if coming else ""
            if coming and not why:
                restarting.start(api, coming, stale.key, now)
            status.update(_words(progress, why))
            time.sleep(_STEP)


def _words(progress: Progress, why: str) -> str:
    from shared.mesh.rollouts import State, words  # noqa: PLC0415 - as in `restart`

    if why:
        return f"waiting for the injector to give new pods what is current ({why})"
    left = (*progress.of(State.RUNNING), *progress.of(State.TO_DO))
    return f"restarting {words(left)}"


def show(left: dict[str, list[str]]) -> None:
    """Say what is left, by what keeps it."""
    for state, targets in left.items():
        for target in targets:
            out.print(Text(f"{state}: {target}", "yellow"))


def as_json(progress: Progress) -> dict[str, list[str]]:
    """The workloads that aren't up to date, by what keeps them."""
    found: dict[str, list[str]] = {}
    for target, state in progress.states:
        if state.name in _LEFT:
            found.setdefault(_LEFT[state.name], []).append(str(target))
    return found


_LEFT = {
    "TO_DO": "not restarted",
    "RUNNING": "still restarting",
    "STUCK": "restarted, and doesn't get ready",
    "SPENT": "restarted, and outdated all the same",
    "BY_HAND": "no rollout restarts it",
}
