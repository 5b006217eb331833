"""What helps against each check of the table: a repair by name, or what somebody has to do; pure.

A check may have both: then the advice is for a mesh that the repair didn't help.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from shared.cluster import gcloud_update
from shared.mesh.linkerd.checks import TABLE
from shared.model import CheckOutcome, CheckReport, CheckResult, ClusterRef, Remedy, Repair

_ANCHOR = (
    "a trust anchor can't be renewed in place: give the fleet a new one by the three steps of byomesh rotate-anchor "
    "(begin, move, finish), and restart the meshed workloads between the first two; docs/certificates.md"
)
_FOREIGN_ANCHOR = (
    "byomesh has no key of this mesh's trust anchor: replace anchor and issuer together where they are kept, as "
    "https://linkerd.io/2/tasks/replacing_expired_certificates/ says, then restart every meshed workload"
)
_FOREIGN_ISSUER = (
    "byomesh has no key of the CA that signs this mesh's issuer: have that CA (cert-manager, or whoever made the "
    "Secret linkerd-identity-issuer) issue a new one that the trust anchors cover"
)
_FOREIGN_SERVING = (
    "byomesh didn't make this certificate: delete the webhook's Secret and run the upgrade of whoever installed the "
    "mesh (`linkerd upgrade | kubectl apply -f -`, or `helm upgrade`), or renew it where it is kept"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Which mesh is advised on.

    Attributes:
        ours: whether this system installed it.
        computed: whether the policy has clusterNetworks computed.
        autopilot: whether GKE manages the cluster's nodes; None where nobody knows.
        cluster: its name in GKE; None where only a kubeconfig is known.
    """

    ours: bool
    computed: bool = True
    autopilot: bool | None = None
    cluster: ClusterRef | None = None


Words = str | Callable[[About, str], str]


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    """A row: repairs that a mesh of ours gets, and advice, which may depend on the mesh and the check's own words."""

    repairs: tuple[Repair, ...] = ()
    advice: Words = ""


def _or_ours(ours: str, foreign: str) -> Words:
    return lambda about, _: ours if about.ours else foreign


def _pods(about: About, error: str) -> str:
    if "NET_ADMIN" in error:
        command = gcloud_update(about.cluster, "--workload-policies=allow-net-admin")
        return f"let the cluster admit NET_ADMIN: {command} (on Autopilot), or correct what denies it"
    if "denied the request" in error:
        return "admission control rejects the mesh's pods; change what the webhook named there enforces"
    return "see `kubectl -n linkerd describe pods` for what keeps them from running"


def _networks(about: About, _: str) -> str:
    if not about.computed:
        return "the policy leaves clusterNetworks as the chart has it: set clusterNetworks to computed, or to a value"
    return "add the ranges that the check names to clusterNetworks"


def _gateway(about: About, _: str) -> str:
    command = gcloud_update(about.cluster, "--gateway-api=standard")
    return f"turn GKE's Gateway API on: {command}; elsewhere install the Gateway API's own CRDs"


def _cni(about: About, _: str) -> str:
    if about.autopilot:
        return "linkerd-cni can't run on Autopilot, which admits no writable hostPath: set cniEnabled to false"
    return "byomesh doesn't install linkerd-cni: install its chart again, or set cniEnabled to false"


_RELEASE = (Repair.RELEASE_REAPPLIED,)
_VERSION = _Entry(_RELEASE, "publish an InstallRequest with the version that should run")
_RESTART = _Entry((Repair.RESTART_WORKLOADS,), "restart these workloads, by rollout where they have one")
_CERTIFICATE = (Repair.SERVING_CERTIFICATE_RENEWAL, Repair.WEBHOOK_CONFIGURATION)
_SERVING = _Entry(_CERTIFICATE, _or_ours("see who changes the webhook's Secret or its caBundle", _FOREIGN_SERVING))
_ISSUER = _Entry(
    (Repair.ISSUER_RENEWAL, Repair.CONFIG),
    _or_ours("see who changes the Secret linkerd-identity-issuer, or the trust roots", _FOREIGN_ISSUER),
)
_TRUST = _Entry((Repair.CONFIG,), _or_ours(_ANCHOR, _FOREIGN_ANCHOR))
_NETWORKS = _Entry((Repair.CLUSTER_NETWORKS,), _networks)
_LABELS = "move the label or annotation to where the check says"
_RBAC = _Entry((Repair.RBAC,), "see who removes what the mesh may do")
_HOOK = _Entry((Repair.WEBHOOK_CONFIGURATION,), "see who removes it")

ENTRIES: dict[str, _Entry] = {
    "gateway-api-crds": _Entry(advice=_gateway),
    "config-map": _Entry((Repair.CONFIG, *_RELEASE), "see who removes it"),
    "heartbeat": _Entry((Repair.SERVICE_ACCOUNT,), "see who removes it"),
    "replica-sets": _Entry((Repair.WORKLOAD,), _pods),
    "schedulable-pods": _Entry(
        advice="give the cluster nodes that have room, or correct the affinity or taint that the check's words name"
    ),
    "ready-pods": _Entry((Repair.WORKLOAD,), _pods),
    "networks-nodes": _NETWORKS,
    "networks-pods": _NETWORKS,
    "networks-services": _NETWORKS,
    "namespace": _Entry((Repair.NAMESPACE_LABELS,), "see who removes it"),
    "cluster-roles": _RBAC,
    "cluster-role-bindings": _RBAC,
    "service-accounts": _Entry((Repair.SERVICE_ACCOUNT,), "see who removes it"),
    "crds": _Entry((Repair.CRD,), "see who removes it"),
    "mutating-webhooks": _HOOK,
    "validating-webhooks": _HOOK,
    "init-as-root": _Entry(advice="the nodes run Docker: set proxyInit.runAsRoot to true"),
    "certificate-config": _ISSUER,
    "anchor-algorithm": _TRUST,
    "anchor-validity": _TRUST,
    "anchor-expiry": _Entry(advice=_or_ours("begin to rotate the fleet's trust anchor now", _FOREIGN_ANCHOR)),
    "issuer-algorithm": _ISSUER,
    "issuer-validity": _ISSUER,
    "issuer-expiry": _ISSUER,
    "issuer-trust": _ISSUER,
    "proxies-trust": _RESTART,
    "latest": _Entry(advice="say which version is expected"),
    "running": _Entry((Repair.WORKLOAD,), _pods),
    "cli": _Entry(advice="check with the version that the cluster has"),
    "up-to-date": _VERSION,
    "same-as-cli": _VERSION,
    "own-proxies": _Entry((Repair.WORKLOAD,), _pods),
    "own-proxies-up-to-date": _VERSION,
    "own-proxies-same-as-cli": _VERSION,
    "replicas": _Entry(advice="set replicas to what high availability asks for, or wait for the pods"),
    "data-plane-namespace": _Entry(advice="name a namespace that exists"),
    "data-plane-ready": _Entry(advice="see `kubectl describe` of the pods that the check names"),
    "data-plane-up-to-date": _RESTART,
    "data-plane-same-as-cli": _RESTART,
    "pod-labels": _Entry(advice=_LABELS),
    "service-labels": _Entry(advice=_LABELS),
    "service-annotations": _Entry(advice=_LABELS),
    "opaque-ports": _Entry(advice="say the same of opaque ports on the Service and on the pods behind it"),
    "admission": _Entry(
        (Repair.WEBHOOK_CONFIGURATION,), "let the control plane reach the injector's port, as the check says"
    ),
    "requests-own": _Entry(_RELEASE, "give every container of the control plane resource requests in the values"),
    "requests-meshed": _Entry(advice="give these containers resource requests"),
    "unmeshed": _RESTART,
    "outdated-version": _RESTART,
    "outdated-networks": _RESTART,
    "outdated-trust-anchors": _RESTART,
    "extension-namespaces": _Entry(advice="label one namespace for each extension, and only one"),
}
"""What helps, by the check's id; `PREFIXES` has the checks that come by the family."""

PREFIXES: dict[str, _Entry] = {
    "cni-": _Entry(advice=_cni),
    "proxy-injector-": _SERVING,
    "sp-validator-": _SERVING,
    "policy-validator-": _SERVING,
}

_IDS = {(category.name, check.description): check.id for category in TABLE for check in category.checks}


def entry_of(check_id: str) -> _Entry | None:
    """The row of a check; None where it has none."""
    found = ENTRIES.get(check_id)
    return found or next((entry for prefix, entry in PREFIXES.items() if check_id.startswith(prefix)), None)


def remedies(report: CheckReport, about: About) -> tuple[Remedy, ...]:
    """What helps against each check that fails or warns, in the report's order."""
    wrong = (CheckOutcome.FAIL, CheckOutcome.WARN)
    return tuple(_remedy(category, result, about) for category, result in report if result.outcome in wrong)


def _remedy(category: str, result: CheckResult, about: About) -> Remedy:
    found = entry_of(_IDS.get((category, result.description), ""))
    if found is None:
        # A check that this table doesn't know yet: applying the release again does no harm.
        return Remedy(result.description, _RELEASE, f"see {result.hint}" if result.hint else "")
    advice = found.advice if isinstance(found.advice, str) else found.advice(about, result.error)
    repairs = found.repairs
    if Repair.CLUSTER_NETWORKS in repairs and not about.computed:
        repairs = ()
    if Repair.WORKLOAD in repairs and "NET_ADMIN" in result.error:
        # The release is as it should be; the cluster is not.
        repairs = ()
    return Remedy(result.description, repairs, advice)
