"""linkerd-webhooks-and-apisvc-tls: the certificates by which the API server knows Linkerd's webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shared.mesh.linkerd import chains, trust
from shared.mesh.linkerd.checks.check import Category, Check, Evidence, Fault, Severity, Skip, Verdict, not_found
from shared.mesh.linkerd.checks.pairs import Pair, read_pair
from shared.mesh.snapshot import Webhooks


class _Webhook(NamedTuple):
    """A webhook: its name, whether it mutates, the old name of its Secret, and whether it may be absent."""

    name: str
    mutating: bool = False
    old_secret: str = ""
    optional: bool = False

    @property
    def configuration(self) -> str:
        return f"linkerd-{self.name}-webhook-config"

    @property
    def secret(self) -> str:
        return f"linkerd-{self.name}-k8s-tls"


_INJECTOR = _Webhook("proxy-injector", mutating=True, old_secret="linkerd-proxy-injector-tls")  # noqa: S106
_PROFILES = _Webhook("sp-validator", old_secret="linkerd-sp-validator-tls")  # noqa: S106
_POLICIES = _Webhook("policy-validator", optional=True)
_NOT_INSTALLED = Skip("policy-validator not installed")


def _configured(evidence: Evidence, webhook: _Webhook) -> Webhooks | None:
    snapshot = evidence.snapshot
    found = snapshot.mutating_webhooks if webhook.mutating else snapshot.validating_webhooks
    return next((one for one in found if one.name == webhook.configuration), None)


def _anchors(configured: Webhooks) -> tuple[trust.Certificate, ...] | Fault:
    if len(configured.ca_bundles) != 1:
        return Fault(f"expected 1 webhooks, found {len(configured.ca_bundles)}")
    try:
        return trust.read_certificates(configured.ca_bundles[0])
    except trust.PemError as error:
        return Fault(str(error))


def _pair(evidence: Evidence, webhook: _Webhook) -> Pair | Fault | Skip:
    for name, certificate, key in (
        (webhook.secret, "tls.crt", "tls.key"),
        (webhook.old_secret, "crt.pem", "key.pem"),
    ):
        secret = evidence.snapshot.credentials.get(name)
        if secret is None:
            continue
        if certificate not in secret.certificates:
            return Fault(f"key {certificate} needs to exist in secret {name}")
        if key not in secret.keys:
            return Fault(f"key {key} needs to exist in secret {name}")
        return read_pair(secret, certificate, key)
    return _NOT_INSTALLED if webhook.optional else not_found("secrets", webhook.old_secret)


def _valid(evidence: Evidence, webhook: _Webhook) -> Verdict:
    configured = _configured(evidence, webhook)
    if configured is None:
        kind = "mutating" if webhook.mutating else "validating"
        resource = f"{kind}webhookconfigurations.admissionregistration.k8s.io"
        return _NOT_INSTALLED if webhook.optional else not_found(resource, webhook.configuration)
    anchors = _anchors(configured)
    if isinstance(anchors, Fault):
        return anchors
    pair = _pair(evidence, webhook)
    if not isinstance(pair, Pair):
        return pair
    return trusted(evidence, pair, anchors, f"linkerd-{webhook.name}.{evidence.snapshot.namespace}.svc")


def trusted(evidence: Evidence, pair: Pair, anchors: Sequence[trust.Certificate], name: str) -> Verdict:
    """Whether a pair is valid now and for `name`, by the anchors that its callers know (CheckCertAndAnchors)."""
    lines = [trust.listed(one, fault) for one in anchors if (fault := trust.validity_fault(one, evidence.now))]
    if lines:
        return Fault("anchors not within their validity period:\n\t" + "\n\t".join(lines))
    if fault := trust.validity_fault(pair.certificate, evidence.now):
        return Fault(f"certificate is {fault}")
    fault = chains.verify_fault(pair.certificate, pair.chain, anchors, name, evidence.now)
    return Fault(f"cert is not issued by the trust anchor: {fault}") if fault else None


def _lasting(evidence: Evidence, webhook: _Webhook) -> Verdict:
    pair = _pair(evidence, webhook)
    return expiring(evidence, pair) if isinstance(pair, Pair) else pair


def expiring(evidence: Evidence, pair: Pair) -> Verdict:
    """Whether a pair is valid for less than 60 days (CheckCertAndAnchorsExpiringSoon)."""
    lines = [trust.listed(one, fault) for one in pair.chain if (fault := trust.expiry_fault(one, evidence.now))]
    if lines:
        return Fault("Anchors expiring soon:\n\t" + "\n\t".join(lines))
    fault = trust.expiry_fault(pair.certificate, evidence.now)
    return Fault(f"certificate {fault}") if fault else None


def _rows(webhook: _Webhook) -> tuple[Check, Check]:
    anchor = f"l5d-{webhook.name}-webhook-cert"
    return (
        Check(
            f"{webhook.name}-validity",
            f"{webhook.name} webhook has valid cert",
            f"{anchor}-valid",
            lambda evidence: _valid(evidence, webhook),
            Severity.FATAL,
        ),
        Check(
            f"{webhook.name}-expiry",
            f"{webhook.name} cert is valid for at least 60 days",
            f"{anchor}-not-expiring-soon",
            lambda evidence: _lasting(evidence, webhook),
            Severity.WARNING,
        ),
    )


CATEGORY = Category("linkerd-webhooks-and-apisvc-tls", (*_rows(_INJECTOR), *_rows(_PROFILES), *_rows(_POLICIES)))
