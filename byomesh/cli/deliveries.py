"""The commands of `byomesh local` about what is delivered and said, and how to disturb it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from byomesh.cli.output import Format, Output, escape, fail, out, phase, print_json, split_pairs, table, told
from byomesh.local.client import Client
from byomesh.local.home import Home

_LONGEST_DATA = 200


Duplicate = Annotated[int, typer.Option(min=0, help="Deliver each audit entry so many times more.")]
Delay = Annotated[float, typer.Option(min=0, help="Seconds that each audit entry is late.")]
Reorder = Annotated[float, typer.Option(min=0, help="Seconds in which audit entries are gathered and shuffled.")]


def _call(method: str, path: str, body: object = None, **options: Any) -> dict[str, Any]:
    with told():
        return Client.connect(Home.default()).call(method, path, body, **options)


def statuses(
    cluster: Annotated[str, typer.Option(help="Only what was said of this cluster.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Show every MeshStatus that was published, oldest first."""
    said = _call("GET", "/statuses", query={"cluster": cluster} if cluster else None)["statuses"]
    if output is Format.JSON:
        print_json(said)
        return
    shown = table("TIME", "CLUSTER", "PHASE", "REASON", "SAYS")
    for one in said:
        shown.add_row(
            (one["time"] or "")[11:23],
            (one["cluster"] or "-").rpartition("/")[2],
            phase(one["phase"]),
            one["reason"],
            escape(one["message"]),
        )
    out.print(shown)


def events(
    cluster: Annotated[str, typer.Option(help="Only what concerns this cluster.")] = "",
    function: Annotated[str, typer.Option(help="Only what went to this function.")] = "",
    dead_letters: Annotated[bool, typer.Option("--dead-letters", help="Show what was given up instead.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show what was delivered, to whom, how often, and what the answer was."""
    if dead_letters:
        _show_dead_letters(_call("GET", "/dead-letters")["dead_letters"], output)
        return
    query = {key: value for key, value in (("cluster", cluster), ("function", function)) if value}
    delivered = _call("GET", "/events", query=query)["events"]
    if output is Format.JSON:
        print_json(delivered)
        return
    shown = table("TIME", "BY", "TO", "TRY", "ANSWER", "TOOK", "WHAT")
    for one in delivered:
        colour = "green" if one["error"] is None else "red"
        shown.add_row(
            one["time"][11:23],
            one["kind"],
            one["target"],
            str(one["attempt"]),
            f"[{colour}]{one['status'] or '-'}[/{colour}]",
            f"{one['seconds']:.2f} s",
            escape(one["line"] + (f"\n{one['error']}" if one["error"] else "")),
        )
    out.print(shown)


def _show_dead_letters(letters: list[dict[str, Any]], output: Format) -> None:
    if output is Format.JSON:
        print_json(letters)
        return
    shown = table("SUBSCRIPTION", "ATTEMPTS", "DATA")
    for one in letters:
        what = one["data"][:_LONGEST_DATA] or f"nothing but attributes: {one['attributes']}"
        shown.add_row(one["subscription"] or "-", str(one["attempts"] or "-"), escape(what))
    out.print(shown)


def publish(
    topic: Annotated[str, typer.Argument(help="mesh-install, mesh-verify, mesh-enforce or cluster-events.")],
    message: Annotated[str, typer.Option("--message", "-m", help="The message's data, such as a rerun request.")] = "",
    attribute: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="An attribute.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Publish a message as `gcloud pubsub topics publish TOPIC --message …` would."""
    attributes = split_pairs("--attribute", attribute)
    if not message and not attributes:
        fail("a message needs data or an attribute: --message TEXT or --attribute KEY=VALUE", 2)
    answer = _call("POST", "/publish", {"topic": topic, "data": message, "attributes": attributes})
    if output is Format.JSON:
        print_json(answer)
    else:
        out.print(f"published as {answer['message_id']}")


def troubles(duplicate: Duplicate = 0, delay: Delay = 0.0, reorder: Reorder = 0.0) -> None:
    """Set what happens to audit entries on their way; without options, nothing does again."""
    _call("POST", "/troubles", {"duplicate": duplicate, "delay": delay, "reorder": reorder})
    out.print(f"entries: {duplicate} duplicates each, {delay:g} s late, shuffled within {reorder:g} s")


def deny_net_admin(
    project: Annotated[str, typer.Argument(help="Whose clusters are denied it.")],
    undo: Annotated[bool, typer.Option("--undo", help="Take the denial away.")] = False,
) -> None:
    """Deny allow-net-admin in a project, as a custom constraint of the organisation does."""
    answer = _call("POST", "/org-policies", {"project": project, "deny": not undo})
    denied = ", ".join(answer["denied"]) or "no project"
    out.print(f"allow-net-admin is denied in {denied}")


def block_port(
    cluster: Annotated[str, typer.Argument(help="The cluster: its name, or its full resource name.")],
    port: Annotated[
        int,
        typer.Argument(min=1, max=65535, help="Of the pods: 8443 and 9443 are Linkerd's webhooks, 8089 is viz's tap."),
    ],
    off: Annotated[bool, typer.Option("--off", help="Let it through again.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Keep a cluster's control plane from a port of its pods, as the firewall of a private GKE cluster does.

    A webhook behind it is then not reached: with failurePolicy Ignore new pods come up without a proxy, with Fail they
    are refused.
    """
    answer = _call("POST", "/blocked-ports", {"port": port, "block": not off}, query={"cluster": cluster})
    if output is Format.JSON:
        print_json(answer)
        return
    blocked = ", ".join(map(str, answer["blocked_ports"])) or "no port of its pods"
    out.print(f"{answer['cluster'].rpartition('/')[2]}: blocked for the control plane: {blocked}")


def restart(
    function: Annotated[str, typer.Argument(help="enable_net_admin, install_mesh, verify_mesh or enforce_policy.")],
) -> None:
    """Start a function's process anew, as the platform does after a crash."""
    answer = _call("POST", "/restart", {"function": function}, seconds=90)
    out.print(f"{function} is process {answer['pid']}")
