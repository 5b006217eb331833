"""linkerd-cni-plugin: the CNI plugin, where the installation uses it; it can't run on Autopilot."""

from __future__ import annotations

from collections.abc import Callable

from shared.mesh.linkerd.checks.check import Category, Check, Evidence, Fault, Severity, Skip, Verdict, not_found
from shared.mesh.snapshot import Cni


def _where_used(judge: Callable[[Cni], Verdict]) -> Callable[[Evidence], Verdict]:
    def judged(evidence: Evidence) -> Verdict:
        cni = evidence.snapshot.cni
        return Skip("skipping check because CNI is not enabled") if cni is None else judge(cni)

    return judged


def _absent(kind: str) -> Fault:
    return Fault(f"missing {kind}: linkerd-cni")


def _config_map(cni: Cni) -> Verdict:
    return None if cni.config else not_found("configmaps", "linkerd-cni-config")


def _cluster_role(cni: Cni) -> Verdict:
    return None if cni.cluster_role else _absent("ClusterRole")


def _cluster_role_binding(cni: Cni) -> Verdict:
    return None if cni.cluster_role_binding else _absent("ClusterRoleBinding")


def _service_account(cni: Cni) -> Verdict:
    return None if cni.service_account else _absent("ServiceAccount")


def _daemon_set(cni: Cni) -> Verdict:
    return _absent("DaemonSet") if cni.scheduled is None else None


def _everywhere(cni: Cni) -> Verdict:
    if cni.scheduled == cni.ready:
        return None
    return Fault(f"number ready: {cni.ready}, number scheduled: {cni.scheduled}")


def _row(id_: str, what: str, judge: Callable[[Cni], Verdict], anchor: str = "") -> Check:
    return Check(f"cni-{id_}", f"cni plugin {what}", f"cni-plugin-{anchor or id_}", _where_used(judge), Severity.FATAL)


CATEGORY = Category(
    "linkerd-cni-plugin",
    (
        _row("cm-exists", "ConfigMap exists", _config_map),
        _row("cr-exists", "ClusterRole exists", _cluster_role),
        _row("crb-exists", "ClusterRoleBinding exists", _cluster_role_binding),
        _row("sa-exists", "ServiceAccount exists", _service_account),
        _row("ds-exists", "DaemonSet exists", _daemon_set),
        _row("ready", "pod is running on all nodes", _everywhere),
    ),
)
