"""linkerd-config: the namespace, RBAC, CRDs and webhooks of an installation."""

from __future__ import annotations

from collections.abc import Callable

from shared.mesh.linkerd.checks.check import Category, Check, Evidence, Fault, Severity, Skip, Verdict, missing
from shared.mesh.linkerd.checks.labelled import components
from shared.mesh.snapshot import MeshSnapshot

_SERVICE_ACCOUNTS = ("linkerd-destination", "linkerd-identity", "linkerd-proxy-injector")

CRDS = {
    "authorizationpolicies.policy.linkerd.io": "v1alpha1",
    "egressnetworks.policy.linkerd.io": "v1alpha1",
    "httplocalratelimitpolicies.policy.linkerd.io": "v1alpha1",
    "httproutes.policy.linkerd.io": "v1beta3",
    "meshtlsauthentications.policy.linkerd.io": "v1alpha1",
    "networkauthentications.policy.linkerd.io": "v1alpha1",
    "serverauthorizations.policy.linkerd.io": "v1beta1",
    "servers.policy.linkerd.io": "v1beta3",
    "serviceprofiles.linkerd.io": "v1alpha2",
    "externalworkloads.workload.linkerd.io": "v1beta1",
}
"""Linkerd's CRDs and the last version that each lists, in the chart's order (charts/linkerd-crds/templates)."""


def _namespace(evidence: Evidence) -> Verdict:
    snapshot = evidence.snapshot
    if any(found.name == snapshot.namespace for found in snapshot.namespaces):
        return None
    return Fault(f'The "{snapshot.namespace}" namespace does not exist')


def _rbac_names(snapshot: MeshSnapshot) -> list[str]:
    return [f"linkerd-{snapshot.namespace}-{component}" for component in ("identity", "proxy-injector")]


def _cluster_roles(evidence: Evidence) -> Verdict:
    snapshot = evidence.snapshot
    return missing("ClusterRoles", _rbac_names(snapshot), components(snapshot.cluster_roles))


def _cluster_role_bindings(evidence: Evidence) -> Verdict:
    snapshot = evidence.snapshot
    return missing("ClusterRoleBindings", _rbac_names(snapshot), components(snapshot.cluster_role_bindings))


def _service_accounts(evidence: Evidence) -> Verdict:
    return missing("ServiceAccounts", _SERVICE_ACCOUNTS, components(evidence.snapshot.service_accounts))


def _crds(evidence: Evidence) -> Verdict:
    found = {crd.name: crd.versions for crd in evidence.snapshot.crds}
    faults = []
    for name, version in CRDS.items():
        if name not in found:
            faults.append(f"missing {name}")
        elif version not in found[name]:
            faults.append(f"CRD {name} is missing version {version}")
    return Fault(", ".join(faults)) if faults else None


def _mutating(evidence: Evidence) -> Verdict:
    found = components(evidence.snapshot.mutating_webhooks)
    return missing("MutatingWebhookConfigurations", ["linkerd-proxy-injector-webhook-config"], found)


def _validating(evidence: Evidence) -> Verdict:
    found = components(evidence.snapshot.validating_webhooks)
    return missing("ValidatingWebhookConfigurations", ["linkerd-sp-validator-webhook-config"], found)


def _init_as_root(evidence: Evidence) -> Verdict:
    config = evidence.snapshot.config
    if config is None:
        return Skip("skipping check because ConigMap does not exist")
    if ((config.values or {}).get("proxyInit") or {}).get("runAsRoot"):
        return None
    if not any(node.runtime.startswith("docker:") for node in evidence.snapshot.nodes):
        return None
    return Fault(
        "there are nodes using the docker container runtime and proxy-init container must run as root user.\n"
        "try installing linkerd via --set proxyInit.runAsRoot=true"
    )


def _exists(id_: str, what: str, anchor: str, judge: Callable[[Evidence], Verdict]) -> Check:
    return Check(id_, f"control plane {what} exist", f"l5d-existence-{anchor}", judge, Severity.FATAL)


CATEGORY = Category(
    "linkerd-config",
    (
        Check("namespace", "control plane Namespace exists", "l5d-existence-ns", _namespace, Severity.FATAL),
        _exists("cluster-roles", "ClusterRoles", "cr", _cluster_roles),
        _exists("cluster-role-bindings", "ClusterRoleBindings", "crb", _cluster_role_bindings),
        _exists("service-accounts", "ServiceAccounts", "sa", _service_accounts),
        _exists("crds", "CustomResourceDefinitions", "crd", _crds),
        _exists("mutating-webhooks", "MutatingWebhookConfigurations", "mwc", _mutating),
        _exists("validating-webhooks", "ValidatingWebhookConfigurations", "vwc", _validating),
        Check(
            "init-as-root",
            "proxy-init container runs as root user if docker container runtime is used",
            "l5d-proxy-init-run-as-root",
            _init_as_root,
        ),
    ),
)
