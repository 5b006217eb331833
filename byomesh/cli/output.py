"""How commands talk: tables and progress for people, JSON for programs, one sentence for an error."""

from __future__ import annotations

import contextlib
import enum
import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table

from byomesh.local.client import LocalCloudError
from byomesh.local.processes import ProcessError
from byomesh.local.toolchain import BuildError
from shared.errors import ByomeshError

__all__ = [
    "ERRORS",
    "PHASES",
    "Format",
    "Output",
    "err",
    "escape",
    "fail",
    "out",
    "phase",
    "print_json",
    "split_pairs",
    "table",
    "told",
]

ERRORS = (LocalCloudError, ProcessError, BuildError, ByomeshError)
"""What may go wrong without being a fault of this program."""

_UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but line ends and tabs, what turns the direction of writing, and halves of surrogate pairs."""
_BEYOND_ASCII = re.compile(r"[\x7f-\x9f\ud800-\udfff]")


class _Plain(Console):
    """Shows what others wrote, and never obeys it: a name may hold what a terminal takes for an order."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As Rich's; in each text the characters that aren't to be shown become question marks."""
        for segment in super().render(renderable, options):
            if segment.control is None and _UNSHOWN.search(segment.text):
                yield segment._replace(text=_UNSHOWN.sub("?", segment.text))
            else:
                yield segment


out: Console = _Plain(highlight=False, soft_wrap=True)
err: Console = _Plain(stderr=True, highlight=False, soft_wrap=True)


class Format(enum.StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("--output", "-o", help="Print a table for people, or JSON for programs.")]

PHASES = {
    "Ready": "green",
    "Degraded": "yellow",
    "Refused": "red",
    "Failed": "red",
    "Stuck": "red",
}
"""Colours of phases; the others are cyan."""


def phase(name: str) -> str:
    """A phase as Rich markup."""
    colour = PHASES.get(name, "cyan")
    return f"[{colour}]{name}[/{colour}]"


def fail(message: str, status: int = 1) -> NoReturn:
    """End the command with a sentence on standard error."""
    err.print(f"[red]error:[/red] {escape(message)}")
    raise typer.Exit(status)


def split_pairs(option: str, pairs: list[str] | None) -> dict[str, str]:
    """The KEY=VALUE pairs of an option that may be given several times; ends the command where one is none."""
    for pair in pairs or []:
        if "=" not in pair:
            fail(f"{option} {pair}: write KEY=VALUE", 2)
    return dict(pair.split("=", 1) for pair in pairs or [])


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn what is expected to go wrong into a sentence and status 1."""
    try:
        yield
    except ERRORS as error:
        fail(str(error))


def print_json(data: Any) -> None:
    """Print data as JSON, indented, keys in their order."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    sys.stdout.write(_BEYOND_ASCII.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def table(*columns: str, title: str | None = None) -> Table:
    """A plain table."""
    made = Table(title=title, box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
