"""How somebody breaks a mesh that the automation installed, by hand: one act each, with names that every chart has."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from shared.kube import Kube
from shared.mesh.linkerd.certificates import ServingCertificate, certificate_of, new_anchor_payload, new_issuer
from shared.mesh.linkerd.certificates.issuing import new_serving_certificate
from shared.mesh.linkerd.secrets import issuer_secret

LINKERD = "/api/v1/namespaces/linkerd"
CONFIG = f"{LINKERD}/configmaps/linkerd-config"
ROOTS = f"{LINKERD}/configmaps/linkerd-identity-trust-roots"
SECRETS = f"{LINKERD}/secrets"
DEPLOYMENTS = "/apis/apps/v1/namespaces/linkerd/deployments"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
INJECTOR = f"{WEBHOOKS}/mutatingwebhookconfigurations/linkerd-proxy-injector-webhook-config"
EDITOR = "kubectl-edit"
Act = Callable[[Kube], None]
_NETWORKS = re.compile(r"^clusterNetworks:.*$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Breakage:
    """One act.

    Attributes:
        do: breaks the mesh.
        repairs: names of the repairs that mend it, by whichever function; at least these are said.
    """

    do: Act
    repairs: frozenset[str]


def _delete(*paths: str) -> Act:
    def act(kube: Kube) -> None:
        for path in paths:
            assert kube.delete(path), path

    return act


def _edit(path: str, body: dict[str, Any], *, strategic: bool = False) -> Act:
    def act(kube: Kube) -> None:
        kube.patch(path, body, kind="strategic" if strategic else "merge", field_manager=EDITOR)

    return act


def _networks(text: str) -> Act:
    def act(kube: Kube) -> None:
        found = kube.get(CONFIG)
        assert found is not None
        values = _NETWORKS.sub(f"clusterNetworks: {text}", found["data"]["values"])
        assert values != found["data"]["values"]
        kube.patch(CONFIG, {"data": {"values": values}}, field_manager=EDITOR)

    return act


def _container(name: str, **changes: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": name, **changes}]}}}}


def _ca_bundle(kube: Kube) -> None:
    found = kube.get(INJECTOR)
    assert found is not None
    foreign = new_serving_certificate("linkerd-proxy-injector", "linkerd", _now())
    hooks = found["webhooks"]
    for hook in hooks:
        hook["clientConfig"]["caBundle"] = base64.b64encode(foreign.ca_bundle.encode()).decode()
    kube.patch(INJECTOR, {"webhooks": hooks}, field_manager=EDITOR)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _strange_issuer(kube: Kube) -> None:
    """An issuer of an anchor that this fleet doesn't know."""
    secret = issuer_secret(new_issuer(new_anchor_payload(_now()), _now()), "linkerd")
    kube.patch(f"{SECRETS}/linkerd-identity-issuer", {"data": secret["data"]}, field_manager=EDITOR)


def _strange_roots(kube: Kube) -> None:
    anchors = new_anchor_payload(_now()).trust_anchors
    kube.patch(ROOTS, {"data": {"ca-bundle.crt": anchors}}, field_manager=EDITOR)


def issuer_that_ends(kube: Kube, days: float) -> None:
    """An issuer that ends in so many days, of an anchor that the cluster trusts beside the fleet's."""
    found = kube.get(ROOTS)
    assert found is not None
    other = new_anchor_payload(_now())
    issuer = new_issuer(other, _now(), lifetime=dt.timedelta(days=days))
    secret = issuer_secret(issuer, "linkerd")
    kube.patch(f"{SECRETS}/linkerd-identity-issuer", {"data": secret["data"]}, field_manager=EDITOR)
    bundle = found["data"]["ca-bundle.crt"].rstrip() + "\n" + other.trust_anchors
    kube.patch(ROOTS, {"data": {"ca-bundle.crt": bundle}}, field_manager=EDITOR)


def serving_that_ends(kube: Kube, days: float) -> None:
    """A webhook's certificate that ends in so many days (or did), with the caBundle that goes with it."""
    made: ServingCertificate = new_serving_certificate(
        "linkerd-sp-validator", "linkerd", _now() - dt.timedelta(days=3_650 - days)
    )
    assert certificate_of(made.certificate_pem, "it").not_valid_after_utc - _now() < dt.timedelta(days=days + 1)
    data = {"tls.crt": made.certificate_pem, "tls.key": made.private_key_pem, "ca.crt": made.ca_bundle}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    kube.patch(f"{SECRETS}/linkerd-sp-validator-k8s-tls", {"data": encoded}, field_manager=EDITOR)
    path = f"{WEBHOOKS}/validatingwebhookconfigurations/linkerd-sp-validator-webhook-config"
    found = kube.get(path)
    assert found is not None
    for hook in found["webhooks"]:
        hook["clientConfig"]["caBundle"] = base64.b64encode(made.ca_bundle.encode()).decode()
    kube.patch(path, {"webhooks": found["webhooks"]}, field_manager=EDITOR)


def _expired_serving(kube: Kube) -> None:
    serving_that_ends(kube, -1)


def _forget_release(kube: Kube) -> None:
    for one in list(kube.list_items(SECRETS, label_selector="owner=helm,name=linkerd-control-plane")):
        assert kube.delete(f"{SECRETS}/{one['metadata']['name']}")


BREAKAGES: dict[str, Breakage] = {
    name: Breakage(act, frozenset(repairs.split()))
    for name, act, repairs in (
        ("injector's webhook deleted", _delete(INJECTOR), "webhookConfiguration"),
        (
            "policy validator's webhook deleted",
            _delete(f"{WEBHOOKS}/validatingwebhookconfigurations/linkerd-policy-validator-webhook-config"),
            "webhookConfiguration",
        ),
        (
            "profile validator's webhook deleted",
            _delete(f"{WEBHOOKS}/validatingwebhookconfigurations/linkerd-sp-validator-webhook-config"),
            "webhookConfiguration",
        ),
        ("caBundle changed", _ca_bundle, "webhookConfiguration"),
        ("ClusterRole deleted", _delete(f"{RBAC}/clusterroles/linkerd-policy"), "rbac"),
        (
            "ClusterRoleBinding deleted",
            _delete(f"{RBAC}/clusterrolebindings/linkerd-linkerd-identity"),
            "rbac",
        ),
        ("rules emptied", _edit(f"{RBAC}/clusterroles/linkerd-policy", {"rules": []}), "rbac"),
        ("ServiceAccount deleted", _delete(f"{LINKERD}/serviceaccounts/linkerd-destination"), "serviceAccount"),
        ("CRD deleted", _delete(f"{CRDS}/servers.policy.linkerd.io"), "crd"),
        ("linkerd-config deleted", _delete(CONFIG), "config"),
        ("linkerd-config unreadable", _edit(CONFIG, {"data": {"values": "a: [\n"}}), "config"),
        ("trust roots deleted", _delete(ROOTS), "config"),
        ("trust roots of others", _strange_roots, "config"),
        ("Deployment deleted", _delete(f"{DEPLOYMENTS}/linkerd-identity"), "workload"),
        ("scaled to zero", _edit(f"{DEPLOYMENTS}/linkerd-destination", {"spec": {"replicas": 0}}), "workload"),
        (
            "all Deployments deleted",
            _delete(*(f"{DEPLOYMENTS}/linkerd-{one}" for one in ("identity", "destination", "proxy-injector"))),
            "workload",
        ),
        ("Service deleted", _delete(f"{LINKERD}/services/linkerd-proxy-injector"), "service"),
        ("heartbeat deleted", _delete("/apis/batch/v1/namespaces/linkerd/cronjobs/linkerd-heartbeat"), "workload"),
        ("issuer deleted", _delete(f"{SECRETS}/linkerd-identity-issuer"), "issuerRenewal"),
        ("issuer of others", _strange_issuer, "issuerRenewal"),
        (
            "issuer mangled",
            _edit(f"{SECRETS}/linkerd-identity-issuer", {"data": {"tls.crt": "bm8gUEVN"}}),
            "issuerRenewal",
        ),
        (
            "injector's certificate deleted",
            _delete(f"{SECRETS}/linkerd-proxy-injector-k8s-tls"),
            "servingCertificateRenewal",
        ),
        (
            "policy validator's certificate deleted",
            _delete(f"{SECRETS}/linkerd-policy-validator-k8s-tls"),
            "servingCertificateRenewal",
        ),
        ("webhook's certificate expired", _expired_serving, "servingCertificateRenewal"),
        ("networks reset", _networks("10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16"), "clusterNetworks"),
        ("networks with a space", _networks('"10.0.0.0/8, 34.118.224.0/20"'), "clusterNetworks"),
        ("networks empty", _networks('""'), "clusterNetworks"),
        ("networks garbage", _networks("none"), "clusterNetworks"),
        (
            "argument removed",
            _edit(
                f"{DEPLOYMENTS}/linkerd-destination",
                _container("policy", args=["--cluster-networks=10.0.0.0/8"]),
                strategic=True,
            ),
            "clusterNetworks",
        ),
        (
            "label of the namespace removed",
            _edit(LINKERD, {"metadata": {"labels": {"config.linkerd.io/admission-webhooks": None}}}),
            "namespaceLabels",
        ),
        ("release forgotten", _forget_release, "releaseReapplied"),
    )
}
"""The acts by their names; the repairs that each must lead to are parted by spaces."""

HARMLESS: dict[str, Act] = {
    "image changed": _edit(
        f"{DEPLOYMENTS}/linkerd-identity", _container("identity", image="example.test/other:1"), strategic=True
    ),
    "scaled to two": _edit(f"{DEPLOYMENTS}/linkerd-identity", {"spec": {"replicas": 2}}),
    "annotation of another manager": _edit(CONFIG, {"metadata": {"annotations": {"example.test/seen": "yes"}}}),
}
"""What somebody changes without breaking a check: it is left alone, and what is held against a release is told."""
