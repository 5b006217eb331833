"""What survives a machine's death: install_mesh killed in the middle of Helm's work, and the daemon itself."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.e2e.cloud import INSTALLED_ONCE, Cloud, alive, cloud, processes

CRDS, CONTROL_PLANE = "linkerd-crds", "linkerd-control-plane"


class Worker:
    """The processes of install_mesh, as a machine has them: gunicorn's master, its worker, and Helm."""

    def __init__(self, master: psutil.Process) -> None:
        self._master = master

    def helm(self, release: str = "") -> list[psutil.Process]:
        """The runs of Helm, of one release or any."""
        return [one for one in processes(self._master) if _installs(one, release)]

    def await_helm(self, release: str) -> None:
        """Return as soon as Helm works on a release."""
        deadline = time.monotonic() + 180
        while not self.helm(release):
            assert time.monotonic() < deadline, f"Helm didn't begin with {release}"

    def die(self) -> list[psutil.Process]:
        """Kill the master, then the workers, and leave Helm to its own end; returns what ran of Helm."""
        helm, tree = self.helm(), processes(self._master)
        for one in tree:
            if one not in helm:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        return helm


def _installs(process: psutil.Process, release: str) -> bool:
    try:
        command = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
    return len(command) > 2 and command[0].endswith("/helm") and command[1] == "upgrade" and release in command[2]


def at_the_start(worker: Worker) -> None:
    worker.await_helm(CRDS)


def a_little_later(worker: Worker) -> None:
    worker.await_helm(CRDS)
    time.sleep(0.2)


def between_the_releases(worker: Worker) -> None:
    worker.await_helm(CRDS)
    while worker.helm(CRDS):
        pass


def in_the_second_release(worker: Worker) -> None:
    worker.await_helm(CONTROL_PLANE)
    time.sleep(0.2)


MOMENTS: dict[str, tuple[Callable[[Worker], None], str]] = {
    "start": (at_the_start, CRDS),
    "soon": (a_little_later, ""),
    "between": (between_the_releases, ""),
    "second": (in_the_second_release, CONTROL_PLANE),
}
"""When to kill, and the release that Helm can't have finished then, unless it outlived the worker."""


@pytest.fixture(scope="module")
def dying_cloud() -> Iterator[Cloud]:
    """A local cloud where the Lease of who was killed runs out soon, and that redelivers while a function starts."""
    settings = {"BYOMESH_LEASE_DURATION": "10", "BYOMESH_HELM_TIMEOUT": "8"}
    with cloud() as made:
        made.up(
            "--pace",
            "5",
            "--duplicate",
            "1",
            *(part for pair in settings.items() for part in ("--setting", "=".join(pair))),
        )
        for name in MOMENTS:
            # Nobody's but the test's message asks for the mesh.
            made.create(name, "--standard")
        made.until(lambda: {one["status"] for one in made.clusters()} == {"RUNNING"}, "the clusters")
        yield made


@pytest.mark.parametrize("name", MOMENTS)
def test_a_redelivery_finishes_what_a_killed_worker_began(dying_cloud: Cloud, name: str) -> None:
    cluster = next(one["name"] for one in dying_cloud.clusters() if one["name"].endswith(f"/{name}"))
    worker = Worker(dying_cloud.function("install_mesh"))
    message_id = dying_cloud.publish("mesh-install", {"cluster": cluster, "mesh": "linkerd"})
    moment, begun = MOMENTS[name]
    try:
        moment(worker)
        helm = worker.die()
        dying_cloud.until(lambda: not alive(helm), "Helm to die with the worker that ran it")
        left = dying_cloud.revisions(name)
    finally:
        dying_cloud.local("restart", "install_mesh")
    assert left != INSTALLED_ONCE, "killed too late to prove anything"
    assert left.get((begun, 1)) != "deployed"

    status = dying_cloud.ready(name)
    assert (status["request_id"], status["checks"]["failed"]) == (message_id, 0)
    deliveries = dying_cloud.events(name, "install_mesh", source=message_id)
    assert deliveries[0]["error"] is not None
    assert deliveries[-1]["error"] is None
    revisions = dying_cloud.revisions(name)
    newest = {release: revisions[release, number] for release, number in sorted(revisions)}
    assert newest == {CRDS: "deployed", CONTROL_PLANE: "deployed"}
    assert not [state for state in revisions.values() if state.startswith("pending")]
    dying_cloud.local("delete-cluster", name)


def test_nothing_of_the_crashes_is_left(dying_cloud: Cloud) -> None:
    assert Worker(dying_cloud.function("install_mesh")).helm() == []
    assert dying_cloud.json("events", "--dead-letters") == []


def test_the_troubles_that_it_was_started_with_happened(dying_cloud: Cloud) -> None:
    entries = [one["line"] for one in dying_cloud.events(function="enable_net_admin", kind="eventarc")]
    for name in MOMENTS:
        assert entries.count(f"CreateCluster {name}: last entry") == 2


def test_a_daemon_that_is_killed_takes_everything_with_it(dying_cloud: Cloud) -> None:
    name = dying_cloud.create("orphan")
    dying_cloud.until(lambda: dying_cloud.cluster(name)["status"] == "RUNNING", "the cluster")
    daemon = dying_cloud.daemon()
    tree = processes(daemon)
    names = {one.name() for one in tree}
    assert names >= {"etcd", "kube-apiserver", "kwok", "pubsub"}
    daemon.kill()
    dying_cloud.until(lambda: not alive(tree), "every process to end with the daemon")
    assert dying_cloud.local("down").out == "no local cloud was up\n"
    assert "no local cloud is up" in dying_cloud.local("status", code=1).err
