"""Which certificates of a cluster near their end: decided from a snapshot, so that looking costs no signing; pure."""

from __future__ import annotations

import datetime as dt
import enum

import msgspec
from cryptography.exceptions import InvalidSignature

from shared.mesh.linkerd import trust
from shared.mesh.linkerd.lifetimes import (
    ANCHOR_THRESHOLD,
    ISSUER_THRESHOLD,
    PREDECESSOR_THRESHOLD,
    SERVING_THRESHOLD,
)
from shared.mesh.snapshot import MeshSnapshot

ISSUER_SECRET = "linkerd-identity-issuer"  # noqa: S105 - an object's name
_WEBHOOKS = ("proxy-injector", "sp-validator", "policy-validator")
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
        *(one for name in _WEBHOOKS for one in _serving_due(snapshot, name, now)),
    ]
    return tuple(found)


def _anchors(snapshot: MeshSnapshot) -> tuple[trust.Certificate, ...]:
    values = (snapshot.config.values if snapshot.config is not None else None) or {}
    texts = [snapshot.trust_roots or "", str(values.get("identityTrustAnchorsPEM") or "")]
    return next((found for text in texts if (found := _read(text))), ())


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
    issuer = next(iter(_read(text)), None)
    if issuer is None or issuer.not_valid_after_utc - now >= ISSUER_THRESHOLD:
        return []
    signer = next((one for one in anchors if _signed(issuer, one)), None)
    if signer is not None and issuer.not_valid_after_utc >= signer.not_valid_after_utc:
        return []
    return [Renewal(credential=Credential.ISSUER, name=ISSUER_SECRET, ends=issuer.not_valid_after_utc)]


def _serving_due(snapshot: MeshSnapshot, webhook: str, now: dt.datetime) -> list[Renewal]:
    name = f"linkerd-{webhook}-k8s-tls"
    held = snapshot.credentials.get(name)
    if held is None:
        return []
    own = next(iter(_read(held.certificates.get("tls.crt", ""))), None)
    if own is None:
        return []
    ends = [own.not_valid_after_utc] if own.not_valid_after_utc - now < SERVING_THRESHOLD else []
    ends += [
        one.not_valid_after_utc
        for one in _read(held.certificates.get("ca.crt", ""))
        if one != own and one.not_valid_after_utc - now < PREDECESSOR_THRESHOLD
    ]
    return [Renewal(credential=Credential.SERVING, name=name, ends=min(ends))] if ends else []


def _signed(issuer: trust.Certificate, anchor: trust.Certificate) -> bool:
    try:
        issuer.verify_directly_issued_by(anchor)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _read(text: str) -> tuple[trust.Certificate, ...]:
    try:
        return trust.read_certificates(text)
    except trust.PemError:
        return ()
