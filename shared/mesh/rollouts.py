"""Workloads to be restarted by rollout: how far each is, and which come next; pure.

A restart is what `kubectl rollout restart` makes of it: an annotation of the pod template (kubectl
pkg/polymorphichelpers/objectrestarter.go), which its controller rolls out. A second annotation says for which settings
it was made, so that a workload is restarted once for each, whoever counts and however often.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
RESTARTED_FOR = "byomesh/restarted-for"
"""Which settings the last restart was made for: a digest of them."""
PLURALS = {"DaemonSet": "daemonsets", "Deployment": "deployments", "StatefulSet": "statefulsets"}
"""The kinds that can be restarted by rollout, all of apps/v1."""


class State(enum.Enum):
    """How far a workload is."""

    TO_DO = "to do"
    RUNNING = "restarting"
    STUCK = "stuck"
    SPENT = "spent"
    """It was restarted for these settings, is rolled out, and its pods are outdated all the same."""
    BY_HAND = "by hand"
    """No rollout restarts it: a bare pod, a Job, a paused Deployment, or one that replaces pods only on deletion."""
    GONE = "gone"


class Target(msgspec.Struct, frozen=True, order=True):
    """A workload with outdated pods."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def path(self) -> str:
        """Where the API server has it; only of a kind in `PLURALS`."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/{PLURALS[self.kind]}/{self.name}"


def state_of(target: Target, found: Mapping[str, Any] | None, key: str, now: dt.datetime, deadline: float) -> State:
    """How far a restart is.

    Args:
        target: the workload.
        found: it as JSON; None where it isn't there, or its kind can't be restarted.
        key: the settings that its proxies should have.
        now: the time.
        deadline: seconds after which a restart that isn't rolled out is stuck.
    """
    if target.kind not in PLURALS:
        return State.BY_HAND
    if found is None:
        return State.GONE
    spec = found.get("spec", {})
    strategy = (spec.get("updateStrategy") or {}).get("type", "")
    if spec.get("paused") or strategy == "OnDelete":
        return State.BY_HAND
    marks = ((spec.get("template") or {}).get("metadata") or {}).get("annotations") or {}
    if marks.get(RESTARTED_FOR) != key:
        return State.TO_DO
    if rolled_out(target.kind, found):
        return State.SPENT
    since = _time(marks.get(RESTARTED_AT, ""))
    late = since is not None and (now - since).total_seconds() > deadline
    return State.STUCK if late or _gave_up(found) else State.RUNNING


def _time(text: str) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _gave_up(found: Mapping[str, Any]) -> bool:
    """Whether a Deployment's controller says that its progressDeadlineSeconds are over."""
    conditions = found.get("status", {}).get("conditions") or ()
    return any(one.get("reason") == "ProgressDeadlineExceeded" for one in conditions)


def rolled_out(kind: str, found: Mapping[str, Any]) -> bool:
    """Whether a workload's pods are all of its newest template (kubectl pkg/polymorphichelpers/rollout_status.go)."""
    status, generation = found.get("status", {}), int(found["metadata"].get("generation", 0))
    if int(status.get("observedGeneration", 0)) < generation:
        return False
    if kind == "DaemonSet":
        wanted = int(status.get("desiredNumberScheduled", 0))
        return min(int(status.get(field, 0)) for field in ("updatedNumberScheduled", "numberAvailable")) >= wanted
    wanted = int(found.get("spec", {}).get("replicas", 1))
    counts = [int(status.get(field, 0)) for field in ("updatedReplicas", "readyReplicas")]
    return min(counts) >= wanted and int(status.get("replicas", 0)) <= max(wanted, counts[0])


def restart_patch(found: Mapping[str, Any], key: str, now: dt.datetime) -> dict[str, Any]:
    """The merge patch that restarts a workload; it carries the resourceVersion that was looked at."""
    marks = {RESTARTED_AT: now.isoformat(timespec="seconds"), RESTARTED_FOR: key}
    return {
        "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
        "spec": {"template": {"metadata": {"annotations": marks}}},
    }


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One look at all workloads with outdated pods, by how far each is.

    Attributes:
        states: each with its state.
        other_pods: outdated pods of workloads that the look kept no names of; they come up as others are done.
    """

    states: tuple[tuple[Target, State], ...] = ()
    other_pods: int = 0

    def of(self, state: State) -> tuple[Target, ...]:
        """The workloads in a state, in the order of the look."""
        return tuple(target for target, one in self.states if one is state)

    def next(self, at_once: int) -> tuple[Target, ...]:
        """The workloads to restart now, so that at most `at_once` are under way; none once one is stuck."""
        if self.of(State.STUCK):
            return ()
        free = max(at_once - len(self.of(State.RUNNING)), 0)
        return self.of(State.TO_DO)[:free]

    @property
    def pending(self) -> bool:
        """Whether a later look will have something to do, or to wait for."""
        return bool(self.of(State.RUNNING)) or (bool(self.of(State.TO_DO)) and not self.of(State.STUCK))


def words(targets: Sequence[Target], shown: int = 5) -> str:
    """The first few by name, and how many more there are."""
    named = ", ".join(map(str, targets[:shown]))
    return f"{named} and {len(targets) - shown} more" if len(targets) > shown else named
