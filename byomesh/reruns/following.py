"""Reruns followed to their end, by the newest statuses in the log."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable

from byomesh.reruns.planning import has_ended
from byomesh.reruns.selecting import Newest
from shared.model import ClusterRef, MeshStatus

STEP = 5.0
"""Seconds between two looks; Cloud Logging allows 60 reads a minute and project, for all readers together."""


def follow(
    clusters: Iterable[ClusterRef],
    newest: Newest,
    since: dt.datetime,
    seconds: float,
    told: Callable[[dict[ClusterRef, MeshStatus], int], None],
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[ClusterRef, MeshStatus]:
    """Look until each cluster's newest status is the end of a request, for `seconds` at most.

    Args:
        clusters: which.
        newest: reads the newest statuses of the clusters of some projects.
        since: when the requests were sent; older statuses are of others.
        seconds: how long to look.
        told: called after each look with the statuses since, and how many of them are ends.
        monotonic: a clock.
        sleep: waits.

    Returns:
        The newest status of each cluster since then; a cluster of which nothing was said is absent.

    Raises:
        Temporary: Cloud Logging can't answer.
    """
    wanted = frozenset(clusters)
    projects = sorted({ref.project for ref in wanted})
    deadline = monotonic() + seconds
    while True:
        found = {
            ref: status
            for ref, status in newest(projects).items()
            if ref in wanted and status.time is not None and status.time >= since
        }
        ended = sum(has_ended(status, since) for status in found.values())
        told(found, ended)
        if ended == len(wanted) or monotonic() >= deadline:
            return found
        sleep(min(STEP, max(0.0, deadline - monotonic())))
