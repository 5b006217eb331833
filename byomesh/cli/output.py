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
from rich.table import Table

from byomesh.local.client import LocalCloudError
from byomesh.local.processes import ProcessError
from byomesh.local.toolchain import BuildError
from shared.errors import ByomeshError

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
    err.print(f"[red]error:[/red] {message}", markup=True)
    raise typer.Exit(status)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn what is expected to go wrong into a sentence and status 1."""
    try:
        yield
    except ERRORS as error:
        err.print("[red]error:[/red]", end=" ")
        err.print(str(error), markup=False)
        raise typer.Exit(1) from error


def print_json(data: Any) -> None:
    """Print data as JSON, indented, keys in their order."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def table(*columns: str, title: str | None = None) -> Table:
    """A plain table."""
    made = Table(title=title, box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
