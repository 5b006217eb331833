"""The environment of an injected proxy (linkerd2 charts/partials/templates/_proxy.tpl). Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from byomesh.local.inhabitants.overrides import at

Json = dict[str, Any]
Pair = tuple[str, str]

_P = "LINKERD2_PROXY_"
_PLACES = (
    ("_pod_name", "metadata.name"),
    ("_pod_ns", "metadata.namespace"),
    ("_pod_uid", "metadata.uid"),
    ("_pod_ip", "status.podIP"),
    ("_pod_nodeName", "spec.nodeName"),
)
_QUIET = ",[{headers}]=off,[{request}]=off"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Everything that the containers of one pod are made from.

    Attributes:
        values: the chart's, with the pod's overrides.
        control_plane: the namespace of the control plane.
        anchors: PEM of the trust anchors.
        inbound_ports: that the pod listens on, with commas.
        security_context: of the pod's first container.
        token_mount: where the pod's first container has its ServiceAccount's token; None where it hasn't.
        debug: whether linkerd-debug is asked for.
    """

    values: Json
    control_plane: str
    anchors: str
    inbound_ports: str = ""
    security_context: Json = dataclasses.field(default_factory=dict)
    token_mount: Json | None = None
    debug: bool = False


def variables(setting: Setting) -> list[Json]:
    """The `env` of the container linkerd-proxy; later ones of `proxy.additionalEnv` override earlier ones."""
    proxy = at(setting.values, "proxy")
    return [
        *(_field(name, path) for name, path in _PLACES),
        *_plain([("_pod_containerName", "linkerd-proxy"), *_cores(proxy), *_inbound_policy(proxy)]),
        *_plain(_control_plane(setting)),
        *_plain(_connections(proxy)),
        *_plain(_listeners(setting)),
        _field(f"{_P}INBOUND_IPS", "status.podIPs"),
        *_plain(_protocols(setting)),
        _field("_pod_sa", "spec.serviceAccountName"),
        *_plain(_identity(setting)),
        *(proxy.get("additionalEnv") or ()),
        *(proxy.get("experimentalEnv") or ()),
    ]


def _cores(proxy: Json) -> Iterator[Pair]:
    workers = at(proxy, "runtime.workers")
    if fixed := proxy.get("cores"):
        yield from ((f"{_P}CORES", _said(fixed)), (f"{_P}CORES_MIN", _said(fixed)))
    elif workers:
        least = _said(workers.get("minimum") or 1)
        yield from ((f"{_P}CORES", least), (f"{_P}CORES_MIN", least))
        yield from _set((f"{_P}CORES_MAX", workers.get("maximum")))
        yield from _set((f"{_P}CORES_MAX_RATIO", workers.get("maximumCPURatio")))


def _inbound_policy(proxy: Json) -> Iterator[Pair]:
    yield from _set((f"{_P}INBOUND_PORTS_REQUIRE_IDENTITY", proxy.get("requireIdentityOnInboundPorts")))
    yield from _set((f"{_P}INBOUND_PORTS_REQUIRE_TLS", proxy.get("requireTLSOnInboundPorts")))
    yield f"{_P}SHUTDOWN_ENDPOINT_ENABLED", _said(bool(proxy.get("enableShutdownEndpoint")))
    quiet = "" if proxy.get("logHTTPHeaders") == "insecure" else _QUIET
    yield f"{_P}LOG", f"{proxy.get('logLevel', '')}{quiet}"
    yield f"{_P}LOG_FORMAT", str(proxy.get("logFormat", ""))


def _control_plane(setting: Setting) -> Iterator[Pair]:
    values = setting.values
    networks = str(values.get("clusterNetworks") or "")
    yield f"{_P}DESTINATION_SVC_ADDR", _host(setting, "linkerd-dst-headless", 8086)
    yield f"{_P}DESTINATION_PROFILE_NETWORKS", networks
    yield f"{_P}POLICY_SVC_ADDR", _host(setting, "linkerd-policy", 8090)
    yield f"{_P}POLICY_WORKLOAD", '{"ns":"$(_pod_ns)", "pod":"$(_pod_name)"}\n'
    yield f"{_P}INBOUND_DEFAULT_POLICY", str(at(values, "proxy").get("defaultInboundPolicy", ""))
    yield f"{_P}POLICY_CLUSTER_NETWORKS", networks
    streams = at(values, "proxy.control.streams")
    for name, key in (("INITIAL_TIMEOUT", "initialTimeout"), ("IDLE_TIMEOUT", "idleTimeout"), ("LIFETIME", "lifetime")):
        yield f"{_P}CONTROL_STREAM_{name}", str(streams.get(key) or "")


def _connections(proxy: Json) -> Iterator[Pair]:
    for name, key in (
        ("INBOUND_CONNECT_TIMEOUT", "inboundConnectTimeout"),
        ("OUTBOUND_CONNECT_TIMEOUT", "outboundConnectTimeout"),
        ("OUTBOUND_DISCOVERY_IDLE_TIMEOUT", "outboundDiscoveryCacheUnusedTimeout"),
        ("INBOUND_DISCOVERY_IDLE_TIMEOUT", "inboundDiscoveryCacheUnusedTimeout"),
    ):
        yield from _set((f"{_P}{name}", proxy.get(key)))
    for side in ("Outbound", "Inbound"):
        if proxy.get(f"disable{side}ProtocolDetectTimeout"):
            yield f"{_P}{side.upper()}_DETECT_TIMEOUT", "365d"
    yield from (
        (f"{_P}INBOUND_ACCEPT_KEEPALIVE", "10000ms"),
        (f"{_P}OUTBOUND_CONNECT_KEEPALIVE", "10000ms"),
        (f"{_P}INBOUND_ACCEPT_USER_TIMEOUT", "30s"),
        (f"{_P}OUTBOUND_CONNECT_USER_TIMEOUT", "30s"),
    )
    yield f"{_P}OUTBOUND_METRICS_HOSTNAME_LABELS", _said(bool(at(proxy, "metrics").get("hostnameLabels")))


def _listeners(setting: Setting) -> Iterator[Pair]:
    four = bool(setting.values.get("disableIPv6"))
    ports = at(setting.values, "proxy.ports")
    anywhere = "0.0.0.0" if four else "[::]"  # noqa: S104 - the pod's address, not ours
    outbound = ports.get("outbound")
    yield f"{_P}CONTROL_LISTEN_ADDR", f"{anywhere}:{ports.get('control')}"
    yield f"{_P}ADMIN_LISTEN_ADDR", f"{anywhere}:{ports.get('admin')}"
    yield f"{_P}OUTBOUND_LISTEN_ADDR", f"127.0.0.1:{outbound}"
    yield f"{_P}OUTBOUND_LISTEN_ADDRS", f"127.0.0.1:{outbound}" + ("" if four else f",[::1]:{outbound}")
    yield f"{_P}INBOUND_LISTEN_ADDR", f"{anywhere}:{ports.get('inbound')}"


def _protocols(setting: Setting) -> Iterator[Pair]:
    proxy = at(setting.values, "proxy")
    suffix = f"svc.{setting.values.get('clusterDomain')}."
    yield f"{_P}INBOUND_PORTS", setting.inbound_ports
    if proxy.get("isGateway"):
        yield f"{_P}INBOUND_GATEWAY_SUFFIXES", suffix
    if proxy.get("isIngress"):
        yield f"{_P}INGRESS_MODE", "true"
    yield f"{_P}DESTINATION_PROFILE_SUFFIXES", "." if proxy.get("enableExternalProfiles") else suffix
    for side in ("inbound", "outbound"):
        for scope, protocols in at(proxy, side).items():
            for protocol, parameters in protocols.items():
                for parameter, value in parameters.items():
                    yield "_".join([_P[:-1], *map(_snake, (side, scope, protocol, parameter))]), _said(value)
    yield from _set((f"{_P}INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", proxy.get("opaquePorts")))
    yield f"{_P}DESTINATION_CONTEXT", '{"ns":"$(_pod_ns)", "nodeName":"$(_pod_nodeName)", "pod":"$(_pod_name)"}\n'


def _identity(setting: Setting) -> Iterator[Pair]:
    values, namespace = setting.values, setting.control_plane
    domain = values.get("identityTrustDomain") or values.get("clusterDomain")
    identity = f"serviceaccount.identity.{namespace}.{domain}"
    projected = at(values, "identity").get("serviceAccountTokenProjection")
    folder = "tokens/linkerd-identity-token" if projected else "kubernetes.io/serviceaccount/token"
    yield from (("_l5d_ns", namespace), ("_l5d_trustdomain", str(domain)))
    yield f"{_P}IDENTITY_DIR", "/var/run/linkerd/identity/end-entity"
    yield f"{_P}IDENTITY_TRUST_ANCHORS", f"{setting.anchors.strip()}\n"
    yield f"{_P}IDENTITY_TOKEN_FILE", f"/var/run/secrets/{folder}"
    yield f"{_P}IDENTITY_SVC_ADDR", _host(setting, "linkerd-identity-headless", 8080)
    yield f"{_P}IDENTITY_LOCAL_NAME", f"$(_pod_sa).$(_pod_ns).{identity}"
    yield f"{_P}IDENTITY_SVC_NAME", f"linkerd-identity.{namespace}.{identity}"
    yield f"{_P}DESTINATION_SVC_NAME", f"linkerd-destination.{namespace}.{identity}"
    yield f"{_P}POLICY_SVC_NAME", f"linkerd-destination.{namespace}.{identity}"
    proxy = at(values, "proxy")
    yield from _set((f"{_P}ACCESS_LOG", proxy.get("accessLog")))
    yield from _set((f"{_P}SHUTDOWN_GRACE_PERIOD", proxy.get("shutdownGracePeriod")))


def _host(setting: Setting, service: str, port: int) -> str:
    return f"{service}.{setting.control_plane}.svc.{setting.values.get('clusterDomain')}.:{port}"


def _set(pair: tuple[str, Any]) -> Iterator[Pair]:
    """The variable, if its value is set."""
    if pair[1]:
        yield pair[0], _said(pair[1])


def _said(value: Any) -> str:
    """A value as Helm's templates write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


def _plain(pairs: Any) -> list[Json]:
    return [{"name": name, "value": value} for name, value in pairs]


def _field(name: str, path: str) -> Json:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
