"""Kubernetes' protobuf form of a Secret, which Helm writes its records in; pure.

The envelope is Unknown of k8s.io/apimachinery pkg/runtime/generated.proto; the fields are those of k8s.io/api core/v1
(Secret) and apimachinery pkg/apis/meta/v1 (ObjectMeta). Other kinds are not read.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_TEXTS = {1: "name", 2: "generateName", 3: "namespace", 5: "uid", 6: "resourceVersion"}
_MAPS = {11: "labels", 12: "annotations"}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class ProtobufError(Exception):
    """It is no Secret in this form."""


def secret(body: bytes) -> Json:
    """A Secret as JSON.

    Raises:
        ProtobufError: it is none.
    """
    if not body.startswith(_MAGIC):
        raise ProtobufError("it doesn't begin as Kubernetes' protobuf does")
    try:
        unknown = dict(_fields(body[len(_MAGIC) :]))
        kind = {number: value.decode() for number, value in _fields(unknown[1])}
        if kind != {1: "v1", 2: "Secret"}:
            raise ProtobufError(f"it is a {kind.get(2)} of {kind.get(1)}")
        found: Json = {"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": {}}
        for number, value in _fields(unknown[2]):
            if number == 1:
                found["metadata"] = _metadata(value)
            elif number == 2:  # noqa: PLR2004 - the field's number
                key, held = _entry(value)
                found["data"][key] = base64.b64encode(held).decode()
            elif number == 3:  # noqa: PLR2004 - likewise
                found["type"] = value.decode()
    except (KeyError, IndexError, UnicodeError, AttributeError, TypeError) as error:
        raise ProtobufError(f"it is cut off, or of another shape: {error!r}") from error
    return found


def _metadata(data: bytes) -> Json:
    found: Json = {}
    for number, value in _fields(data):
        if number in _TEXTS:
            found[_TEXTS[number]] = value.decode()
        elif number in _MAPS:
            key, held = _entry(value)
            found.setdefault(_MAPS[number], {})[key] = held.decode()
    return {key: value for key, value in found.items() if value}


def _entry(data: bytes) -> tuple[str, bytes]:
    """One entry of a map."""
    pair = dict(_fields(data))
    return pair.get(1, b"").decode(), pair.get(2, b"")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field: bytes where it has a length, else a number."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
        elif kind == _BYTES:
            length, at = _varint(data, at)
            yield number, data[at : at + length]
            at += length
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
            yield number, int.from_bytes(data[at : at + length], "little")
            at += length
        else:
            raise ProtobufError(f"it has a field of the kind {kind}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:  # noqa: PLR2004 - the bit that says that more follows
            return value, at
