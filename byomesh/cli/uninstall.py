"""`byomesh uninstall`: removes the mesh that byomesh installed, and leaves what is others'."""

from __future__ import annotations

import contextlib
import getpass
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.text import Text

from byomesh.cli.output import Format, Output, err, escape, fail, out, print_json, told
from byomesh.cli.target import (
    ClusterOption,
    KubeconfigOption,
    LocationOption,
    ProjectOption,
    connected,
    helm_for,
)
from shared.errors import Temporary
from shared.mesh.profile import load_profile

if TYPE_CHECKING:
    from shared.helm import Helm
    from shared.kube import Kube
    from shared.mesh.uninstall import Removal

_NET_ADMIN = "allow-net-admin is a setting of the GKE cluster and stays as it is"
_PENDING, _REFUSED = 3, 4


def uninstall(
    kubeconfig: KubeconfigOption = None,
    cluster: ClusterOption = "",
    project: ProjectOption = "",
    location: LocationOption = "",
    mesh: Annotated[str, typer.Option("--mesh", help="The mesh's profile.")] = "linkerd",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Even while workloads run with the mesh's proxy.")] = False,
    with_crds: Annotated[
        bool, typer.Option("--with-crds", help="Remove the kinds too, and with them every object of them.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for namespaces to go.")] = 120.0,
    output: Output = Format.TABLE,
) -> None:
    """Remove the mesh that byomesh installed on a cluster: its releases, its own objects and its namespaces.

    What others made stays, and is named: a namespace that holds something of theirs, and the definitions of kinds of
    which there are objects. Nothing is removed while workloads run with the mesh's proxy (--force), nor from a mesh
    that byomesh didn't install. The cluster's allow-net-admin isn't touched.

    Exit status: 0 where nothing is left to remove, 1 where something went wrong, 3 after a dry run that would remove
    something, 4 where it is refused.
    """
    with told(), connected(kubeconfig, cluster, project, location) as api:
        from shared.mesh import uninstall as room  # noqa: PLC0415 - loads the Kubernetes client

        removal = room.decide(room.find(api, load_profile(mesh)), with_crds=with_crds, force=force)
        if removal.refused:
            _refuse(removal, output)
        if dry_run or not removal.steps:
            _report(removal, output, done=not dry_run)
            raise typer.Exit(_PENDING if removal.steps else 0)
        if not yes:
            _ask(removal, output)
        left = _remove(api, helm_for(kubeconfig, cluster, project, location), removal, timeout)
        _report(removal, output, done=True, left=left)
        if left:
            fail(f"after {timeout:g} s still on the way out: {', '.join(left)}")


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _ask(removal: Removal, output: Format) -> None:
    if output is Format.JSON or not _is_terminal():
        fail("this removes a mesh: say --yes, or see first what --dry-run shows", 2)
    _report(removal, output, done=False)
    typer.confirm("Remove it?", abort=True)


def _remove(api: Kube, helm: Helm, removal: Removal, timeout: float) -> tuple[str, ...]:
    """Remove everything, and wait for the namespaces; returns those that are still there."""
    from shared.config import settings  # noqa: PLC0415 - as in `uninstall`
    from shared.mesh import lease  # noqa: PLC0415 - as in `uninstall`
    from shared.mesh import uninstall as room  # noqa: PLC0415 - as in `uninstall`

    with contextlib.ExitStack() as stack:
        status = stack.enter_context(err.status("taking the cluster's Lease"))
        taken = lease.take(api, f"byomesh uninstall by {getpass.getuser()}", settings().lease_duration)
        if isinstance(taken, lease.HeldBy):
            remedy = "wait until it has ended"
            raise Temporary("LeaseHeld", f"{taken.holder} works on the cluster", remedy=remedy)
        stack.enter_context(taken)
        room.carry_out(removal, api, helm, taken, lambda step: status.update(f"removing {escape(str(step))}"))
        end = time.monotonic() + timeout
        while (left := room.remaining(removal, api)) and time.monotonic() < end:
            status.update(f"waiting for the namespaces {', '.join(left)} to go")
            time.sleep(0.2)
    return left


def _refuse(removal: Removal, output: Format) -> NoReturn:
    if output is Format.JSON:
        print_json(_as_json(removal, done=False))
    else:
        hint = "; restart them without it first, or say --force" if removal.meshed else ""
        err.print(f"[red]refused:[/red] {escape(removal.refused)}{hint}")
    raise typer.Exit(_REFUSED)


def _as_json(removal: Removal, *, done: bool, left: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "done": done and not left,
        "refused": removal.refused,
        "removed" if done else "would_remove": [str(step) for step in removal.steps],
        "kept": list(removal.kept),
        "meshed": list(removal.meshed),
        "objects": removal.objects,
        "terminating": list(left),
        "note": _NET_ADMIN,
    }


def _report(removal: Removal, output: Format, *, done: bool, left: tuple[str, ...] = ()) -> None:
    if output is Format.JSON:
        print_json(_as_json(removal, done=done, left=left))
        return
    for name in removal.meshed:
        out.print(Text(f"! {name} runs with the mesh's proxy", "yellow"))
    verb = "removed" if done else "would remove"
    for step in removal.steps:
        out.print(f"{verb} {step}", markup=False)
    for name, count in sorted(removal.objects.items()):
        out.print(f"{verb} {count} objects of {name} with their definition", markup=False)
    for words in removal.kept:
        out.print(Text(f"kept {words}", "yellow"))
    if not removal.steps:
        out.print("nothing to remove")
    out.print(_NET_ADMIN)
