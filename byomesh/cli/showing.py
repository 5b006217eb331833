"""How `byomesh status` prints a fleet: once, to a file or the terminal."""

from __future__ import annotations

import enum
import json
import os
import sys
import tempfile
from pathlib import Path

import msgspec
from rich.text import Text

from byomesh.cli import cluster_view, fleet_table
from byomesh.cli.output import err, escape, fail, out
from byomesh.fleet.as_json import fleet_json
from byomesh.fleet.model import Fleet

COULD_NOT_LOOK = 2
"""Exit status where not everything could be looked at, or nothing could."""


class StatusFormat(enum.StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    HTML = "html"


class Shown:
    """Prints a fleet.

    Args:
        output: how.
        file: where to; None is standard output.
        not_ready: whether only what isn't Ready is shown.
    """

    def __init__(self, output: StatusFormat, file: Path | None, *, not_ready: bool) -> None:
        self.output = output
        self._file = file
        self.not_ready = not_ready

    def kept(self, fleet: Fleet) -> Fleet:
        """The fleet with the clusters that are asked for; the glance at it stays whole in a table."""
        rows = tuple(row for row in fleet.rows if not row.state.fine) if self.not_ready else fleet.rows
        return msgspec.structs.replace(fleet, rows=rows)

    def once(self, fleet: Fleet) -> None:
        """Print it whole."""
        match self.output:
            case StatusFormat.JSON:
                self._write(json.dumps(fleet_json(self.kept(fleet)), indent=2, ensure_ascii=False) + "\n")
            case StatusFormat.HTML:
                self.report(fleet)
            case StatusFormat.TABLE:
                self._write_lines(self.lines(fleet, out.width if out.is_terminal and self._file is None else None))

    def report(self, fleet: Fleet) -> None:
        """Write the report."""
        from byomesh.report import render  # noqa: PLC0415 - loads Jinja

        self._write(render(self.kept(fleet)))
        if self._file is not None:
            err.print(f"written to {escape(str(self._file))}: open it in a browser")

    def lines(self, fleet: Fleet, width: int | None) -> list[Text]:
        """The table, or the one cluster, as lines."""
        if fleet.partial:
            made = [line for row in fleet.rows for line in cluster_view.cluster_lines(row, fleet)]
        else:
            rows = self.kept(fleet).rows
            made = [fleet_table.summary(fleet)]
            if rows:
                made += [Text(""), *fleet_table.table_lines(fleet, rows, width), *fleet_table.explained(fleet)]
        doubts = [Text(words, style="yellow") for words in fleet_table.doubts(fleet)]
        return [*made, *([Text("")] if doubts else []), *doubts]

    def _write_lines(self, lines: list[Text]) -> None:
        if self._file is None and out.is_terminal:
            for line in lines:
                out.print(line)
        else:
            self._write("".join(f"{line.plain}\n" for line in lines))

    def _write(self, text: str) -> None:
        if self._file is None:
            sys.stdout.write(text)
            return
        # In one step, so that a browser never reads half a report.
        folder = self._file.absolute().parent
        try:
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, delete=False) as made:
                made.write(text)
            Path(made.name).chmod(0o644)
            os.replace(made.name, self._file)  # noqa: PTH105 - as Path.replace, and follows no link either
        except OSError as error:
            fail(f"{self._file} can't be written: {error.strerror}", COULD_NOT_LOOK)
