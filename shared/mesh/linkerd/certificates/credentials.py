"""The kinds of credentials, each a certificate with its key; all fields are PEM, and no repr shows a key."""

from __future__ import annotations

import dataclasses
import enum


class Webhook(enum.Enum):
    """Linkerd's webhooks: (Service, key of the chart's values)."""

    PROXY_INJECTOR = ("linkerd-proxy-injector", "proxyInjector")
    SP_VALIDATOR = ("linkerd-sp-validator", "profileValidator")
    POLICY_VALIDATOR = ("linkerd-policy-validator", "policyValidator")

    @property
    def service(self) -> str:
        """Name of the Service that the API server calls."""
        return self.value[0]

    @property
    def values_key(self) -> str:
        """Where charts/linkerd-control-plane/values.yaml configures it."""
        return self.value[1]


@dataclasses.dataclass(frozen=True, slots=True)
class TrustAnchor:
    """A self-signed CA that signs issuers."""

    certificate_pem: str
    private_key_pem: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class AnchorPayload:
    """What Secret Manager keeps for the fleet: what all clusters trust, and the anchor that signs new issuers.

    Attributes:
        trust_anchors: PEM bundle; two anchors while one takes over from the other.
        signing: the anchor that signs; part of the bundle.
        standby: other anchors of the bundle that can sign: the successor before it takes over, the predecessor after.
    """

    trust_anchors: str
    signing: TrustAnchor
    standby: tuple[TrustAnchor, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class IssuerRequest:
    """A new issuer's key, made in memory, and the PEM request to sign it, which holds the public half alone."""

    request_pem: str
    private_key_pem: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Issuer:
    """A cluster's intermediate CA; `trust_anchors` is the PEM bundle that is published with it."""

    certificate_pem: str
    private_key_pem: str = dataclasses.field(repr=False)
    trust_anchors: str


@dataclasses.dataclass(frozen=True, slots=True)
class ServingCertificate:
    """What a webhook serves; `ca_bundle` is what callers trust: the certificate and, for a time, its predecessor."""

    certificate_pem: str
    private_key_pem: str = dataclasses.field(repr=False)
    ca_bundle: str
