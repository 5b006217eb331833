"""Which clusters a rule or a pause is for, read from the nodes of its `match`; pure."""

from __future__ import annotations

from yaml.nodes import Node

from shared.policy import globs
from shared.policy.nodes import Reader, kind, nearest, told
from shared.policy.rules import CHANNELS, Match

KEYS = ("projects", "folders", "locations", "names", "labels", "autopilot", "releaseChannel")
"""The keys of a `match`."""
_LABEL = 63
"""Characters of a label's key."""


def read_match(reader: Reader, node: Node) -> Match:
    """What stands under the key `match`; what is at fault is left out."""
    if kind(node) == "empty":
        reader.fault(node, "match is empty", "write {} for every cluster, or leave the key out")
        return Match()
    entries = reader.entries(node, "match")
    if entries is None:
        return Match()
    reader.known(entries, KEYS, "match", {"releaseChannels": "write releaseChannel"})

    def named(key: str) -> tuple[str, ...]:
        return _globs(reader, entries[key][1], key, key) if key in entries else ()

    return Match(
        projects=named("projects"),
        folders=named("folders"),
        locations=named("locations"),
        names=named("names"),
        labels=_labels(reader, entries["labels"][1]) if "labels" in entries else {},
        autopilot=reader.flag(entries["autopilot"][1], "autopilot") if "autopilot" in entries else None,
        release_channels=_channels(reader, entries["releaseChannel"][1]) if "releaseChannel" in entries else (),
    )


def _globs(reader: Reader, node: Node, key: str, what: str) -> tuple[str, ...]:
    found: list[str] = []
    for one in reader.items(node, what):
        glob = reader.text(one, what)
        if glob is None:
            continue
        fault = globs.fault(glob, key)
        if fault is not None:
            reader.fault(one, *fault)
        found.append(glob)
    return tuple(found)


def _labels(reader: Reader, node: Node) -> dict[str, tuple[str, ...]]:
    entries = reader.entries(node, "labels") or {}
    for name, (key, _) in entries.items():
        if not _can_be_label(name):
            remedy = "write a lower-case letter, then lower-case letters, digits, _ and -, 63 in all at most"
            reader.fault(key, f"{told(name)} can't be a label of a cluster", remedy)
    return {name: _globs(reader, value, "labels", f"labels.{name}") for name, (_, value) in entries.items()}


def _channels(reader: Reader, node: Node) -> tuple[str, ...]:
    found: list[str] = []
    for one in reader.items(node, "releaseChannel"):
        text = reader.text(one, "releaseChannel")
        if text is None:
            continue
        # gcloud writes them in lower case.
        channel = text.upper()
        if channel not in CHANNELS:
            near = nearest(text, CHANNELS)
            remedy = f"write {near}" if near else f"write one of: {', '.join(CHANNELS)}"
            reader.fault(one, f"there is no release channel {told(text)}", remedy)
        found.append(channel)
    return tuple(found)


def _can_be_label(key: str) -> bool:
    """Whether GKE lets a label have this key (its documentation: Labels, "Requirements for labels")."""
    lower = key == key.lower() and all(one.isalnum() or one in "_-" for one in key)
    return lower and key[:1].isalpha() and len(key) <= _LABEL
