from __future__ import annotations

import json

import pytest
import typer
from rich.text import Text

from byomesh.cli import output

ORDER = "a\x1b]0;title\x07\x1b[2J\x9b31m\u202eb\ud800\x7fc"


def test_names_give_the_terminal_no_orders(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output.table("name", title=ORDER)
    shown.add_row(ORDER)
    for one in (ORDER, Text(ORDER), shown):
        output.out.print(one, markup=False) if isinstance(one, str) else output.out.print(one)
    with pytest.raises(typer.Exit):
        output.fail(ORDER)
    written = "".join(capsys.readouterr())
    assert not output._UNSHOWN.search(written)
    assert "a?]0;title" in written


def test_lines_and_tabs_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    output.out.print(Text("a\n\tb é"))
    assert capsys.readouterr().out.split() == ["a", "b", "é"]


def test_json_is_json_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({ORDER: ["é"]})
    written = capsys.readouterr().out
    assert json.loads(written) == {ORDER: ["é"]}
    assert "é" in written
    assert not output._BEYOND_ASCII.search(written)
    assert "\x1b" not in written
