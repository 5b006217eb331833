"""The containers and volumes that Linkerd's injector adds (linkerd2 charts/partials/templates, charts/patch). Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from byomesh.local.inhabitants.environment import Setting, variables
from byomesh.local.inhabitants.overrides import at

Json = dict[str, Any]

__all__ = ["Parts", "Setting", "ValuesError", "build"]

_NOBODY = 65534
_TOKEN_SECONDS = 86400
_FALLBACK = {"terminationMessagePolicy": "FallbackToLogsOnError"}


class ValuesError(Exception):
    """The chart's templates would refuse these values."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is added to a pod.

    Attributes:
        network: linkerd-init, or with the CNI plugin linkerd-network-validator; an init container.
        proxy: linkerd-proxy.
        native: whether the proxy is an init container that goes on.
        first: whether a proxy that isn't native comes before the pod's own containers, which wait for it.
        volumes: for both.
        debug: linkerd-debug, where it is asked for.
    """

    network: Json
    proxy: Json
    native: bool
    first: bool
    volumes: list[Json]
    debug: Json | None


def build(setting: Setting) -> Parts:
    """The parts for one pod.

    Raises:
        ValuesError: the values contradict each other.
    """
    values = setting.values
    proxy = at(values, "proxy")
    cni = bool(values.get("cniEnabled"))
    return Parts(
        network=_network_validator(setting) if cni else _init(setting),
        proxy=_proxy(setting),
        native=bool(proxy.get("nativeSidecar")),
        first=bool(proxy.get("await")),
        volumes=list(_volumes(values, cni=cni)),
        debug=_debug(values) if setting.debug else None,
    )


def _volumes(values: Json, *, cni: bool) -> Iterable[Json]:
    if not cni:
        yield {"name": "linkerd-proxy-init-xtables-lock", "emptyDir": {}}
    yield {"name": "linkerd-identity-end-entity", "emptyDir": {"medium": "Memory"}}
    if at(values, "identity").get("serviceAccountTokenProjection"):
        token = {"path": "linkerd-identity-token", "expirationSeconds": _TOKEN_SECONDS, "audience": "identity.l5d.io"}
        yield {"name": "linkerd-identity-token", "projected": {"sources": [{"serviceAccountToken": token}]}}


def _proxy(setting: Setting) -> Json:
    values = setting.values
    proxy = at(values, "proxy")
    native, waits = bool(proxy.get("nativeSidecar")), bool(proxy.get("await"))
    admin = at(proxy, "ports").get("admin")
    container: Json = {
        "name": "linkerd-proxy",
        **_image(values, "proxy"),
        "env": variables(setting),
        "ports": [
            {"name": "linkerd-proxy", "containerPort": at(proxy, "ports").get("inbound")},
            {"name": "linkerd-admin", "containerPort": admin},
        ],
        "livenessProbe": {"httpGet": {"path": "/live", "port": admin}, **at(proxy, "livenessProbe")},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": admin}, **at(proxy, "readinessProbe")},
        **_resources(proxy),
        "securityContext": at(proxy, "securityContext") or _confined(setting),
        **_FALLBACK,
        "volumeMounts": _mounts(setting),
    }
    if native and waits:
        container["startupProbe"] = {"httpGet": {"path": "/ready", "port": admin}, **at(proxy, "startupProbe")}
    if native:
        container["restartPolicy"] = "Always"
    elif hooks := _lifecycle(proxy, admin):
        container["lifecycle"] = hooks
    return container


def _mounts(setting: Setting) -> list[Json]:
    mounts = [{"name": "linkerd-identity-end-entity", "mountPath": "/var/run/linkerd/identity/end-entity"}]
    if at(setting.values, "identity").get("serviceAccountTokenProjection"):
        mounts.append({"name": "linkerd-identity-token", "mountPath": "/var/run/secrets/tokens"})
    return [*mounts, *_token(setting)]


def _token(setting: Setting) -> list[Json]:
    mount = setting.token_mount
    return [{key: mount[key] for key in ("name", "mountPath", "readOnly") if key in mount}] if mount else []


def _lifecycle(proxy: Json, admin: Any) -> Json:
    hooks: Json = {}
    if proxy.get("await"):
        command = ["/usr/lib/linkerd/linkerd-await", "--timeout=2m", f"--port={admin}"]
        hooks["postStart"] = {"exec": {"command": command}}
    if seconds := proxy.get("waitBeforeExitSeconds"):
        hooks["preStop"] = {"exec": {"command": ["/bin/sleep", str(seconds)]}}
    return hooks


def _confined(setting: Setting) -> Json:
    proxy = at(setting.values, "proxy")
    context: Json = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": proxy.get("uid"),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if int(proxy.get("gid", -1)) >= 0:
        context["runAsGroup"] = proxy["gid"]
    if capabilities := _capabilities(setting):
        context["capabilities"] = capabilities
    return context


def _capabilities(setting: Setting) -> Mapping[str, list[str]]:
    """Those of the pod's first container, so that a policy that holds for it holds for what is added, too."""
    found = setting.security_context.get("capabilities") or {}
    return {key: list(found[key]) for key in ("add", "drop") if found.get(key)}


def _init(setting: Setting) -> Json:
    values = setting.values
    init = at(values, "proxyInit")
    close_wait, root = init.get("closeWaitTimeoutSecs"), bool(init.get("runAsRoot"))
    if close_wait and not root:
        raise ValuesError("proxyInit.runAsRoot must be set to use proxyInit.closeWaitTimeoutSecs")
    privileged = bool(close_wait or init.get("privileged"))
    user, group = (0, 0) if root else (init.get("runAsUser") or _NOBODY, init.get("runAsGroup") or _NOBODY)
    theirs = _capabilities(setting)
    added = {"add": ["NET_ADMIN", "NET_RAW", *theirs.get("add", ())]}
    if dropped := [one for one in theirs.get("drop", ()) if one not in ("NET_ADMIN", "NET_RAW")]:
        added["drop"] = dropped
    lock = at(init, "xtMountPath")
    return {
        "name": "linkerd-init",
        **_image(values, "proxy"),
        "command": ["/usr/lib/linkerd/linkerd2-proxy-init"],
        "args": list(_init_arguments(values)),
        **_resources(at(values, "proxy")),
        "securityContext": {
            "allowPrivilegeEscalation": privileged,
            "capabilities": added,
            "privileged": privileged,
            "readOnlyRootFilesystem": True,
            "runAsGroup": group,
            "runAsNonRoot": not root,
            "runAsUser": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **_FALLBACK,
        "volumeMounts": [{"name": lock.get("name"), "mountPath": lock.get("mountPath")}, *_token(setting)],
    }


def _init_arguments(values: Json) -> Iterable[str]:
    proxy, init = at(values, "proxy"), at(values, "proxyInit")
    ports = at(proxy, "ports")
    mode = init.get("iptablesMode") or "legacy"
    if mode == "nft":
        yield from ("--firewall-bin-path", "iptables-nft", "--firewall-save-bin-path", "iptables-nft-save")
    elif mode != "legacy":
        raise ValuesError(f'Unsupported value "{mode}" for proxyInit.iptablesMode: valid values are nft and legacy')
    if values.get("disableIPv6"):
        yield "--ipv6=false"
    yield from ("--incoming-proxy-port", str(ports.get("inbound")), "--outgoing-proxy-port", str(ports.get("outbound")))
    yield from ("--proxy-uid", str(proxy.get("uid")))
    if int(proxy.get("gid", -1)) >= 0:
        yield from ("--proxy-gid", str(proxy["gid"]))
    inbound = [str(ports.get("control")), str(ports.get("admin")), str(init.get("ignoreInboundPorts") or "")]
    yield from ("--inbound-ports-to-ignore", ",".join(filter(None, inbound)))
    for name, key in (
        ("--outbound-ports-to-ignore", "ignoreOutboundPorts"),
        ("--timeout-close-wait-secs", "closeWaitTimeoutSecs"),
        ("--log-format", "logFormat"),
        ("--log-level", "logLevel"),
        ("--subnets-to-ignore", "skipSubnets"),
    ):
        if init.get(key):
            yield from (name, str(init[key]))


def _network_validator(setting: Setting) -> Json:
    values = setting.values
    validator, four = at(values, "networkValidator"), bool(values.get("disableIPv6"))
    container = {
        "name": "linkerd-network-validator",
        **_image(values, "proxy"),
        "command": ["/usr/lib/linkerd/linkerd2-network-validator"],
        "args": [
            *("--log-format", str(validator.get("logFormat"))),
            *("--log-level", str(validator.get("logLevel"))),
            *("--connect-addr", validator.get("connectAddr") or ("1.1.1.1:20001" if four else "[fd00::1]:20001")),
            *("--listen-addr", validator.get("listenAddr") or ("0.0.0.0:4140" if four else "[::]:4140")),
            *("--timeout", str(validator.get("timeout"))),
        ],
        **_resources(at(values, "proxy")),
    }
    if validator.get("enableSecurityContext") is not False:
        container["securityContext"] = at(validator, "securityContext") or {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsGroup": _NOBODY,
            "runAsNonRoot": True,
            "runAsUser": _NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    return container


def _debug(values: Json) -> Json:
    probe = {"exec": {"command": ["true"]}}
    return {
        "name": "linkerd-debug",
        **_image(values, "debugContainer"),
        "livenessProbe": probe,
        "readinessProbe": probe,
        **_FALLBACK,
    }


def _image(values: Json, part: str) -> Json:
    image = at(values, f"{part}.image")
    return {
        "image": f"{image.get('name')}:{image.get('version') or values.get('linkerdVersion')}",
        "imagePullPolicy": image.get("pullPolicy") or values.get("imagePullPolicy"),
    }


def _resources(proxy: Json) -> Json:
    """Requests and limits of cpu, memory and ephemeral-storage that are set; nothing where none is."""
    found = {}
    for field in ("limit", "request"):
        amounts = {
            name: str(size)
            for name in ("cpu", "memory", "ephemeral-storage")
            if (size := at(proxy, f"resources.{name}").get(field))
        }
        if amounts:
            found[f"{field}s"] = amounts
    return {"resources": found} if found else {}
