"""`byomesh local`: the local cloud, up in the background until told to go."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from byomesh.cli import deliveries, policies, populate
from byomesh.cli.output import Format, Output, err, escape, fail, out, phase, print_json, split_pairs, table, told
from byomesh.local.build_display import build_with_display
from byomesh.local.client import Client, start, stop
from byomesh.local.functions import THREADS
from byomesh.local.home import Home
from shared.policy_source import is_object

app = typer.Typer(
    no_args_is_help=True,
    help="GKE, Eventarc, Pub/Sub, Cloud Tasks and Secret Manager on this machine, with real clusters behind them.",
)

app.command()(populate.populate)
app.command()(deliveries.statuses)
app.command()(deliveries.events)
app.command()(deliveries.publish)
app.command()(deliveries.troubles)
app.command("deny-net-admin")(deliveries.deny_net_admin)
app.command("block-port")(deliveries.block_port)
app.command()(deliveries.restart)
app.command("policy")(policies.write)

Name = Annotated[str, typer.Argument(help="The cluster: its name, or its full resource name.", metavar="NAME")]
_WAIT_STEP = 5.0


def _client() -> Client:
    return Client.connect(Home.default())


@app.command()
def up(
    project: Annotated[str, typer.Option(help="Project of the automation, and of clusters that name none.")] = (
        "demo-project"
    ),
    pace: Annotated[float, typer.Option(min=0.1, help="Divides every delay of Google's services.")] = 10.0,
    pod_seconds: Annotated[
        float, typer.Option(min=0.0, help="Seconds that a pod takes to be ready on its node.")
    ] = 0.0,
    charts: Annotated[
        str, typer.Option(envvar="BYOMESH_CHARTS", help="Folder of charts; without it, the mesh's own repository.")
    ] = "",
    policy: Annotated[
        str,
        typer.Option(
            help="The policy's file (docs/policy.md), or gs://BUCKET/OBJECT for `byomesh local policy` to write; "
            "a change is followed. The built-in one if absent."
        ),
    ] = "",
    duplicate: deliveries.Duplicate = 0,
    delay: deliveries.Delay = 0.0,
    reorder: deliveries.Reorder = 0.0,
    ca_service: Annotated[
        bool, typer.Option("--ca-service", help="Trust a pool of Certificate Authority Service, not a secret's anchor.")
    ] = False,
    threads: Annotated[
        int,
        typer.Option(min=1, help="Requests that each function handles at a time: what its instances do together."),
    ] = THREADS,
    scope: Annotated[
        Literal["project", "organization"],
        typer.Option(help="Deliver audit entries by Eventarc, or by aggregated log sinks (docs/organization.md)."),
    ] = "project",
    setting: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Environment variable for the functions.")
    ] = None,
) -> None:
    """Start the local cloud in the background; builds its programs first where this machine hasn't any yet."""
    home = Home.default()
    settings = split_pairs("--setting", setting)
    if policy:
        with told():
            settings["BYOMESH_POLICY"] = policies.for_functions(policy)
    if home.contact() is not None:
        out.print("the local cloud is already up; see: byomesh local status")
        return
    began = time.monotonic()
    with told():
        build_with_display(err)
        arguments = ["--project", project, "--pace", str(pace), "--pod-seconds", str(pod_seconds)]
        arguments += ["--charts", str(Path(charts).absolute()) if charts else ""]
        arguments += ["--duplicate", str(duplicate), "--delay", str(delay), "--reorder", str(reorder)]
        arguments += ["--ca-service"] if ca_service else []
        arguments += ["--scope", scope]
        arguments += ["--threads", str(threads)]
        arguments += [part for pair in settings.items() for part in ("--setting", "=".join(pair))]
        with err.status("starting") as status:
            start(home, arguments, lambda step: status.update(f"starting: {step}"))
    out.print(f"the local cloud is up ({time.monotonic() - began:.1f} s); next: byomesh local create-cluster NAME")
    if is_object(policy):
        out.print(f"no delivery is taken before the policy is there: byomesh local policy FILE ({policy})")


@app.command()
def down() -> None:
    """Stop the local cloud and every process of it."""
    with told(), err.status("stopping"):
        was_up = stop(Home.default())
    out.print("the local cloud is down" if was_up else "no local cloud was up")


@app.command()
def status(output: Output = Format.TABLE) -> None:
    """Show the clusters, what is known of their meshes, and the functions; exit status 1 if no local cloud is up."""
    with told():
        answer = _client().call("GET", "/status")
    if output is Format.JSON:
        print_json(answer)
        return
    out.print(f"project {answer['project']}, {answer['pace']:g} times Google's pace, APIs at {answer['apis']}")
    clusters = table("CLUSTER", "LOCATION", "GKE", "MODE", "NET_ADMIN", "MESH", "SAYS")
    for one in answer["clusters"]:
        mesh = one["mesh"] or {}
        clusters.add_row(
            one["name"].rpartition("/")[2],
            one["name"].split("/")[3],
            one["status"],
            "Autopilot" if one["autopilot"] else "Standard",
            "allowed" if one["net_admin"] else "denied",
            phase(mesh.get("phase", "-")),
            escape(mesh.get("message", "nothing yet")),
        )
    out.print(clusters)
    called = table("CLUSTER", "WEBHOOKS THAT ANSWERED", "BLOCKED PORTS")
    for one in answer["clusters"]:
        if one["webhook_calls"] or one["blocked_ports"]:
            calls = ", ".join(f"{name} {times} times" for name, times in one["webhook_calls"].items())
            called.add_row(one["name"].rpartition("/")[2], calls or "none", ", ".join(map(str, one["blocked_ports"])))
    if called.row_count:
        out.print(called)
    running = table("FUNCTION", "PROCESS", "ADDRESS")
    for one in answer["functions"]:
        running.add_row(one["name"], str(one["pid"]) if one["running"] else "ended", one["url"])
    out.print(running)


@app.command("create-cluster")
def create_cluster(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.")],
    project: Annotated[str, typer.Option(help="The cluster's project; the local cloud's own where absent.")] = "",
    location: Annotated[str, typer.Option(help="A region or a zone.")] = "europe-west1",
    autopilot: Annotated[bool, typer.Option("--autopilot/--standard", help="The cluster's mode.")] = True,
    allow_net_admin: Annotated[bool, typer.Option("--allow-net-admin", help="Allow NET_ADMIN from the start.")] = False,
    label: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A resource label.")] = None,
    pods_cidr: Annotated[str, typer.Option(help="The pods' range; one inside 10.0.0.0/8 where absent.")] = "",
    services_cidr: Annotated[str, typer.Option(help="The Services' range; 34.118.224.0/20 where absent.")] = "",
    operation_seconds: Annotated[float, typer.Option(min=0, help="Seconds that each GKE operation on it takes.")] = 2.0,
    node_seconds: Annotated[float, typer.Option(min=0, help="Seconds from RUNNING to the first nodes.")] = 0.0,
    nodes: Annotated[int, typer.Option(min=0, max=20, help="Nodes; a highly available mesh needs three.")] = 2,
    managed_namespaces: Annotated[
        bool, typer.Option(help="Whether an Autopilot cluster lets nobody write to kube-system, as GKE's does.")
    ] = True,
    api_version: Annotated[str, typer.Option(help="v1 or v1beta1: the API that its audit entries name.")] = "v1",
    output: Output = Format.TABLE,
) -> None:
    """Create a GKE cluster and return at once; what follows needs no hand: byomesh local wait NAME --for ready."""
    body = {
        "name": name,
        "project": project,
        "location": location,
        "autopilot": autopilot,
        "allow_net_admin": allow_net_admin,
        "labels": split_pairs("--label", label),
        "pods_cidr": pods_cidr,
        "services_cidr": services_cidr,
        "operation_seconds": operation_seconds,
        "node_seconds": node_seconds,
        "nodes": nodes,
        "managed_namespaces": managed_namespaces,
        "api_version": api_version,
    }
    with told():
        answer = _client().call("POST", "/clusters", body)
    _print_operation(answer, "is being created", output)


@app.command("delete-cluster")
def delete_cluster(name: Name, output: Output = Format.TABLE) -> None:
    """Delete a GKE cluster."""
    with told():
        answer = _client().call("DELETE", "/clusters", query={"cluster": name})
    _print_operation(answer, "is being deleted", output)


def _print_operation(answer: dict[str, Any], what: str, output: Format) -> None:
    if output is Format.JSON:
        print_json(answer)
    else:
        out.print(f"{answer['cluster']} {what} ({answer['operation']})")


@app.command()
def kubeconfig(
    name: Name,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Write it there, for its owner only.")] = None,
) -> None:
    """Print a kubeconfig for kubectl, helm and the mesh's own tools; its user is an administrator."""
    with told():
        answer = _client().call("GET", "/kubeconfig", query={"cluster": name})
    if file is None:
        sys.stdout.write(answer["kubeconfig"])
        return
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(answer["kubeconfig"])


@app.command()
def env(
    person: Annotated[
        str, typer.Option("--as", help="Somebody else's e-mail, such as alice@example.com: audit entries name them.")
    ] = "",
    output: Output = Format.TABLE,
) -> None:
    """Print the environment of an operator of this local cloud; use it as: eval "$(byomesh local env)"."""
    with told():
        answer = _client().call("GET", "/environment", query={"as": person} if person else None)["environment"]
    if output is Format.JSON:
        print_json(answer)
        return
    for name, value in answer.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


@app.command()
def wait(
    name: Name,
    for_: Annotated[str, typer.Option("--for", help="What to wait for; only `ready` is known.")] = "ready",
    timeout: Annotated[float, typer.Option(min=0, help="Seconds.")] = 300.0,
    output: Output = Format.TABLE,
) -> None:
    """Wait for a cluster's mesh, by its newest status.

    Exit status: 0 Ready; 1 Refused, Failed or Stuck, with the reason; 2 the time is over.
    """
    if for_ != "ready":
        fail(f"--for {for_}: only `ready` can be waited for", 2)
    with told():
        newest = _await_end(_client(), name, timeout)
    if output is Format.JSON:
        print_json(newest)
    elif newest:
        out.print(f"{phase(newest['phase'])} {name}: {escape(newest['message'])}")
    reached = (newest or {}).get("phase", "")
    if reached not in ("Ready", "Refused", "Failed", "Stuck"):
        fail(f"{name} was not ready within {timeout:g} s; it is {reached or 'not heard of'}", 2)
    raise typer.Exit(0 if reached == "Ready" else 1)


def _await_end(client: Client, name: str, timeout: float) -> dict[str, Any] | None:
    deadline = time.monotonic() + timeout
    with err.status(f"waiting for {name}") as shown_status:
        while True:
            left = deadline - time.monotonic()
            step = max(min(_WAIT_STEP, left), 0.0)
            answer = client.call("GET", "/wait", query={"cluster": name, "seconds": f"{step:.3f}"})
            newest: dict[str, Any] | None = answer["status"]
            if newest and newest["phase"] in ("Ready", "Refused", "Failed", "Stuck"):
                return newest
            if left <= 0:
                return newest
            if newest:
                shown_status.update(f"{name} is {newest['phase']}: {escape(newest['message'])}")
