"""The settings of a mesh, read from a rule's keys; `MeshSettings` itself says which there are and what they hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import msgspec
from msgspec import inspect
from yaml.nodes import Node

from shared.model import MeshSettings
from shared.policy.nodes import Entries, Reader, told

_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,62}")
_REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?")

_FORMS: dict[str, tuple[re.Pattern[str], str]] = {
    "version": (_VERSION, "write a version as the mesh names it, such as edge-26.6.3"),
    "priorityClass": (_DNS_NAME, "write a PriorityClass's name, such as mesh-control-plane"),
    "images.registry": (_REGISTRY, "write HOST/PATH in lower case, without https://"),
    "images.digests": (_DIGEST, "write sha256: and 64 hexadecimal digits in lower case"),
}
"""By the key's path: how a text must look, and what to write."""


def _fields(kind: type[msgspec.Struct]) -> dict[str, inspect.Field]:
    found = cast(inspect.StructType, inspect.type_info(kind))
    return {field.encode_name: field for field in found.fields}


_SETTINGS = _fields(MeshSettings)
KEYS = tuple(_SETTINGS)
"""The keys of a rule that say how its mesh should be."""


def read_settings(reader: Reader, entries: Entries) -> MeshSettings:
    """The settings among a rule's entries; what is left out is as `MeshSettings` has it."""
    return MeshSettings(**_values(reader, _SETTINGS, entries, ""))


def _values(reader: Reader, fields: dict[str, inspect.Field], entries: Entries, within: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in entries:
            value = _read(reader, entries[name][1], field.type, f"{within}{name}")
            if value is not None:
                values[field.name] = value
    return values


def _read(reader: Reader, node: Node, kind: inspect.Type, path: str) -> Any:
    if isinstance(kind, inspect.UnionType):
        # Only `T | None`: None is the key left out, and never written.
        kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    if isinstance(kind, inspect.StructType):
        return _struct(reader, node, kind, path)
    if isinstance(kind, inspect.DictType):
        return _map(reader, node, kind, path)
    if isinstance(kind, inspect.LiteralType):
        return reader.choice(node, [str(value) for value in kind.values], path)
    return _READERS[type(kind)](reader, node, path)


def _struct(reader: Reader, node: Node, kind: inspect.StructType, path: str) -> msgspec.Struct | None:
    entries = reader.entries(node, path)
    if entries is None:
        return None
    fields = {field.encode_name: field for field in kind.fields}
    reader.known(entries, fields, path)
    made: msgspec.Struct = kind.cls(**_values(reader, fields, entries, f"{path}."))
    return made


def _map(reader: Reader, node: Node, kind: inspect.DictType, path: str) -> dict[str, Any] | None:
    entries = reader.entries(node, path)
    if entries is None:
        return None
    return {name: _read(reader, value, kind.value_type, path) for name, (_, value) in entries.items()}


def _text(reader: Reader, node: Node, path: str) -> str | None:
    found = reader.text(node, path)
    form, remedy = _FORMS.get(path, (None, ""))
    if found is not None and form is not None and not form.fullmatch(found):
        reader.fault(node, f"{path} is {told(found)}, which can't be one", remedy)
        return None
    return found


_READERS: dict[type[inspect.Type], Callable[[Reader, Node, str], Any]] = {
    inspect.BoolType: Reader.flag,
    inspect.StrType: _text,
    inspect.AnyType: Reader.builtins,
}
