"""One cluster for a terminal: how it is, what to do, facts, what its requests led to, and what was said and done."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from byomesh.cli.fleet_table import colour, plain
from byomesh.fleet import words
from byomesh.fleet.model import ClusterRow, Fleet, Trouble
from byomesh.fleet.told import Journey, Moment

_BAR = 48
_SHORT = 0.05
"""Seconds below which a journey was over at once."""
_MARKS = {"create": "·", "net-admin": "▒", "wait": "˙", "enforce": "▪", "install": "█", "verify": "▓", "repair": "░"}


def cluster_lines(row: ClusterRow, fleet: Fleet) -> Iterator[Text]:
    """The lines."""
    yield Text.assemble((row.state.words, colour(row.state)), " ", (str(row.ref), "bold"), f" ({row.reason})")
    yield Text(f"  {plain(row.message)}")
    if row.state.under_way and row.waits_for:
        yield Text(f"  waits for {plain(row.waits_for)}")
    if row.paused:
        yield Text(f"  paused: {plain(row.paused)}")
    if row.to_do:
        yield Text.assemble(("  what to do: ", "bold"), plain(row.to_do).replace("`", ""))
    for text in row.advice:
        yield from (Text(f"    {plain(line)}") for line in text.splitlines())
    for trouble in row.troubles:
        yield from _trouble(trouble)
    yield Text("")
    for name, value in _facts(row, fleet):
        yield Text.assemble((f"  {name:<11}", "dim"), plain(value))
    for journey in row.journeys:
        yield from _journey(journey)
    if row.moments:
        yield Text("\n  said and done, the newest first", "bold")
        yield from (_moment(moment) for moment in row.moments)
    if row.earlier:
        yield Text(f"  and {row.earlier:,} earlier", "dim")


def _trouble(trouble: Trouble) -> Iterator[Text]:
    yield Text.assemble(
        ("  fails: " if trouble.error else "  warns: ", "red" if trouble.error else "yellow"),
        plain(": ".join(part for part in (trouble.check, trouble.error) if part)),
    )
    if trouble.repairs:
        yield Text(f"    mended by {', '.join(trouble.repairs)}")
    if trouble.advice:
        yield Text(f"    what to do: {plain(trouble.advice)}")


def _moment(moment: Moment) -> Text:
    state = moment.state.words if moment.state is not None else moment.reason
    by = f" by {moment.who}" if moment.state is None else f" [{moment.who}]"
    who = by if moment.who else ""
    client = f" ({moment.client})" if moment.client else ""
    actor = f", after {moment.actor}" if moment.actor else ""
    return Text.assemble(
        (f"  {words.moment(moment.time)}  ", "dim"),
        (f"{state:<14} ", colour(moment.state) if moment.state is not None else ""),
        plain(moment.what),
        (plain(f"{who}{client}{actor}"), "dim"),
    )


def _facts(row: ClusterRow, fleet: Fleet) -> Iterator[tuple[str, str]]:
    mode = "" if row.autopilot is None else "Autopilot" if row.autopilot else "Standard"
    facts = {
        "mesh": words.mesh_of(row),
        "NET_ADMIN": words.net_admin(row),
        "checks": words.checks(row),
        "changed": f"{words.age(row.changed, fleet.time)} ago, {words.moment(row.changed)}" if row.changed else "",
        "last heard": f"{words.age(row.heard, fleet.time)} ago" if row.heard not in {None, row.changed} else "",
        "GKE": ", ".join(part for part in (row.gke, mode, row.kubernetes, row.channel.lower()) if part),
        "created": words.moment(row.created),
        "policy": f"{row.rule}: {row.rule_reason} ({row.mode})" if row.rule else "",
        "labels": ", ".join(f"{key}={value}" for key, value in sorted(row.labels.items())),
        "differs": "; ".join(row.findings),
        "changed by": row.actor,
        "extensions": "; ".join(f"{name}: {state}" for name, state in row.options.items()),
        "outdated": f"{row.outdated:,} pods have outdated proxies or none" if row.outdated else "",
        "request": row.request_id,
    }
    return ((name, value) for name, value in facts.items() if value)


def _journey(journey: Journey) -> Iterator[Text]:
    title = "created" if journey.created else f"request {plain(journey.request_id)}"
    goes_on = journey.spans[-1].open
    yield Text.assemble(
        "\n  ",
        (title, "bold"),
        f" {words.moment(journey.began)}: ",
        (journey.outcome.words, colour(journey.outcome)),
        f" {'for' if goes_on else 'after'} {words.duration(journey.seconds)}" if journey.seconds >= _SHORT else "",
    )
    if journey.seconds < _SHORT:
        return
    marks = "".join(
        _MARKS[span.work.value] * max(round(_BAR * span.seconds / (journey.seconds or 1)), 1) for span in journey.spans
    )
    stages = ", ".join(
        f"{_MARKS[span.work.value]} {span.work.value} {words.duration(span.seconds)}" for span in journey.spans
    )
    yield Text.assemble("  ", (marks, "cyan"), f"  {stages}{' so far' if goes_on else ''}")
    if journey.repaired:
        yield Text(f"  repaired: {', '.join(journey.repaired)}")
