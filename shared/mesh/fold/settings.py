"""linkerd-config and linkerd-config-overrides: the chart's values as an installation keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from shared import bounded_yaml
from shared.mesh.fold import kinds
from shared.mesh.snapshot import MeshConfig, Overrides

_BASE: type[Any] = bounded_yaml.FAST


class _Loader(_BASE):  # type: ignore[misc]  # the C loader has no type of its own
    """YAML as JSON knows it: dates stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _BASE.yaml_implicit_resolvers.items()
}

_READ: tuple[tuple[tuple[str, ...], str], ...] = (
    (("clusterNetworks",), "string"),
    (("cniEnabled",), "bool"),
    (("disableHeartBeat",), "bool"),
    (("highAvailability",), "bool"),
    (("identity", "issuer", "scheme"), "string"),
    (("identityTrustAnchorsPEM",), "string"),
    (("linkerdVersion",), "string"),
    (("proxyInit", "runAsRoot"), "bool"),
)
"""The values that the checks read, and their types in Go (pkg/charts/linkerd2/values.go)."""

_SECRET = "keyPEM"  # noqa: S105  # a field's name
_JSON_KIND = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def config(found: kinds.ConfigMap) -> MeshConfig:
    """ConfigMap linkerd-config; a text that can't be read is a fault in it, not an error."""
    metadata = found.metadata
    values, fault = _values(found.data.get("values", ""))
    return MeshConfig(
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        values=values,
        fault=fault,
        networks=None if values is None else _text(values.get("clusterNetworks")),
        labels=metadata.labels,
        annotations=metadata.annotations,
        managers=tuple(dict.fromkeys(field.manager for field in metadata.managed_fields)),
    )


def overrides(found: kinds.Secret) -> Overrides:
    """Secret linkerd-config-overrides; it holds private keys too, so all but clusterNetworks is left behind."""
    text = found.data.get("linkerd-config-overrides", b"").decode(errors="replace")
    values, _fault = _values(text)
    given = (values or {}).get("clusterNetworks")
    return Overrides(found.metadata.resource_version, None if given is None else _text(given))


def _values(text: str) -> tuple[dict[str, Any] | None, str]:
    """The values, or why there are none, as Go's sigs.k8s.io/yaml words it."""
    if not text:
        return None, "linkerd-config has no values"
    try:
        read = bounded_yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        return None, f"error converting YAML to JSON: yaml: {_yaml_fault(error)}"
    if read is None:
        read = {}
    if not isinstance(read, dict):
        kind = _JSON_KIND.get(type(read), "string")
        return None, _json_fault(kind, "Go value of type map[string]interface {}")
    values = _flat({str(key): value for key, value in read.items()})
    fault = next((fault for path, kind in _READ if (fault := _type_fault(values, path, kind))), "")
    return (None, fault) if fault else (_without_keys(values), "")


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Old charts' `global` children, put beside it (pkg/config/config.go, RemoveGlobalFieldIfPresent)."""
    children = values.pop("global", None)
    return {**values, **children} if isinstance(children, dict) else values


def _without_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_keys(child) for key, child in value.items() if key != _SECRET}
    return [_without_keys(child) for child in value] if isinstance(value, list) else value


def _type_fault(values: Mapping[str, Any], path: tuple[str, ...], kind: str) -> str:
    value: Any = values
    for depth, name in enumerate(path):
        value = value.get(name)
        inner = depth < len(path) - 1
        given = _JSON_KIND.get(type(value), "")
        wanted = "object" if inner else kind
        # A scalar becomes text where text is wanted: the YAML is converted knowing the field's type.
        if value is None or (wanted == "string" and given in ("string", "bool", "number")):
            return ""
        if given != wanted:
            go_type = f"linkerd2.{name[0].upper()}{name[1:]}" if inner else kind
            return _json_fault(given, f"Go struct field Values.{'.'.join(path[: depth + 1])} of type {go_type}")
    return ""


def _json_fault(given: str, where: str) -> str:
    return f"error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {given} into {where}"


def _yaml_fault(error: yaml.YAMLError) -> str:
    """A fault as Go's YAML words it; only a scanner's lines are counted from 1 there (goyaml.v2 decode.go, fail)."""
    problem = getattr(error, "problem", None) or str(error)
    marks = (getattr(error, "context_mark", None), getattr(error, "problem_mark", None))
    line = next((mark.line for mark in marks if mark is not None and mark.line), 0)
    if not line:
        return str(problem)
    return f"line {line + isinstance(error, yaml.scanner.ScannerError)}: {problem}"


def _text(value: Any) -> str:
    """A scalar as Go's conversion to a string field writes it; nothing is ""."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
