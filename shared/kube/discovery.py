"""What API discovery says of the kinds of one group and version; pure."""

from __future__ import annotations

import msgspec

from shared.decoding import prepare


class Resource(msgspec.Struct, frozen=True):
    """What API discovery says of a kind.

    Attributes:
        plural: its name in paths.
        namespaced: whether its objects live in namespaces.
    """

    plural: str
    namespaced: bool


class _ApiResource(msgspec.Struct, frozen=True):
    name: str
    kind: str
    namespaced: bool


class _ApiResourceList(msgspec.Struct, frozen=True):
    resources: tuple[_ApiResource, ...] = ()


prepare(_ApiResourceList)


def read_resources(raw: bytes) -> dict[str, Resource]:
    """The kinds of an APIResourceList's JSON, by name; its subresources (`NAME/status`) aside."""
    listed = msgspec.json.decode(raw, type=_ApiResourceList).resources
    return {found.kind: Resource(found.name, found.namespaced) for found in listed if "/" not in found.name}
