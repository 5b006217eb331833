"""A stand-in of Linkerd's proxy injector: an admission request and facts of its cluster -> JSON patch. Pure.

The facts are of linkerd2's controller/proxy-injector/webhook.go, pkg/inject and charts/patch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from byomesh.local.inhabitants import amounts, overrides, sidecar
from byomesh.local.inhabitants.overrides import INJECT, OPAQUE_PORTS, at

Json = dict[str, Any]

_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_PROXY_IMAGES = ("cr.l5d.io/linkerd/proxy:", "gcr.io/istio-release/proxyv2:")
_PROXIES = ("linkerd-proxy", "istio-proxy")
_INIT_IMAGES = ("cr.l5d.io/linkerd/proxy-init:", "gcr.io/istio-release/proxy_init:")
_INITS = ("linkerd-init", "istio-init")
_LABELLED_OWNERS = ("daemonset", "deployment", "job", "replicaset", "replicationcontroller", "statefulset")
_ENABLING = ("enabled", "ingress")
_BITS = {4: 32, 6: 128}


class InjectionError(Exception):
    """The pod can't get a proxy, so the request is denied, in these words."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the injector knows beside the request.

    Attributes:
        control_plane: its own namespace.
        values: the chart's values, as ConfigMap linkerd-config holds them.
        anchors: PEM of ConfigMap linkerd-identity-trust-roots.
        namespace_annotations: of the request's namespace.
        owner: kind, in lower case, and name of what the pod belongs to in the end; "" where it belongs to nothing.
    """

    control_plane: str
    values: Json
    anchors: str
    namespace_annotations: Mapping[str, str]
    owner: tuple[str, str] = ("", "")


def patch(request: Json, facts: Facts) -> list[Json]:
    """The JSON patch for a new pod or Service; an empty one leaves it as it is.

    A pod that isn't injected, and a Service, may still get an annotation: their ports that are opaque by default.

    Raises:
        InjectionError: the values can't be used; the request is denied.
    """
    body, kind = request["object"], (request.get("kind") or {}).get("kind", "")
    if kind == "Pod" and not skipped(body, facts):
        return _injection(body, facts, str(request.get("namespace", "")))
    ports = _opaque_ports(body, kind, facts)
    if not ports:
        return []
    return _metadata("annotations", {OPAQUE_PORTS: ports}, body)


def skipped(pod: Json, facts: Facts) -> tuple[str, ...]:
    """Why a pod isn't injected, in upstream's words (pkg/inject/report.go); empty where it is."""
    spec = pod.get("spec") or {}
    reasons = []
    if spec.get("hostNetwork"):
        reasons.append("hostNetwork is enabled")
    if _has_sidecar(spec):
        reasons.append("pod has a sidecar injected already")
    if reason := _disabled(_annotations(pod).get(INJECT, ""), facts.namespace_annotations.get(INJECT, "")):
        reasons.append(reason)
    if not at(facts.values, "identity").get("serviceAccountTokenProjection") and _token_mount(spec) is None:
        reasons.append(
            'automountServiceAccountToken set to "false", '
            'with Values.identity.serviceAccountTokenProjection set to "false"'
        )
    return tuple(reasons)


def tap_patch(pod: Json, namespace_annotations: Mapping[str, str], tap: str) -> list[Json]:
    """The JSON patch of viz's tap injector: who may tap a pod's proxy (viz/tap/injector/webhook.go).

    Args:
        pod: with its proxy; the configuration of the proxy injector comes first by name.
        namespace_annotations: of its namespace.
        tap: the name in the tap Service's certificate.
    """
    annotations = _annotations(pod)
    path = _proxy_path(pod.get("spec") or {})
    enabled = amounts.boolean(annotations.get("viz.linkerd.io/tap-enabled", ""))
    disabled = any(
        amounts.boolean(one.get("viz.linkerd.io/disable-tap", "")) for one in (annotations, namespace_annotations)
    )
    if not path or enabled or disabled:
        return []
    return [
        *_metadata("annotations", {"viz.linkerd.io/tap-enabled": "true"}, pod),
        {"op": "add", "path": f"{path}/env/-", "value": {"name": "LINKERD2_PROXY_TAP_SVC_NAME", "value": tap}},
    ]


def _injection(pod: Json, facts: Facts, namespace: str) -> list[Json]:
    spec, own = pod.get("spec") or {}, _annotations(pod)
    added = {
        "linkerd.io/created-by": f"linkerd/proxy-injector {_version(facts.values, 'controllerImageVersion')}",
        **overrides.inherited(facts.namespace_annotations, own),
    }
    if OPAQUE_PORTS not in own and OPAQUE_PORTS not in added and (ports := _default_opaque_ports(pod, facts)):
        added[OPAQUE_PORTS] = ports
    annotations = {**own, **added}
    values = overrides.overridden(facts.values, annotations, facts.namespace_annotations, own, dict(_named_ports(spec)))
    _check_networks(str(values.get("clusterNetworks") or ""))
    added["linkerd.io/proxy-version"] = str(at(values, "proxy.image").get("version") or values.get("linkerdVersion"))
    added["linkerd.io/trust-root-sha256"] = hashlib.sha256(facts.anchors.encode()).hexdigest()
    labels = {"linkerd.io/control-plane-ns": facts.control_plane, "linkerd.io/workload-ns": namespace}
    if facts.owner[0] in _LABELLED_OWNERS:
        labels[f"linkerd.io/proxy-{facts.owner[0]}"] = facts.owner[1]
    try:
        parts = sidecar.build(
            sidecar.Setting(
                values=values,
                control_plane=facts.control_plane,
                anchors=facts.anchors,
                inbound_ports=_inbound_ports(spec),
                security_context=_first(spec).get("securityContext") or {},
                token_mount=_token_mount(spec),
                debug=bool(amounts.boolean(annotations.get(f"{overrides.CONFIG}enable-debug-sidecar", ""))),
            )
        )
    except sidecar.ValuesError as error:
        raise InjectionError(str(error)) from error
    return [*_metadata("annotations", added, pod), *_metadata("labels", labels, pod), *_spec(spec, parts)]


def _spec(spec: Json, parts: sidecar.Parts) -> list[Json]:
    """Volumes and containers; a native sidecar and what prepares its network come before all init containers."""
    operations: list[Json] = [
        {"op": "add", "path": f"/spec/{field}", "value": []}
        for field in ("volumes", "initContainers")
        if not spec.get(field)
    ]
    operations += [{"op": "add", "path": "/spec/volumes/-", "value": volume} for volume in parts.volumes]
    if parts.native:
        operations += [
            {"op": "add", "path": f"/spec/initContainers/{index}", "value": container}
            for index, container in enumerate((parts.network, parts.proxy))
        ]
    else:
        operations.append({"op": "add", "path": "/spec/initContainers/-", "value": parts.network})
        place = "0" if parts.first else "-"
        operations.append({"op": "add", "path": f"/spec/containers/{place}", "value": parts.proxy})
    if parts.debug is not None:
        operations.append({"op": "add", "path": "/spec/containers/-", "value": parts.debug})
    return operations


def _metadata(field: str, added: Mapping[str, str], body: Json) -> list[Json]:
    """Adds annotations or labels."""
    root = [] if (body.get("metadata") or {}).get(field) else [{"op": "add", "path": f"/metadata/{field}", "value": {}}]
    return [
        *root,
        *(
            {"op": "add", "path": f"/metadata/{field}/{name.replace('~', '~0').replace('/', '~1')}", "value": value}
            for name, value in sorted(added.items())
        ),
    ]


def _disabled(pod: str, namespace: str) -> str:
    """Why the annotations of pod and namespace keep the proxy out; empty where they let it in."""
    for found, where in ((namespace, "namespace"), (pod, "workload")):
        if found not in ("", "disabled", *_ENABLING):
            return f'invalid value for annotation "{INJECT}" at {where}'
    if namespace in _ENABLING:
        return f'pod has the annotation "{INJECT}:disabled"' if pod == "disabled" else ""
    if pod in _ENABLING:
        return ""
    return f'neither the namespace nor the pod have the annotation "{INJECT}:enabled"'


def _has_sidecar(spec: Json) -> bool:
    """Linkerd's or Istio's (pkg/healthcheck/sidecar.go)."""
    initial = list(spec.get("initContainers") or ())
    return any(
        one.get("name") in _PROXIES or str(one.get("image", "")).startswith(_PROXY_IMAGES) for one in _containers(spec)
    ) or any(one.get("name") in _INITS or str(one.get("image", "")).startswith(_INIT_IMAGES) for one in initial)


def _check_networks(text: str) -> None:
    """Raises InjectionError where one is no CIDR; one comma too many at either end is forgiven, a space isn't."""
    for network in text.strip(",").split(",") if text else ():
        address, _, prefix = network.partition("/")
        try:
            version = ip_address(address).version
            fits = "%" not in address and bool(re.fullmatch(r"[0-9]+", prefix)) and int(prefix) <= _BITS[version]
        except ValueError:
            fits = False
        if not fits:
            raise InjectionError(f"cannot parse destination get networks: invalid CIDR address: {network}")


def _opaque_ports(body: Json, kind: str, facts: Facts) -> str:
    """The annotation of what gets no proxy, or is a Service."""
    if kind not in ("Pod", "Service") or OPAQUE_PORTS in _annotations(body):
        return ""
    if OPAQUE_PORTS in facts.namespace_annotations:
        return facts.namespace_annotations[OPAQUE_PORTS]
    if kind == "Pod":
        return _default_opaque_ports(body, facts)
    default, found = _defaults(facts), []
    for port in (body.get("spec") or {}).get("ports") or ():
        target = port.get("targetPort") or port.get("port")
        if str(target) in default:
            found.append(str(port.get("port")))
    return ",".join(found)


def _default_opaque_ports(pod: Json, facts: Facts) -> str:
    default = _defaults(facts)
    ports = (
        str(port.get("containerPort")) for one in _containers(pod.get("spec") or {}) for port in one.get("ports") or ()
    )
    return ",".join(port for port in ports if port in default)


def _defaults(facts: Facts) -> list[str]:
    return str(at(facts.values, "proxy").get("opaquePorts") or "").split(",")


def _inbound_ports(spec: Json) -> str:
    """What the pod's containers listen on, probes over HTTP included; sorted as text, as upstream does."""
    found: set[int] = set()
    for one in _containers(spec):
        found.update(port.get("containerPort") for port in one.get("ports") or ())
        for probe in ("readinessProbe", "livenessProbe"):
            port = ((one.get(probe) or {}).get("httpGet") or {}).get("port")
            if isinstance(port, int):
                found.add(port)
    return ",".join(sorted(map(str, found)))


def _named_ports(spec: Json) -> Iterable[tuple[str, int]]:
    return (
        (port["name"], port["containerPort"])
        for one in _containers(spec)
        for port in one.get("ports") or ()
        if port.get("name")
    )


def _proxy_path(spec: Json) -> str:
    for field in ("containers", "initContainers"):
        for index, one in enumerate(spec.get(field) or ()):
            if one.get("name") == "linkerd-proxy":
                return f"/spec/{field}/{index}"
    return ""


def _token_mount(spec: Json) -> Json | None:
    mounts = _first(spec).get("volumeMounts") or ()
    return next((mount for mount in mounts if mount.get("mountPath") == _SERVICE_ACCOUNT), None)


def _first(spec: Json) -> Json:
    return next(iter(spec.get("containers") or ()), {})


def _containers(spec: Json) -> list[Json]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _annotations(body: Json) -> dict[str, str]:
    return (body.get("metadata") or {}).get("annotations") or {}


def _version(values: Json, field: str) -> str:
    return str(values.get(field) or values.get("linkerdVersion") or "")
