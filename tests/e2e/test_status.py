"""`byomesh status` against the local cloud: the table, the JSON and the report say what the statuses said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cloud import PROJECT, Cloud, Ran

OTHER = "status-shop"
NAMES = ("seen-1", "seen-2")


@pytest.fixture(scope="module")
def fleet(shared_cloud: Cloud) -> Iterator[dict[str, str]]:
    """A cluster that gets its mesh, and one in another project that opted out; their full names."""
    made = {
        NAMES[0]: shared_cloud.create(NAMES[0]),
        NAMES[1]: shared_cloud.create(NAMES[1], "--project", OTHER, "--label", "byomesh=off"),
    }
    shared_cloud.ready(made[NAMES[0]])
    yield made
    shared_cloud.delete(*made.values())


def status(cloud: Cloud, *arguments: str) -> Ran:
    """Run `byomesh status` as an operator of this cloud."""
    variables = cloud.json("env")
    projects = ("--project", PROJECT, "--project", OTHER)
    return cloud.run("status", *projects, "--policy", str(cloud.policy), *arguments, **variables)


class Rows(HTMLParser):
    """The rows of the report's plain table, by cluster."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "tr" and "data-cluster" in attributes:
            self.found[attributes["data-cluster"]] = attributes


def test_table_json_and_html_agree_with_what_was_said(
    shared_cloud: Cloud, fleet: dict[str, str], tmp_path: Path
) -> None:
    meshed, off = fleet.values()
    # The log has a status a moment after it was published.
    data: dict[str, Any] = shared_cloud.until(
        lambda: _seen(status(shared_cloud, "--who", "-o", "json"), meshed), "the log to tell it"
    )
    rows: dict[str, dict[str, Any]] = {one["cluster"]: one for one in data["clusters"]}
    row = rows[meshed]
    assert (row["state"], row["reason"], row["mesh"]) == ("Ready", "ChecksPassed", "linkerd")
    # Somebody may have looked at it again meanwhile, which is said once more.
    newest = next(one for one in reversed(shared_cloud.statuses(meshed)) if one["message"] == row["message"])
    assert row["version"] == newest["version"]
    assert row["checks"]["passed"] == newest["checks"]["passed"] > 0
    assert row["net_admin"] is True
    journey = row["journeys"][-1]
    assert journey["created"]
    assert [one["stage"] for one in journey["stages"]][:2] == ["create", "net-admin"]
    assert {"install", "verify"} <= {one["stage"] for one in journey["stages"]}
    assert journey["seconds"] == pytest.approx(sum(one["seconds"] for one in journey["stages"]), abs=1)
    who = {one["who"] for one in row["timeline"]}
    assert {"enable_net_admin", "install_mesh", "verify_mesh"} <= who
    assert {one["reason"] for one in row["timeline"] if one["state"] is None} >= {"CreateCluster", "UpdateCluster"}
    assert rows[off]["state"] == "LeftAlone"

    table = status(shared_cloud)
    lines = {line.split()[0]: line for line in table.out.splitlines() if line.startswith("seen-")}
    assert "Ready" in lines[NAMES[0]]
    assert newest["version"] in lines[NAMES[0]]
    assert "Left alone" in lines[NAMES[1]]

    file = tmp_path / "fleet.html"
    ran = status(shared_cloud, "-o", "html", "--file", str(file))
    assert ran.code == table.code
    told = Rows(file.read_text()).found
    assert {name: told[name]["data-state"] for name in fleet.values()} == {meshed: "Ready", off: "LeftAlone"}
    assert told[meshed]["data-mesh"] == f"linkerd {newest['version']}"

    alone = status(shared_cloud, meshed)
    assert alone.code == 0, alone.err
    assert alone.out.startswith(f"Ready {meshed} (ChecksPassed)\n")


def _seen(ran: Ran, cluster: str) -> dict[str, Any]:
    """What was printed, once the cluster is Ready in it; {} before."""
    data: dict[str, Any] = json.loads(ran.out or "{}")
    states = {one["cluster"]: one["state"] for one in data.get("clusters", [])}
    return data if states.get(cluster) == "Ready" else {}
