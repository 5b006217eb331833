"""What `kubectl get pods` calls a pod's status, as linkerd2 works it out (pkg/k8s/api.go, GetPodStatus)."""

from __future__ import annotations

from collections.abc import Sequence

from shared.mesh.fold import wire


def pod_status(
    pod: wire.PodStatus,
    init_specs: Sequence[wire.PodContainer],
    init: Sequence[wire.ContainerStatus],
    containers: Sequence[wire.ContainerStatus],
) -> str:
    """The one word for a pod: its phase, or what keeps its containers from running.

    Args:
        pod: its status.
        init_specs: spec.initContainers.
        init: status.initContainerStatuses.
        containers: status.containerStatuses.
    """
    word = pod.reason or pod.phase
    sidecars = {spec.name for spec in init_specs if spec.restart_policy == "Always"}
    for at, status in enumerate(init):
        if not _over(status, sidecar=status.name in sidecars):
            return _initializing(status.state, at, len(init_specs))
    running = False
    for status in reversed(containers):
        waiting, ended = status.state.waiting, status.state.terminated
        if waiting is not None and waiting.reason:
            word = waiting.reason
        elif ended is not None:
            word = _ending(ended)
        elif status.ready and status.state.running is not None:
            running = True
    return "Running" if word == "Completed" and running else word


def _over(status: wire.ContainerStatus, *, sidecar: bool) -> bool:
    ended = status.state.terminated
    if ended is not None and ended.exit_code == 0 and ended.signal == 0:
        return True
    return sidecar and bool(status.started) and status.ready


def _initializing(state: wire.State, at: int, total: int) -> str:
    if state.terminated is not None:
        return f"Init:{_ending(state.terminated)}"
    if state.waiting is not None and state.waiting.reason not in ("", "PodInitializing"):
        return f"Init:{state.waiting.reason}"
    return f"Init:{at}/{total}"


def _ending(ended: wire.Terminated) -> str:
    if ended.reason:
        return ended.reason
    return f"Signal:{ended.signal}" if ended.signal else f"ExitCode:{ended.exit_code}"
