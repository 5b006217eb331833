"""`byomesh demo`: the main job shown on a local cloud of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from byomesh.cli.output import err, out, table, told
from byomesh.local.build_display import build_with_display
from byomesh.local.client import Client, LocalCloudError, start, stop
from byomesh.local.home import VARIABLE, Home
from shared.errors import shorten

_SHOWN = 240
"""Characters of what a scene saw in the table; the timeline above has all of it."""
_REPORT_SECONDS = 60


def _report(client: Client, home: Home) -> Path | None:
    """Has `byomesh status` write its page, as an operator would; None where it can't, which spoils no scene."""
    file = home.folder / "status.html"
    file.unlink(missing_ok=True)
    command = "from byomesh.cli.main import main; main()"
    try:
        with err.status("looking at the fleet"):
            subprocess.run(
                [sys.executable, "-c", command, "status", "-o", "html", "--file", str(file)],
                env={**os.environ, **client.call("GET", "/environment")["environment"]},
                capture_output=True,
                timeout=_REPORT_SECONDS,
                check=False,
            )
    except (LocalCloudError, OSError, subprocess.TimeoutExpired):
        return None
    return file if file.exists() else None


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the local cloud up, to look around in it.")] = False,
) -> None:
    """Show the main job: a cluster is created, and gets its mesh without a hand on it; a fault is found and mended.

    It ends with viz and the demo application Emojivoto, which the policy asks for, and the fleet's status as a page.

    Exit status 0 only if every scene was observed.
    """
    # Here, because they load Google's and Kubernetes' clients, which `byomesh --help` has no need of.
    from byomesh.demo.charts import choose  # noqa: PLC0415
    from byomesh.demo.story import PROJECT, Story, policy  # noqa: PLC0415
    from byomesh.demo.timeline import Timeline  # noqa: PLC0415

    home = Home(Home.default().folder / "demo")
    with told():
        stop(home)
        build_with_display(err)
        charts = choose()
        out.print(f"[bold]What is installed:[/bold] {charts.words}")
        # A file, so that the functions see it change; every start writes it anew.
        rules = home.folder / "policy.yaml"
        home.folder.mkdir(parents=True, exist_ok=True)
        rules.write_text(policy(), encoding="utf-8")
        arguments = ["--project", PROJECT, "--pace", "10", "--charts", charts.folder]
        arguments += ["--setting", f"BYOMESH_POLICY={rules}"]
        try:
            with err.status("starting the local cloud") as status:
                client = start(home, arguments, lambda step: status.update(f"starting the local cloud: {step}"))
            with Timeline(client, out) as timeline:
                story = Story(client, timeline, rules)
                observed = story.play()
                seconds = timeline.seconds
            report = _report(client, home)
        finally:
            if not keep:
                stop(home)
    seen = table("", "SCENE", "WHAT WAS SEEN", "SECONDS", title=f"\n{PROJECT}: {seconds:.0f} s")
    for scene in story.scenes:
        mark = "[green]✔[/green]" if scene.observed else "[red]✘[/red]"
        seen.add_row(mark, scene.title, escape(shorten(scene.seen, _SHOWN)), f"{scene.seconds:.1f}")
    out.print(seen)
    if report is not None:
        out.print(f"the fleet's status as a page, with the cluster's timeline: {escape(str(report))}")
    if keep:
        out.print(f"look around with: {VARIABLE}={os.path.relpath(home.folder)} byomesh local status")
    if not observed:
        raise typer.Exit(1)
