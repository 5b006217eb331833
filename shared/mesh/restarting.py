"""Restarts meshed workloads whose proxies are outdated: by rollout, a few at a time, each once for the same settings.

Nothing is remembered but what the workloads themselves bear, so a run that was killed goes on where it was. No function
sleeps here: each pass looks, starts what may be started, and tells what it waits for.
"""

from __future__ import annotations

import concurrent.futures
import datetime as dt
from collections.abc import Sequence

from shared import telemetry
from shared.kube import Conflict, Kube
from shared.mesh.hooks import Stale
from shared.mesh.ownership import FIELD_MANAGER
from shared.mesh.rollouts import PLURALS, Progress, State, Target, restart_patch, state_of
from shared.model import Repair

_WORKERS = 8


def targets(stale: Stale) -> tuple[Target, ...]:
    """The workloads of a look, each once."""
    return tuple(dict.fromkeys(Target(one.namespace, one.kind, one.name) for one in stale.workloads))


def look(kube: Kube, stale: Stale, now: dt.datetime, deadline: float) -> Progress:
    """How far each workload is; one request each, eight at a time.

    Raises:
        Temporary: the API server can't answer.
    """

    def state(target: Target) -> State:
        found = kube.get(target.path) if target.kind in PLURALS else None
        return state_of(target, found, stale.key, now, deadline)

    found = targets(stale)
    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        states = tuple(zip(found, pool.map(state, found), strict=True))
    return Progress(states=states, other_pods=stale.other_pods)


def start(kube: Kube, those: Sequence[Target], key: str, now: dt.datetime) -> tuple[Target, ...]:
    """Restart workloads; returns those that were, without what was deleted or changed at the same moment.

    Raises:
        Temporary: the API server can't answer.
        AdmissionDenied: admission control rejects the change of a workload.
    """
    started = []
    for target in those:
        found = kube.get(target.path)
        if found is None:
            continue
        telemetry.info(f"restart: {target}", repair=Repair.RESTART_WORKLOADS.value)
        try:
            kube.patch(target.path, restart_patch(found, key, now), field_manager=FIELD_MANAGER)
        except Conflict:
            continue
        started.append(target)
    return tuple(started)
