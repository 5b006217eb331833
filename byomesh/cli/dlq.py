"""`byomesh dlq`: the messages that were given up, listed, shown, published again or dropped."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from byomesh.cli.output import Format, Output, err, escape, fail, out, print_json, table, told
from shared.errors import ByomeshError

if TYPE_CHECKING:
    from byomesh.dead_letters.last_error import LastError
    from byomesh.dead_letters.letter import Letter
    from byomesh.dead_letters.reading import Held, Reader
    from byomesh.dead_letters.settling import Settled

app = typer.Typer(
    no_args_is_help=True,
    help="The dead letters: messages that were delivered in vain until they were given up. "
    "Each topic TOPIC has its own, in the pull subscription TOPIC-dead-letter.",
)

_LONGEST = 160
_USAGE = 2

ProjectOption = Annotated[
    str, typer.Option("--project", envvar="GOOGLE_CLOUD_PROJECT", help="The automation's project.")
]
TopicOption = Annotated[
    list[str] | None,
    typer.Option("--topic", help="Only this topic's, such as mesh-install; may be given again. All of them otherwise."),
]
ClusterOption = Annotated[
    str, typer.Option("--cluster", help="Only those about this cluster: its name, or its full resource name.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Read so many letters of each topic at most.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Letters, by the ids that `list` shows.")]
All = Annotated[bool, typer.Option("--all", help="All letters that --topic and --cluster leave.")]


@app.command("list")
def list_letters(
    project: ProjectOption = "",
    topic: TopicOption = None,
    cluster: ClusterOption = "",
    limit: LimitOption = 1000,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with status 3 where there are letters, as `git diff` has it.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """List the dead letters, oldest first, and leave them where they are.

    They are pulled with a lease of a minute and given back at the end, so two who look at the same time see less than
    all. A letter is shown once, however often Pub/Sub hands it out.

    Exit status: 0; with --exit-code 3 where there are letters; 1 where Pub/Sub can't be read.
    """
    with _reading(project, topic, limit) as (_, held):
        letters = _about(held, cluster)
    _warn(held)
    if output is Format.JSON:
        from byomesh.dead_letters.letter import as_json  # noqa: PLC0415 - loads Google's client

        print_json([as_json(letter) for letter in letters])
    else:
        _show_list(letters)
    raise typer.Exit(3 if exit_code and letters else 0)


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="The letter, by the id that `list` shows.")],
    project: ProjectOption = "",
    topic: TopicOption = None,
    limit: LimitOption = 1000,
    log: Annotated[bool, typer.Option("--log/--no-log", help="Whether to look for its last error in the log.")] = True,
    output: Output = Format.TABLE,
) -> None:
    """Show one dead letter: what it asks for, the last error that the functions told of it, and the whole message.

    The error is looked for in Cloud Logging by the request's id, or by the cluster where a message has none.

    Exit status: 0; 1 where there is no such letter, or Pub/Sub can't be read.
    """
    with _reading(project, topic, limit) as (_, held):
        [letter] = _named(held, [letter_id])
    error, unread = _last_error(letter) if log else (None, "")
    if output is Format.JSON:
        import msgspec  # noqa: PLC0415 - as below

        from byomesh.dead_letters.letter import as_json  # noqa: PLC0415 - loads Google's client

        told_of = msgspec.to_builtins(error) if error is not None else None
        print_json({**as_json(letter, whole=True), "last_error": told_of, "log_unread": unread})
    else:
        _show_letter(letter, error, unread if log else "the log wasn't asked")


@app.command()
def replay(
    ids: Ids = None,
    everything: All = False,
    project: ProjectOption = "",
    topic: TopicOption = None,
    cluster: ClusterOption = "",
    limit: LimitOption = 1000,
    output: Output = Format.TABLE,
) -> None:
    """Publish dead letters again to the topics that they came from.

    A letter leaves only once its message is confirmed. Cut off in between, it may be published twice, which is
    harmless: every function reads the present state first. Its age counts anew.

    Exit status: 0 where all were published, also where there were none; 1 where one wasn't; 2 without ID or --all.
    """
    _must_choose(ids, everything)
    with _reading(project, topic, limit) as (reader, held):
        letters = _chosen(held, ids, cluster)
        from byomesh.dead_letters import settling  # noqa: PLC0415 - loads Google's client
        from shared.pubsub import publisher  # noqa: PLC0415 - likewise

        with err.status("") as status:
            done = settling.replay(
                letters,
                reader,
                publisher(),
                project,
                lambda: dt.datetime.now(dt.UTC),
                lambda count: status.update(f"replayed {count} of {len(letters)}"),
            )
    _conclude(done, held, output, "replayed")


@app.command()
def drop(
    ids: Ids = None,
    everything: All = False,
    project: ProjectOption = "",
    topic: TopicOption = None,
    cluster: ClusterOption = "",
    limit: LimitOption = 1000,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Remove dead letters for good.

    Exit status: 0 where all are gone, also where there were none; 1 where one isn't, or nobody said yes; 2 without ID
    or --all, or without --yes where nobody can be asked.
    """
    _must_choose(ids, everything)
    with _reading(project, topic, limit) as (reader, held):
        letters = _chosen(held, ids, cluster)
        if letters and not yes:
            _ask(letters, output)
        from byomesh.dead_letters import settling  # noqa: PLC0415 - loads Google's client

        with err.status("") as status:
            done = settling.drop(letters, reader, lambda count: status.update(f"dropped {count} of {len(letters)}"))
    _conclude(done, held, output, "dropped")


@contextlib.contextmanager
def _reading(project: str, topics: list[str] | None, limit: int) -> Iterator[tuple[Reader, Held]]:
    if not project:
        fail("name the automation's project: --project, or GOOGLE_CLOUD_PROJECT", _USAGE)
    with told():
        from byomesh.dead_letters.letter import SUFFIX  # noqa: PLC0415 - loads Google's client
        from byomesh.dead_letters.reading import Reader  # noqa: PLC0415 - likewise
        from shared.config import settings  # noqa: PLC0415 - only commands that go on need settings
        from shared.pulling import Puller  # noqa: PLC0415 - likewise

        named = topics or settings().pushed_topics
        short = [name.rpartition("/")[2].removesuffix(SUFFIX) for name in named]
        reader = Reader(Puller(), project, list(dict.fromkeys(short)))
        with contextlib.ExitStack() as stack:
            with err.status("reading dead letters") as status:
                held = stack.enter_context(
                    reader.read(limit, lambda count: status.update(f"reading dead letters: {count}"))
                )
            yield reader, held


def _about(held: Held, cluster: str) -> list[Letter]:
    return [letter for letter in held.letters if not cluster or letter.concerns(cluster)]


def _named(held: Held, ids: Sequence[str]) -> list[Letter]:
    there = {letter.id: letter for letter in held.letters}
    unknown = [one for one in ids if one not in there]
    if unknown:
        fail(f"there is no dead letter {', '.join(unknown)} (any more); see byomesh dlq list")
    return [there[one] for one in dict.fromkeys(ids)]


def _must_choose(ids: list[str] | None, everything: bool) -> None:
    if bool(ids) == everything:
        fail("name letters by their ids, or say --all", _USAGE)


def _chosen(held: Held, ids: list[str] | None, cluster: str) -> list[Letter]:
    letters = _named(held, ids) if ids else held.letters
    return [letter for letter in letters if not cluster or letter.concerns(cluster)]


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _ask(letters: Sequence[Letter], output: Format) -> None:
    if output is Format.JSON or not _is_terminal():
        fail(f"this removes {_count(len(letters))} for good: say --yes, or see first what `list` shows", _USAGE)
    _show_list(letters)
    typer.confirm(f"Remove {_count(len(letters))} for good?", abort=True)


def _last_error(letter: Letter) -> tuple[LastError | None, str]:
    """The last error about a letter, and why the log couldn't be read."""
    from byomesh.dead_letters import last_error  # noqa: PLC0415 - loads Google's client
    from shared.cloud_logging import cloud_logging  # noqa: PLC0415 - likewise

    try:
        with err.status("reading the log"):
            return last_error.find(letter, cloud_logging()), ""
    except ByomeshError as error:
        return None, str(error)


def _conclude(done: list[Settled], held: Held, output: Format, verb: str) -> None:
    _warn(held)
    if output is Format.JSON:
        print_json([_as_json(one) for one in done])
    else:
        for one in done:
            words = f"{one.letter.id} of {one.letter.topic}"
            if one.error:
                err.print(f"[red]stays:[/red] {escape(f'{words}: {one.error}')}")
            else:
                published = f" as {one.message_id}" if one.message_id else ""
                out.print(f"{verb} {words}{published}: {_what(one.letter)}", markup=False)
        out.print(f"{verb} {_count(len([one for one in done if not one.error]))}" if done else "no dead letters")
    raise typer.Exit(1 if any(one.error for one in done) else 0)


def _as_json(one: Settled) -> dict[str, Any]:
    return {
        "id": one.letter.id,
        "topic": one.letter.topic,
        "cluster": one.letter.contents.cluster,
        "message_id": one.message_id,
        "error": one.error,
    }


def _warn(held: Held) -> None:
    for topic in held.missing:
        err.print(f"[yellow]warning:[/yellow] {topic}-dead-letter has no subscription, so what is given up is lost")
    if held.limited:
        err.print("[yellow]warning:[/yellow] there may be more: raise --limit")


def _count(number: int) -> str:
    return "1 dead letter" if number == 1 else f"{number} dead letters"


def _what(letter: Letter) -> str:
    from byomesh.dead_letters.letter import text_of  # noqa: PLC0415 - loads Google's client

    contents = letter.contents
    if contents.kind == "poison":
        words = text_of(letter.pulled.data[:_LONGEST]) or f"nothing but attributes {letter.attributes}"
        return f"{contents.problem}: {words}"
    return " ".join(filter(None, (contents.reason, contents.mesh, contents.cluster)))


def _show_list(letters: Sequence[Letter]) -> None:
    if not letters:
        out.print("no dead letters")
        return
    shown = table("ID", "TOPIC", "GIVEN UP", "TRIES", "CLUSTER", "WHAT")
    for letter in letters:
        contents = letter.contents
        asked = " ".join(filter(None, (contents.kind, contents.reason, contents.mesh)))
        shown.add_row(
            letter.id,
            letter.topic,
            letter.refused.strftime("%m-%d %H:%M:%S"),
            str(letter.deliveries or "-"),
            Text(contents.cluster.rpartition("/")[2] or "-"),
            Text(asked if contents.kind != "poison" else _what(letter)),
        )
    out.print(shown)
    out.print(f"{_count(len(letters))}; byomesh dlq show ID tells why")


def _show_letter(letter: Letter, error: LastError | None, unread: str) -> None:
    contents = letter.contents
    facts = {
        "letter": letter.id,
        "topic": letter.topic,
        "given up": f"{letter.refused.isoformat()} after {letter.deliveries or 'an unknown number of'} deliveries"
        + (f" by {letter.subscription}" if letter.subscription else ""),
        "published": letter.published,
        "is": contents.kind + (f" ({contents.problem})" if contents.problem else ""),
        "cluster": contents.cluster,
        "mesh": contents.mesh,
        "asked for": contents.reason,
        "repairs": str(contents.attempt) if contents.attempt else "",
        "request": contents.request_id,
    }
    for name, value in facts.items():
        if value:
            out.print(Text(f"{name:<11}", "bold") + Text(value))
    out.print(Text(f"{'last error':<11}", "bold") + _error_words(error, unread))
    for name, value in sorted(letter.attributes.items()):
        out.print(Text(f"{'attribute':<11}", "bold") + Text(f"{name}={value}"))
    out.print(Text("data", "bold"))
    from byomesh.dead_letters.letter import text_of  # noqa: PLC0415 - loads Google's client

    body = contents.body
    text = json.dumps(body, indent=2, ensure_ascii=False) if body is not None else text_of(letter.pulled.data)
    out.print(Text(text))


def _error_words(error: LastError | None, unread: str) -> Text:
    if error is None:
        return Text(f"unknown: {unread}" if unread else "none in the log", "yellow")
    how = "" if error.by == "request_id" else ", the newest about the cluster"
    return Text(f"{error.time} {error.stage}: {error.message}{how}", "red")
