"""`byomesh check`: what `linkerd check` would say of a cluster, or of a recorded state."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from byomesh.cli.output import Format, Output, out, print_json, told
from byomesh.cli.target import ClusterOption, KubeconfigOption, LocationOption, ProjectOption, connected
from shared.errors import Permanent
from shared.mesh import observe
from shared.mesh.linkerd import checks
from shared.mesh.snapshot import MeshSnapshot
from shared.model import CheckOutcome, CheckReport, CheckResult

_MARKS = {
    CheckOutcome.PASS: ("√", "green"),
    CheckOutcome.WARN: ("‼", "yellow"),
    CheckOutcome.FAIL: ("×", "red"),  # noqa: RUF001 - the mark that `linkerd check` prints
}


class _Recorded(msgspec.Struct, rename="camel"):
    """A recorded state; what it has beside these is for its readers."""

    now: dt.datetime
    objects: list[dict[str, object]]
    expected_version: str = ""


def check(
    kubeconfig: KubeconfigOption = None,
    cluster: ClusterOption = "",
    project: ProjectOption = "",
    location: LocationOption = "",
    snapshot: Annotated[
        Path | None, typer.Option(help="Judge a recorded state instead: a JSON file {now, expectedVersion, objects}.")
    ] = None,
    proxy: Annotated[
        bool, typer.Option("--proxy", help="Make the data-plane checks of `linkerd check --proxy`.")
    ] = False,
    expected_version: Annotated[
        str, typer.Option(help="The version that should run; else versions aren't judged.")
    ] = "",
    output: Output = Format.TABLE,
) -> None:
    """Check Linkerd on a cluster as its own command would, without that command.

    Exit status: 0 where nothing failed (warnings are fine), 1 where a check failed, as `linkerd check` has it.
    With -o json the output has the shape of `linkerd check -o json`.
    """
    with told():
        if snapshot is not None:
            recorded = read_recorded(snapshot)
            seen, now = observe.from_objects(recorded.objects), recorded.now
            expected = expected_version or recorded.expected_version
        else:
            with connected(kubeconfig, cluster, project, location) as api:
                seen, now, expected = observe.observe(api), dt.datetime.now(dt.UTC), expected_version
    report = judge(seen, now, expected, proxy=proxy)
    if output is Format.JSON:
        print_json(checks.render(report))
    else:
        show(report)
    raise typer.Exit(checks.exit_code(report))


def judge(seen: MeshSnapshot, now: dt.datetime, expected: str, *, proxy: bool) -> CheckReport:
    """The report on a snapshot; pure."""
    categories = checks.DATA_PLANE if proxy else checks.POST_INSTALL
    return checks.run(seen, now, expected_version=expected or None, categories=categories)


def read_recorded(file: Path) -> _Recorded:
    """Read a recorded state.

    Raises:
        Permanent: it can't be read, or isn't one.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Recorded)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Permanent(
            "BadSnapshot", f"{file}: {error}", remedy="give a JSON file with now, expectedVersion and objects"
        ) from error


def show(report: CheckReport) -> None:
    """Print a report for people, category by category; skipped checks are left out."""
    for category in report.categories:
        shown = [result for result in category.checks if result.outcome is not CheckOutcome.SKIP]
        if not shown:
            continue
        out.print(Text(f"{category.name}\n{'-' * len(category.name)}", "bold"))
        for result in shown:
            _show(result)
        out.print()
    outcome = CheckOutcome.PASS if report.healthy else CheckOutcome.FAIL
    mark, colour = _MARKS[outcome]
    out.print(Text.assemble("Status check results are ", (mark, colour)))


def _show(result: CheckResult) -> None:
    mark, colour = _MARKS[result.outcome]
    out.print(Text.assemble((mark, colour), f" {result.description}"))
    if result.error:
        out.print(Text("\n".join(f"    {line}" for line in result.error.splitlines())))
    if result.hint:
        out.print(Text(f"    see {result.hint} for hints", "dim"))
