"""Every row of the table: passes on a healthy cluster, and says what is wrong, or that it doesn't apply, on another."""

from __future__ import annotations

import importlib
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from shared.mesh.fold.pem import public_half
from shared.mesh.linkerd import checks
from shared.mesh.observe import from_objects
from shared.mesh.snapshot import (
    Admission,
    Admitted,
    Cni,
    Credential,
    MeshedPod,
    MeshSnapshot,
    OpaqueFold,
    ProxyFold,
    ServiceFold,
    Standouts,
    Workload,
    Workloads,
)
from shared.model import CheckOutcome, CheckResult
from tests.unit.cluster_objects import NOW, VERSION, State, certify, objects

_RUNNER = importlib.import_module("shared.mesh.linkerd.checks.run")
_CATEGORIES = [
    category
    for category in checks.TABLE
    if category.name in {*checks.POST_INSTALL, *checks.DATA_PLANE, *checks.BEYOND} and not category.name.endswith("viz")
]
_ROWS = {check.id: (category.name, check) for category in _CATEGORIES for check in category.checks}
_P384 = ec.SECP384R1()
_CNI = Cni(config=True, cluster_role=True, cluster_role_binding=True, service_account=True, scheduled=2, ready=2)
_ODD = {"namespace": "x", "name": "p", "ip": "203.0.113.1"}
_ONE = Standouts(1, (MeshedPod("x", "p", "why"),))
_WEB = Workloads((Workload("Deployment", "shop", "web", ("version", "clusterNetworks", "trust anchors")),))
_TWO = {"a": {"linkerd.io/extension": "viz"}, "b": {"linkerd.io/extension": "viz"}}


def _issuer_of_p384() -> Credential:
    anchor = certify("root", serial=1)
    issuer = certify("identity", serial=2, by=anchor, curve=_P384)
    return Credential(
        "linkerd-identity-issuer", {"crt.pem": issuer.pem}, {"key.pem": public_half(issuer.key_pem.encode())}
    )


def _without(*names: str) -> State:
    return State(without=names)


_WEBHOOKS = ("proxy-injector", "sp-validator", "policy-validator")
_OTHER = State(values={"linkerdVersion": "edge-26.6.3"}, proxy_version="edge-26.6.3")
_FAULTS: dict[str, State | dict[str, Any]] = {
    "gateway-api-crds": _without("CustomResourceDefinition/httproutes.gateway.networking.k8s.io"),
    "config-map": _without("ConfigMap/linkerd-config"),
    "heartbeat": _without("ServiceAccount/linkerd-heartbeat"),
    "replica-sets": State(replica_failure="no"),
    "schedulable-pods": State(unschedulable={"identity": "no room"}),
    "ready-pods": State(unready={"identity": ("identity",)}),
    "networks-nodes": State(pod_cidrs=("203.0.113.0/24",)),
    "networks-pods": State(pods=(_ODD,)),
    "networks-services": State(services=(_ODD,)),
    "namespace": _without("Namespace/linkerd"),
    "cluster-roles": _without("ClusterRole/linkerd-linkerd-identity"),
    "cluster-role-bindings": _without("ClusterRoleBinding/linkerd-linkerd-identity"),
    "service-accounts": _without("ServiceAccount/linkerd-identity"),
    "crds": _without("CustomResourceDefinition/servers.policy.linkerd.io"),
    "mutating-webhooks": _without("MutatingWebhookConfiguration/linkerd-proxy-injector-webhook-config"),
    "validating-webhooks": _without("ValidatingWebhookConfiguration/linkerd-sp-validator-webhook-config"),
    "init-as-root": State(runtime="docker://20.10"),
    "cni-cm-exists": {"cni": Cni()},
    "cni-cr-exists": {"cni": msgspec.structs.replace(_CNI, cluster_role=False)},
    "cni-crb-exists": {"cni": msgspec.structs.replace(_CNI, cluster_role_binding=False)},
    "cni-sa-exists": {"cni": msgspec.structs.replace(_CNI, service_account=False)},
    "cni-ds-exists": {"cni": msgspec.structs.replace(_CNI, scheduled=None)},
    "cni-ready": {"cni": msgspec.structs.replace(_CNI, ready=1)},
    "certificate-config": _without("Secret/linkerd-identity-issuer"),
    "anchor-algorithm": State(values={"identityTrustAnchorsPEM": certify("root", serial=1, curve=_P384).pem}),
    "anchor-validity": State(anchor_days=(-9, -1)),
    "anchor-expiry": State(anchor_days=(-1, 30)),
    "issuer-algorithm": {"credentials": {"linkerd-identity-issuer": _issuer_of_p384()}},
    "issuer-validity": State(issuer_days=(-9, -1)),
    "issuer-expiry": State(issuer_days=(-1, 30)),
    "issuer-trust": State(issuer_by_another=True),
    **{f"{name}-validity": State(ca_of_another=(name,)) for name in _WEBHOOKS},
    **{f"{name}-expiry": State(webhook_days=(-1, 30)) for name in _WEBHOOKS},
    "proxies-trust": {"proxies": ProxyFold(total=1, distrusting=_ONE)},
    "running": _without("ConfigMap/linkerd-config"),
    "up-to-date": _OTHER,
    "same-as-cli": _OTHER,
    "own-proxies": State(unready={"identity": ("linkerd-proxy",)}),
    "own-proxies-up-to-date": _OTHER,
    "own-proxies-same-as-cli": _OTHER,
    "data-plane-ready": {"proxies": ProxyFold()},
    "data-plane-up-to-date": _OTHER,
    "data-plane-same-as-cli": _OTHER,
    "pod-labels": {"proxies": ProxyFold(total=1, mislabelled=_ONE)},
    "service-labels": {"service_metadata": ServiceFold(_ONE, Standouts())},
    "service-annotations": {"service_metadata": ServiceFold(Standouts(), _ONE)},
    "opaque-ports": {"opaque_ports": OpaqueFold("", 1, ("why",))},
    "replicas": State(values={"highAvailability": True}),
    "extension-namespaces": State(namespaces=_TWO),
    "admission": {"admission": Admission(Admitted.PLAIN, "default")},
    "requests-own": State(),
    "requests-meshed": {"unrequested": _WEB},
    "unmeshed": {"unmeshed": _WEB},
    "outdated-version": {"outdated": _WEB},
    "outdated-networks": {"outdated": _WEB},
    "outdated-trust-anchors": {"outdated": _WEB},
}
_NEVER = {"data-plane-namespace"}
"""The CLI's own check that can't fail where all namespaces are asked about."""
_BY_EXPECTATION = {"latest", "cli"}
"""Those that are about the expected version alone."""
_SKIPS: dict[str, State | dict[str, Any]] = {
    "networks-nodes": State(pod_cidrs=("",)),
    "init-as-root": _without("ConfigMap/linkerd-config"),
    **{name: State() for name in _ROWS if name.startswith("cni-")},
    "policy-validator-validity": _without("ValidatingWebhookConfiguration/linkerd-policy-validator-webhook-config"),
    "policy-validator-expiry": _without("Secret/linkerd-policy-validator-k8s-tls"),
    "replicas": State(),
    "opaque-ports": {"opaque_ports": None},
    "admission": State(),
}
_UNKNOWN = {
    *_BY_EXPECTATION,
    "up-to-date",
    "same-as-cli",
    "own-proxies-up-to-date",
    "own-proxies-same-as-cli",
    "data-plane-up-to-date",
    "data-plane-same-as-cli",
}
_CONFIGURED = ("config-map", "certificate-config", "running", "up-to-date", "same-as-cli")
"""Those that say it where linkerd-config can't be read."""


def _snapshot(changes: State | dict[str, Any]) -> MeshSnapshot:
    if isinstance(changes, State):
        return from_objects(objects(changes))
    return msgspec.structs.replace(from_objects(objects()), **changes)


def _result(id_: str, snapshot: MeshSnapshot, expected: str | None = VERSION) -> CheckResult:
    """One row's answer, whatever the rows before it say."""
    name, check = _ROWS[id_]
    alone = checks.Category(name, (check,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_RUNNER, "TABLE", (alone,))
        report = checks.run(snapshot, NOW, expected_version=expected, categories=[name])
    return report.categories[0].checks[0]


def test_every_row_has_its_fault() -> None:
    assert _FAULTS.keys() | _NEVER | _BY_EXPECTATION == _ROWS.keys()


@pytest.mark.parametrize("id_", [one for one in _ROWS if one != "requests-own"])
def test_a_healthy_cluster(id_: str) -> None:
    healthy = {"admission": Admission(Admitted.INJECTED, "default"), "cni": _CNI, "unrequested": Workloads()}
    found = _result(id_, _snapshot(healthy))
    expected = CheckOutcome.SKIP if id_ == "replicas" else CheckOutcome.PASS
    assert (found.outcome, found.hint) == (expected, "")


@pytest.mark.parametrize("id_", _FAULTS)
def test_a_fault_is_as_bad_as_the_row_says(id_: str) -> None:
    _, check = _ROWS[id_]
    found = _result(id_, _snapshot(_FAULTS[id_]))
    warns = check.severity is checks.Severity.WARNING
    assert found.outcome is (CheckOutcome.WARN if warns else CheckOutcome.FAIL)
    assert (found.description, found.hint) == (check.description, check.hint)
    assert found.error


@pytest.mark.parametrize("id_", _SKIPS)
def test_a_row_that_does_not_apply_is_skipped(id_: str) -> None:
    found = _result(id_, _snapshot(_SKIPS[id_]))
    assert (found.outcome, found.hint) == (CheckOutcome.SKIP, "")
    assert found.error


@pytest.mark.parametrize("id_", sorted(_UNKNOWN))
def test_versions_are_not_compared_where_nobody_says_which_is_wanted(id_: str) -> None:
    assert _result(id_, _snapshot(_OTHER), None).outcome is CheckOutcome.SKIP


@pytest.mark.parametrize("id_", sorted(_UNKNOWN))
def test_an_expected_version_that_is_none_warns(id_: str) -> None:
    assert _result(id_, _snapshot(_OTHER), "odd").outcome is CheckOutcome.WARN


@pytest.mark.parametrize("id_", [*_CONFIGURED, "networks-nodes", "networks-pods", "networks-services"])
def test_values_that_cannot_be_read_are_a_fault(id_: str) -> None:
    found = _result(id_, _snapshot(State(raw_values="a: [1")))
    assert "error converting YAML to JSON: yaml: " in found.error


@pytest.mark.parametrize("id_", ["networks-nodes", "networks-pods", "networks-services"])
def test_networks_that_cannot_be_read_are_a_fault(id_: str) -> None:
    assert _result(id_, _snapshot(State(networks="10.0.0.0/8,"))).error == "invalid CIDR address: "
