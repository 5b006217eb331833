"""`byomesh pause` and `byomesh resume`: the whole fleet by the queues of Cloud Tasks, some clusters by the policy."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from byomesh.cli.output import Format, Output, err, fail, out, print_json, split_pairs, told
from byomesh.reruns.policy_source import open_policy
from byomesh.reruns.policy_text import with_pause, without_pause
from shared.config import settings

if TYPE_CHECKING:
    from shared.tasks import Queues, QueueState

_USAGE = 2
Project = Annotated[list[str] | None, typer.Option("--project", help="Clusters of this project (a glob); repeatable.")]
Name = Annotated[list[str] | None, typer.Option("--name", help="Clusters of this name (a glob); may be given again.")]
Location = Annotated[list[str] | None, typer.Option("--location", help="Clusters in this location (a glob).")]
Label = Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Clusters with this label.")]
PolicyOption = Annotated[
    str, typer.Option("--policy", envvar="BYOMESH_POLICY", help="The policy to edit: a file, or gs://BUCKET/OBJECT.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be changed in the policy, and change nothing.")
]


def pause(
    project: Project = None,
    name: Name = None,
    location: Location = None,
    label: Label = None,
    reason: Annotated[str, typer.Option(help="Why, for everybody who sees the clusters wait.")] = "",
    policy: PolicyOption = "",
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """Pause the whole fleet, or the clusters that the options match: nothing of them is changed until `byomesh resume`.

    Without options the Cloud Tasks queues are paused. With --project, --name, --location or --label a pause is written
    into the policy; the rest of its text stays as it is, and the change is shown. What is being changed at this moment
    is brought to its end; what is asked for waits, is never lost and never Stuck. Checks go on.

    Exit status: 0; 1 where it can't be done, for one for lack of cloudtasks.queues.pause; 2 the command line is wrong.
    """
    match = _match(project, name, location, label)
    if not match:
        _whole_fleet(reason, dry_run=dry_run)
        _switch(lambda queues: queues.pause(), output, "paused: no cluster is changed until `byomesh resume`")
    elif not reason:
        fail("say by --reason why these clusters wait", _USAGE)
    else:
        _edit(policy, lambda text: with_pause(text, policy, reason, match), output, dry_run=dry_run)


def resume(
    project: Project = None,
    name: Name = None,
    location: Location = None,
    label: Label = None,
    policy: PolicyOption = "",
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """Let the whole fleet go on, or take out of the policy the pause with exactly these options.

    What waited for the fleet is taken up at the queue's rate; clusters that the policy paused are looked at within
    BYOMESH_PAUSED_STEP (five minutes).

    Exit status: as `byomesh pause`; 1, too, where the policy has no such pause.
    """
    match = _match(project, name, location, label)
    if not match:
        _whole_fleet("", dry_run=dry_run)
        _switch(lambda queues: queues.resume(), output, "resumed: what waited is taken up now")
    else:
        _edit(policy, lambda text: without_pause(text, policy, match), output, dry_run=dry_run)


def _match(
    project: list[str] | None, name: list[str] | None, location: list[str] | None, label: list[str] | None
) -> dict[str, Any]:
    found = {"projects": project, "names": name, "locations": location, "labels": split_pairs("--label", label)}
    return {key: value for key, value in found.items() if value}


def _whole_fleet(reason: str, *, dry_run: bool) -> None:
    if reason or dry_run:
        fail("the whole fleet's pause is the queues' own: it has no --reason and no --dry-run", _USAGE)


def _edit(source: str, edit: Callable[[str], str], output: Format, *, dry_run: bool) -> None:
    if not source:
        fail("name the policy by --policy: a file, or gs://BUCKET/OBJECT", _USAGE)
    with told():
        before, write = open_policy(source, settings())
        after = edit(before)
        if after != before and not dry_run:
            write(after)
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), source, source, lineterm="", n=1))
    if output is Format.JSON:
        print_json({"policy": source, "changed": after != before and not dry_run, "diff": lines})
        return
    for line in lines:
        out.print(line, markup=False)
    err.print(
        f"{source} is as it should be" if after == before else f"{source} {'unchanged' if dry_run else 'written'}"
    )


def _switch(act: Callable[[Queues], Iterator[QueueState]], output: Format, words: str) -> None:
    from shared.tasks import Queues  # noqa: PLC0415 - loads Google's client, and --help needs none

    found = []
    with told(), err.status("asking Cloud Tasks"):
        found = list(act(Queues(settings())))
    if output is Format.JSON:
        print_json([{"queue": one.name, "paused": one.paused} for one in found])
        return
    for one in found:
        out.print(f"{one.name} is {'paused' if one.paused else 'running'}")
    err.print(words)
