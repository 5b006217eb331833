"""The Kubernetes Secrets that hold Linkerd's certificates, made and read back; pure.

    linkerd-identity-issuer       kubernetes.io/tls: tls.crt, tls.key, ca.crt
    linkerd-WEBHOOK-k8s-tls       kubernetes.io/tls: tls.crt, tls.key, and our own ca.crt (the webhook's caBundle)

With identity.issuer.scheme kubernetes.io/tls Linkerd reads exactly those three keys of the issuer's
(pkg/issuercerts/issuercerts.go, FetchExternalIssuerData); of a webhook's it reads tls.crt and tls.key; ca.crt lets
a rerun render the same caBundle. They bear no linkerd.io/control-plane-ns label: by it
`linkerd prune` finds leftovers.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from shared.mesh.linkerd.certificates import (
    Issuer,
    ServingCertificate,
    UnreadableCertificate,
    Webhook,
    certificate_of,
    certificates_of,
    check_pair,
    current_serving_certificate,
)
from shared.mesh.ownership import MANAGED_BY, is_ours

ISSUER_SECRET = "linkerd-identity-issuer"  # noqa: S105 - an object's name
_CERTIFICATE, _KEY, _AUTHORITY = "tls.crt", "tls.key", "ca.crt"


_Credential = TypeVar("_Credential", Issuer, ServingCertificate)


@dataclasses.dataclass(frozen=True, slots=True)
class Wished:
    """The certificates that a cluster should have.

    Attributes:
        issuer: the cluster's issuer.
        webhooks: what each webhook serves.
        to_write: the Secrets that aren't so yet, as JSON; empty on a healthy cluster, and never shown.
    """

    issuer: Issuer
    webhooks: Mapping[Webhook, ServingCertificate]
    to_write: tuple[dict[str, Any], ...] = dataclasses.field(repr=False)


def kept_issuer(kept: Mapping[str, Mapping[str, Any]], published: str) -> Issuer | None:
    """The cluster's issuer; None where there is none, or one that can't be read.

    One that Linkerd's own tools made is read, too: Linkerd's scheme keeps it as crt.pem and key.pem, and its trust
    anchors elsewhere (pkg/issuercerts/issuercerts.go, FetchIssuerData).

    Args:
        kept: Secrets by name.
        published: PEM bundle that the cluster's proxies get.
    """
    secret = kept.get(ISSUER_SECRET)
    data = (secret or {}).get("data") or {}
    if secret is not None and "crt.pem" in data:
        authority = base64.b64encode(published.encode()).decode()
        entries = {_CERTIFICATE: data["crt.pem"], _KEY: data.get("key.pem"), _AUTHORITY: authority}
        secret = {**secret, "data": entries}
    return _readable(secret, issuer_from_secret)


def issued(secret: Mapping[str, Any] | None, issuer: Issuer | None) -> dt.datetime | None:
    """When an issuer was written into its Secret, at the latest; None without an issuer.

    The API server notes when each writer last changed what it holds (metadata.managedFields). The certificate's own
    beginning says less: a certificate authority may date it back.
    """
    if issuer is None:
        return None
    begins = certificate_of(issuer.certificate_pem, "the issuer").not_valid_before_utc
    fields = ((secret or {}).get("metadata") or {}).get("managedFields") or ()
    return max([begins, *(dt.datetime.fromisoformat(one["time"]) for one in fields if one.get("time"))])


def wished(kept: Mapping[str, Mapping[str, Any]], issuer: Issuer, namespace: str, now: dt.datetime) -> Wished:
    """Decide what the Secrets should hold: what they do hold, as long as that will do.

    A Secret that can't be read, because it is mangled or half there, is replaced like a missing one.

    Args:
        kept: the Secrets of the control plane's namespace, by name; others are not looked at.
        issuer: what the cluster's issuer should be.
        namespace: the control plane's namespace.
        now: the time, with its zone.
    """
    to_write = []
    if issuer != _readable(kept.get(ISSUER_SECRET), issuer_from_secret):
        to_write.append(issuer_secret(issuer, namespace))
    webhooks = {}
    for webhook in Webhook:
        served = _readable(kept.get(webhook_secret_name(webhook)), serving_from_secret)
        webhooks[webhook] = current_serving_certificate(served, webhook.service, namespace, now)
        if webhooks[webhook] != served or not _is_kept(kept.get(webhook_secret_name(webhook))):
            to_write.append(webhook_secret(webhook, webhooks[webhook], namespace))
    return Wished(issuer, webhooks, tuple(to_write))


def wished_serving(
    kept: Mapping[str, Mapping[str, Any]], services: Iterable[str], namespace: str, now: dt.datetime
) -> tuple[dict[str, ServingCertificate], tuple[dict[str, Any], ...]]:
    """What the API servers and webhooks of an extension should serve, by Service, and the Secrets to write for that.

    Args:
        kept: the Secrets of the extension's namespace, by name; others are not looked at.
        services: names of the Services; each has its certificate in the Secret `SERVICE-k8s-tls`.
        namespace: the extension's namespace.
        now: the time, with its zone.
    """
    serving, to_write = {}, []
    for service in services:
        name = f"{service}-k8s-tls"
        had = _readable(kept.get(name), serving_from_secret)
        one = serving[service] = current_serving_certificate(had, service, namespace, now)
        if one != had or not _is_kept(kept.get(name)):
            to_write.append(_secret(name, namespace, one.certificate_pem, one.private_key_pem, one.ca_bundle))
    return serving, tuple(to_write)


def webhook_secret_name(webhook: Webhook) -> str:
    """The Secret that a webhook's pod mounts (charts/linkerd-control-plane/templates, volumes `tls`, `sp-tls`, …)."""
    return f"{webhook.service}-k8s-tls"


def issuer_secret(issuer: Issuer, namespace: str) -> dict[str, Any]:
    """The issuer as a Secret in the control plane's namespace."""
    return _secret(ISSUER_SECRET, namespace, issuer.certificate_pem, issuer.private_key_pem, issuer.trust_anchors)


def webhook_secret(webhook: Webhook, serving: ServingCertificate, namespace: str) -> dict[str, Any]:
    """A webhook's certificate as a Secret in the control plane's namespace."""
    name = webhook_secret_name(webhook)
    return _secret(name, namespace, serving.certificate_pem, serving.private_key_pem, serving.ca_bundle)


def issuer_from_secret(secret: Mapping[str, Any]) -> Issuer:
    """Read the issuer back.

    Raises:
        UnreadableCertificate: a key is missing or no PEM, or the private key isn't the certificate's.
    """
    return Issuer(*_parts(secret))


def serving_from_secret(secret: Mapping[str, Any]) -> ServingCertificate:
    """Read a webhook's certificate back; raises as `issuer_from_secret` does.

    One that the chart made comes without ca.crt: it is its own root (templates/proxy-injector-rbac.yaml).
    """
    data = secret.get("data") or {}
    if _CERTIFICATE in data and _AUTHORITY not in data:
        secret = {**secret, "data": {**data, _AUTHORITY: data[_CERTIFICATE]}}
    return ServingCertificate(*_parts(secret))


def _is_kept(secret: Mapping[str, Any] | None) -> bool:
    """Whether a Secret is as this system writes it; the chart's own would go with the release that rendered it."""
    found = secret or {}
    return is_ours((found.get("metadata") or {}).get("labels")) and _AUTHORITY in (found.get("data") or {})


def _readable(secret: Mapping[str, Any] | None, read: Callable[[Mapping[str, Any]], _Credential]) -> _Credential | None:
    if secret is None:
        return None
    try:
        return read(secret)
    except UnreadableCertificate:
        return None


def _secret(name: str, namespace: str, certificate: str, key: str, authority: str) -> dict[str, Any]:
    data = {_CERTIFICATE: certificate, _KEY: key, _AUTHORITY: authority}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(MANAGED_BY)},
        "type": "kubernetes.io/tls",
        "data": {entry: base64.b64encode(text.encode()).decode() for entry, text in data.items()},
    }


def _parts(secret: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = secret.get("metadata") or {}
    name = f"the Secret {metadata.get('namespace', '')}/{metadata.get('name', '')}"
    data = secret.get("data") or {}
    certificate, key, authority = (_text(data, entry, name) for entry in (_CERTIFICATE, _KEY, _AUTHORITY))
    check_pair(certificate, key, name)
    certificates_of(authority, f"{_AUTHORITY} of {name}")
    return certificate, key, authority


def _text(data: Mapping[str, Any], entry: str, name: str) -> str:
    try:
        return base64.b64decode(data[entry], validate=True).decode()
    except KeyError:
        raise UnreadableCertificate(f"{name} has no {entry}") from None
    except (binascii.Error, TypeError, ValueError):
        raise UnreadableCertificate(f"{entry} of {name} is not text in base64") from None
