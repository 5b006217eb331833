"""Who changed allow-net-admin, and when it has become a fight."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from shared.cloud_logging import AuditEntry
from shared.model import MeshStatus, Phase
from shared.stages import undone
from shared.stages.undone import UNKNOWN, Author
from tests.unit.doors import EU1, NOW

HOUR = dt.timedelta(hours=1)
OURS = frozenset({"enable-net-admin@mesh.iam.gserviceaccount.com"})
KEY = "desiredAutopilotWorkloadPolicyConfig"


def update(hours_ago: float, allowed: bool | None, principal: str = "alice@example.com", **more: Any) -> AuditEntry:
    config = {KEY: {"allowNetAdmin": allowed}} if allowed is not None else {}
    return AuditEntry(
        cluster=EU1,
        time=NOW - hours_ago * HOUR,
        method="UpdateCluster",
        operation=f"op-{hours_ago}",
        first=True,
        principal=principal,
        user_agent="Terraform/1.9",
        request={"update": {**config, **more}},
    )


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"update": {KEY: {"allowNetAdmin": True}}}, True),
        ({"update": {KEY: {"allowNetAdmin": False}}}, False),
        ({"update": {KEY: {}}}, False),
        ({"update": {"desired_autopilot_workload_policy_config": {"allow_net_admin": True}}}, True),
        ({"update": {KEY: None}}, False),
        ({"update": {KEY: "yes"}}, False),
        ({"update": {"desiredReleaseChannel": {"channel": "RAPID"}}}, None),
        ({"update": ["no", "mapping"]}, None),
        ({}, None),
    ],
)
def test_to_what_an_update_set_it(request_: dict[str, Any], expected: bool | None) -> None:
    entry = msgspec.structs.replace(update(0, None), request=request_)
    assert undone.set_to(entry) is expected


def test_the_fields_of_an_update() -> None:
    assert undone.fields_of(update(0, True, etag="e", desiredReleaseChannel={})) == {KEY, "desiredReleaseChannel"}


def test_the_author_is_who_set_it_last_to_what_it_is() -> None:
    updates = [update(1, None, "bob@example.com"), update(2, False), update(3, False, "carol@example.com")]
    found = undone.author(updates, to=False)
    assert found == Author("alice@example.com", "Terraform/1.9", NOW - 2 * HOUR)
    assert str(found) == "alice@example.com (Terraform/1.9)"
    assert found.words == "alice@example.com (Terraform/1.9), 2026-05-04 07:00:00 UTC"
    assert undone.author(updates, to=True) == Author()
    assert Author().words == UNKNOWN


def fight(*updates: AuditEntry, limit: int = 3, wanted: bool = True, **more: Any) -> undone.Fight:
    return undone.fight(updates, wanted=wanted, ours=OURS, limit=limit, now=NOW, **more)


def test_the_third_time_within_a_day_is_a_conflict() -> None:
    third, second, first = update(1, False), update(2, False, "bob@example.com"), update(23, False)
    assert not fight(third, second).conflict
    found = fight(third, second, first)
    assert found.conflict
    assert found.ends == NOW + HOUR
    assert "bob@example.com (Terraform/1.9), 2026-05-04 07:00:00 UTC" in found.words
    assert not fight(third, second, msgspec.structs.replace(first, time=NOW - 25 * HOUR)).conflict
    assert fight(third, second).ends is None


def test_what_we_did_and_what_agrees_undoes_nobody() -> None:
    ours = update(1, False, next(iter(OURS)))
    assert fight(ours, update(1, True), update(2, None), update(3, False)).authors == (
        Author("alice@example.com", "Terraform/1.9", NOW - 3 * HOUR),
    )
    assert len(fight(update(1, True), wanted=False).authors) == 1


def test_without_a_limit_there_is_no_conflict() -> None:
    assert not fight(*(update(number / 10, False) for number in range(20)), limit=0).conflict


def test_many_times_are_named_by_the_first_and_a_count() -> None:
    assert fight(*(update(number / 10, False) for number in range(13))).words.endswith("; and 3 times more")


def conflict(policy: str, hours_ago: float) -> MeshStatus:
    return MeshStatus(
        cluster=EU1,
        phase=Phase.REFUSED,
        reason=undone.CONFLICT,
        message="m",
        policy=policy,
        time=NOW - hours_ago * HOUR,
    )


def test_a_changed_policy_begins_to_count_anew() -> None:
    said = [conflict("new", 1), MeshStatus(cluster=EU1, phase=Phase.READY, reason="R", message="m"), conflict("old", 2)]
    assert undone.reconciled_at(said, "new") == NOW - 2 * HOUR
    assert undone.reconciled_at(said[:2], "new") is None
    times = [update(1, False), update(1.5, False), update(3, False)]
    assert fight(*times).conflict
    assert not fight(*times, reconciled=NOW - 2 * HOUR).conflict


def test_a_hostile_name_is_cut() -> None:
    assert len(str(Author.of(update(1, False, "x" * 100_000)))) < 500
