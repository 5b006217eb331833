"""Messages as JSON and back."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import msgspec

from shared.decoding import prepare
from shared.errors import Permanent, shorten
from shared.model.cluster_ref import ClusterRef
from shared.model.messages import SCHEMA, EnforceRequest, InstallRequest, MeshStatus, SweepRequest, VerifyRequest

_M = TypeVar("_M", bound=msgspec.Struct)

prepare(InstallRequest, VerifyRequest, EnforceRequest, SweepRequest, MeshStatus)


def to_builtins(message: msgspec.Struct) -> dict[str, Any]:
    """The JSON object of a message as plain dictionaries, the cluster as its full resource name."""
    data: dict[str, Any] = msgspec.to_builtins(message)
    cluster = getattr(message, "cluster", None)
    if isinstance(cluster, ClusterRef):
        data["cluster"] = str(cluster)
    return data


def encode(message: msgspec.Struct) -> bytes:
    """The message as JSON, keys sorted, so that the same message is the same bytes."""
    return msgspec.json.encode(to_builtins(message), order="sorted")


def decode(data: bytes, kind: type[_M]) -> _M:
    """Read a message of `kind`.

    Raises:
        Permanent: no JSON object, a field of the wrong type, a bad cluster name, or a schema from the future.
    """
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Permanent("MalformedMessage", f"the message is not JSON: {error}", remedy=_LEAST) from error
    return from_builtins(raw, kind)


_LEAST = (
    'the least that works is {"cluster": "projects/P/locations/L/clusters/C"}; add "mesh": "linkerd" where the policy '
    "names no mesh for the cluster"
)


def _as_typed(name: str) -> str:
    """A cluster's name as people paste it: with a shell's blanks, or as the selfLink that gcloud shows."""
    bare = name.strip().removesuffix("/")
    for link in ("https://container.googleapis.com/v1/", "https://container.googleapis.com/v1beta1/"):
        bare = bare.removeprefix(link)
    return bare


@functools.cache
def _required(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Names of the fields that a message must have; read once, for it takes longer than to read a message."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(kind) if field.required)


def from_builtins(raw: Any, kind: type[_M]) -> _M:
    """Read a message of `kind` from plain dictionaries; raises as `decode` does."""
    if not isinstance(raw, dict):
        raise Permanent("MalformedMessage", f"the message is a JSON {type(raw).__name__}, not an object", remedy=_LEAST)
    schema = raw.get("schema", SCHEMA)
    if isinstance(schema, int) and schema > SCHEMA:
        raise Permanent(
            "SchemaTooNew",
            f"the message has schema {schema}; this version understands up to {SCHEMA}",
            cluster=str(raw.get("cluster", "")),
            remedy="deploy a newer version of byomesh, or publish schema 1",
        )
    name = raw.get("cluster")
    if name is not None:
        if not isinstance(name, str):
            raise Permanent("MalformedMessage", f"cluster is {shorten(repr(name), 200)}, not a name", remedy=_LEAST)
        raw = {**raw, "cluster": msgspec.to_builtins(ClusterRef.parse(_as_typed(name)))}
    try:
        # Somebody who writes null means that nothing is said; what a status must say may well be null.
        required = _required(kind)
        return msgspec.convert({key: raw[key] for key in raw if raw[key] is not None or key in required}, kind)
    except (msgspec.ValidationError, UnicodeError, RecursionError) as error:
        raise Permanent(
            "MalformedMessage", str(error), cluster=name if isinstance(name, str) else "", remedy=_LEAST
        ) from error
