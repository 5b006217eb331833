from __future__ import annotations

from pathlib import Path

import pytest

from byomesh.local import functions


def test_ports_lie_where_the_kernel_gives_none_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "range"
    given.write_text("32768\t60999\n")
    monkeypatch.setattr(functions, "_LOCAL_PORTS", given)
    found = functions.free_ports(20)
    assert len(set(found)) == 20
    assert all(10_000 <= port < 32_768 for port in found)


@pytest.mark.parametrize("text", [None, "1024 65535"])
def test_where_all_are_the_kernels_each_is_another(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "range"
    if text is not None:
        given.write_text(text)
    monkeypatch.setattr(functions, "_LOCAL_PORTS", given)
    assert len(set(functions.free_ports(20))) == 20
