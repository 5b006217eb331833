"""`byomesh plan` and `byomesh repair`: what would mend a mesh on any cluster at hand, shown or done."""

from __future__ import annotations

import contextlib
import datetime as dt
import difflib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.text import Text

from byomesh.cli.output import Format, Output, err, out, print_json, told
from byomesh.cli.target import ClusterOption, KubeconfigOption, LocationOption, ProjectOption, connected, resolve
from shared.mesh.profile import Profile, load_profile
from shared.model import CheckOutcome, CheckReport, CheckResult, Remedy, Repair

if TYPE_CHECKING:
    from shared.kube import Kube
    from shared.mesh.hooks import Ranges
    from shared.mesh.mending import Change, Mending

MeshOption = Annotated[str, typer.Option("--mesh", help="The mesh's profile.")]
TimeoutOption = Annotated[float, typer.Option(min=0, help="Seconds to wait for pods that a repair restarts.")]
RestartOption = Annotated[
    bool, typer.Option("--restart-workloads", help="Restart meshed workloads whose proxies are outdated, by rollout.")
]
_PENDING = 3
_ROUNDS = 2
_SHOWN = 20
"""How many outdated workloads are named."""
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def plan(
    kubeconfig: KubeconfigOption = None,
    cluster: ClusterOption = "",
    project: ProjectOption = "",
    location: LocationOption = "",
    mesh: MeshOption = "linkerd",
    output: Output = Format.TABLE,
) -> None:
    """Show what `byomesh repair` would change on a cluster, as a diff, and write nothing.

    Exit status: 0 where there is nothing to repair, 3 where there is.
    """
    with told(), _looking(kubeconfig, cluster, project, location, mesh) as (api, profile, ranges):
        from shared.mesh import mending  # noqa: PLC0415 - loads the Kubernetes client, which --help has no need of

        found = mending.find(api, profile, ranges, dt.datetime.now(dt.UTC), None)
        changes = mending.changes(api, found)
    if output is Format.JSON:
        print_json(_as_json(found, changes))
    else:
        _show(found, changes)
    raise typer.Exit(0 if found.empty else _PENDING)


def repair(
    kubeconfig: KubeconfigOption = None,
    cluster: ClusterOption = "",
    project: ProjectOption = "",
    location: LocationOption = "",
    mesh: MeshOption = "linkerd",
    timeout: TimeoutOption = 120.0,
    restart_workloads: RestartOption = False,
    output: Output = Format.TABLE,
) -> None:
    """Mend a mesh on a cluster, whoever installed it, then wait for its pods and check it again.

    Run `byomesh plan` with the same options first to see what would be written. With --restart-workloads, workloads
    whose proxies run with outdated settings are restarted afterwards, three at a time; bare pods and Jobs are only
    listed. Exit status: 0 where every check passes afterwards, 1 where one still fails.
    """
    from byomesh.cli import restarting  # noqa: PLC0415 - as in `plan`

    with told(), _looking(kubeconfig, cluster, project, location, mesh) as (api, profile, ranges):
        after, changes = _mend(api, profile, ranges, timeout)
        progress = restarting.restart(api, profile, timeout) if restart_workloads else None
        after = _look(api, profile, ranges) if progress is not None and progress.states else after
    left = restarting.as_json(progress) if progress is not None else {}
    if output is Format.JSON:
        print_json({**_as_json(after, changes), "not_restarted": left})
    else:
        _show(after, changes, done=True)
        restarting.show(left)
        _show_failures(after, ())
    raise typer.Exit(0 if after.seen.report.healthy else 1)


def _look(api: Kube, profile: Profile, ranges: Ranges) -> Mending:
    from shared.mesh import mending  # noqa: PLC0415 - as in `plan`

    return mending.find(api, profile, ranges, dt.datetime.now(dt.UTC), None)


def _mend(api: Kube, profile: Profile, ranges: Ranges, timeout: float) -> tuple[Mending, tuple[Change, ...]]:
    """Repair, and look again; what a release puts back may have the networks that it was installed with."""
    from shared.mesh import mending, readiness  # noqa: PLC0415 - as in `plan`

    done: tuple[Change, ...] = ()
    found = mending.find(api, profile, ranges, dt.datetime.now(dt.UTC), None)
    for _ in range(_ROUNDS):
        if found.empty:
            break
        done += mending.changes(api, found)
        mending.carry_out(api, found)
        with err.status("waiting for the mesh's pods") as status:
            deadline = time.monotonic() + timeout
            while (waits_for := readiness.look(api, profile)) and time.monotonic() < deadline:
                status.update(f"waiting for {waits_for}")
                time.sleep(0.2)
        found = mending.find(api, profile, ranges, dt.datetime.now(dt.UTC), None)
    return found, done


@contextlib.contextmanager
def _looking(
    kubeconfig: Path | None, cluster: str, project: str, location: str, mesh: str
) -> Iterator[tuple[Kube, Profile, Ranges]]:
    """The cluster, the profile, and the ranges: GKE's where the cluster is named, else what the cluster itself says."""
    profile = load_profile(mesh)
    with connected(kubeconfig, cluster, project, location) as api:
        if cluster:
            from shared.gke import gke  # noqa: PLC0415 - Google's client, which a kubeconfig needs none of

            yield api, profile, gke().get(resolve(cluster, project, location))
        else:
            from shared.mesh import mending  # noqa: PLC0415 - as in `plan`

            yield api, profile, mending.observed_ranges(api)


def diff_of(change: Change) -> list[str]:
    """A change as the lines of a unified diff of YAML; pure."""
    before, after = (_yaml(state) for state in (change.before, change.after))
    return list(difflib.unified_diff(before, after, "live", "repaired", lineterm="", n=1))


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, so that a diff shows the line that differs."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _yaml(state: dict[str, Any]) -> list[str]:
    return yaml.dump(state, Dumper=_Dumper, width=10_000).splitlines() if state else []


def _as_json(found: Mending, changes: tuple[Change, ...]) -> dict[str, Any]:
    return {
        "healthy": found.seen.report.healthy,
        "failing": [_failure(result, found.seen.remedies) for result in _wrong(found.seen.report, CheckOutcome.FAIL)],
        "warnings": [_failure(result, found.seen.remedies) for result in _wrong(found.seen.report, CheckOutcome.WARN)],
        "changes": [{"repair": one.repair.value, "what": one.what, "diff": diff_of(one)} for one in changes],
        "outdated": [f"{one.kind} {one.namespace}/{one.name}" for one in found.seen.stale.workloads],
        "left_alone": [
            {"object": str(drift.object), "manager": manager, "path": path}
            for drift in found.left_alone
            for manager, path in drift.owners
        ],
    }


def _failure(result: CheckResult, remedies: tuple[Remedy, ...]) -> dict[str, Any]:
    """A check that fails or warns, with the repairs that mend it and what to do where they don't."""
    found = _remedy(result, remedies)
    return {
        "description": result.description,
        "error": result.error,
        "repairs": [repair.value for repair in found.repairs],
        "advice": found.advice,
    }


def _remedy(result: CheckResult, remedies: tuple[Remedy, ...]) -> Remedy:
    return next((one for one in remedies if one.check == result.description), Remedy(result.description))


def _wrong(report: CheckReport, outcome: CheckOutcome) -> list[CheckResult]:
    return [result for _, result in report if result.outcome is outcome]


def _show(found: Mending, changes: tuple[Change, ...], *, done: bool = False) -> None:
    if not done:
        _show_failures(found, changes)
    for change in changes:
        out.print(Text(f"\n{change.repair}: {change.what}", "bold"))
        for line in diff_of(change)[2:]:
            out.print(Text(line, _STYLES.get(line[0], "")))
    for drift in found.left_alone:
        for manager, path in drift.owners:
            out.print(Text(f"left alone: {drift.object} at {path}, which {manager} holds", "yellow"))
    for made in found.remember:
        value = made.wished.replace(",", "\\,")
        words = f'`helm upgrade --reuse-values` keeps this; other values need --set clusterNetworks="{value}"'
        out.print(Text(words, "cyan"))
    _show_outdated(found)
    verb = "written" if done else "would be written"
    count = "1 repair" if len(changes) == 1 else f"{len(changes)} repairs"
    out.print(f"\n{count} {verb}" if changes else "\nnothing to repair")


def _show_outdated(found: Mending) -> None:
    stale = found.seen.stale
    for one in stale.workloads[:_SHOWN]:
        out.print(Text(f"outdated: {one.kind} {one.namespace}/{one.name} ({', '.join(one.reasons)})", "yellow"))
    more = len(stale.workloads) - _SHOWN
    if more > 0:
        out.print(Text(f"outdated: {more} more", "yellow"))
    if stale.workloads:
        out.print("byomesh repair --restart-workloads restarts those that a rollout can")


def _show_failures(found: Mending, changes: tuple[Change, ...]) -> None:
    """Each check that fails or warns, with the change that mends it, or what somebody has to do."""
    mended = {change.repair for change in changes}
    failing = _wrong(found.seen.report, CheckOutcome.FAIL)
    for result in failing:
        _show_check(result, found, mended, Text("× ", "red"))  # noqa: RUF001 - as `check`
    for result in _wrong(found.seen.report, CheckOutcome.WARN):
        _show_check(result, found, mended, Text("‼ ", "yellow"))
    if not failing:
        out.print(Text.assemble(("√ ", "green"), "every check passes"))


def _show_check(result: CheckResult, found: Mending, mended: set[Repair], mark: Text) -> None:
    out.print(mark + Text(f"{result.description}\n    {result.error}"))
    remedy = _remedy(result, found.seen.remedies)
    named = [repair for repair in remedy.repairs if repair in mended]
    if named:
        out.print(Text(f"    mended by: {', '.join(named)}", "cyan"))
    elif remedy.advice:
        out.print(Text(f"    what to do: {remedy.advice}", "yellow"))
