"""The Lease of a cluster: one worker, until it gives it back or runs out of time."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from shared.errors import Temporary
from shared.mesh import lease
from shared.mesh.lease import HeldBy, Lease, LeaseLost, expires_in, take
from tests.unit.doors import NOW
from tests.unit.memory_kube import MemoryKube, refusal

LEASES = "/apis/coordination.k8s.io/v1/namespaces/byomesh-system/leases"
LEASE = f"{LEASES}/byomesh"
NAMESPACE = "/api/v1/namespaces/byomesh-system"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> dt.datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture
def kube() -> MemoryKube:
    return MemoryKube()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(kube: MemoryKube, clock: Clock, holder: str = "one", duration: float = 300) -> Lease:
    found = take(kube, holder, duration, clock)
    assert isinstance(found, Lease)
    return found


def spec(kube: MemoryKube) -> dict[str, Any]:
    found: dict[str, Any] = kube.objects[LEASE]["spec"]
    return found


EXPIRIES: dict[str, tuple[Any, float]] = {
    "nobody": ({"renewTime": "2026-05-04T09:00:00Z", "leaseDurationSeconds": 60}, 0),
    "given back": ({"holderIdentity": "", "renewTime": "2026-05-04T09:00:00Z", "leaseDurationSeconds": 60}, 0),
    "no time": ({"holderIdentity": "x", "leaseDurationSeconds": 60}, 0),
    "no spec": (None, 0),
    "now": ({"holderIdentity": "x", "renewTime": "2026-05-04T09:00:00.000000Z", "leaseDurationSeconds": 60}, 60),
    "without fraction": ({"holderIdentity": "x", "renewTime": "2026-05-04T08:59:10Z", "leaseDurationSeconds": 60}, 10),
    "half a second": (
        {"holderIdentity": "x", "renewTime": "2026-05-04T08:59:59.5Z", "leaseDurationSeconds": 1},
        0.5,
    ),
    "with an offset": (
        {"holderIdentity": "x", "renewTime": "2026-05-04T11:00:00.000000+02:00", "leaseDurationSeconds": 5},
        5,
    ),
    "acquired only": ({"holderIdentity": "x", "acquireTime": "2026-05-04T09:00:00Z", "leaseDurationSeconds": 7}, 7),
    "no duration": ({"holderIdentity": "x", "renewTime": "2026-05-04T09:00:00Z"}, 0),
    "run out": ({"holderIdentity": "x", "renewTime": "2026-05-04T08:00:00Z", "leaseDurationSeconds": 60}, 0),
}


@pytest.mark.parametrize("case", EXPIRIES)
def test_when_a_lease_runs_out(case: str) -> None:
    body, seconds = EXPIRIES[case]
    assert expires_in({"spec": body}, NOW) == seconds


def test_the_first_worker_gets_it_and_makes_its_namespace(kube: MemoryKube, clock: Clock) -> None:
    taken(kube, clock, duration=299.2)
    assert kube.objects[NAMESPACE]["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "byomesh"}
    assert spec(kube) == {
        "holderIdentity": "one",
        "leaseDurationSeconds": 300,
        "acquireTime": "2026-05-04T09:00:00.000000Z",
        "renewTime": "2026-05-04T09:00:00.000000Z",
    }


def test_the_second_worker_is_told_by_whom_and_for_how_long(kube: MemoryKube, clock: Clock) -> None:
    taken(kube, clock)
    clock.pass_(100)
    assert take(kube, "two", 300, clock) == HeldBy("one", 200)
    assert spec(kube)["holderIdentity"] == "one"


def test_one_that_ran_out_goes_to_the_next(kube: MemoryKube, clock: Clock) -> None:
    first = taken(kube, clock)
    clock.pass_(300)
    taken(kube, clock, "two")
    assert spec(kube)["holderIdentity"] == "two"
    with pytest.raises(LeaseLost) as raised:
        first.renew()
    assert isinstance(raised.value, Temporary)
    assert raised.value.cluster.endswith("/clusters/eu-1")
    with first:
        pass
    assert spec(kube)["holderIdentity"] == "two"


def test_renewing_holds_it_for_its_whole_duration_again(kube: MemoryKube, clock: Clock) -> None:
    held = taken(kube, clock)
    clock.pass_(299)
    held.renew()
    assert spec(kube)["renewTime"] == "2026-05-04T09:04:59.000000Z"
    assert spec(kube)["acquireTime"] == "2026-05-04T09:00:00.000000Z"
    clock.pass_(299)
    assert isinstance(take(kube, "two", 300, clock), HeldBy)


def test_one_that_ran_out_unnoticed_can_still_be_renewed(kube: MemoryKube, clock: Clock) -> None:
    held = taken(kube, clock)
    clock.pass_(1_000)
    held.renew()
    assert take(kube, "two", 300, clock) == HeldBy("one", 300)


def test_keeping_it_writes_once_a_third_has_passed(kube: MemoryKube, clock: Clock) -> None:
    held = taken(kube, clock)
    kube.writes.clear()
    clock.pass_(100)
    held.keep()
    assert kube.writes == []
    clock.pass_(1)
    held.keep()
    held.keep()
    assert kube.writes == [f"PUT {LEASE}"]


def test_it_is_given_back_at_the_end(kube: MemoryKube, clock: Clock) -> None:
    with taken(kube, clock):
        assert isinstance(take(kube, "two", 300, clock), HeldBy)
    assert spec(kube)["holderIdentity"] == ""
    taken(kube, clock, "two")


def test_it_is_given_back_where_the_work_failed_and_the_failure_is_the_news(kube: MemoryKube, clock: Clock) -> None:
    with pytest.raises(ZeroDivisionError), taken(kube, clock):
        raise ZeroDivisionError
    assert spec(kube)["holderIdentity"] == ""


def test_what_cannot_be_given_back_runs_out(kube: MemoryKube, clock: Clock) -> None:
    with taken(kube, clock):
        kube.answers["PUT", LEASE] = refusal(503, "ServiceUnavailable", "down")
    assert spec(kube)["holderIdentity"] == "one"


def test_what_cannot_be_renewed_for_another_reason_is_that_reason(kube: MemoryKube, clock: Clock) -> None:
    held = taken(kube, clock)
    clock.pass_(1)
    kube.answers["PUT", LEASE] = refusal(503, "ServiceUnavailable", "down")
    with pytest.raises(Temporary, match="down") as raised:
        held.renew()
    assert not isinstance(raised.value, LeaseLost)


class Losing(MemoryKube):
    """Loses the answers to the next writes of the Lease, which were carried out or not."""

    def __init__(self, *, carried_out: bool) -> None:
        super().__init__()
        self._carried_out = carried_out
        self.left = 0

    def _send(self, method: str, path: str, *arguments: Any, **options: Any) -> tuple[int, bytes]:
        if not self.left or method not in ("POST", "PUT") or "leases" not in path:
            return super()._send(method, path, *arguments, **options)
        self.left -= 1
        if self._carried_out:
            super()._send(method, path, *arguments, **options)
        return 503, b""


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_worker_that_missed_an_answer_has_the_lease_all_the_same(clock: Clock, carried_out: bool) -> None:
    kube = Losing(carried_out=carried_out)
    kube.left = 1
    with taken(kube, clock) as made:
        clock.pass_(1)
        kube.left = 1
        made.renew()
        clock.pass_(1)
        made.renew()
        assert isinstance(take(kube, "two", 300, clock), HeldBy)
        clock.pass_(1)
        kube.left = 1
    kube.left = 1
    assert spec(kube)["holderIdentity"] == ""
    again = taken(kube, clock, "two")
    assert spec(kube)["holderIdentity"] == "two"
    again.renew()


def test_whoever_was_quicker_while_an_answer_was_lost_has_it(clock: Clock) -> None:
    kube = Losing(carried_out=False)
    with taken(kube, clock):
        pass

    def quicker(path: str) -> tuple[int, bytes]:
        kube.put(LEASE, {**kube.objects[LEASE], "spec": {**spec(kube), "holderIdentity": "other"}})
        return MemoryKube._send(kube, "GET", path)

    send = kube._send
    kube.left = 1

    def racing(method: str, path: str, *arguments: Any, **options: Any) -> tuple[int, bytes]:
        if method == "GET" and path == LEASE and kube.left == 0:
            return quicker(path)
        return send(method, path, *arguments, **options)

    kube._send = racing  # type: ignore[method-assign]
    assert isinstance(take(kube, "two", 300, clock), HeldBy)
    assert spec(kube)["holderIdentity"] == "other"


def test_two_that_make_it_at_once_are_one_holder(kube: MemoryKube, clock: Clock) -> None:
    kube.answers["POST", LEASES] = refusal(409, "AlreadyExists", "there")
    assert take(kube, "two", 300, clock) == HeldBy("another worker that was quicker", 300)


def test_two_that_take_it_over_at_once_are_one_holder(kube: MemoryKube, clock: Clock) -> None:
    with taken(kube, clock):
        pass
    kube.answers["PUT", LEASE] = refusal(409, "Conflict", "changed")
    assert take(kube, "two", 300, clock) == HeldBy("another worker that was quicker", 300)


def test_a_namespace_that_somebody_made_meanwhile_is_fine(kube: MemoryKube) -> None:
    kube.answers["POST", "/api/v1/namespaces"] = refusal(409, "AlreadyExists", "there")
    lease.ensure_namespace(kube)
    kube.put(NAMESPACE, {})
    del kube.answers["POST", "/api/v1/namespaces"]
    lease.ensure_namespace(kube)
    assert kube.writes == []
