"""The demo, once: its scenes, what its processes held on the network meanwhile, and that none of them stays."""

from __future__ import annotations

import dataclasses
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.cloud import BYOMESH, CHARTS, PATIENCE, Cloud, alive, environment
from tests.e2e.sockets import Held, Watch, held_by, is_loopback

SCENES = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Played:
    """A demo that has ended.

    Attributes:
        code: its exit status.
        text: what it printed.
        watch: what was seen of its processes.
    """

    code: int
    text: str
    watch: Watch


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    with tempfile.TemporaryDirectory(prefix="byomesh-e2e-") as folder:
        demo = subprocess.Popen(
            [str(BYOMESH), "demo"],
            env=environment(Path(folder)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watch = Watch(lambda: psutil.Process(demo.pid))
        try:
            with watch.watching():
                text, _ = demo.communicate(timeout=PATIENCE)
            yield Played(demo.returncode, text, watch)
        finally:
            demo.kill()
            for process in alive(list(watch.seen)):
                process.kill()


def test_every_scene_is_observed(played: Played) -> None:
    assert played.code == 0, played.text
    assert "the fleet's status as a page" in played.text
    final = played.text[played.text.rindex("WHAT WAS SEEN") :]
    assert len(re.findall(r"^✔", final, re.MULTILINE)) == SCENES, played.text
    assert "✘" not in played.text


def test_it_says_which_charts_it_installed_and_quotes_the_mesh(played: Played) -> None:
    assert f"What is installed: the charts in {CHARTS} (BYOMESH_CHARTS)" in played.text
    assert "[denied by autogke-default-linux-capabilities]" in played.text
    assert re.search(r"do not include svc default/kubernetes \(34\.118\.224\.1\)", played.text)


def test_nothing_leaves_loopback(played: Played) -> None:
    strays = sorted(held for held in played.watch.sockets if held.strays)
    assert strays == []
    programs = {held.program for held in played.watch.sockets}
    wanted = {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "pubsub", "helm", "python"}
    assert programs >= wanted, f"sockets of {sorted(programs)} only, in {played.watch.looks} looks"


def test_no_process_stays(played: Played) -> None:
    assert len(played.watch.seen) > 10
    assert alive(list(played.watch.seen)) == []


def test_a_stray_socket_would_be_seen() -> None:
    me = psutil.Process()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wildcard, socket.socket() as listening:
        wildcard.bind(("0.0.0.0", 0))  # noqa: S104 - the fault to be found
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        held = held_by({me.pid: "this"})
    assert Held("this", "0.0.0.0", "").strays  # noqa: S104 - likewise
    assert Held("this", "0.0.0.0", "") in held  # noqa: S104 - likewise
    assert not Held("this", "127.0.0.1", "").strays
    assert Held("this", "127.0.0.1", "") in held


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),  # noqa: S104 - judged, not bound
        ("::", False),
        ("10.128.0.2", False),
        ("34.118.224.1", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_what_counts_as_loopback(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


def test_remote_ends_count(played: Played) -> None:
    assert Held("x", "127.0.0.1", "34.118.224.1").strays
    assert any(held.remote for held in played.watch.sockets)


def test_a_scene_that_is_not_observed_fails_the_demo(down_cloud: Cloud, tmp_path: Path) -> None:
    """Without charts nothing is installed; kept up, the demo's local cloud can be asked why."""
    ran = down_cloud.run("demo", "--keep", BYOMESH_CHARTS=str(tmp_path))
    kept = Cloud(down_cloud.home.folder / "demo")
    try:
        assert ran.code == 1, ran.out
        final = ran.out[ran.out.rindex("WHAT WAS SEEN") :]
        assert re.findall(r"^[✔✘]", final, re.MULTILINE)[-1] == "✘"
        assert "look around with: BYOMESH_LOCAL_HOME=" in ran.out
        assert kept.clusters()[0]["mesh"]["phase"] == "Failed"
    finally:
        kept.local("down")
