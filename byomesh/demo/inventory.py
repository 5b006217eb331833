"""Every object of a cluster with its resourceVersion, to show that a rerun wrote nothing."""

from __future__ import annotations

import msgspec

from shared.kube import Kube

OWN_LEASE = "byomesh-system/byomesh"
_LEFT_OUT = {"events", "nodes", "componentstatuses"}
"""What changes by itself: Events, and Nodes by their heartbeat; componentstatuses are no objects."""


class _Entry(msgspec.Struct):
    name: str
    kind: str
    verbs: list[str] = []


class _Resources(msgspec.Struct):
    resources: list[_Entry]


class _Group(msgspec.Struct):
    preferredVersion: dict[str, str]  # noqa: N815 - the API's own field name


class _Groups(msgspec.Struct):
    groups: list[_Group]


def collections(kube: Kube) -> list[tuple[str, str]]:
    """(resource, path) of every collection that can be listed, each group in its preferred version."""
    groups = msgspec.json.decode(kube.get_raw("/apis") or b"{}", type=_Groups).groups
    versions = ["/api/v1", *(f"/apis/{group.preferredVersion['groupVersion']}" for group in groups)]
    found = []
    for version in versions:
        resources = msgspec.json.decode(kube.get_raw(version) or b'{"resources":[]}', type=_Resources).resources
        found += [
            (entry.name, f"{version}/{entry.name}")
            for entry in resources
            if "list" in entry.verbs and "/" not in entry.name and entry.name not in _LEFT_OUT
        ]
    return found


def resource_versions(kube: Kube) -> dict[str, str]:
    """The resourceVersions by `resource namespace/name`, of everything but Events, Nodes and other people's Leases."""
    found: dict[str, str] = {}
    for resource, path in collections(kube):
        for item in kube.list_items(path):
            metadata = item["metadata"]
            name = f"{metadata.get('namespace', '')}/{metadata['name']}"
            if resource != "leases" or name == OWN_LEASE:
                found[f"{path} {name}"] = str(metadata["resourceVersion"])
    return found


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What was written between two looks: created, deleted and changed objects, in words, sorted."""
    words = [f"created {name}" for name in after.keys() - before.keys()]
    words += [f"deleted {name}" for name in before.keys() - after.keys()]
    words += [f"changed {name}" for name in before.keys() & after.keys() if before[name] != after[name]]
    return sorted(words)
