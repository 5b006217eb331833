"""What annotations change in the values that a proxy is made from (linkerd2 pkg/inject/inject.go). Pure.

Tracing is left out: nothing here collects traces.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from byomesh.local.inhabitants import amounts

Json = dict[str, Any]
Texts = Mapping[str, str]

CONFIG = "config.linkerd.io/"
INJECT = "linkerd.io/inject"
OPAQUE_PORTS = f"{CONFIG}opaque-ports"
_ALPHA, _BETA = "config.alpha.linkerd.io/", "config.beta.linkerd.io/"
_ADDITIONAL_ENV = f"{CONFIG}proxy-additional-env"
_POLICIES = (
    "all-unauthenticated",
    "all-authenticated",
    "cluster-unauthenticated",
    "cluster-authenticated",
    "deny",
    "audit",
)


def _text(text: str) -> str:
    return text


def _enabled(text: str) -> bool | None:
    return {"enabled": True, "disabled": False}.get(text)


def _milliseconds(text: str) -> str | None:
    size = amounts.seconds(text)
    return None if size is None else f"{int(size * 1000)}ms"


def _whole_seconds(text: str) -> str | None:
    size = amounts.seconds(text)
    return None if size is None else f"{int(size)}s"


def _natural(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _close_wait(text: str) -> int | None:
    size = amounts.seconds(text)
    return None if size is None else int(size)


def _ratio(text: str) -> float | None:
    try:
        ratio = float(text)
    except ValueError:
        return None
    return ratio if 0.0 < ratio < 1.0 else None


def _policy(text: str) -> str | None:
    return text if text in _POLICIES else None


_OVERRIDES: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    (f"{CONFIG}proxy-image", "proxy.image.name", _text),
    (f"{CONFIG}proxy-version", "proxy.image.version", _text),
    (f"{CONFIG}image-pull-policy", "proxy.image.pullPolicy", _text),
    (f"{CONFIG}control-port", "proxy.ports.control", amounts.integer),
    (f"{CONFIG}inbound-port", "proxy.ports.inbound", amounts.integer),
    (f"{CONFIG}admin-port", "proxy.ports.admin", amounts.integer),
    (f"{CONFIG}outbound-port", "proxy.ports.outbound", amounts.integer),
    (f"{CONFIG}proxy-admin-shutdown", "proxy.enableShutdownEndpoint", _enabled),
    (f"{CONFIG}proxy-log-level", "proxy.logLevel", _text),
    (f"{CONFIG}proxy-log-http-headers", "proxy.logHTTPHeaders", _text),
    (f"{CONFIG}proxy-log-format", "proxy.logFormat", _text),
    (f"{CONFIG}proxy-require-identity-inbound-ports", "proxy.requireIdentityOnInboundPorts", _text),
    (f"{CONFIG}proxy-metrics-hostname-labels", "proxy.metrics.hostnameLabels", amounts.boolean),
    (f"{CONFIG}proxy-outbound-connect-timeout", "proxy.outboundConnectTimeout", _milliseconds),
    (f"{CONFIG}proxy-inbound-connect-timeout", "proxy.inboundConnectTimeout", _milliseconds),
    (
        f"{CONFIG}proxy-outbound-discovery-cache-unused-timeout",
        "proxy.outboundDiscoveryCacheUnusedTimeout",
        _whole_seconds,
    ),
    (
        f"{CONFIG}proxy-inbound-discovery-cache-unused-timeout",
        "proxy.inboundDiscoveryCacheUnusedTimeout",
        _whole_seconds,
    ),
    (
        f"{CONFIG}proxy-disable-outbound-protocol-detect-timeout",
        "proxy.disableOutboundProtocolDetectTimeout",
        amounts.boolean,
    ),
    (
        f"{CONFIG}proxy-disable-inbound-protocol-detect-timeout",
        "proxy.disableInboundProtocolDetectTimeout",
        amounts.boolean,
    ),
    (f"{CONFIG}shutdown-grace-period", "proxy.shutdownGracePeriod", _milliseconds),
    (f"{CONFIG}enable-gateway", "proxy.isGateway", amounts.boolean),
    (f"{_ALPHA}proxy-wait-before-exit-seconds", "proxy.waitBeforeExitSeconds", _natural),
    # The last one that can be read wins, as a stable annotation does over its older names.
    (f"{_ALPHA}proxy-enable-native-sidecar", "proxy.nativeSidecar", amounts.boolean),
    (f"{_BETA}proxy-enable-native-sidecar", "proxy.nativeSidecar", amounts.boolean),
    (f"{CONFIG}proxy-enable-native-sidecar", "proxy.nativeSidecar", amounts.boolean),
    (f"{CONFIG}proxy-cpu-request", "proxy.resources.cpu.request", amounts.quantity),
    (f"{CONFIG}proxy-cpu-request", "proxy.runtime.workers.minimum", amounts.whole_cores),
    (f"{CONFIG}proxy-cpu-limit", "proxy.resources.cpu.limit", amounts.quantity),
    (f"{CONFIG}proxy-cpu-limit", "proxy.runtime.workers.maximum", amounts.whole_cores),
    (f"{CONFIG}proxy-cpu-ratio-limit", "proxy.runtime.workers.maximumCPURatio", _ratio),
    (f"{CONFIG}proxy-memory-request", "proxy.resources.memory.request", amounts.quantity),
    (f"{CONFIG}proxy-memory-limit", "proxy.resources.memory.limit", amounts.quantity),
    (f"{CONFIG}proxy-ephemeral-storage-request", "proxy.resources.ephemeral-storage.request", amounts.quantity),
    (f"{CONFIG}proxy-ephemeral-storage-limit", "proxy.resources.ephemeral-storage.limit", amounts.quantity),
    (f"{CONFIG}proxy-uid", "proxy.uid", amounts.integer),
    (f"{CONFIG}proxy-gid", "proxy.gid", amounts.integer),
    (f"{CONFIG}enable-external-profiles", "proxy.enableExternalProfiles", amounts.boolean),
    (f"{CONFIG}skip-inbound-ports", "proxyInit.ignoreInboundPorts", _text),
    (f"{CONFIG}skip-outbound-ports", "proxyInit.ignoreOutboundPorts", _text),
    (f"{CONFIG}skip-subnets", "proxyInit.skipSubnets", _text),
    (f"{CONFIG}close-wait-timeout", "proxyInit.closeWaitTimeoutSecs", _close_wait),
    (f"{CONFIG}debug-image", "debugContainer.image.name", _text),
    (f"{CONFIG}debug-image-version", "debugContainer.image.version", _text),
    (f"{CONFIG}debug-image-pull-policy", "debugContainer.image.pullPolicy", _text),
    (f"{CONFIG}proxy-await", "proxy.await", _enabled),
    (f"{CONFIG}default-inbound-policy", "proxy.defaultInboundPolicy", _policy),
    (f"{CONFIG}access-log", "proxy.accessLog", _text),
)
"""Annotation, where in the chart's values it goes, and how it is read; what can't be read changes nothing."""

_POD_ONLY = frozenset(
    {
        f"{CONFIG}enable-gateway",
        f"{CONFIG}proxy-cpu-ratio-limit",
        f"{CONFIG}close-wait-timeout",
        f"{CONFIG}debug-image",
        f"{CONFIG}debug-image-version",
        f"{CONFIG}debug-image-pull-policy",
        f"{_BETA}proxy-enable-native-sidecar",
    }
)
"""What a pod doesn't take over from its namespace (pkg/inject, ProxyAnnotations and ProxyAlphaConfigAnnotations)."""

_INHERITED = frozenset(
    {
        *(name for name, _path, _read in _OVERRIDES if name not in _POD_ONLY),
        INJECT,
        OPAQUE_PORTS,
        _ADDITIONAL_ENV,
        f"{CONFIG}enable-debug-sidecar",
        f"{CONFIG}pod-inbound-ports",
    }
)


def inherited(namespace: Texts, pod: Texts) -> dict[str, str]:
    """The annotations that a pod takes over from its namespace: those of `_INHERITED` that it hasn't itself."""
    return {name: namespace[name] for name in sorted(_INHERITED) if name in namespace and name not in pod}


def overridden(values: Json, annotations: Texts, namespace: Texts, own: Texts, ports: Mapping[str, int]) -> Json:
    """A copy of the chart's values, changed by annotations.

    Args:
        values: as linkerd-config holds them.
        annotations: the pod's with those that it inherits.
        namespace: the namespace's own.
        own: the pod's own.
        ports: the numbers of the pod's named ports.
    """
    changed = copy.deepcopy(values)
    if annotations.get(INJECT) == "ingress":
        _put(changed, "proxy.isIngress", True)
    for name, path, read in _OVERRIDES:
        if name in annotations and (value := read(annotations[name])) is not None:
            _put(changed, path, value)
    if OPAQUE_PORTS in annotations:
        _put(changed, "proxy.opaquePorts", _opaque(annotations[OPAQUE_PORTS], ports))
    environment = list(at(changed, "proxy").get("additionalEnv") or ())
    for layer in (namespace, own):
        environment = _merged(environment, layer.get(_ADDITIONAL_ENV, ""))
    _put(changed, "proxy.additionalEnv", environment)
    return changed


def at(values: Mapping[str, Any], path: str) -> Json:
    """The mapping at a dotted path of values; an empty one where there is none."""
    found: Any = values
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, dict) else {}


def _put(values: Json, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        inner = values.get(key)
        if not isinstance(inner, dict):
            inner = values[key] = {}
        values = inner
    values[last] = value


def _opaque(text: str, ports: Mapping[str, int]) -> str:
    words = [word.strip() for word in text.removesuffix(",").split(",")]
    read = (str(ports[word]) if word in ports else amounts.port_range(word) for word in words)
    return ",".join(word for word in read if word is not None)


def _merged(environment: list[Json], text: str) -> list[Json]:
    """Variables of an annotation (a JSON list of EnvVar) over others, by name."""
    try:
        more: Any = json.loads(text) if text else []
    except ValueError:
        return environment
    if not isinstance(more, list) or not all(isinstance(one, dict) and "name" in one for one in more):
        return environment
    return list(_by_name([*environment, *more]).values())


def _by_name(variables: Iterable[Json]) -> dict[str, Json]:
    return {str(one["name"]): one for one in variables}
