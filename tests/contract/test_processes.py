"""Children of the local cloud, as the kernel treats them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from byomesh.local.processes import Process, ProcessError, stop_all

# Lives until somebody ends it; with an argument, not even SIGTERM does.
SLEEPER = """
import signal, sys, time
if sys.argv[1:]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("awake", flush=True)
time.sleep(600)
"""
PARENT = """
import sys, time
from pathlib import Path
from byomesh.local.processes import Process
print(Process.start("child", [sys.executable, "-c", sys.argv[1]], logs=Path(sys.argv[2])).pid, flush=True)
time.sleep(600)
"""


async def test_a_child_runs_and_stops(tmp_path: Path) -> None:
    process = await _sleeper(tmp_path)
    assert process.running
    process.check()
    await process.stop()
    assert not process.running
    assert not psutil.pid_exists(process.pid)
    await process.stop()


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    process = await _sleeper(tmp_path, "stubborn")
    began = time.monotonic()
    await stop_all([process], grace=0.3)
    assert 0.3 <= time.monotonic() - began < 5
    assert not process.running


async def test_a_child_that_ends_early_shows_its_log(tmp_path: Path) -> None:
    script = "import sys; print('reading the settings'); sys.exit('no such file: settings')"
    process = Process.start("early", [sys.executable, "-c", script], logs=tmp_path)
    with pytest.raises(ProcessError) as caught:
        await process.wait_until(_never, seconds=30)
    assert "early ended with status 1" in str(caught.value)
    assert str(tmp_path / "early.log") in str(caught.value)
    assert "no such file: settings" in str(caught.value)
    with pytest.raises(ProcessError):
        process.check()


async def test_a_child_that_is_never_ready_meets_its_deadline(tmp_path: Path) -> None:
    process = await _sleeper(tmp_path)
    with pytest.raises(ProcessError, match=r"sleeper was not ready within 0\.1 s.*(?s:.*)awake"):
        await process.wait_until(_never, seconds=0.1)
    await process.stop()


async def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    process = Process.start("none", ["/no/such/program"], logs=tmp_path)
    with pytest.raises(ProcessError, match="cannot run /no/such/program: No such file"):
        await process.wait_until(_never, seconds=30)


async def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match=r"none could not be started with its log in .*missing.none\.log"):
        Process.start("none", ["/bin/true"], logs=tmp_path / "missing")


async def test_a_child_sees_no_environment_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
    script = "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))"
    process = Process.start("seen", [sys.executable, "-c", script], logs=tmp_path, environment={"HOME": "/none"})
    with pytest.raises(ProcessError):
        await process.wait_until(_never, seconds=30)
    assert process.tail() == "['HOME', 'PATH']"


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, SLEEPER, str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        _wait_for_words(tmp_path / "child.log")
        os.kill(parent.pid, signal.SIGKILL)
    assert _ends(child)


async def _sleeper(folder: Path, *arguments: str) -> Process:
    process = Process.start("sleeper", [sys.executable, "-c", SLEEPER, *arguments], logs=folder)

    async def awake() -> bool:
        return process.tail() == "awake"

    await process.wait_until(awake, seconds=120)
    return process


def _wait_for_words(log: Path) -> None:
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _ends(child: psutil.Process) -> bool:
    """Whether it is gone within a minute; one that nobody reaped counts as gone."""
    gone, _alive = psutil.wait_procs([child], timeout=60)
    return bool(gone) or child.status() == psutil.STATUS_ZOMBIE


async def _never() -> bool:
    return False
