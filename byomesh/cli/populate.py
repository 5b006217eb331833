"""`byomesh local populate`: a fleet of stand-in clusters at once."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from byomesh.cli.output import Format, Output, err, fail, out, print_json, split_pairs, told
from byomesh.local.client import Client
from byomesh.local.gke.population import MOST, Behind, Envelope, NetAdmin, Population
from byomesh.local.home import Home

_LONGEST = 600.0


def populate(
    clusters: Annotated[int, typer.Option("--clusters", "-n", min=1, max=MOST, help="How many.")] = 100,
    projects: Annotated[int, typer.Option(min=1, help="Spread them over so many projects, PROJECT-001 and on.")] = 1,
    project: Annotated[str, typer.Option(help="Their project; the local cloud's own where absent.")] = "",
    location: Annotated[list[str] | None, typer.Option("--location", "-l", help="Regions or zones, in turn.")] = None,
    autopilot: Annotated[bool, typer.Option("--autopilot/--standard", help="Their mode.")] = True,
    label: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A resource label of each.")] = None,
    net_admin: Annotated[
        NetAdmin, typer.Option(help="Which Autopilot clusters allow NET_ADMIN; mixed is every second one.")
    ] = NetAdmin.OFF,
    prefix: Annotated[str, typer.Option(help="Begins their names, PREFIX-00001 and on; taken ones are left out.")] = (
        "fleet"
    ),
    behind: Annotated[Behind, typer.Option(help="What answers at their endpoints.")] = Behind.NOTHING,
    events: Annotated[
        bool, typer.Option("--events/--no-events", help="Deliver the audit entries of their creation.")
    ] = False,
    envelope: Annotated[
        Envelope | None,
        typer.Option(
            show_default="eventarc", help="How: by Eventarc, by a log sink through Pub/Sub, or by both; means --events."
        ),
    ] = None,
    operation_seconds: Annotated[float, typer.Option(min=0, help="Seconds that each GKE operation takes.")] = 2.0,
    busy: Annotated[bool, typer.Option("--busy", help="An operation that never ends runs on each.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Fill the local GKE with stand-in clusters: no control plane of their own, so thousands take seconds.

    The GKE API lists, updates and deletes them as others. What connects to one finds what --behind says, by default
    nothing. Without --events nobody is told of them, as of clusters whose entries were lost.

    With --events every cluster goes the whole way: enable_net_admin allows NET_ADMIN and queues its mesh.
    """
    asked = {
        "clusters": clusters,
        "projects": projects,
        "project": project,
        "locations": location or ["europe-west1"],
        "autopilot": autopilot,
        "labels": split_pairs("--label", label),
        "net_admin": net_admin,
        "prefix": prefix,
        "behind": behind,
        "envelope": envelope or (Envelope.EVENTARC if events else Envelope.NONE),
        "operation_seconds": operation_seconds,
        "busy": busy,
    }
    try:
        msgspec.convert(asked, Population)
    except msgspec.ValidationError as error:
        fail(str(error), 2)
    with told(), err.status(f"making {clusters} clusters"):
        answer = Client.connect(Home.default()).call("POST", "/population", asked, seconds=_LONGEST)
    if output is Format.JSON:
        print_json(answer)
        return
    out.print(f"{answer['clusters']} clusters are there ({answer['seconds']:.1f} s):")
    out.print(f"  {answer['first']} … {answer['last']}")
