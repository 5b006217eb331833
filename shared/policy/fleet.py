"""What a policy says of the whole fleet, read from its nodes: the sweep, the limits and the pauses; pure."""

from __future__ import annotations

import re
from typing import Any

from yaml.nodes import Node, SequenceNode

from shared.policy.matching import KEYS as MATCH
from shared.policy.matching import read_match
from shared.policy.nodes import Entries, Reader, kind, told
from shared.policy.rules import UNDONE_WITHIN_A_DAY, Limits, Match, Pause, Sweep

KEYS = ("sweep", "limits", "paused")
"""The keys of a policy beside its schema and its rules."""
SWEEP = ("projects", "scope")
LIMITS = ("clustersAtOnce", "undoneWithinADay")
PAUSE = ("reason", "match")

CLUSTERS = 5_000
"""At most so many clusters at once: what one queue of Cloud Tasks can dispatch concurrently
(https://docs.cloud.google.com/tasks/docs/quotas)."""
UNDOINGS = 100
"""At most so many undoings within a day; more would be a fight."""
PROJECTS = 1_000
"""At most so many projects by name; a scope is for more."""

_PAUSE_HINTS = {
    "name": "write reason",
    "until": "write it into the reason, and take the pause out when it is over",
    **{key: f"write it under match: {{{key}: …}}" for key in MATCH},
}
# Six to thirty characters, after the domain in old ones
# (https://docs.cloud.google.com/resource-manager/docs/creating-managing-projects).
_PROJECT = re.compile(r"([a-z0-9.-]{1,63}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_SCOPE = re.compile(r"(folders|organizations)/[0-9]{1,20}")
_NUMBER = re.compile(r"[0-9]{1,9}")


def read_keys(reader: Reader, entries: Entries) -> dict[str, Any]:
    """The attributes of a `Policy` that the keys in `KEYS` say; what is at fault is left out."""
    found: dict[str, Any] = {}
    if "sweep" in entries:
        found["sweep"] = _sweep(reader, entries["sweep"][1])
    if "limits" in entries:
        found["limits"] = _limits(reader, entries["limits"][1])
    if "paused" in entries:
        found["paused"] = _paused(reader, entries["paused"][1])
    return found


def _sweep(reader: Reader, node: Node) -> Sweep:
    entries = reader.entries(node, "sweep")
    if entries is None:
        return Sweep()
    hints = {"folders": "write scope: folders/NUMBER", "organizations": "write scope: organizations/NUMBER"}
    reader.known(entries, SWEEP, "sweep", hints)
    if not entries:
        reader.fault(node, "sweep is empty", "write projects: or scope:, or leave the key out for the project it is in")
    return Sweep(
        projects=_projects(reader, entries["projects"][1]) if "projects" in entries else (),
        scope=_scope(reader, entries["scope"][1]) if "scope" in entries else "",
    )


def _projects(reader: Reader, node: Node) -> tuple[str, ...]:
    found: dict[str, None] = {}
    nodes = node.value if isinstance(node, SequenceNode) else [node]
    if not nodes:
        reader.fault(node, "sweep.projects is an empty list", "write a project's id, or leave the key out")
    if len(nodes) > PROJECTS:
        reader.fault(node, f"sweep.projects has {len(nodes)} projects", f"write {PROJECTS} at most, or a scope")
    for one in nodes:
        project = reader.text(one, "sweep.projects")
        if project is None:
            continue
        if not _PROJECT.fullmatch(project):
            remedy = "write a project's id, such as shop-prod; scope: folders/NUMBER is for all projects of a folder"
            reader.fault(one, f"{told(project)} {_no_project(project)}", remedy)
        found[project] = None
    return tuple(found)


def _no_project(text: str) -> str:
    if any(one in text for one in "*?["):
        return "is a glob, and a sweep needs whole ids"
    if text.isdecimal():
        return "is a project's number, and clusters are named by its id"
    return "can't be a project's id"


def _scope(reader: Reader, node: Node) -> str:
    scope = reader.text(node, "sweep.scope")
    if scope is None:
        return ""
    if not _SCOPE.fullmatch(scope):
        remedy = "write folders/NUMBER or organizations/NUMBER"
        if scope.startswith("projects/"):
            remedy = "write it under projects, as its id"
        reader.fault(node, f"sweep.scope is {told(scope)}, neither a folder nor an organization", remedy)
    return scope


def _limits(reader: Reader, node: Node) -> Limits:
    entries = reader.entries(node, "limits")
    if entries is None:
        return Limits()
    reader.known(entries, LIMITS, "limits")

    def number(key: str, least: int, most: int, usual: int, remedy: str) -> int:
        found = _number(reader, entries[key][1], f"limits.{key}", (least, most), remedy) if key in entries else None
        return usual if found is None else found

    most = f"write a number from 0 to {CLUSTERS}; 0 is no cap"
    often = f"write a number from 1 to {UNDOINGS}, such as {UNDONE_WITHIN_A_DAY}"
    return Limits(
        clusters_at_once=number("clustersAtOnce", 0, CLUSTERS, 0, most),
        undone_within_a_day=number("undoneWithinADay", 1, UNDOINGS, UNDONE_WITHIN_A_DAY, often),
    )


def _number(reader: Reader, node: Node, what: str, bounds: tuple[int, int], remedy: str) -> int | None:
    text = reader.text(node, what)
    if text is None:
        return None
    # As written: YAML itself would read 010 as eight.
    if _NUMBER.fullmatch(text) and bounds[0] <= int(text) <= bounds[1] and text == str(int(text)):
        return int(text)
    reader.fault(node, f"{what} is {told(text)}, no number from {bounds[0]} to {bounds[1]}", remedy)
    return None


def _paused(reader: Reader, node: Node) -> tuple[Pause, ...]:
    if not isinstance(node, SequenceNode):
        remedy = "write each pause as `- reason: …`, with a match where it isn't for all; [] for none"
        reader.fault(node, f"paused is {kind(node)}, not a list", remedy)
        return ()
    return tuple(pause for one in node.value if (pause := _pause(reader, one)) is not None)


def _pause(reader: Reader, node: Node) -> Pause | None:
    entries = reader.entries(node, "a pause")
    if entries is None:
        return None
    reader.known(entries, PAUSE, "a pause", _PAUSE_HINTS)
    if "reason" not in entries:
        reader.fault(node, "the pause has no reason", "write reason: and a sentence that every waiting cluster shows")
        return None
    reason = reader.words(entries["reason"][1], "reason")
    match = read_match(reader, entries["match"][1]) if "match" in entries else Match()
    return None if reason is None else Pause(reason=reason, match=match, line=node.start_mark.line + 1)
