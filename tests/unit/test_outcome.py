from __future__ import annotations

import pytest

from shared.model import MeshStatus, Phase
from shared.outcome import Done, Ignored, Later

STATUS = MeshStatus(cluster=None, phase=Phase.PENDING, reason="r", message="m")


def test_done_may_have_nothing_to_say() -> None:
    assert Done() == Done(status=None, next=())


def test_outcomes_are_frozen() -> None:
    outcome = Later(delay=1.0, reason="r", waits_for="w", limit=2.0, status=STATUS)
    with pytest.raises(AttributeError):
        outcome.delay = 3.0  # type: ignore[misc]


def test_outcomes_are_told_apart_by_type() -> None:
    seen = []
    for outcome in (Done(), Ignored("why"), Later(delay=1, reason="r", waits_for="w", limit=2, status=STATUS)):
        match outcome:
            case Ignored(reason):
                seen.append(reason)
            case Later(delay=delay):
                seen.append(str(delay))
            case Done(status=status):
                seen.append(str(status))
    assert seen == ["None", "why", "1"]
