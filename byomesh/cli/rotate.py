"""`byomesh rotate-anchor`: the fleet's trust anchor replaced in three steps, each safe to stop at."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from byomesh.cli.output import Format, Output, err, escape, fail, out, print_json, table, told
from byomesh.cli.target import LocationOption, resolve
from shared.errors import ByomeshError, Permanent
from shared.model import ClusterRef

if TYPE_CHECKING:
    from shared.mesh.fleet import RotatingStore
    from shared.mesh.fleet_trust import FleetTrust
    from shared.mesh.linkerd.certificates import RotationStep
    from shared.mesh.linkerd.rotation import Standing

app = typer.Typer(
    no_args_is_help=True,
    help="Replace the fleet's trust anchor in three steps: begin, move, finish. Each may be left as it is for any "
    "time, and run again; each queues the installation of the clusters that it is given.",
    epilog="begin: a new anchor is trusted beside the old one. move: the new one signs every cluster's issuer. "
    "finish: the old one goes. No step breaks a connection between proxies.",
)

Clusters = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CLUSTER]...", help="Clusters: full resource names, or names that are unique."),
]
Projects = Annotated[
    list[str] | None,
    typer.Option("--project", envvar="GOOGLE_CLOUD_PROJECT", help="Projects of --all and of clusters named by name."),
]
All = Annotated[bool, typer.Option("--all", help="Every cluster of the projects.")]
Unseen = Annotated[
    bool,
    typer.Option(
        "--without-looking",
        help="Don't look at the clusters first. Each still guards itself; proxies of different clusters that talk to "
        "each other may distrust each other for a time.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Look at everything, say what would be done, write nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
PrintOnly = Annotated[bool, typer.Option("--print", help="Print the commands that queue the clusters, queue nothing.")]
MESH = "linkerd"
_UNDER_WAY = 3


@app.command()
def status(
    clusters: Clusters = None,
    project: Projects = None,
    location: LocationOption = "",
    all_: All = False,
    output: Output = Format.TABLE,
) -> None:
    """Show the fleet's trust anchors, the next step, and how far each cluster has followed.

    Exit status: 0 where no rotation is under way and every cluster that was looked at agrees, 3 otherwise.
    """
    with told():
        store, now = _store(), dt.datetime.now(dt.UTC)
        fleet, step = store.trust(now), store.next_step(now)
        seen = _look(_named(clusters, project, location, all_), fleet, now)
    if output is Format.JSON:
        print_json(_as_json(fleet, step, seen))
    else:
        _show(fleet, step, seen)
    quiet = step == "begin" and all(one["trusts_all"] and one["alone"] and not one["error"] for one in seen)
    raise typer.Exit(0 if quiet else _UNDER_WAY)


@app.command()
def begin(
    clusters: Clusters = None,
    project: Projects = None,
    location: LocationOption = "",
    all_: All = False,
    unseen: Unseen = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    print_only: PrintOnly = False,
    output: Output = Format.TABLE,
) -> None:
    """Step 1: make a new trust anchor, trusted beside the old one, which signs on; then queue the clusters."""
    _step("begin", _named_or_ended(clusters, project, location, all_), unseen, dry_run, yes, print_only, output)


@app.command()
def move(
    clusters: Clusters = None,
    project: Projects = None,
    location: LocationOption = "",
    all_: All = False,
    unseen: Unseen = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    print_only: PrintOnly = False,
    output: Output = Format.TABLE,
) -> None:
    """Step 2, once all proxies trust both: let the new anchor sign every cluster's issuer; then queue the clusters."""
    _step("move", _named_or_ended(clusters, project, location, all_), unseen, dry_run, yes, print_only, output)


@app.command()
def finish(
    clusters: Clusters = None,
    project: Projects = None,
    location: LocationOption = "",
    all_: All = False,
    unseen: Unseen = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    print_only: PrintOnly = False,
    output: Output = Format.TABLE,
) -> None:
    """Step 3, a day after the issuers have moved: let the old anchor go; then queue the clusters."""
    _step("finish", _named_or_ended(clusters, project, location, all_), unseen, dry_run, yes, print_only, output)


def _step(
    name: str,
    clusters: list[ClusterRef],
    unseen: bool,
    dry_run: bool,
    yes: bool,
    print_only: bool,
    output: Format,
) -> None:
    with told():
        from shared.mesh.fleet import not_next  # noqa: PLC0415 - loads Google's clients, which --help has no need of
        from shared.mesh.linkerd.certificates import RotationStep  # noqa: PLC0415 - likewise

        wished, now = RotationStep(name), dt.datetime.now(dt.UTC)
        store = _store()
        fleet, following = store.trust(now), store.next_step(now)
        done = _after(wished) is following
        if following is not wished and not done:
            raise not_next(wished, following)
        seen = [] if unseen or done else _look(clusters, fleet, now)
        holding = [one for one in seen if one["error"] or not one["allows"][name]]
        if not clusters and not unseen and not done and name != "begin":
            raise Permanent("NoClusters", f"{name} depends on the clusters", remedy="name them, or give --all")
    if holding:
        _hold(name, holding, output)
    if not dry_run and not done:
        _agree(name, len(clusters), yes)
        with told(), err.status(f"{name}"):
            store.take(wished, dt.datetime.now(dt.UTC))
    queued = _queue(clusters, print_only=print_only or dry_run)
    if output is Format.JSON:
        print_json({"step": name, "done": done, "dry_run": dry_run, "clusters": seen, "queue": queued})
        return
    would = "would be taken" if dry_run else "had been taken before" if done else "is taken"
    out.print(f"the step [bold]{name}[/bold] {would}")
    for one in queued:
        out.print(escape(one["command"] or f"{one['cluster']} is queued"))
    if not clusters:
        out.print("now publish the installation of every cluster again: byomesh rotate-anchor " + f"{name} --all")


def _after(step: RotationStep) -> RotationStep:
    """The step that is next once `step` is done."""
    following = {"begin": "move", "move": "finish", "finish": "begin"}
    return type(step)(following[step])


def _hold(name: str, holding: list[dict[str, Any]], output: Format) -> None:
    if output is Format.JSON:
        print_json({"step": name, "held_back_by": holding})
    for one in holding:
        err.print(escape(f"{one['cluster']}: {one['error'] or '; '.join(one['waits_for'])}"))
    fail(f"{len(holding)} clusters aren't ready for {name}; nothing was changed", _UNDER_WAY)


def _agree(name: str, number: int, yes: bool) -> None:
    if not yes and not typer.confirm(f"{name} the rotation, and queue {number} clusters?", err=True):
        fail("nothing was changed")


def _store() -> RotatingStore:
    from shared.config import settings  # noqa: PLC0415 - read when asked for
    from shared.mesh.fleet import fleet_store  # noqa: PLC0415 - loads Google's clients

    return fleet_store(settings())


def _named_or_ended(
    clusters: list[str] | None, project: list[str] | None, location: str, all_: bool
) -> list[ClusterRef]:
    with told():
        return _named(clusters, project, location, all_)


def _named(clusters: list[str] | None, project: list[str] | None, location: str, all_: bool) -> list[ClusterRef]:
    projects = list(project or [])
    if all_:
        from shared.gke import gke  # noqa: PLC0415 - Google's client is slow to load

        if not projects:
            raise Permanent(
                "NoProject", "--all needs a project", remedy="add --project, as often as there are projects"
            )
        return [ref for one in projects for ref in gke().list(one)]
    return [resolve(one, projects[0] if projects else "", location) for one in clusters or []]


def _look(clusters: list[ClusterRef], fleet: FleetTrust, now: dt.datetime) -> list[dict[str, Any]]:
    with err.status("looking at the clusters") if clusters else contextlib.nullcontext():
        return [_standing(ref, fleet, now) for ref in clusters]


def _standing(ref: ClusterRef, fleet: FleetTrust, now: dt.datetime) -> dict[str, Any]:
    from shared.mesh.linkerd.certificates import RotationStep  # noqa: PLC0415 - with the clients
    from shared.mesh.linkerd.rotation import allows  # noqa: PLC0415 - likewise

    told_of: dict[str, Any] = {"cluster": str(ref), "error": "", "waits_for": []}
    try:
        found = _observed(ref, fleet, now)
    except ByomeshError as error:
        return {**told_of, "trusts_all": False, "moved": False, "alone": False, "allows": {}, "error": str(error)}
    return {
        **told_of,
        "trusts_all": found.trusts_all,
        "moved": found.moved,
        "alone": found.alone,
        "allows": {step.value: allows(step, found) for step in RotationStep},
        "waits_for": list(found.waits_for),
    }


def _observed(ref: ClusterRef, fleet: FleetTrust, now: dt.datetime) -> Standing:
    from shared.mesh import lease  # noqa: PLC0415 - loads the Kubernetes client
    from shared.mesh.linkerd import trusting  # noqa: PLC0415 - likewise
    from shared.mesh.profile import load_profile  # noqa: PLC0415 - likewise

    with _connected(ref) as api:
        held = lease.held(api, now)
        if held is not None:
            raise Permanent("LeaseHeld", f"{held.holder} works on it", remedy="run again when that has ended")
        return trusting.standing(api, load_profile(MESH).namespace.name, fleet, now)


@contextlib.contextmanager
def _connected(ref: ClusterRef) -> Iterator[Any]:
    from byomesh.cli.target import connected  # noqa: PLC0415 - one way to a cluster

    with connected(None, str(ref), "", "") as api:
        yield api


def _queue(clusters: list[ClusterRef], *, print_only: bool) -> list[dict[str, str]]:
    from shared import pubsub  # noqa: PLC0415 - Google's client is slow to load
    from shared.config import settings  # noqa: PLC0415 - read when asked for
    from shared.model import InstallRequest, Reason, encode  # noqa: PLC0415 - likewise

    topic = settings().topic(settings().install_topic)
    queued = []
    for ref in clusters:
        message = encode(InstallRequest(cluster=ref, mesh=MESH, reason=Reason.RERUN))
        command = f"gcloud pubsub topics publish {topic} --message '{message.decode()}'" if print_only else ""
        if not print_only:
            with told():
                pubsub.publisher().publish(topic, message, {"cluster": str(ref), "mesh": MESH})
        queued.append({"cluster": str(ref), "command": command})
    return queued


def _as_json(fleet: FleetTrust, step: RotationStep, seen: list[dict[str, Any]]) -> dict[str, Any]:
    return {"next_step": step.value, "anchors": _anchors(fleet), "clusters": seen}


def _anchors(fleet: FleetTrust) -> list[dict[str, Any]]:
    from shared.mesh.linkerd import trust  # noqa: PLC0415 - the certificate library takes a while to load

    signers = [trust.read_certificates(one)[0] for one in fleet.signers]
    return [
        {
            "name": trust.common_name(one),
            "serial": f"{one.serial_number:x}",
            "ends": trust.rfc3339(one.not_valid_after_utc),
            "signs": signers[0] == one,
            "can_sign": one in signers,
        }
        for one in trust.read_certificates(fleet.trust_anchors)
    ]


def _show(fleet: FleetTrust, step: RotationStep, seen: list[dict[str, Any]]) -> None:
    anchors = table("ANCHOR", "SERIAL", "ENDS", "SIGNS")
    for one in _anchors(fleet):
        anchors.add_row(one["name"], one["serial"], one["ends"], "new issuers" if one["signs"] else "-")
    out.print(anchors)
    out.print(f"next step: [bold]{step}[/bold]" + ("" if step != "begin" else " (no rotation is under way)"))
    if not seen:
        return
    clusters = table("CLUSTER", "TRUSTS ALL", "ISSUER MOVED", "NO OTHER", "WAITS FOR")
    for one in seen:
        marks = ["yes" if one[key] else "no" for key in ("trusts_all", "moved", "alone")]
        clusters.add_row(one["cluster"].rpartition("/")[2], *marks, escape(one["error"] or "; ".join(one["waits_for"])))
    out.print(clusters)
