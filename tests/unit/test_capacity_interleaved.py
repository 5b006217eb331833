"""No order in which workers take turns at the queue of claims lets more clusters in than there are places.

The stage's own code runs, one thread a worker, and stops before each call to the queue until the schedule lets it go
on. For two workers every order is tried, for more Hypothesis chooses; workers may also be killed before any call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model import ClusterRef, InstallRequest, MeshStatus, Phase
from shared.stages.capacity import Asking, Place
from shared.tasks import Claim
from tests.unit.doors import EU1, NOW, SETTINGS
from tests.unit.memory_claims import MemoryClaims

STATUS = MeshStatus(cluster=EU1, mesh="linkerd", phase=Phase.INSTALLING, reason="Installing", message="m")
_TRIES = 3
"""How often a worker looks for a place before it gives up."""


class Killed(BaseException):
    """A worker's process has ended."""


class Worker:
    """A worker that looks for a place, works, and gives the place back; it goes on one call at a time."""

    def __init__(self, world: World, cluster: ClusterRef) -> None:
        self.cluster = cluster
        self.working = False
        self.worked = 0
        self.over = False
        self._world = world
        self._kill = False
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._stopped.acquire()

    def step(self, *, kill: bool = False) -> None:
        """Let it make its next call, or end before it."""
        self._kill = kill
        self._go.release()
        self._stopped.acquire()
        if self.over:
            self._thread.join()

    def _turn(self) -> None:
        self._stopped.release()
        self._go.acquire()
        if self._kill:
            raise Killed

    def _run(self) -> None:
        try:
            self._turn()
            self._work()
        except Killed:
            pass
        finally:
            self.working = False
            self.over = True
            self._stopped.release()

    def _work(self) -> None:
        carried = ""
        for _ in range(_TRIES):
            request = InstallRequest(cluster=self.cluster, mesh="linkerd", claim=carried)
            asking = Asking(request=request, status=STATUS, settings=SETTINGS)
            found = asking.take(self, self._world.places, NOW)
            if isinstance(found, Place):
                self.working, self.worked = True, self.worked + 1
                self._turn()
                self.working = False
                self.give_back(found.claim, self.cluster)
                return
            carried = found.claim or ""

    def held(self) -> tuple[Claim, ...]:
        self._turn()
        return self._world.door.held()

    held_lately = held

    def make(self, cluster: ClusterRef, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        self._turn()
        return self._world.door.make(cluster, topic, data, attributes)

    def give_back(self, claim_id: str, cluster: ClusterRef) -> None:
        self._turn()
        self._world.door.give_back(claim_id, cluster)


class World:
    """Workers at one queue."""

    def __init__(self, places: int, clusters: list[int], skew: list[float]) -> None:
        self.places = places
        self.door = MemoryClaims(lasts=SETTINGS.work_limit)
        self.door.skew = list(skew)
        self.workers = [Worker(self, msgspec.structs.replace(EU1, name=f"eu-{one}")) for one in clusters]

    def run(self, choose: Callable[[int], int], kills: Callable[[], bool] = lambda: False) -> None:
        """Let one of the workers go on, again and again, until all are over; holds the limit at each step."""
        while alive := [one for one in self.workers if not one.over]:
            alive[choose(len(alive))].step(kill=kills())
            at_work = {one.cluster for one in self.workers if one.working}
            assert len(at_work) <= self.places, f"{len(at_work)} clusters are worked on at once"


def schedules(run: Callable[[Callable[[int], int]], None]) -> Iterator[None]:
    """Run with every schedule that there is: the last choice that can be another one is, until none can."""
    path: list[tuple[int, int]] = []
    while True:
        position = 0

        def choose(count: int) -> int:
            nonlocal position
            if position == len(path):
                path.append((0, count))
            choice, _ = path[position]
            position += 1
            return choice

        run(choose)
        yield
        while path and path[-1][0] + 1 == path[-1][1]:
            path.pop()
        if not path:
            return
        path[-1] = (path[-1][0] + 1, path[-1][1])


@pytest.mark.parametrize("skew", [[], [0.0, 5.0]])
def test_of_two_clusters_never_both_have_the_only_place_whatever_the_order(skew: list[float]) -> None:
    count = 0

    def run(choose: Callable[[int], int]) -> None:
        World(1, [1, 2], skew).run(choose)

    for _ in schedules(run):
        count += 1
    assert count > 100


@settings(max_examples=150, deadline=None)
@given(
    places=st.integers(1, 2),
    clusters=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    skew=st.lists(st.floats(0, 5), max_size=8),
    choices=st.lists(st.integers(0, 4), max_size=80),
    deaths=st.lists(st.sampled_from([False] * 9 + [True]), max_size=80),
)
def test_no_order_no_clock_and_no_death_lets_too_many_in(
    places: int, clusters: list[int], skew: list[float], choices: list[int], deaths: list[bool]
) -> None:
    turns, ends = iter(choices), iter(deaths)
    world = World(places, clusters, skew)
    world.run(lambda count: next(turns, 0) % count, lambda: next(ends, False))


def test_one_after_the_other_all_are_worked_on() -> None:
    world = World(1, [1, 2, 3], [])
    world.run(lambda _: 0)
    assert [one.worked for one in world.workers] == [1, 1, 1]
    assert world.door.claims == {}
