"""What a repair is called: by the kind of the object that it writes; the same for every mesh, and pure."""

from __future__ import annotations

from collections.abc import Iterable

from shared.mesh.drift import ObjectName
from shared.mesh.plan import Reapply, Step, WriteNamespace, WriteSecret
from shared.model import Repair

KINDS = {
    "Namespace": Repair.NAMESPACE_LABELS,
    "MutatingWebhookConfiguration": Repair.WEBHOOK_CONFIGURATION,
    "ValidatingWebhookConfiguration": Repair.WEBHOOK_CONFIGURATION,
    "ClusterRole": Repair.RBAC,
    "ClusterRoleBinding": Repair.RBAC,
    "Role": Repair.RBAC,
    "RoleBinding": Repair.RBAC,
    "CustomResourceDefinition": Repair.CRD,
    "ServiceAccount": Repair.SERVICE_ACCOUNT,
    "ConfigMap": Repair.CONFIG,
    "CronJob": Repair.WORKLOAD,
    "DaemonSet": Repair.WORKLOAD,
    "Deployment": Repair.WORKLOAD,
    "PodDisruptionBudget": Repair.WORKLOAD,
    "StatefulSet": Repair.WORKLOAD,
    "Service": Repair.SERVICE,
}
"""The name of an object's repair by its kind; every other kind is `otherObject`, Secrets apart."""


def of_object(name: ObjectName) -> Repair:
    """What it is called to write an object."""
    if name.kind == "Secret":
        return Repair.ISSUER_RENEWAL if "issuer" in name.name else Repair.SERVING_CERTIFICATE_RENEWAL
    return KINDS.get(name.kind, Repair.OTHER_OBJECT)


def of_step(step: Step) -> Repair:
    """What a plan's step repairs."""
    match step:
        case WriteNamespace():
            return Repair.NAMESPACE_LABELS
        case WriteSecret(body):
            return of_object(ObjectName.of(body))
        case Reapply(drift=drift):
            return of_object(drift.object)
        case _:
            return Repair.RELEASE_REAPPLIED


def of_steps(steps: Iterable[Step]) -> tuple[Repair, ...]:
    """What a plan repairs, each once, in its order."""
    return tuple(dict.fromkeys(map(of_step, steps)))


def taken_back(repairs: Iterable[Repair]) -> tuple[tuple[str, str, str], ...]:
    """The objects that named repairs may take back whole, shaped as `Desired.ours`."""
    named = frozenset(repairs)
    return tuple((kind, "", "") for kind, repair in KINDS.items() if repair in named)
