"""What `byomesh check` judges, and how it shows what it found."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import msgspec
from rich.text import Text

from byomesh.cli.output import out
from shared.errors import Permanent, Temporary
from shared.kube import Kube
from shared.mesh import observe
from shared.mesh.linkerd import checks, proving
from shared.mesh.snapshot import MeshSnapshot
from shared.model import CheckOutcome, CheckReport, CheckResult

LIMIT = 256 * 1024 * 1024
"""Bytes of a recorded state: some hundred thousand pods."""

_MARKS = {
    CheckOutcome.PASS: ("√", "green"),
    CheckOutcome.WARN: ("‼", "yellow"),
    CheckOutcome.FAIL: ("×", "red"),  # noqa: RUF001 - the mark that `linkerd check` prints
}


class _Metadata(msgspec.Struct):
    name: str
    namespace: str = ""
    labels: dict[str, str] | None = None


class _Identified(msgspec.Struct, rename="camel"):
    """What every recorded object must have to be found."""

    api_version: str
    kind: str
    metadata: _Metadata


class _Recorded(msgspec.Struct, rename="camel"):
    """A recorded state; what it has beside these is for its readers."""

    now: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    objects: list[dict[str, object]]
    expected_version: str = ""


def of_cluster(api: Kube, expected: str, *, proxy: bool, beyond: bool = False) -> CheckReport:
    """The report on a cluster as it is now; raises Temporary where the API server can't answer.

    Args:
        api: the cluster.
        expected: the version that should run, or "".
        proxy: whether to make the checks of `linkerd check --proxy`.
        beyond: whether to make our own checks too, for which a pod is created as a dry run.
    """
    seen = observe.observe(api, data_plane=proxy)
    if beyond:
        seen = proving.proven(api, seen)
    return _judge(seen, dt.datetime.now(dt.UTC), expected, proxy=proxy, beyond=beyond)


def of_recorded(file: Path, expected: str, *, proxy: bool, beyond: bool = False) -> CheckReport:
    """The report on a recorded state, at the time that it names.

    Raises:
        Permanent: it can't be read, or isn't one.
    """
    try:
        recorded = _recorded(file)
    except (OSError, msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _bad_snapshot(file, str(error)) from error
    try:
        seen = observe.from_objects(recorded.objects)
    except Temporary as error:
        # An API server's answer may be another the next time; a file's never is.
        raise _bad_snapshot(file, error.problem) from error
    return _judge(seen, recorded.now, expected or recorded.expected_version, proxy=proxy, beyond=beyond)


def _recorded(file: Path) -> _Recorded:
    with file.open("rb") as opened:
        content = opened.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise _bad_snapshot(file, f"it has more than {LIMIT // 1024 // 1024} MiB")
    recorded = msgspec.json.decode(content, type=_Recorded)
    msgspec.convert(recorded.objects, list[_Identified])
    return recorded


def _bad_snapshot(file: Path, problem: str) -> Permanent:
    return Permanent(
        "BadSnapshot", f"{file}: {problem}", remedy="give a JSON file with now, expectedVersion and objects"
    )


def _judge(seen: MeshSnapshot, now: dt.datetime, expected: str, *, proxy: bool, beyond: bool) -> CheckReport:
    categories = checks.DATA_PLANE if proxy else checks.POST_INSTALL
    wanted = (*categories, *(checks.BEYOND if beyond else ()))
    report = checks.run(seen, now, expected_version=expected or None, categories=wanted)
    return checks.with_viz(report, seen, now, expected_version=expected or None)


def as_linkerd_has_it(report: CheckReport, *, strict: bool = False) -> dict[str, Any]:
    """A report in the shape of `linkerd check -o json`; if `strict`, its `success` counts our own checks."""
    return checks.render(report, strict=strict)


def exit_code(report: CheckReport, *, strict: bool = False) -> int:
    """What the command exits with."""
    return checks.exit_code(report, strict=strict)


def show(report: CheckReport, *, strict: bool = False) -> None:
    """Print a report for people, category by category; skipped checks are left out."""
    for category in report.categories:
        shown = [result for result in category.checks if result.outcome is not CheckOutcome.SKIP]
        if not shown:
            continue
        out.print(Text(f"{category.name}\n{'-' * len(category.name)}", "bold"))
        for result in shown:
            _show(result)
        out.print()
    outcome = CheckOutcome.FAIL if checks.exit_code(report, strict=strict) else CheckOutcome.PASS
    mark, colour = _MARKS[outcome]
    out.print(Text.assemble("Status check results are ", (mark, colour)))


def _show(result: CheckResult) -> None:
    mark, colour = _MARKS[result.outcome]
    out.print(Text.assemble((mark, colour), f" {result.description}"))
    if result.error:
        out.print(Text("\n".join(f"    {line}" for line in result.error.splitlines())))
    if result.hint:
        out.print(Text(f"    see {result.hint} for hints", "dim"))
