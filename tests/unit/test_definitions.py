"""What going back to earlier custom resource definitions would lose."""

from __future__ import annotations

from typing import Any

import pytest

from shared.mesh.definitions import definitions_of, lost_by

Json = dict[str, Any]


def definition(name: str, *served: str, unserved: str = "") -> Json:
    versions = [{"name": one, "served": True} for one in served]
    versions += [{"name": unserved, "served": False}] if unserved else []
    return {"kind": "CustomResourceDefinition", "metadata": {"name": name}, "spec": {"versions": versions}}


SERVERS = definition("servers.x", "v1", "v2")
OTHER = {"kind": "ConfigMap", "metadata": {"name": "servers.x"}}


def test_only_definitions_are_looked_at() -> None:
    assert list(definitions_of([OTHER, SERVERS])) == ["servers.x"]


@pytest.mark.parametrize(
    ("now", "then", "stored", "lost"),
    [
        ([SERVERS], [SERVERS], {"servers.x": ("v1",)}, ()),
        ([OTHER], [], {}, ()),
        ([], [SERVERS], {}, ()),
        ([SERVERS], [definition("servers.x", "v1", "v2", "v3")], {"servers.x": ("v2",)}, ()),
        ([definition("servers.x", "v1", unserved="v0")], [definition("servers.x", "v1")], {}, ()),
        ([SERVERS], [OTHER], {}, ("servers.x and every object of it",)),
        ([SERVERS], [definition("servers.x", "v1")], {}, ("servers.x v2, which clients may use",)),
        ([SERVERS], [definition("servers.x", "v1", unserved="v2")], {}, ("servers.x v2, which clients may use",)),
        (
            [SERVERS],
            [definition("servers.x", "v1", "v2")],
            {"servers.x": ("v1", "v0")},
            ("servers.x v0, in which objects may be stored",),
        ),
        (
            [SERVERS],
            [definition("servers.x", "v1")],
            {"servers.x": ("v2",)},
            ("servers.x v2, which clients may use",),
        ),
    ],
)
def test_what_is_lost(now: list[Json], then: list[Json], stored: dict[str, tuple[str, ...]], lost: Any) -> None:
    assert lost_by(now, then, stored) == lost
