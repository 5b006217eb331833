"""The `byomesh` command."""

from __future__ import annotations

import sys

import typer

from byomesh.cli import (
    check,
    demo,
    demo_app,
    dlq,
    images,
    local,
    pause,
    policy,
    repair,
    rerun,
    rotate,
    status,
    uninstall,
)

app = typer.Typer(
    name="byomesh",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The service mesh of your choice on every new GKE cluster, with nobody touching it.",
)
app.add_typer(local.app, name="local")
app.add_typer(rotate.app, name="rotate-anchor")
app.add_typer(policy.app, name="policy")
app.add_typer(demo_app.app, name="demo-app")
app.add_typer(dlq.app, name="dlq")
app.command("status")(status.status)
app.command("check")(check.check)
app.command("plan")(repair.plan)
app.command("repair")(repair.repair)
app.command("uninstall")(uninstall.uninstall)
app.command("images")(images.images)
app.command("rerun")(rerun.rerun)
app.command("pause")(pause.pause)
app.command("resume")(pause.resume)
app.command("demo")(demo.demo)


@app.callback()
def _root() -> None:
    """Keep `byomesh COMMAND` a group, however few commands there are."""


def main() -> None:
    """Run the command; what is expected to go wrong ends in a sentence and a status, never in a traceback."""
    try:
        app()
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(130)
