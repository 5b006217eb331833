"""Places among the clusters that are worked on at once: who gets one, who waits, and what it costs."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import msgspec
import pytest

from shared.errors import Permanent, Temporary
from shared.helm import HelmTimeout
from shared.model import ClusterRef, InstallRequest, MeshStatus, Phase, Reason, VerifyRequest, encode
from shared.outcome import Done, Ignored, Later
from shared.policy import Policy, read
from shared.stages import capacity, install
from shared.stages.braking import Brake
from shared.stages.capacity import Asking, Place, Verdict, judge
from shared.tasks import Claim, key_of
from tests.unit.doors import EU1, NOW, SETTINGS, MemoryGke, MemoryHelm, MemoryStore, autopilot, clock
from tests.unit.memory_claims import MemoryClaims
from tests.unit.memory_kube import MemoryKube

EU2, EU3 = (msgspec.structs.replace(EU1, name=name) for name in ("eu-2", "eu-3"))
STATUS = MeshStatus(cluster=EU1, mesh="linkerd", phase=Phase.INSTALLING, reason="Installing", message="m")
HALF = SETTINGS.work_limit / 2


def asking(cluster: ClusterRef = EU1, claim: str = "") -> Asking:
    request = InstallRequest(cluster=cluster, mesh="linkerd", request_id=f"r-{cluster.name}", claim=claim, attempt=1)
    return Asking(request=request, status=STATUS, settings=SETTINGS)


def taken(found: Place | Later) -> Place:
    assert isinstance(found, Place)
    return found


def waits(found: Place | Later | None) -> Later:
    assert isinstance(found, Later)
    assert (found.reason, found.limit, found.uncounted) == ("FleetAtCapacity", math.inf, True)
    return found


def claim(cluster: ClusterRef, second: int, number: int = 1) -> Claim:
    return Claim(NOW + dt.timedelta(seconds=second), f"{key_of(cluster)}-{10**9}-{number:016x}")


def test_a_claim_is_judged_by_the_clusters_that_have_one() -> None:
    first, second, again = claim(EU1, 1), claim(EU2, 2), claim(EU1, 3, 2)
    assert judge([second, first], first.claim_id, 2) is Verdict.OWN
    assert judge([second, first], first.claim_id, 1) is Verdict.AGAIN
    assert judge([second, first], second.claim_id, 1) is Verdict.FULL
    # Two claims of one cluster are one place, and as old as the older.
    assert judge([first, second, again], again.claim_id, 2) is Verdict.OWN
    assert judge([first, second, again], again.claim_id, 1) is Verdict.AGAIN
    assert judge([first, second], again.claim_id, 5) is Verdict.FULL


def test_a_place_is_claimed_and_then_counted() -> None:
    door = MemoryClaims()
    place = taken(asking().take(door, 1, NOW))
    assert door.calls == ["held", "make", "held"]
    assert (list(door.claims), place.claim, place.new) == ([place.claim], place.claim, True)
    # What the claim asks for if it is never given back.
    assert door.messages[place.claim] == VerifyRequest(cluster=EU1, mesh="linkerd", request_id="r-eu-1", attempt=1)


def test_who_finds_no_place_makes_no_claim() -> None:
    door = MemoryClaims()
    taken(asking(EU2).take(door, 1, NOW))
    door.calls.clear()
    later = waits(asking().take(door, 1, NOW))
    assert (later.delay, later.claim, later.status.phase) == (SETTINGS.capacity_step, "", Phase.PENDING)
    assert later.waits_for == "a place: the policy has 1 clusters worked on at once"
    assert waits(asking().look(door, 1)).claim == ""
    assert asking().look(door, 2) is None
    assert asking(EU2).look(door, 1) is None
    assert door.calls == ["held", "held_lately", "held_lately", "held_lately"]


def test_a_place_goes_with_the_request_and_is_not_claimed_again() -> None:
    door = MemoryClaims()
    first = taken(asking().take(door, 1, NOW))
    door.calls.clear()
    assert asking(claim=first.claim).look(door, 1) is None
    again = taken(asking(claim=first.claim).take(door, 1, NOW))
    assert (again.claim, again.new, door.calls) == (first.claim, False, ["held"])


@pytest.mark.parametrize("lost", [True, False])
def test_a_place_that_was_lost_or_nears_its_end_is_claimed_anew(lost: bool) -> None:
    door = MemoryClaims(lasts=SETTINGS.work_limit)
    first = taken(asking().take(door, 1, NOW))
    if lost:
        door.claims.clear()
    now = NOW if lost else NOW + dt.timedelta(seconds=HALF + 1)
    again = taken(asking(claim=first.claim).take(door, 1, now))
    assert again.claim != first.claim
    assert list(door.claims) == [again.claim]


def test_who_comes_at_once_and_later_gives_back_and_the_earlier_looks_again() -> None:
    door = MemoryClaims()

    class Both(MemoryClaims):
        """Another makes a claim between this one's first look and its own claim."""

        def make(self, *arguments: Any) -> str:
            door.make(EU2, "projects/p/topics/mesh-verify", _data(EU2), {"cluster": str(EU2)})
            mine = door.make(*arguments)
            self.claims = door.claims
            return mine

    late = Both()
    later = waits(asking().take(late, 1, NOW))
    assert (later.delay, later.claim) == (SETTINGS.capacity_step, "")
    assert [one.cluster for one in door.held()] == [key_of(EU2)]

    early = Both()
    door.claims.clear()
    # By the clock of the server that took it, this one's claim is the older.
    door.skew = [0.0, 100.0]
    later = waits(asking().take(early, 1, NOW))
    assert later.delay < SETTINGS.capacity_step
    assert later.claim in door.claims


def _data(cluster: ClusterRef) -> bytes:
    return encode(VerifyRequest(cluster=cluster))


def test_a_limit_that_was_lowered_lets_the_oldest_go_on_first() -> None:
    door = MemoryClaims()
    places = {ref: taken(asking(ref).take(door, 3, NOW)) for ref in (EU1, EU2, EU3)}
    later = waits(asking(EU3, places[EU3].claim).take(door, 1, NOW))
    assert (later.claim, len(door.claims)) == ("", 2)
    assert waits(asking(EU1, places[EU1].claim).take(door, 1, NOW)).claim == places[EU1].claim
    waits(asking(EU2, places[EU2].claim).take(door, 1, NOW))
    assert taken(asking(EU1, places[EU1].claim).take(door, 1, NOW)).claim == places[EU1].claim


@pytest.mark.parametrize("new", [True, False])
def test_what_a_worker_leaves_tells_whether_its_place_goes_on(new: bool) -> None:
    door = MemoryClaims()
    claim_id = door.make(EU1, "projects/p/topics/mesh-verify", _data(EU1), {"cluster": str(EU1)})
    place = Place(door=door, cluster=EU1, claim=claim_id, new=new)
    done = Done(status=STATUS, next=(VerifyRequest(cluster=EU1), InstallRequest(cluster=EU1)))
    kept = place.kept(done)
    assert isinstance(kept, Done)
    assert [one.claim for one in kept.next] == [claim_id] * 2
    later = Later(delay=1, reason="R", waits_for="w", limit=1, status=STATUS)
    kept_later = place.kept(later)
    assert isinstance(kept_later, Later)
    assert kept_later.claim == claim_id
    assert claim_id in door.claims
    assert place.kept(Done(status=STATUS)) == Done(status=STATUS)
    assert (claim_id in door.claims) is not new


def test_a_worker_that_fails_gives_back_what_no_message_tells_of() -> None:
    door = MemoryClaims()
    with pytest.raises(Temporary), taken(asking().take(door, 1, NOW)):
        raise Temporary("ApiUnavailable", "down")
    assert door.claims == {}
    carried = taken(asking().take(door, 1, NOW)).claim
    with pytest.raises(Temporary), taken(asking(claim=carried).take(door, 1, NOW)):
        raise Temporary("ApiUnavailable", "down")
    assert list(door.claims) == [carried]


def limited(places: int = 1, more: str = "") -> Policy:
    return read(f"schema: 1\nlimits: {{clustersAtOnce: {places}}}\nrules: [{{name: r1, mesh: linkerd}}]\n{more}", "p")


class World:
    """One cluster, and the queue of claims."""

    def __init__(self) -> None:
        self.kube = MemoryKube()
        self.helm = MemoryHelm(self.kube)
        self.door = MemoryClaims()
        self.store = MemoryStore()
        self.rules = limited()
        self.stopped = False

    def run(self, request: InstallRequest) -> Done | Ignored | Later:
        return install.run(
            request,
            google=MemoryGke(autopilot()),
            connect=lambda _: self.kube,
            helm_for=lambda _: self.helm,
            store=self.store,
            rules=self.rules,
            settings=SETTINGS,
            clock=clock,
            brake=Brake(paused=lambda: self.stopped, claims=lambda: self.door),
        )


REQUEST = InstallRequest(cluster=EU1, mesh="linkerd", request_id="r", reason=Reason.CREATED)


def test_an_installation_claims_a_place_for_its_verification_too() -> None:
    world = World()
    outcome = world.run(REQUEST)
    assert isinstance(outcome, Done)
    (claimed,) = world.door.claims
    assert [one.claim for one in outcome.next] == [claimed]
    # A rerun finds nothing to do, and asks only whether it need not begin.
    world.door.calls.clear()
    world.helm.runs.clear()
    again = world.run(msgspec.structs.replace(REQUEST, claim=claimed))
    assert isinstance(again, Done)
    assert (world.door.calls, world.helm.runs) == ([], [])


def test_where_nothing_is_limited_nobody_asks() -> None:
    world = World()
    world.rules = read("schema: 1\nrules: [{name: r1, mesh: linkerd}]\n", "p")
    outcome = world.run(REQUEST)
    assert isinstance(outcome, Done)
    assert [one.claim for one in outcome.next] == [""]
    assert world.door.calls == []


def test_a_full_fleet_is_waited_for_before_the_cluster_is_even_connected_to() -> None:
    world = World()
    taken(asking(EU2).take(world.door, 1, NOW))
    later = world.run(REQUEST)
    assert isinstance(later, Later)
    assert later.reason == "FleetAtCapacity"
    assert (world.kube.writes, world.helm.runs) == ([], [])


def test_a_place_is_given_back_where_the_work_fails() -> None:
    world = World()
    world.helm.failure = HelmTimeout("HelmTimeout", "too slow")
    with pytest.raises(HelmTimeout):
        world.run(REQUEST)
    assert world.door.claims == {}
    assert "make" in world.door.calls


def test_who_waits_in_a_pause_holds_no_place() -> None:
    world = World()
    claimed = taken(asking().take(world.door, 1, NOW)).claim
    world.stopped = True
    later = world.run(msgspec.structs.replace(REQUEST, claim=claimed))
    assert isinstance(later, Later)
    assert (later.reason, later.claim, world.door.claims) == ("Paused", "", {})
    world.stopped = False
    world.rules = limited(1, "paused: [{reason: quarter's end}]\n")
    later = world.run(REQUEST)
    assert isinstance(later, Later)
    assert (later.reason, later.delay) == ("Paused", SETTINGS.paused_step)
    assert later.waits_for == "its pause in the policy to end: quarter's end"


def test_what_is_refused_before_the_work_claims_nothing() -> None:
    world = World()
    world.rules = limited(1).__class__(rules=(), meshes=frozenset(), source="p")
    with pytest.raises(Permanent, match="neither the request nor the policy names a mesh"):
        world.run(InstallRequest(cluster=EU1))
    assert world.door.calls == []


def test_a_claim_is_renewed_only_when_it_nears_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    door = MemoryClaims(lasts=SETTINGS.work_limit)
    monkeypatch.setattr("shared.tasks.claims", lambda: door)
    claimed = taken(asking().take(door, 1, NOW)).claim
    request = VerifyRequest(cluster=EU1, mesh="linkerd", claim=claimed)
    assert capacity.renewed(request, SETTINGS, NOW) == claimed
    fresh = capacity.renewed(request, SETTINGS, NOW + dt.timedelta(seconds=HALF + 1))
    assert fresh != claimed
    assert list(door.claims) == [fresh]
    assert capacity.renewed(VerifyRequest(cluster=EU1), SETTINGS, NOW) == ""
    capacity.end(VerifyRequest(cluster=EU1))
    capacity.end(msgspec.structs.replace(request, claim=fresh))
    assert door.claims == {}
