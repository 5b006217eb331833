"""When a meshed pod's proxy counts as well (linkerd2 pkg/healthcheck/healthcheck.go, CheckPodsRunning)."""

from __future__ import annotations

from shared.mesh.fold import names
from shared.mesh.snapshot import Pod

OVER = ("Completed", "NodeShutdown", "Shutdown", "Terminated")
"""Statuses of pods that have no running proxy any more."""
_LIVE = ("Running", "Evicted")


def fault(pod: Pod) -> str:
    """What is wrong with a meshed pod's proxy, in the CLI's words; "" where it is ready or the pod has finished."""
    if pod.status in OVER:
        return ""
    if pod.status not in _LIVE:
        return f'pod "{pod.name}" status is {pod.phase}'
    if not pod.proxy_ready:
        return f'container "{names.PROXY}" in pod "{pod.name}" is not ready'
    return ""
