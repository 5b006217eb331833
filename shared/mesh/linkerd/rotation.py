"""A cluster's part in the rotation of the fleet's trust anchor: what it publishes, and who signs its issuer; pure.

    trusted: the anchors that are published here   signed: which of them signed the issuer
    old          old    nothing has begun
    old + new    old    first rerun: proxies that start from now on trust both
    old + new    new    second rerun, once every running proxy trusts the new one
    new          new    third rerun, once no proxy can show a certificate of the old issuer any more

Two rules make every state in between safe, wherever it is left and for however long: an anchor signs only where all
running proxies trust it already, and an anchor goes only where nobody can still need it. So the fleet may be ahead of a
cluster by any number of steps: the cluster takes each when it can and says what it waits for. A mesh that others
installed, with an anchor of its own, is taken over by the same steps.

A proxy reads its trust anchors once, when it starts, and its certificate lives a day (linkerd2
pkg/identity/service.go); Linkerd's identity controller takes a new issuer up by itself, if it trusts its anchor
(Service.Run).
"""

from __future__ import annotations

import datetime as dt

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from shared.mesh.fleet_trust import FleetTrust
from shared.mesh.linkerd.certificates import (
    Issuer,
    RotationStep,
    certificate_of,
    certificates_of,
    expiry,
    needs_renewal,
    pem_of,
)
from shared.mesh.linkerd.lifetimes import ISSUER_THRESHOLD, LEAF_LIFETIME
from shared.mesh.linkerd.proxy_trust import ProxyTrust

SPARE = dt.timedelta(hours=1)
"""How much longer than a proxy's certificate lives an anchor is kept: clocks apart, Secrets that arrive late."""
TAKEN_UP = dt.timedelta(minutes=10)
"""When a new issuer is surely in use: the kubelet's refresh of a mounted Secret and much more."""


class ClusterTrust(msgspec.Struct, frozen=True, kw_only=True):
    """What a cluster has.

    Attributes:
        issuer: its issuer; None where it has none that can be read.
        issued: when that issuer was written, at the latest; None without one.
        published: PEM bundle that new proxies get (ConfigMap linkerd-identity-trust-roots), "" where there is none.
    """

    issuer: Issuer | None = None
    issued: dt.datetime | None = None
    published: str = ""


class TrustDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What a cluster should have now.

    Attributes:
        trust_anchors: PEM bundle to publish.
        signer: PEM of the anchor that is to sign a new issuer; "" where the present one stays.
        waits_for: sentences about the steps that have to wait, with the workloads that hold them back.
    """

    trust_anchors: str
    signer: str = ""
    waits_for: tuple[str, ...] = ()


def needs_proxies(cluster: ClusterTrust, fleet: FleetTrust) -> bool:
    """Whether a decision depends on the running proxies, which are many: never outside of a rotation."""
    published, issuer = _certificates(cluster.published), cluster.issuer
    if not published:
        return False
    return issuer is None or not _signed(issuer, _first(fleet)) or bool(_without(published, _trusted(fleet)))


def decide(cluster: ClusterTrust, fleet: FleetTrust, proxies: ProxyTrust, now: dt.datetime) -> TrustDecision:
    """What the cluster should publish, and whether its issuer is to be signed anew; see the module.

    Args:
        cluster: what it has.
        fleet: what the fleet trusts, and who can sign.
        proxies: what the running proxies trust; nothing is asked of it where `needs_proxies` says no.
        now: the time, with its zone.
    """
    trusted, published = _trusted(fleet), _certificates(cluster.published)
    signer, waiting = _signer(cluster, fleet, proxies, now)
    extra = [one for one in _without(published, trusted) if one.not_valid_after_utc > now]
    held = _old_shown(cluster, trusted, proxies, now) if extra else ""
    kept = [*trusted, *(extra if held else ())]
    lasting = [one for one in kept if one.not_valid_after_utc > now] or kept
    return TrustDecision(
        trust_anchors=_bundle(lasting, fleet.trust_anchors, cluster.published),
        signer=signer,
        waits_for=tuple(filter(None, (waiting, held))),
    )


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a cluster has followed the fleet.

    Attributes:
        trusts_all: whether all its proxies, those to come included, trust every anchor of the fleet.
        moved: whether its issuer is signed by the anchor that the fleet prefers, and so are all certificates that its
            proxies may still show.
        alone: whether it publishes the fleet's anchors and no others.
        waits_for: what each of these that isn't so waits for.
    """

    trusts_all: bool
    moved: bool
    alone: bool
    waits_for: tuple[str, ...] = ()


def standing(cluster: ClusterTrust, fleet: FleetTrust, proxies: ProxyTrust, now: dt.datetime) -> Standing:
    """Where a cluster stands; one without a mesh stands in nobody's way."""
    published, trusted = _certificates(cluster.published), _trusted(fleet)
    if not published and cluster.issuer is None:
        return Standing(trusts_all=True, moved=True, alone=True)
    lacking = next((found for one in trusted if (found := _lacking(pem_of(one), published, proxies))), "")
    moving = _old_shown(cluster, (_first(fleet),), proxies, now)
    extra = len(_without(published, trusted))
    return Standing(
        trusts_all=not lacking,
        moved=not moving,
        alone=not extra,
        waits_for=tuple(
            words
            for words in (
                f"not all proxies trust all anchors until {lacking}" if lacking else "",
                moving,
                f"it publishes {extra} trust anchors more than the fleet does" if extra else "",
            )
            if words
        ),
    )


def allows(step: RotationStep, cluster: Standing) -> bool:
    """Whether a cluster lets the fleet take a step, so that clusters that talk to each other trust each other, too."""
    match step:
        case RotationStep.BEGIN:
            # Trust that is added takes none away.
            return True
        case RotationStep.MOVE:
            return cluster.trusts_all
        case RotationStep.FINISH:
            return cluster.moved and cluster.trusts_all


def _signer(cluster: ClusterTrust, fleet: FleetTrust, proxies: ProxyTrust, now: dt.datetime) -> tuple[str, str]:
    """The anchor that is to sign a new issuer, or ""; and why the one that the fleet prefers may not sign yet."""
    issuer, wanted = cluster.issuer, fleet.signers[0]
    published = _certificates(cluster.published)
    by = next((one for one in (*published, *_trusted(fleet)) if _signed(issuer, one)), None) if issuer else None
    if issuer is None or by is None or min(by.not_valid_after_utc, expiry(issuer.certificate_pem)) <= now:
        # Nobody gets a certificate at the moment: an anchor that all trust is best, and any is better than none.
        lasting = [one for one in fleet.signers if expiry(one) > now]
        ready = (one for one in lasting if not _lacking(one, published, proxies))
        return next(ready, wanted), ""
    due = needs_renewal(issuer.certificate_pem, now, ISSUER_THRESHOLD)
    if by == _first(fleet):
        longer = expiry(issuer.certificate_pem) < by.not_valid_after_utc
        return (wanted if due and longer else ""), ""
    lacking = _lacking(wanted, published, proxies)
    if not lacking:
        return wanted, ""
    own = next((one for one in fleet.signers if certificate_of(one, "a signing trust anchor") == by), "")
    longer = expiry(issuer.certificate_pem) < by.not_valid_after_utc
    return (own if due and longer else ""), f"the issuer keeps its trust anchor until {lacking}"


def _lacking(signer: str, published: tuple[x509.Certificate, ...], proxies: ProxyTrust) -> str:
    """Why an anchor may not sign here yet; "" where every proxy, those to come included, trusts it."""
    anchor = certificate_of(signer, "a signing trust anchor")
    if published and anchor not in published:
        return "the new one is published here"
    found = proxies.lacking(anchor)
    return f"what runs without trust in the new one is restarted ({found})" if found.pods else ""


def _old_shown(
    cluster: ClusterTrust, trusted: tuple[x509.Certificate, ...], proxies: ProxyTrust, now: dt.datetime
) -> str:
    """Why the anchors that the fleet has dropped must stay; "" where no certificate of theirs can be shown any more."""
    if cluster.issuer is None or cluster.issued is None:
        return "the old trust anchor stays until the cluster has an issuer again"
    by = next((one for one in trusted if _signed(cluster.issuer, one)), None)
    if by is None:
        return "the old trust anchor stays until the issuer has moved to the new one"
    if (lacking := proxies.lacking(by)).pods:
        return f"the old trust anchor stays until what runs without trust in the new one is restarted ({lacking})"
    over = cluster.issued + LEAF_LIFETIME + SPARE
    if now >= over or (proxies.oldest is not None and proxies.oldest > cluster.issued + TAKEN_UP):
        return ""
    return (
        f"the old trust anchor stays until {over:%Y-%m-%dT%H:%M:%SZ}, for until then proxies may show certificates of "
        "the old issuer"
    )


def _trusted(fleet: FleetTrust) -> tuple[x509.Certificate, ...]:
    return _certificates(fleet.trust_anchors)


def _first(fleet: FleetTrust) -> x509.Certificate:
    return certificate_of(fleet.signers[0], "the signing trust anchor")


def _certificates(pem: str) -> tuple[x509.Certificate, ...]:
    return tuple(dict.fromkeys(certificates_of(pem, "the trust anchors"))) if pem.strip() else ()


def _without(some: tuple[x509.Certificate, ...], others: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    return tuple(one for one in some if one not in others)


def _signed(issuer: Issuer, anchor: x509.Certificate) -> bool:
    try:
        certificate_of(issuer.certificate_pem, "the issuer").verify_directly_issued_by(anchor)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _bundle(wished: list[x509.Certificate], fleet: str, published: str) -> str:
    """The PEM of a set of anchors: the fleet's own text or the published one where they say the same set already.

    Proxies are held against the text (`linkerd check --proxy`), so that another order would ask for restarts.
    """
    if set(wished) == set(_certificates(fleet)):
        return fleet
    if set(wished) == set(_certificates(published)):
        return published.strip() + "\n"
    return "".join(map(pem_of, wished))
