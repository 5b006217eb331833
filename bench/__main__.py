"""`make bench`: every ratio that the project watches, measured side by side in one run."""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import os
import platform
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from bench import check, cold_start, creations, install, isolation, requests, show
from bench.cloud import Say, local_cloud
from bench.figures import BenchError, Report
from byomesh.cli.output import Format, Output, err, fail, out, print_json, told
from byomesh.demo.charts import STAND_INS
from byomesh.local.build_display import build_with_display

_TERMINATED = 143


class Name(enum.StrEnum):
    """The benchmarks."""

    INSTALL = "install"
    FUNCTIONS = "functions"
    REQUESTS = "requests"
    CHECK = "check"
    CREATIONS = "creations"
    ISOLATION = "isolation"


def bench(
    only: Annotated[list[Name] | None, typer.Option("--only", help="Measure this; may be given again.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 5,
    output: Output = Format.TABLE,
) -> None:
    """Measure as ratios, side by side in one run, and show medians; nothing is judged but against its goal."""
    # The local cloud is stopped by `with` blocks, which a bare SIGTERM would skip.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    charts = Path(os.environ.get("BYOMESH_CHARTS") or STAND_INS).expanduser().absolute()
    today = dt.datetime.now(dt.UTC).date().isoformat()
    context = {"date": today, **_machine(), "charts": str(charts), "rounds": rounds}
    reports: dict[Name, Report] = {}
    with told():
        build_with_display(err)
        with _progress() as say:
            try:
                for name in only or list(Name):
                    reports[name] = _measure(name, charts, rounds, say)
            except BenchError as error:
                fail(str(error))
    if output is Format.JSON:
        print_json({**context, "benchmarks": {name: report.as_json() for name, report in reports.items()}})
        return
    out.print(", ".join(f"{key} {value}" for key, value in context.items()))
    for name, report in reports.items():
        show.report(out, name, report)


def _measure(name: Name, charts: Path, rounds: int, say: Say) -> Report:
    if name is Name.REQUESTS:
        return requests.measure(charts, say)
    if name is Name.CHECK:
        return check.measure(charts, rounds, say)
    if name is Name.CREATIONS:
        return creations.measure(charts, rounds, say)
    if name is Name.ISOLATION:
        return isolation.measure(charts, rounds, say)
    with local_cloud(charts, say) as cloud:
        if name is Name.INSTALL:
            return install.measure(cloud, charts, rounds, say)
        return cold_start.measure(cloud, rounds, say)


def _machine() -> dict[str, Any]:
    """What a reader of the figures wants to know; `load` is what else was running when the run began."""
    memory = round(psutil.virtual_memory().total / (1 << 30))
    return {
        "cores": os.cpu_count(),
        "memory": f"{memory} GiB",
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }


@contextlib.contextmanager
def _progress() -> Iterator[Say]:
    """Tells what is going on: in one changing line on a terminal, else in a line each."""
    if not err.is_terminal:
        yield lambda what: err.print(what, markup=False)
        return
    with err.status("starting") as status:
        yield status.update


def main() -> None:
    """Run the command."""
    app = typer.Typer(pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})
    app.command()(bench)
    app()


if __name__ == "__main__":
    main()
