"""linkerd-existence: the control plane is there, runs, and knows the cluster's networks."""

from __future__ import annotations

from collections.abc import Sequence

from shared.mesh.fold import names
from shared.mesh.linkerd import networks
from shared.mesh.linkerd.checks.check import (
    Category,
    Check,
    Evidence,
    Fault,
    Severity,
    Skip,
    Verdict,
    and_others,
    missing,
    not_found,
)
from shared.mesh.linkerd.checks.labelled import components
from shared.mesh.linkerd.words import quoted
from shared.mesh.snapshot import AddressFold, MeshConfig, Pod

_WORKLOADS = ("destination", "identity", "proxy-injector")
_SHORTEST_NAME = 4
"""Parts of the shortest name of a control-plane pod: linkerd, its component, the ReplicaSet's hash, its own."""


def readable_config(evidence: Evidence) -> MeshConfig | Fault:
    """linkerd-config, or why it can't be used."""
    config = evidence.snapshot.config
    if config is None:
        return not_found("configmaps", "linkerd-config")
    return config if config.values is not None else Fault(config.fault)


def _config(evidence: Evidence) -> Verdict:
    found = readable_config(evidence)
    return found if isinstance(found, Fault) else None


def _heartbeat(evidence: Evidence) -> Verdict:
    config = evidence.snapshot.config
    if config is not None and (config.values or {}).get("disableHeartBeat"):
        return None
    return missing("ServiceAccounts", ["linkerd-heartbeat"], components(evidence.snapshot.service_accounts))


def _replica_sets(evidence: Evidence) -> Verdict:
    failures = [
        f"{condition.reason}: {condition.message}"
        for replica_set in evidence.snapshot.replica_sets
        for condition in replica_set.conditions
        if condition.type == "ReplicaFailure" and condition.status == "True"
    ]
    return Fault("\n   ".join(failures)) if failures else None


def _schedulable(evidence: Evidence) -> Verdict:
    for pod in evidence.snapshot.mesh_pods:
        for condition in pod.conditions:
            if condition.reason == "Unschedulable":
                return Fault(f"{pod.name}: {condition.message}")
    return None


def _pods_ready(evidence: Evidence) -> Verdict:
    by_workload: dict[str, list[Pod]] = {}
    for pod in evidence.snapshot.mesh_pods:
        parts = pod.name.split("-")
        ours = names.COMPONENT in pod.labels and pod.name.startswith("linkerd-") and pod.phase == "Running"
        if ours and len(parts) >= _SHORTEST_NAME:
            by_workload.setdefault("-".join(parts[1:-2]), []).append(pod)
    for workload in _WORKLOADS:
        pods = by_workload.get(workload)
        if not pods:
            return Fault(f'No running pods for "linkerd-{workload}"')
        if fault := _none_ready(pods):
            return fault
    return None


def _none_ready(pods: Sequence[Pod]) -> Fault | None:
    """The last container that isn't ready, unless one pod has all of its containers ready."""
    fault = None
    for pod in pods:
        unready = [container.name for container in pod.containers if not container.ready]
        if not unready:
            return None
        fault = Fault(f"pod/{pod.name} container {unready[-1]} is not ready")
    return fault


def _parsed(evidence: Evidence) -> networks.Networks | Fault:
    config = readable_config(evidence)
    if isinstance(config, Fault):
        return config
    try:
        return networks.parse(config.networks or "")
    except networks.NetworksError as error:
        return Fault(str(error))


def _node_ranges(evidence: Evidence) -> Verdict:
    parsed = _parsed(evidence)
    if isinstance(parsed, Fault):
        return parsed
    ranges = [node.pod_cidr for node in evidence.snapshot.nodes if node.pod_cidr]
    if not ranges:
        return Skip("skipping check because the nodes aren't exposing podCIDR")
    try:
        bad = sorted(cidr for cidr in ranges if not parsed.covers_cidr(cidr))
    except networks.NetworksError as error:
        return Fault(str(error))
    if not bad:
        return None
    escaped = "\\,".join(bad)
    return Fault(
        f"node has podCIDR(s) [{' '.join(bad)}] which are not contained in the Linkerd clusterNetworks.\n"
        f'\tTry installing linkerd via --set clusterNetworks="{escaped}"'
    )


def _addresses(evidence: Evidence, fold: AddressFold, kind: str) -> Verdict:
    parsed = _parsed(evidence)
    if isinstance(parsed, Fault):
        return parsed
    if not fold.uncovered:
        return None
    shown = [f"{one.namespace}/{one.name} ({one.ip})" for one in fold.first]
    first = f"the Linkerd clusterNetworks [{quoted(parsed.text)}] do not include {kind} {shown[0]}"
    return and_others(first, shown[1:], fold.uncovered)


def _pods_covered(evidence: Evidence) -> Verdict:
    return _addresses(evidence, evidence.snapshot.pods, "pod")


def _services_covered(evidence: Evidence) -> Verdict:
    return _addresses(evidence, evidence.snapshot.services, "svc")


CATEGORY = Category(
    "linkerd-existence",
    (
        Check(
            "config-map", "'linkerd-config' config map exists", "l5d-existence-linkerd-config", _config, Severity.FATAL
        ),
        Check("heartbeat", "heartbeat ServiceAccount exist", "l5d-existence-sa", _heartbeat, Severity.FATAL),
        Check(
            "replica-sets",
            "control plane replica sets are ready",
            "l5d-existence-replicasets",
            _replica_sets,
            Severity.FATAL,
        ),
        Check(
            "schedulable-pods",
            "no unschedulable pods",
            "l5d-existence-unschedulable-pods",
            _schedulable,
            Severity.WARNING,
        ),
        Check("ready-pods", "control plane pods are ready", "l5d-api-control-ready", _pods_ready, Severity.FATAL),
        Check(
            "networks-nodes",
            "cluster networks contains all node podCIDRs",
            "l5d-cluster-networks-cidr",
            _node_ranges,
        ),
        Check("networks-pods", "cluster networks contains all pods", "l5d-cluster-networks-pods", _pods_covered),
        Check(
            "networks-services",
            "cluster networks contains all services",
            "l5d-cluster-networks-pods",
            _services_covered,
        ),
    ),
)
