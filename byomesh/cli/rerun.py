"""`byomesh rerun`: ask for a cluster's mesh again, or for a whole fleet's, at a rate."""

from __future__ import annotations

import dataclasses
import datetime as dt
import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from byomesh.cli.output import Format, Output, err, escape, fail, out, phase, print_json, table, told
from byomesh.reruns.planning import Ask, Begin, Planned, has_ended, plan, seconds_between
from byomesh.reruns.selector import Selector, parse_selector
from shared import policy_source
from shared.config import Settings, settings
from shared.mesh.profile import load_profile
from shared.model import ClusterRef, MeshStatus, Phase

if TYPE_CHECKING:
    from byomesh.reruns.publishing import Post, Sent

_USAGE = 2
_LOOK_BACK = dt.timedelta(days=30)
"""How long Cloud Logging keeps what functions print, unless its bucket says otherwise."""

AutomationOption = Annotated[
    str,
    typer.Option(
        "--automation-project",
        envvar="BYOMESH_PROJECT",
        help="The project of byomesh's topics and queue; GOOGLE_CLOUD_PROJECT where none is named.",
    ),
]
ProjectsOption = Annotated[
    list[str] | None,
    typer.Option("--project", help="A project of clusters; may be given again. The automation's own otherwise."),
]


def rerun(
    clusters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CLUSTER]...", help="Clusters: full resource names, or names that are unique."),
    ] = None,
    begin: Annotated[
        Begin, typer.Option("--from", help="Begin with allowing NET_ADMIN, with installing, or only verify.")
    ] = "install",
    mesh: Annotated[str, typer.Option(help="The mesh; the one that the policy names otherwise.")] = "",
    version: Annotated[str, typer.Option(help="Its version; the policy's, or the mesh's own default, otherwise.")] = "",
    selector: Annotated[
        str,
        typer.Option("--selector", "-l", help="All clusters with these labels, as for kubectl: team=shop,tier!=dev."),
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="All clusters of the projects.")] = False,
    not_ready: Annotated[
        bool, typer.Option("--not-ready", help="All that are not Ready, those never heard of among them.")
    ] = False,
    project: ProjectsOption = None,
    location: Annotated[str, typer.Option("--location", help="Location of a cluster named by its name.")] = "",
    automation: AutomationOption = "",
    policy_source: Annotated[
        str,
        typer.Option(
            "--policy",
            envvar="BYOMESH_POLICY",
            help="The policy, which says what clusters that nobody named get; the built-in one otherwise.",
        ),
    ] = "",
    rate: Annotated[
        str, typer.Option(metavar="N/min", help="Spread them: so many clusters a minute, planned by Cloud Tasks.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be published, and publish nothing.")] = (
        False
    ),
    wait: Annotated[bool, typer.Option("--wait", help="Follow each cluster to its end.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to follow, from the last request on.")] = 1800.0,
    output: Output = Format.TABLE,
) -> None:
    """Ask for the mesh of clusters again; a cluster that is as it should be isn't written to.

    Clusters are named one by one, or chosen by --selector, --not-ready or --all among those of the projects. Of the
    chosen ones those that the policy gives no mesh are left out, unless --mesh names one. What is published waits its
    turn where the fleet or the cluster is paused.

        byomesh rerun shop-1 --project shop-prod
        byomesh rerun --not-ready --project shop-prod --project shop-test --rate 30/min --dry-run
        byomesh rerun --selector team=shop,tier!=dev --from enable --wait

    Exit status: 0 all were published, or with --wait are Ready; 1 one wasn't or isn't; 2 the command line is wrong.
    """
    _must_choose(clusters, selector, everything=everything, not_ready=not_ready)
    with told():
        if mesh:
            load_profile(mesh)
        config = _config(automation)
        projects = project or ([config.project] if config.project else [])
        ask = Ask(begin=begin, mesh=mesh, version=version or None, actor=_actor(), run=secrets.token_hex(4))
        between = seconds_between(rate) if rate else 0.0
        parsed = parse_selector(selector) if selector else Selector()
        targets = (
            _named(clusters, projects, location)
            if clusters
            else _chosen(config, projects, parsed, ask, policy_source, not_ready=not_ready)
        )
        planned = plan(targets, ask, config, between)
        if not any(not one.skipped for one in planned):
            _show(planned, (), {}, output, "nothing to ask for")
            # That none is left which isn't Ready is what one hopes for; that no label fits is hardly meant.
            raise typer.Exit(0 if planned or not_ready else 1)
        if dry_run:
            _show(planned, (), {}, output, "nothing was published (--dry-run)")
            return
        since = dt.datetime.now(dt.UTC)
        sent = _send(config, planned, spread_out=bool(rate))
        ended = _follow(config, sent, since, timeout) if wait else {}
    _show(planned, sent, ended, output, _summary(sent, planned))
    failed = any(one.error for one in sent)
    unready = wait and any(not _is_ready(ended.get(one.planned.cluster), since) for one in sent)
    raise typer.Exit(1 if failed or unready else 0)


def _must_choose(clusters: list[str] | None, selector: str, *, everything: bool, not_ready: bool) -> None:
    by_label = bool(selector or not_ready)
    if sum((bool(clusters), by_label, everything)) != 1:
        fail("name clusters, or choose them by --selector or --not-ready, or take --all: one of these", _USAGE)


def _config(automation: str) -> Settings:
    """The settings, with the automation's project apart from the clusters'."""
    found = settings()
    return dataclasses.replace(found, project=automation) if automation else found


def _actor() -> str | None:
    """The service account that publishes, where it is one; a person's own credentials don't say whose they are."""
    import google.auth  # noqa: PLC0415 - slow to load, and --help needs none
    from google.auth.exceptions import DefaultCredentialsError  # noqa: PLC0415 - as above

    try:
        credentials, _ = google.auth.default()
    except DefaultCredentialsError:
        return None
    email = getattr(credentials, "service_account_email", None)
    return email if isinstance(email, str) and "@" in email else None


def _named(clusters: Sequence[str], projects: Sequence[str], location: str) -> tuple[Planned, ...]:
    from byomesh.reruns.selecting import named  # noqa: PLC0415 - loads Google's client
    from shared.gke import gke  # noqa: PLC0415 - likewise

    with err.status("asking GKE"):
        return tuple(Planned(cluster=ref) for ref in named(clusters, gke, projects, location))


def _chosen(
    config: Settings, projects: Sequence[str], selector: Selector, ask: Ask, source: str, *, not_ready: bool
) -> tuple[Planned, ...]:
    from byomesh.reruns.selecting import Choice, chosen, listed  # noqa: PLC0415 - loads Google's client
    from shared.gke import gke  # noqa: PLC0415 - likewise

    rules = policy_source.load(source)
    now = dt.datetime.now(dt.UTC)
    with err.status("asking GKE") as status:
        clusters = listed(gke(), projects, lambda words: err.print(f"[yellow]warning:[/yellow] {escape(words)}"))
        status.update("reading the newest statuses")
        newest = _newest(config, projects, now - _LOOK_BACK) if not_ready else {}
    choice = Choice(selector=selector, not_ready=not_ready, any_mesh=bool(ask.mesh))
    return chosen(choice, clusters, newest, rules, now)


def _newest(config: Settings, projects: Iterable[str], since: dt.datetime) -> dict[ClusterRef, MeshStatus]:
    from shared.cloud_logging import CloudLogging  # noqa: PLC0415 - loads Google's client

    return CloudLogging(config).newest_statuses(projects, since).by_cluster


def _send(config: Settings, planned: Sequence[Planned], *, spread_out: bool) -> tuple[Sent, ...]:
    from byomesh.reruns.publishing import send  # noqa: PLC0415 - as in `_post`

    count = sum(not one.skipped for one in planned)
    with err.status("publishing") as status:
        post = _post(config, spread_out=spread_out)
        return send(planned, post, lambda done: status.update(f"published {done} of {count}"))


def _post(config: Settings, *, spread_out: bool) -> Post:
    from byomesh.reruns.publishing import at_once, spread  # noqa: PLC0415 - with what they need

    if spread_out:
        from shared.tasks import Waits, queue_of  # noqa: PLC0415 - loads Google's client

        queue_of(config)
        return spread(Waits(config))
    from shared.pubsub import publisher  # noqa: PLC0415 - likewise

    return at_once(publisher())


def _follow(config: Settings, sent: Sequence[Sent], since: dt.datetime, timeout: float) -> dict[ClusterRef, MeshStatus]:
    from byomesh.reruns.following import follow  # noqa: PLC0415 - needed only here
    from shared.cloud_logging import CloudLogging  # noqa: PLC0415 - loads Google's client

    log = CloudLogging(config)
    clusters = [one.planned.cluster for one in sent if not one.error]
    seconds = timeout + max((one.planned.delay for one in sent), default=0.0)
    with err.status("following") as status:
        return follow(
            clusters,
            lambda projects: log.newest_statuses(projects, since).by_cluster,
            since,
            seconds,
            lambda _, ended: status.update(f"{ended} of {len(clusters)} have ended"),
        )


def _is_ready(status: MeshStatus | None, since: dt.datetime) -> bool:
    return status is not None and status.phase is Phase.READY and has_ended(status, since)


def _summary(sent: Sequence[Sent], planned: Sequence[Planned]) -> str:
    failed = sum(bool(one.error) for one in sent)
    skipped = sum(bool(one.skipped) for one in planned)
    told_of = [f"{len(sent) - failed} asked for"]
    told_of += [f"{failed} failed"] if failed else []
    told_of += [f"{skipped} left out"] if skipped else []
    return ", ".join(told_of)


def _show(
    planned: Sequence[Planned],
    sent: Sequence[Sent],
    ended: dict[ClusterRef, MeshStatus],
    output: Format,
    summary: str,
) -> None:
    by_cluster = {one.planned.cluster: one for one in sent}
    if output is Format.JSON:
        print_json([_as_json(one, by_cluster.get(one.cluster), ended.get(one.cluster)) for one in planned])
        return
    shown = table("CLUSTER", "PROJECT", "TO", "IN", "REQUEST", "IS")
    for one in planned:
        done = by_cluster.get(one.cluster)
        shown.add_row(
            one.cluster.name,
            one.cluster.project,
            one.topic.rpartition("/")[2] or "-",
            f"{one.delay:.0f} s" if one.topic else "-",
            one.request_id or "-",
            _state(one, done, ended.get(one.cluster)),
        )
    out.print(shown)
    err.print(escape(summary))


def _state(one: Planned, sent: Sent | None, status: MeshStatus | None) -> str:
    if one.skipped:
        return escape(f"left out: {one.skipped}")
    if sent is not None and sent.error:
        return f"[red]{escape(sent.error)}[/red]"
    if status is not None:
        return f"{phase(status.phase.value)} {escape(status.message)}"
    if sent is None:
        return escape(one.message)
    return f"published as {sent.message_id}" if sent.message_id else "planned"


def _as_json(one: Planned, sent: Sent | None, status: MeshStatus | None) -> dict[str, Any]:
    import json  # noqa: PLC0415 - needed only here

    return {
        "cluster": str(one.cluster),
        "request_id": one.request_id,
        "topic": one.topic,
        "message": json.loads(one.message) if one.message else None,
        "delay": one.delay,
        "skipped": one.skipped,
        "published": sent is not None and not sent.error,
        "message_id": sent.message_id if sent is not None else "",
        "error": sent.error if sent is not None else "",
        "phase": status.phase.value if status is not None else one.phase,
        "says": status.message if status is not None else "",
    }
