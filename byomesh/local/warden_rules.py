"""What Autopilot's Warden forbids a pod: a table of constraints, and the pure function that applies it.

Constraint names and texts are those that users quote from their clusters; the rules are described in
https://cloud.google.com/kubernetes-engine/docs/concepts/autopilot-security#built-in-security.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

PodSpec = Mapping[str, Any]
"""A PodSpec of core/v1 as JSON."""

DEFAULT_CAPABILITIES = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "SYS_PTRACE",
)
"""The Linux capabilities that a container may add on every Autopilot cluster."""

NET_ADMIN = "NET_ADMIN"

HOST_PATH_PREFIX = "/var/log/"
"""The one place of a node that a pod may read; none may be written."""

HOST_NAMESPACES = ("hostPID", "hostIPC", "hostNetwork")

SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
"""Kubernetes' own safe set (https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/)."""


def containers(spec: PodSpec) -> Iterator[Mapping[str, Any]]:
    """Every container of a pod, in Warden's order: containers, then init and ephemeral ones."""
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        yield from spec.get(kind) or ()


POD_LIMITS = "autogke-pod-limit-constraints"
APART_MILLICORES = 500
"""What a pod that keeps away from others must request; Autopilot gives as much to a container that requests nothing."""


def violations(spec: PodSpec, *, allow_net_admin: bool, workload: str = "") -> dict[str, list[str]]:
    """What Warden has against a pod: its sentences by constraint; empty where it lets the pod through.

    Args:
        spec: the PodSpec.
        allow_net_admin: whether the cluster allows NET_ADMIN.
        workload: name of the pod, or of what makes it.
    """
    found = {constraint: list(rule(spec, allow_net_admin)) for constraint, rule in CONSTRAINTS.items()}
    found[POD_LIMITS] = list(_apart(spec, workload))
    return {constraint: sentences for constraint, sentences in found.items() if sentences}


def _capabilities(spec: PodSpec, allow_net_admin: bool) -> Iterator[str]:
    allowed = sorted({*DEFAULT_CAPABILITIES, *([NET_ADMIN] if allow_net_admin else [])})
    for container in containers(spec):
        added = _security(container).get("capabilities", {}).get("add") or ()
        refused = [capability for capability in added if capability not in allowed]
        if refused:
            yield (
                f"linux capability '{','.join(refused)}' on container '{container.get('name', '')}' not allowed; "
                f"Autopilot only allows the capabilities: '{','.join(allowed)}'."
            )


def _privileged(spec: PodSpec, _allow_net_admin: bool) -> Iterator[str]:
    for container in containers(spec):
        if _security(container).get("privileged"):
            yield f"container {container.get('name', '')} is privileged; not allowed in Autopilot"


def _host_namespaces(spec: PodSpec, _allow_net_admin: bool) -> Iterator[str]:
    return (f"enabling {name} is not allowed in Autopilot." for name in HOST_NAMESPACES if spec.get(name))


def _host_ports(spec: PodSpec, _allow_net_admin: bool) -> Iterator[str]:
    for container in containers(spec):
        ports = [str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")]
        if ports:
            yield (
                f"container {container.get('name', '')} specifies host ports [{' '.join(ports)}], "
                "which are disallowed in Autopilot."
            )


def _host_paths(spec: PodSpec, _allow_net_admin: bool) -> Iterator[str]:
    paths = {v["name"]: v["hostPath"].get("path", "") for v in spec.get("volumes") or () if v.get("hostPath")}
    for container in containers(spec):
        for mount in container.get("volumeMounts") or ():
            name = mount.get("name", "")
            if name not in paths:
                continue
            where = container.get("name", "")
            if not mount.get("readOnly"):
                yield f"hostPath volume {name} in container {where} is accessed in write mode; disallowed in Autopilot."
            elif not f"{paths[name]}/".startswith(HOST_PATH_PREFIX):
                yield (
                    f"hostPath volume {name} used in container {where} uses path {paths[name]} which is not allowed in "
                    f"Autopilot. Allowed path prefixes for hostPath volumes are: [{HOST_PATH_PREFIX}]."
                )


def _sysctls(spec: PodSpec, _allow_net_admin: bool) -> Iterator[str]:
    for sysctl in _security(spec).get("sysctls") or ():
        if sysctl.get("name", "") not in SAFE_SYSCTLS:
            yield f"sysctl {sysctl.get('name', '')} is unsafe; not allowed in Autopilot."


def _apart(spec: PodSpec, workload: str) -> Iterator[str]:
    """The floor for pods with a required anti-affinity, in the words that users quote; a preferred one has none.

    Whether native sidecars are counted nobody says, so they aren't here.
    """
    affinity = (spec.get("affinity") or {}).get("podAntiAffinity") or {}
    if not affinity.get("requiredDuringSchedulingIgnoredDuringExecution"):
        return
    requested = sum(_millicores(container) for container in spec.get("containers") or ())
    if requested < APART_MILLICORES:
        yield (
            f"workload '{workload}' cpu requests '{requested}m' is lower than the Autopilot minimum required of "
            f"'{APART_MILLICORES}m' for using pod anti affinity."
        )


def _millicores(container: Mapping[str, Any]) -> int:
    amount = str((container.get("resources") or {}).get("requests", {}).get("cpu", f"{APART_MILLICORES}m"))
    return int(float(amount[:-1])) if amount.endswith("m") else round(float(amount) * 1000)


def _security(owner: Mapping[str, Any]) -> Mapping[str, Any]:
    context: Mapping[str, Any] = owner.get("securityContext") or {}
    return context


CONSTRAINTS: Mapping[str, Callable[[PodSpec, bool], Iterator[str]]] = {
    "autogke-default-linux-capabilities": _capabilities,
    "autogke-disallow-hostnamespaces": _host_namespaces,
    "autogke-disallow-privilege": _privileged,
    # This one's name and sentence are ours: nobody has quoted Warden's.
    "autogke-disallow-unsafe-sysctls": _sysctls,
    "autogke-no-host-port": _host_ports,
    "autogke-no-write-mode-hostpath": _host_paths,
}
"""Every constraint by its name, in the order in which Warden's JSON has them."""
