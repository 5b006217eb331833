"""What is to be renewed by a snapshot, and a timeline in which the automation dies at the worst moment."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mesh.fleet_trust import FleetTrust
from shared.mesh.linkerd import checks
from shared.mesh.linkerd.certificates import (
    AnchorPayload,
    Issuer,
    ServingCertificate,
    Webhook,
    new_anchor_payload,
    new_issuer,
    new_serving_certificate,
    new_trust_anchor,
)
from shared.mesh.linkerd.proxy_trust import ProxyTrust
from shared.mesh.linkerd.renewals import due
from shared.mesh.linkerd.rotation import ClusterTrust, decide
from shared.mesh.linkerd.secrets import Wished, issuer_secret, kept_issuer, webhook_secret, wished
from shared.mesh.observe import from_objects
from shared.mesh.snapshot import MeshSnapshot
from shared.model import CheckOutcome

NOW = dt.datetime(2026, 8, 21, 12, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
CATEGORIES = ("linkerd-identity", "linkerd-webhooks-and-apisvc-tls")
Secrets = dict[str, dict[str, Any]]


def snapshot(kept: Secrets, fleet: AnchorPayload) -> MeshSnapshot:
    """A cluster with these Secrets, and what Helm would render from them."""
    values = {"identityTrustAnchorsPEM": fleet.trust_anchors, "identity": {"issuer": {"scheme": "kubernetes.io/tls"}}}
    objects: list[dict[str, Any]] = [
        config_map("linkerd-config", {"values": yaml.safe_dump(values)}),
        config_map("linkerd-identity-trust-roots", {"ca-bundle.crt": fleet.trust_anchors.strip()}),
        *kept.values(),
    ]
    for webhook in Webhook:
        name = webhook.service.removeprefix("linkerd-")
        bundle = kept[f"linkerd-{name}-k8s-tls"]["data"]["ca.crt"]
        kind = "MutatingWebhookConfiguration" if name == "proxy-injector" else "ValidatingWebhookConfiguration"
        objects.append(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": kind,
                "metadata": {"name": f"linkerd-{name}-webhook-config"},
                "webhooks": [{"name": "w", "clientConfig": {"caBundle": bundle}}],
            }
        )
    return from_objects(objects)


def config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "linkerd", "uid": "u", "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def named(*secrets: dict[str, Any]) -> Secrets:
    return {str(secret["metadata"]["name"]): secret for secret in secrets}


def secrets_of(issuer: Issuer, serving: dict[Webhook, ServingCertificate]) -> Secrets:
    webhooks = [webhook_secret(webhook, serving[webhook], "linkerd") for webhook in Webhook]
    return named(issuer_secret(issuer, "linkerd"), *webhooks)


def serving_at(moment: dt.datetime) -> dict[Webhook, ServingCertificate]:
    return {webhook: new_serving_certificate(webhook.service, "linkerd", moment) for webhook in Webhook}


FLEET = new_anchor_payload(NOW)
SERVING = serving_at(NOW)
ISSUER = new_issuer(FLEET, NOW)


def words(kept: Secrets, now: dt.datetime, fleet: AnchorPayload = FLEET) -> list[str]:
    return [str(one) for one in due(snapshot(kept, fleet), now)]


def test_nothing_is_due_of_new_certificates() -> None:
    assert words(secrets_of(ISSUER, SERVING), NOW) == []
    assert due(MeshSnapshot(), NOW) == ()


def test_an_issuer_is_due_120_days_before_its_end() -> None:
    kept = secrets_of(ISSUER, SERVING)
    assert words(kept, NOW + 245 * DAY) == []
    (found,) = due(snapshot(kept, FLEET), NOW + 245.01 * DAY)
    assert found.automatic
    assert str(found) == (
        "the issuer in the Secret linkerd-identity-issuer ends at 2027-08-21T12:00:00Z and is to be renewed"
    )


def test_an_issuer_that_lasts_as_long_as_its_anchor_is_not_due_and_the_anchor_is_reported() -> None:
    anchor = new_trust_anchor(NOW, lifetime=100 * DAY)
    fleet = AnchorPayload(anchor.certificate_pem, anchor)
    (found,) = due(snapshot(secrets_of(new_issuer(fleet, NOW), SERVING), fleet), NOW)
    assert not found.automatic
    assert str(found).startswith("the trust anchor root.linkerd.cluster.local (")
    assert str(found).endswith(") ends at 2026-11-29T12:00:00Z; replace it with: byomesh rotate-anchor begin")


def test_an_anchor_is_reported_two_years_before_its_end_and_not_once_another_is_trusted() -> None:
    kept = secrets_of(new_issuer(FLEET, NOW + 2_921 * DAY), SERVING)
    assert words(kept, NOW + 2_920 * DAY) == []
    (found,) = due(snapshot(kept, FLEET), NOW + 2_921 * DAY)
    assert found.ends == NOW + 3_650 * DAY
    successor = new_trust_anchor(NOW + 2_921 * DAY)
    both = AnchorPayload(FLEET.trust_anchors + successor.certificate_pem, FLEET.signing)
    assert words(kept, NOW + 2_921 * DAY, both) == []


def test_a_webhooks_certificate_and_its_predecessor_are_due() -> None:
    kept = secrets_of(new_issuer(FLEET, NOW + 3_000 * DAY), SERVING)
    late = NOW + 3_286 * DAY
    assert [name for one in due(snapshot(kept, FLEET), late) for name in [one.name] if one.automatic] == [
        "linkerd-identity-issuer",
        "linkerd-proxy-injector-k8s-tls",
        "linkerd-sp-validator-k8s-tls",
        "linkerd-policy-validator-k8s-tls",
    ]
    injector = Webhook.PROXY_INJECTOR
    replaced = new_serving_certificate(injector.service, "linkerd", late, replacing=SERVING[injector])
    kept = secrets_of(new_issuer(FLEET, late), {**serving_at(late), injector: replaced})
    assert [one for one in due(snapshot(kept, FLEET), late) if one.automatic] == []
    (found,) = [one for one in due(snapshot(kept, FLEET), late + 185 * DAY) if one.automatic]
    assert (found.name, found.ends) == ("linkerd-proxy-injector-k8s-tls", NOW + 3_650 * DAY)


def test_what_cannot_be_read_is_for_the_checks_to_say() -> None:
    kept = secrets_of(ISSUER, SERVING)
    for secret in kept.values():
        secret["data"]["tls.crt"] = base64.b64encode(b"nothing").decode()
    assert words(kept, NOW + 300 * DAY) == []


def warned(kept: Secrets, fleet: AnchorPayload, now: dt.datetime) -> list[str]:
    report = checks.run(snapshot(kept, fleet), now, expected_version=None, categories=list(CATEGORIES))
    return [result.error for _, result in report if result.outcome is not PASS]


def installed(kept: Secrets, fleet: AnchorPayload, now: dt.datetime) -> Wished:
    """What an installation would write."""
    trust = FleetTrust(trust_anchors=fleet.trust_anchors, signers=(fleet.signing.certificate_pem,))
    had = kept_issuer(kept, fleet.trust_anchors)
    assert had is not None
    here = ClusterTrust(issuer=had, issued=now, published=fleet.trust_anchors)
    decision = decide(here, trust, ProxyTrust(), now)
    return wished(kept, new_issuer(fleet, now) if decision.signer else had, "linkerd", now)


PASS = CheckOutcome.PASS
GAPS = st.lists(st.one_of(st.floats(0.04, 1), st.floats(1, 30), st.just(30.0)), min_size=4, max_size=14)


@settings(max_examples=25, deadline=None)
@given(issuer_age=st.floats(0, 245), serving_age=st.floats(0, 3_285), gaps=GAPS)
def test_an_automation_dead_for_30_days_lets_nothing_expire_and_no_warning_appear(
    issuer_age: float, serving_age: float, gaps: list[float]
) -> None:
    """Runs at any distance up to 30 days; just before each, the CLI's own checks are all green."""
    start = NOW + 3_300 * DAY
    fleet = new_anchor_payload(start - 300 * DAY)
    kept = secrets_of(new_issuer(fleet, start - issuer_age * DAY), serving_at(start - serving_age * DAY))
    now = start
    for gap in gaps:
        now += gap * DAY
        assert warned(kept, fleet, now) == []
        looked = [one.name for one in due(snapshot(kept, fleet), now)]
        written = named(*installed(kept, fleet, now).to_write)
        # What the look finds due is what the installation replaces: neither misses what the other sees.
        assert sorted(looked) == sorted(written)
        kept = {**kept, **written}


def test_the_warning_would_show_a_little_later() -> None:
    """The timeline's margin is real: twice 30 days without the automation, and the CLI warns."""
    kept = secrets_of(ISSUER, SERVING)
    assert warned(kept, FLEET, NOW + 304 * DAY) == []
    (warning,) = warned(kept, FLEET, NOW + 306 * DAY)
    assert warning.startswith("issuer certificate will expire on")
