"""How commands talk: tables and progress for people, JSON for programs, one sentence for an error."""

from __future__ import annotations

import contextlib
import enum
import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
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

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


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
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def table(*columns: str, title: str | None = None) -> Table:
    """A plain table."""
    made = Table(title=title, box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
