"""How far a restart is, and which workloads come next."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mesh.rollouts import RESTARTED_AT, RESTARTED_FOR, Progress, State, Target, restart_patch, state_of, words

NOW = dt.datetime(2026, 5, 4, 9, 0, tzinfo=dt.UTC)
WEB = Target("shop", "Deployment", "web")
KEY = "current"


def workload(
    key: str = "", *, at: str = NOW.isoformat(), ready: int = 2, updated: int = 2, total: int = 2, **spec: Any
) -> dict[str, Any]:
    marks = {RESTARTED_FOR: key, RESTARTED_AT: at} if key else {"other": "1"}
    return {
        "metadata": {"name": "web", "generation": 3, "resourceVersion": "7"},
        "spec": {"replicas": 2, "template": {"metadata": {"annotations": marks}}, **spec},
        "status": {
            "observedGeneration": 3,
            "replicas": total,
            "updatedReplicas": updated,
            "readyReplicas": ready,
            "desiredNumberScheduled": 2,
            "updatedNumberScheduled": updated,
            "numberAvailable": ready,
        },
    }


def state(found: dict[str, Any] | None, kind: str = "Deployment", later: float = 0) -> State:
    return state_of(Target("shop", kind, "web"), found, KEY, NOW + dt.timedelta(seconds=later), 600)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_a_workload_is_restarted_once_for_the_same_settings(kind: str) -> None:
    assert state(workload(), kind) is State.TO_DO
    assert state(workload("old"), kind) is State.TO_DO
    assert state(workload(KEY, ready=1), kind) is State.RUNNING
    assert state(workload(KEY, updated=1), kind) is State.RUNNING
    assert state(workload(KEY), kind) is State.SPENT
    unseen = workload(KEY)
    unseen["status"]["observedGeneration"] = 2
    assert state(unseen, kind) is State.RUNNING


def test_old_pods_beside_the_new_ones_are_not_rolled_out() -> None:
    assert state(workload(KEY, total=3)) is State.RUNNING


def test_a_restart_that_takes_too_long_is_stuck() -> None:
    assert state(workload(KEY, ready=1), later=600) is State.RUNNING
    assert state(workload(KEY, ready=1), later=601) is State.STUCK
    assert state(workload(KEY), later=10_000) is State.SPENT
    gave_up = workload(KEY, ready=1)
    gave_up["status"]["conditions"] = [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]
    assert state(gave_up) is State.STUCK
    for text in ("", "yesterday", "2026-05-04T09:00:00"):
        assert state(workload(KEY, ready=1, at=text), later=10_000) is State.RUNNING


@pytest.mark.parametrize("kind", ["Pod", "Job", "ReplicaSet", "CronJob", "Rollout"])
def test_what_no_rollout_restarts_is_listed_only(kind: str) -> None:
    assert state(None, kind) is State.BY_HAND


def test_what_is_paused_or_replaced_by_deletion_is_listed_only() -> None:
    assert state(workload(paused=True)) is State.BY_HAND
    assert state(workload(updateStrategy={"type": "OnDelete"}), "DaemonSet") is State.BY_HAND
    assert state(workload(updateStrategy={"type": "RollingUpdate"}), "DaemonSet") is State.TO_DO
    assert state(None) is State.GONE


def test_a_restart_is_an_annotation_of_the_template_and_nothing_else() -> None:
    assert restart_patch(workload(), KEY, NOW) == {
        "metadata": {"resourceVersion": "7"},
        "spec": {
            "template": {"metadata": {"annotations": {RESTARTED_AT: "2026-05-04T09:00:00+00:00", RESTARTED_FOR: KEY}}}
        },
    }


def targets(count: int) -> tuple[Target, ...]:
    return tuple(Target("shop", "Deployment", f"w{index}") for index in range(count))


@given(st.lists(st.sampled_from(State), max_size=12), st.integers(0, 5))
def test_no_more_than_so_many_are_under_way_and_none_is_started_beside_a_stuck_one(
    states: list[State], at_once: int
) -> None:
    progress = Progress(states=tuple(zip(targets(len(states)), states, strict=True)))
    coming = progress.next(at_once)
    assert set(coming) <= set(progress.of(State.TO_DO))
    running = len(progress.of(State.RUNNING))
    assert not coming or running + len(coming) <= at_once
    if State.STUCK in states:
        assert coming == ()
        assert progress.pending == (State.RUNNING in states)
    else:
        assert progress.pending == bool({State.RUNNING, State.TO_DO} & {*states})


def test_words_name_the_first_few() -> None:
    assert words((WEB,)) == "Deployment shop/web"
    assert words(targets(7)).endswith("Deployment shop/w4 and 2 more")
