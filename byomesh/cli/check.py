"""`byomesh check`: what `linkerd check` would say of a cluster, or of a recorded state."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from byomesh.cli.output import Format, Output, print_json, told
from byomesh.cli.target import ClusterOption, KubeconfigOption, LocationOption, ProjectOption, connected
from shared.errors import Permanent


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
    beyond: Annotated[
        bool | None,
        typer.Option(
            "--beyond/--no-beyond",
            help="Make checks of byomesh's own too, after Linkerd's; a cluster gets them unless told otherwise, a "
            "recorded state only with --beyond.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail where one of byomesh's own checks fails, too.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Check Linkerd on a cluster as its own command would, without that command.

    Exit status: 0 where nothing failed (warnings are fine), 1 where a check failed, as `linkerd check` has it; those of
    the category `byomesh` count only with --strict. With -o json the output has the shape of `linkerd check -o json`.
    One of byomesh's own checks creates a pod as a dry run, which leaves nothing behind.
    """
    # Here, because it loads the whole table of checks, which no other command has need of.
    from byomesh.cli import judging  # noqa: PLC0415

    with told():
        if snapshot is not None:
            if kubeconfig is not None or cluster:
                raise Permanent(
                    "OneCluster",
                    "a recorded state and a cluster are named",
                    remedy="give one of --snapshot, --kubeconfig and --cluster",
                )
            report = judging.of_recorded(snapshot, expected_version, proxy=proxy, beyond=bool(beyond))
        else:
            with connected(kubeconfig, cluster, project, location) as api:
                report = judging.of_cluster(api, expected_version, proxy=proxy, beyond=beyond is not False)
    if output is Format.JSON:
        print_json(judging.as_linkerd_has_it(report, strict=strict))
    else:
        judging.show(report, strict=strict)
    raise typer.Exit(judging.exit_code(report, strict=strict))
