"""`byomesh demo-app`: the mesh's demo application on any cluster at hand, installed, looked at, and removed again."""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from byomesh.cli.output import Format, Output, err, escape, fail, out, print_json, told
from byomesh.cli.target import ClusterOption, KubeconfigOption, LocationOption, ProjectOption, connected, helm_for
from shared.errors import Temporary
from shared.mesh.profile import load_profile

if TYPE_CHECKING:
    from shared.helm import Helm
    from shared.kube import Kube
    from shared.mesh.alone import Alone
    from shared.mesh.extensions import ExtensionState
    from shared.mesh.plan import Plan

TimeoutOption = Annotated[float, typer.Option(min=0, help="Seconds to wait.")]
_NOT_THERE, _REFUSED = 3, 4
_STEP = 0.5
_EMOJIVOTO = "emojivoto"

app = typer.Typer(no_args_is_help=True, help="The demo application Emojivoto on a cluster, in a meshed namespace.")


@app.command()
def install(
    kubeconfig: KubeconfigOption = None,
    cluster: ClusterOption = "",
    project: ProjectOption = "",
    location: LocationOption = "",
    timeout: TimeoutOption = 300.0,
    output: Output = Format.TABLE,
) -> None:
    """Install Emojivoto, or put it right, and wait for its four deployments.

    Where a dry run shows that the mesh's injector answers, deployments whose pods have no proxy are restarted, each
    once. Where none answers, the annotation of the namespace is all that is verified of the mesh, and this says so.

    Exit status: 0 where all deployments are ready, meshed too where an injector answers, 1 where something went wrong,
    4 where others installed it.
    """
    with told(), _opened(kubeconfig, cluster, project, location) as (api, alone):
        from shared.config import settings  # noqa: PLC0415 - needed only where Helm is run

        helm = helm_for(kubeconfig, cluster, project, location)
        plan = alone.installation(helm, settings(), dt.datetime.now(dt.UTC))
        _carry_out(api, alone, helm, plan, output)
        state, restarted, why = _wait(alone, timeout)
    found = _as_json(state, why) | {"changed": [plan.reason] if plan.steps else [], "restarted": restarted}
    _report(found, output, plan.reason)
    if not found["ready"] or (found["injector_answers"] and found["meshed"] < found["deployments"]):
        fail(f"not ready and meshed: {found['message']}; run it again, and it goes on from there")


@app.command()
def remove(
    kubeconfig: KubeconfigOption = None,
    cluster: ClusterOption = "",
    project: ProjectOption = "",
    location: LocationOption = "",
    timeout: TimeoutOption = 120.0,
    output: Output = Format.TABLE,
) -> None:
    """Remove what byomesh installed of Emojivoto; what others put into its namespace stays, with the namespace.

    Exit status: 0 where nothing of it is left, 1 where something went wrong, 4 where others installed it.
    """
    with told(), _opened(kubeconfig, cluster, project, location) as (api, alone):
        plan = alone.removal()
        if plan.steps:
            helm = helm_for(kubeconfig, cluster, project, location)
            _carry_out(api, alone, helm, plan, output)
        elif plan.reason:
            _refuse(plan, output)
        kept = [str(one) for one in alone.foreign()]
        gone = bool(kept) or not plan.steps or _gone(alone, timeout)
    words = f"the namespace {_EMOJIVOTO} is kept, for it holds things of others: {', '.join(kept)}" if kept else ""
    _report({"done": gone, "kept": kept, "message": words or "nothing of it is left"}, output, plan.reason)
    if not gone:
        fail(f"after {timeout:g} s the namespace {_EMOJIVOTO} is still on its way out")


@app.command()
def status(
    kubeconfig: KubeconfigOption = None,
    cluster: ClusterOption = "",
    project: ProjectOption = "",
    location: LocationOption = "",
    output: Output = Format.TABLE,
) -> None:
    """Say how many of Emojivoto's deployments are ready and meshed; writes nothing.

    Exit status: 0 where all are ready, 1 where the cluster can't be looked at, 3 where some aren't or it isn't there.
    """
    with told(), _opened(kubeconfig, cluster, project, location) as (_, alone):
        state = alone.look()
        why = alone.unanswered() if state is not None and state.unmeshed else ""
    found = _as_json(state, why)
    _report(found, output, "")
    raise typer.Exit(0 if found["ready"] else _NOT_THERE)


@contextlib.contextmanager
def _opened(kubeconfig: Any, cluster: str, project: str, location: str) -> Iterator[tuple[Kube, Alone]]:
    profile = load_profile("linkerd")
    with connected(kubeconfig, cluster, project, location) as api:
        from shared.mesh.alone import Alone  # noqa: PLC0415 - loads the Kubernetes client, which --help doesn't need

        yield api, Alone(profile, next(one for one in profile.extensions if one.name == _EMOJIVOTO), api)


def _carry_out(api: Kube, alone: Alone, helm: Helm, plan: Plan, output: Format) -> None:
    """Do what a plan says under the cluster's Lease; a plan that refuses ends the command."""
    from shared.config import settings  # noqa: PLC0415 - as in `_opened`
    from shared.mesh import lease  # noqa: PLC0415 - as in `_opened`
    from shared.mesh.plan import Kind  # noqa: PLC0415 - as in `_opened`

    if plan.kind is Kind.REFUSE:
        _refuse(plan, output)
    if not plan.steps:
        return
    with err.status("taking the cluster's Lease") as shown:
        taken = lease.take(api, f"byomesh demo-app by {getpass.getuser()}", settings().lease_duration)
        if isinstance(taken, lease.HeldBy):
            raise Temporary("LeaseHeld", f"{taken.holder} works on the cluster", remedy="wait until it has ended")
        with taken:
            lost = alone.carry_out(plan, helm, taken, lambda step: shown.update(f"{_EMOJIVOTO}: {type(step).__name__}"))
    for words in lost:
        err.print(Text(words, "yellow"))


def _wait(alone: Alone, timeout: float) -> tuple[ExtensionState | None, list[str], str]:
    """Wait for its deployments, and restart those without proxies; the state, what was restarted, and why none is."""
    from shared.mesh.rollouts import State  # noqa: PLC0415 - as in `_opened`

    restarted: list[str] = []
    end = time.monotonic() + timeout
    with err.status("waiting for its deployments") as shown:
        while True:
            state, why, busy = alone.look(), "", True
            if state is not None and not state.waits_for:
                why = alone.unanswered() if state.unmeshed else ""
                now = dt.datetime.now(dt.UTC)
                found = alone.restarts(state, now, timeout) if not why else {}
                for target in [one for one, far in found.items() if far is State.TO_DO]:
                    alone.restart(target, now)
                    restarted.append(target.name)
                busy = any(far in (State.TO_DO, State.RUNNING) for far in found.values())
            if not busy or time.monotonic() >= end:
                return state, restarted, why
            shown.update(escape(f"waiting: {state.waits_for or state.words}" if state is not None else "waiting"))
            time.sleep(_STEP)


def _gone(alone: Alone, timeout: float) -> bool:
    end = time.monotonic() + timeout
    with err.status(f"waiting for the namespace {_EMOJIVOTO} to go"):
        while not (gone := alone.gone()) and time.monotonic() < end:
            time.sleep(_STEP)
    return gone


def _as_json(state: ExtensionState | None, why: str) -> dict[str, Any]:
    if state is None:
        return {"installed": False, "ready": False, "message": "byomesh has not installed it"}
    annotated = "no injector answers, so of the mesh only the namespace's annotation is verified"
    unverified = f"; {annotated} ({why})" if why else ""
    waits = f"; waits for {state.waits_for}" if state.waits_for else ""
    return {
        "installed": True,
        "ready": state.ready == state.deployments,
        "deployments": state.deployments,
        "ready_deployments": state.ready,
        "meshed": state.meshed,
        "unmeshed": list(state.unmeshed),
        "injector_answers": not why,
        "message": f"{state.ready} of {state.deployments} deployments ready, {state.meshed} meshed{unverified}{waits}",
    }


def _refuse(plan: Plan, output: Format) -> None:
    if output is Format.JSON:
        print_json({"refused": plan.reason})
    err.print(f"[red]refused:[/red] {escape(plan.reason)}")
    raise typer.Exit(_REFUSED)


def _report(found: dict[str, Any], output: Format, done: str) -> None:
    if output is Format.JSON:
        print_json(found)
        return
    if done:
        out.print(done, markup=False)
    for name in found.get("restarted", ()):
        out.print(f"restarted {name}, whose pods had no proxy", markup=False)
    out.print(Text(f"{_EMOJIVOTO}: {found['message']}", "green" if found.get("ready", found.get("done")) else "yellow"))
