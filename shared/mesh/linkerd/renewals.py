"""Which certificates of a cluster near their end: decided from a snapshot, so that looking costs no signing; pure."""

from __future__ import annotations

import datetime as dt
import enum

import msgspec

from shared.mesh.linkerd import trust
from shared.mesh.linkerd.certificates import Webhook
from shared.mesh.linkerd.lifetimes import (
    ANCHOR_THRESHOLD,
    ISSUER_THRESHOLD,
    PREDECESSOR_THRESHOLD,
    SERVING_THRESHOLD,
)
from shared.mesh.linkerd.secrets import ISSUER_SECRET, webhook_secret_name
from shared.mesh.snapshot import MeshSnapshot

ROTATE = "byomesh rotate-anchor"


class Credential(enum.StrEnum):
    """What nears its end."""

    ANCHOR = "trust anchor"
    ISSUER = "issuer"
    SERVING = "webhook certificate"


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that is to be replaced.

    Attributes:
        credential: its kind.
        name: the Secret that holds it; a trust anchor's common name and serial number.
        ends: when it ends, in UTC; of several in one place, the first.
        automatic: whether an installation replaces it; an anchor only an operator does.
    """

    credential: Credential
    name: str
    ends: dt.datetime
    automatic: bool = True

    def __str__(self) -> str:
        ends = trust.rfc3339(self.ends)
        if self.automatic:
            return f"the {self.credential} in the Secret {self.name} ends at {ends} and is to be renewed"
        return f"the {self.credential} {self.name} ends at {ends}; replace it with: {ROTATE} begin"


def due(snapshot: MeshSnapshot, now: dt.datetime) -> tuple[Renewal, ...]:
    """What is to be replaced by now: the issuer, webhooks' certificates, and trust anchors; empty where all last.

    Certificates that can't be read are the checks' to report, and an issuer that lasts as long as its anchor isn't due:
    a new one would end no later.

    Args:
        snapshot: the cluster.
        now: the time, with its zone.
    """
    anchors = _anchors(snapshot)
    found = [
        *_anchors_due(anchors, now),
        *_issuer_due(snapshot, anchors, now),
        *(one for webhook in Webhook for one in _serving_due(snapshot, webhook_secret_name(webhook), now)),
    ]
    return tuple(found)


def _anchors(snapshot: MeshSnapshot) -> tuple[trust.Certificate, ...]:
    values = (snapshot.config.values if snapshot.config is not None else None) or {}
    texts = [snapshot.trust_roots or "", str(values.get("identityTrustAnchorsPEM") or "")]
    return next((found for text in texts if (found := trust.readable(text))), ())


def _anchors_due(anchors: tuple[trust.Certificate, ...], now: dt.datetime) -> list[Renewal]:
    # While one anchor takes over from another, the one that lasts longest is what the operator has seen to already.
    lasting = [one for one in anchors if one.not_valid_after_utc - now >= ANCHOR_THRESHOLD]
    if lasting or not anchors:
        return []
    last = max(anchors, key=lambda one: one.not_valid_after_utc)
    name = f"{trust.common_name(last) or 'without a name'} ({last.serial_number:x})"
    return [Renewal(credential=Credential.ANCHOR, name=name, ends=last.not_valid_after_utc, automatic=False)]


def _issuer_due(snapshot: MeshSnapshot, anchors: tuple[trust.Certificate, ...], now: dt.datetime) -> list[Renewal]:
    held = snapshot.credentials.get(ISSUER_SECRET)
    text = "" if held is None else held.certificates.get("tls.crt") or held.certificates.get("crt.pem") or ""
    issuer = next(iter(trust.readable(text)), None)
    if issuer is None or issuer.not_valid_after_utc - now >= ISSUER_THRESHOLD:
        return []
    signer = next((one for one in anchors if trust.signed_by(issuer, one)), None)
    if signer is not None and issuer.not_valid_after_utc >= signer.not_valid_after_utc:
        return []
    return [Renewal(credential=Credential.ISSUER, name=ISSUER_SECRET, ends=issuer.not_valid_after_utc)]


def _serving_due(snapshot: MeshSnapshot, name: str, now: dt.datetime) -> list[Renewal]:
    held = snapshot.credentials.get(name)
    if held is None:
        return []
    own = next(iter(trust.readable(held.certificates.get("tls.crt", ""))), None)
    if own is None:
        return []
    ends = [own.not_valid_after_utc] if own.not_valid_after_utc - now < SERVING_THRESHOLD else []
    ends += [
        one.not_valid_after_utc
        for one in trust.readable(held.certificates.get("ca.crt", ""))
        if one != own and one.not_valid_after_utc - now < PREDECESSOR_THRESHOLD
    ]
    return [Renewal(credential=Credential.SERVING, name=name, ends=min(ends))] if ends else []
