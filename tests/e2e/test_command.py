"""The command itself: its help, its words where nothing is up, and what it makes of wrong options."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil
import pytest
import typer.main
from typer.testing import CliRunner

from byomesh.cli.main import app
from byomesh.local.home import STEP, Contact
from tests.e2e.cloud import BYOMESH, Cloud, alive, environment, processes

_ALL = typer.main.get_command(app).commands  # type: ignore[attr-defined]
LOCAL = sorted(_ALL["local"].commands)
NEEDS_ONE_UP = {
    "block-port": ("blue", "8443"),
    "create-cluster": ("blue",),
    "delete-cluster": ("blue",),
    "deny-net-admin": ("some-project",),
    "env": (),
    "events": (),
    "kubeconfig": ("blue",),
    "policy": (__file__, "--force"),
    "populate": (),
    "publish": ("mesh-install", "--message", "{}"),
    "restart": ("install_mesh",),
    "status": (),
    "statuses": (),
    "troubles": (),
    "wait": ("blue",),
}


def one_sentence(text: str) -> bool:
    return text.startswith("error: ") and text.count("\n") == 1


@pytest.mark.parametrize("command", [(), ("local",)], ids=" ".join)
def test_help_is_printed(down_cloud: Cloud, command: tuple[str, ...]) -> None:
    ran = down_cloud.run(*command, "--help")
    assert ran.code == 0
    assert ran.err == ""
    assert f"Usage: byomesh {' '.join(command)}".rstrip() in ran.out


@pytest.mark.parametrize(
    "command", [*((name,) for name in sorted(_ALL)), *(("local", name) for name in LOCAL)], ids=" ".join
)
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    ran = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "300"})
    assert ran.exit_code == 0
    assert f"Usage: byomesh {' '.join(command)}" in ran.stdout
    found = _ALL[command[0]] if len(command) == 1 else _ALL["local"].commands[command[1]]
    assert found.help
    assert found.help.partition("\n")[0] in " ".join(ran.stdout.split())


def test_every_command_that_needs_a_local_cloud_is_tried_without_one() -> None:
    assert sorted({*NEEDS_ONE_UP, "up", "down"}) == LOCAL


@pytest.mark.parametrize("name", sorted(NEEDS_ONE_UP))
def test_a_command_says_in_a_sentence_that_nothing_is_up(down_cloud: Cloud, name: str) -> None:
    ran = down_cloud.run("local", name, *NEEDS_ONE_UP[name])
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err == "error: no local cloud is up; start one with: byomesh local up\n"


def test_going_down_twice_is_no_error(down_cloud: Cloud) -> None:
    assert down_cloud.local("down").out == "no local cloud was up\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("up", "--setting", "BYOMESH_HELM"), "--setting BYOMESH_HELM: write KEY=VALUE"),
        (("create-cluster", "blue", "--label", "[mesh]"), "--label [mesh]: write KEY=VALUE"),
        (("publish", "mesh-install"), "a message needs data or an attribute"),
        (("publish", "mesh-install", "--attribute", "x"), "--attribute x: write KEY=VALUE"),
        (("wait", "blue", "--for", "deleted"), "--for deleted: only `ready` can be waited for"),
    ],
)
def test_wrong_options_are_named(down_cloud: Cloud, arguments: tuple[str, ...], words: str) -> None:
    ran = down_cloud.run("local", *arguments)
    assert ran.code == 2
    assert one_sentence(ran.err)
    assert words in ran.err


def test_without_a_command_it_shows_its_help(down_cloud: Cloud) -> None:
    ran = down_cloud.run()
    assert "Usage: byomesh" in ran.out
    assert "Traceback" not in ran.err


def test_a_file_left_by_a_killed_daemon_misleads_nobody(down_cloud: Cloud) -> None:
    home = down_cloud.home
    home.folder.mkdir(exist_ok=True)
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        home.contact_file.write_text(f'{{"pid": {sleeper.pid}, "port": 1, "token": "secret"}}')
        assert down_cloud.local("down").out == "no local cloud was up\n"
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()
    assert down_cloud.local("down").out == "no local cloud was up\n"
    home.contact_file.write_text("half of a fi")
    assert down_cloud.local("down").out == "no local cloud was up\n"


def test_a_contact_is_shown_without_its_token() -> None:
    assert "secret" not in repr(Contact(pid=1, port=2, token="secret"))


def test_a_local_cloud_that_cannot_start_shows_the_end_of_its_log(down_cloud: Cloud) -> None:
    down_cloud.home.journal.mkdir(parents=True)
    ran = down_cloud.local("up", code=1)
    assert ran.err.startswith("the local cloud's programs:")
    assert "error: the local cloud didn't start; the last lines of" in ran.err
    assert f"Is a directory: '{down_cloud.home.journal}'" in ran.err


def test_an_interrupted_start_leaves_nothing_running(down_cloud: Cloud) -> None:
    # Where this run is itself in a shell's background, interrupts are ignored, which a child would inherit.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        waiting = subprocess.Popen(
            [str(BYOMESH), "local", "up"],
            env=environment(down_cloud.home.folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    command, log = psutil.Process(waiting.pid), down_cloud.home.daemon_log
    try:
        down_cloud.until(lambda: log.exists() and STEP in log.read_text(), "the daemon's first step")
        children = processes(command)[1:]
        assert children
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(timeout=60) == 130
        down_cloud.until(lambda: not alive(children), "the daemon to end")
    finally:
        waiting.kill()
        waiting.wait()
