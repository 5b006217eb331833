"""Any step may be killed anywhere and run again: each write of a story is cut off once, and the end is the same.

A worker that is killed writes nothing more, not even its Lease away; its message comes again once the Lease has run
out. Messages that it published before stay published, so that they come twice.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.mesh import engine
from shared.mesh.hooks import Verification
from shared.mesh.releases import newest
from shared.model import CategoryReport, CheckReport, InstallRequest, VerifyRequest
from shared.outcome import Done, Ignored, Later
from shared.policy import BUILT_IN
from shared.stages import install, verify
from tests.unit.doors import MemoryGke, MemoryHelm, autopilot
from tests.unit.memory_kube import Json, MemoryKube
from tests.unit.test_upgrade_stages import BARE, WORSE, World

PEM = re.compile(r"-----BEGIN.*?-----END[^-]*-----\s*", re.DOTALL)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)")
LEASE = "/apis/coordination.k8s.io/v1/namespaces/byomesh-system/leases/byomesh"
STATUS = "/api/v1/namespaces/byomesh-system/configmaps/byomesh-status"
MOST = 60
"""Messages that a story takes at most; more than that is a circle."""


class Killed(BaseException):
    """The worker is gone."""


class Blade:
    """Falls before the n-th write, and lets nothing through until the next worker comes.

    Attributes:
        writes: how many were let through by now.
    """

    def __init__(self) -> None:
        self.writes = 0
        self._at = 0
        self._fallen = False

    def set(self, at: int) -> None:
        """Fall before the write of this number, from now on; never where it is 0."""
        self.writes, self._at, self._fallen = 0, at, False

    def rise(self) -> None:
        """The next worker comes."""
        self._fallen, self._at = False, 0

    def look(self) -> None:
        """A read."""
        if self._fallen:
            raise Killed

    def write(self) -> None:
        """A write."""
        self.look()
        if self.writes + 1 == self._at:
            self._fallen = True
            raise Killed
        self.writes += 1


class CutHelm(MemoryHelm):
    """Helm that dies with its worker."""

    def __init__(self, kube: MemoryKube, blade: Blade) -> None:
        super().__init__(kube)
        self._blade = blade

    def keep(self, secrets: str, record: Json) -> None:
        self._blade.write()
        super().keep(secrets, record)


class Stories(World):
    """A cluster, its messages, and a worker that may be killed."""

    def __init__(self, charts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine, "verify_hooks", self)
        monkeypatch.setattr(verify, "verify_hooks", self)
        self.rules = BUILT_IN
        self.blade = Blade()
        self.bad = ""
        super().__init__(charts)
        self.helm = CutHelm(self.kube, self.blade)
        send = self.kube._send

        def cut(method: str, path: str, query: Mapping[str, str] | None = None, **more: Any) -> tuple[int, bytes]:
            dry = method == "GET" or (query or {}).get("dryRun")
            (self.blade.look if dry else self.blade.write)()
            return send(method, path, query, **more)

        monkeypatch.setattr(self.kube, "_send", cut)

    def look(self, *given: object) -> Verification:
        if not self.bad:
            return super().look(*given)
        bad = self.versions["linkerd-control-plane"][0] == self.bad
        report = CheckReport((CategoryReport("c", (WORSE,) if bad else self.checks),))
        return Verification(report=report, repairs=(), version="edge-live")

    def story(self, *requests: InstallRequest | VerifyRequest) -> None:
        """Deliver messages and what follows from them until none is left; one that a worker died of comes again."""
        waiting, told = list(requests), 0
        while waiting:
            told += 1
            assert told < MOST, f"this goes in a circle: {waiting}"
            try:
                outcome = self.deliver(waiting[0])
                for one in outcome.next if isinstance(outcome, Done) else ():
                    self.blade.write()
                    waiting.append(one)
                # The answer to the push: without it, the message comes again.
                self.blade.write()
            except Killed:
                self.blade.rise()
                self.now += dt.timedelta(seconds=self.settings.lease_duration + 1)
                continue
            if isinstance(outcome, Later):
                self.now += dt.timedelta(seconds=outcome.delay)
            else:
                waiting.pop(0)
                self.ended = (outcome.status if isinstance(outcome, Done) else None) or self.ended

    ended: Any = None

    def deliver(self, request: InstallRequest | VerifyRequest) -> Done | Ignored | Later:
        doors: dict[str, Any] = {
            "google": MemoryGke(autopilot()),
            "connect": self.connect,
            "rules": self.rules,
            "settings": self.settings,
            "clock": self.clock,
        }
        if isinstance(request, InstallRequest):
            return install.run(request, helm_for=lambda _cluster: self.helm, store=self.store, **doors)
        return verify.run(request, **doors)

    def state(self) -> dict[str, Any]:
        """What is there, but for what is random, and for how many tries it took."""
        found: dict[str, Any] = {}
        for path, obj in self.kube.objects.items():
            kind = obj.get("type") or ""
            if kind == "helm.sh/release.v1" or path in (LEASE, STATUS):
                continue
            metadata = {key: obj["metadata"].get(key) for key in ("labels", "annotations")}
            rest = {key: value for key, value in obj.items() if key != "metadata"}
            if path.rpartition("/")[0].endswith("/secrets"):
                rest = {"data": sorted(obj.get("data") or {})}
            text = json.dumps({**rest, "metadata": metadata}, sort_keys=True)
            found[path] = MOMENT.sub("T", PEM.sub("PEM", text.replace("\\n", "\n")))
        for namespace in ("linkerd", "linkerd-viz"):
            secrets = f"/api/v1/namespaces/{namespace}/secrets"
            listed = list(self.kube.list_items(secrets, field_selector="type=helm.sh/release.v1"))
            found |= {name: (one.version, one.status) for name, one in newest(listed).items()}
        noted = self.kube.objects.get(STATUS, {}).get("data") or {}
        found["status"] = sorted(noted)
        found["upgrade"] = self.upgrade
        found["told"] = self.ended and (self.ended.phase, self.ended.reason, self.ended.version)
        return found


def nothing(_world: Stories) -> None:
    """All is as it should be but for the charts, which are newer."""


def fresh(world: Stories) -> None:
    """Nothing of a mesh is there."""
    for path in [one for one in world.kube.objects if "/linkerd" in one and "/deployments/" not in one]:
        del world.kube.objects[path]
    world.kube.objects.pop(STATUS, None)


STORIES: dict[str, Callable[[Stories], None]] = {"installation": fresh, "upgrade": nothing}


@contextmanager
def cuts(prepare: Callable[[Stories], None], folder: Path) -> Iterator[Callable[[int], Stories]]:
    """A maker of worlds in which the story was told with a cut before the n-th write; with none for 0."""
    with pytest.MonkeyPatch.context() as monkeypatch:

        def told(at: int) -> Stories:
            world = Stories(folder / str(at), monkeypatch)
            prepare(world)
            world.blade.set(at)
            world.story(BARE)
            return world

        yield told


@pytest.mark.parametrize("name", STORIES)
def test_a_story_that_is_cut_off_anywhere_ends_as_if_it_was_not(name: str, tmp_path: Path) -> None:
    with cuts(STORIES[name], tmp_path) as told:
        whole = told(0)
        wished, writes = whole.state(), whole.blade.writes
        assert writes > 1, "nothing was told"
        for at in range(1, writes + 1):
            world = told(at)
            assert world.state() == wished, f"cut before write {at} of {writes}"
            world.kube.writes.clear()
            world.helm.runs.clear()
            world.story(BARE)
            assert (world.kube.writes, world.helm.runs) == ([], []), f"again, cut before write {at} of {writes}"
