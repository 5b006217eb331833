"""`byomesh status`: every cluster of the fleet, as a table, as JSON, or as a report for the browser."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from byomesh.cli.output import ERRORS, err, escape, fail
from byomesh.cli.showing import COULD_NOT_LOOK, Shown, StatusFormat
from byomesh.cli.target import LocationOption, resolve
from shared import policy, policy_source
from shared.config import settings
from shared.errors import Permanent

if TYPE_CHECKING:
    from byomesh.fleet.looking import Looker


def now() -> dt.datetime:
    """The moment of a look."""
    return dt.datetime.now(dt.UTC)


def status(
    cluster: Annotated[
        str,
        typer.Argument(metavar="[CLUSTER]", help="Only this one, with its timeline: a full resource name, or a name."),
    ] = "",
    project: Annotated[
        list[str] | None,
        typer.Option(
            "--project",
            help="A project to look at; may be given again. Without it those of the policy's sweep, else the "
            "automation's own (GOOGLE_CLOUD_PROJECT).",
        ),
    ] = None,
    location: LocationOption = "",
    rules: Annotated[
        str,
        typer.Option("--policy", envvar="BYOMESH_POLICY", help="The policy's file; the built-in one where none is."),
    ] = "",
    since: Annotated[str, typer.Option(help="How far back the log is read: 12h, 30d, ….")] = "30d",
    not_ready: Annotated[
        bool, typer.Option("--not-ready", help="Leave out what is Ready, left alone or gone.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again and again until interrupted; JSON is a line a change.")
    ] = False,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks of --watch.")] = 15.0,
    who: Annotated[
        bool | None,
        typer.Option(
            "--who/--no-who",
            help="Read the audit log, too, which tells who created and changed the clusters; unless told otherwise for "
            "one cluster and for HTML.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Write it there, and not to the terminal.")] = None,
    output: Annotated[
        StatusFormat,
        typer.Option("--output", "-o", help="A table for people, JSON for programs, HTML for the browser."),
    ] = StatusFormat.TABLE,
) -> None:
    """Show every cluster: phase, mesh and version, NET_ADMIN, checks, last change, what it waits for, and what to do.

    What is there comes from the GKE API, what was said and done from Cloud Logging, what is wanted from the policy. So
    a cluster that nothing was ever said of is shown as never processed, one that GKE no longer lists as gone, one that
    the policy leaves alone as such; a project or location that can't be looked at is named, and spoils no other.

    Exit status: 0 where every cluster is Ready, left alone or gone; 1 where one isn't; 2 where the others are and not
    everything could be looked at, or nothing could.
    """
    if output is StatusFormat.HTML and watch and file is None:
        fail("--watch with -o html needs --file", COULD_NOT_LOOK)
    shown = Shown(output, file, not_ready=not_ready)
    with _looked():
        read = _rules(rules)
        with err.status("looking at the fleet") as progress:
            tell: Callable[[str], None] = lambda words: progress.update(escape(words))  # noqa: E731 - bound to progress
            looker = _looker(cluster, project or [], location, since, read(), who, output, tell)
            fleet = looker.look(read())
        if not watch:
            shown.once(fleet)
            raise typer.Exit(fleet.exit_code)
        from byomesh.cli.watching import watch as look_again  # noqa: PLC0415 - loads Google's clients

        look_again(looker, read, fleet, shown, every)


@contextlib.contextmanager
def _looked() -> Iterator[None]:
    """Turn what keeps everything from being looked at into a sentence and status 2."""
    try:
        yield
    except ERRORS as error:
        fail(str(error), COULD_NOT_LOOK)


def _rules(named: str) -> Callable[[], policy.Policy]:
    """Reads the policy, again for each look, so that a change of it is followed."""
    return lambda: policy_source.load(named)


def _looker(
    cluster: str,
    projects: list[str],
    location: str,
    since: str,
    rules: policy.Policy,
    who: bool | None,
    output: StatusFormat,
    tell: Callable[[str], None],
) -> Looker:
    # Here, because Google's clients are slow to load, and --help needs none.
    from byomesh.fleet.looking import Looker, Wish, duration  # noqa: PLC0415
    from shared.cloud_logging import cloud_logging  # noqa: PLC0415
    from shared.gke import gke  # noqa: PLC0415
    from shared.tasks import queues  # noqa: PLC0415

    only = resolve(cluster, (projects or [settings().project])[0], location) if cluster else None
    wanted = [only.project] if only is not None else projects or _projects_of(rules)
    if not any(wanted):
        raise Permanent(
            "NoProject",
            "no project is named",
            remedy="add --project, list them in the policy's sweep, or set GOOGLE_CLOUD_PROJECT",
        )
    wish = Wish(
        projects=tuple(dict.fromkeys(wanted)),
        since=duration(since),
        only=only,
        who=who if who is not None else only is not None or output is StatusFormat.HTML,
    )
    states = queues().states if settings().queue else None
    return Looker(gke(), cloud_logging(), wish, now, tell, states)


def _projects_of(rules: policy.Policy) -> list[str]:
    """The projects that the policy's sweep names, else the automation's own.

    Raises:
        Permanent: the sweep covers a scope, whose projects nobody lists here; an overview of some would pass for all.
    """
    if rules.sweep.scope:
        raise Permanent(
            "ScopeNotListed",
            f"the policy's sweep covers {rules.sweep.scope}, and this command lists no projects of a scope",
            remedy="name the projects with --project",
        )
    return list(rules.sweep.projects) or [settings().project]
