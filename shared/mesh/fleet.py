"""Where the fleet's trust lives: a secret of Secret Manager that holds the anchor itself, or a pool of Google's CAs.

Each is a `shared.mesh.hooks.TrustStore`. Make one for each request: it signs at most one issuer for a cluster, however
often a plan is made anew.
"""

from __future__ import annotations

import datetime as dt
from typing import Protocol, cast

from shared import private_ca, secret_manager
from shared.config import Settings
from shared.errors import Permanent
from shared.mesh.fleet_trust import FleetTrust, Issued
from shared.mesh.hooks import TrustStore
from shared.mesh.linkerd import certificates


class SecretStore:
    """The fleet's trust in Secret Manager; issuers are signed in this process.

    Args:
        secret: full resource name, `projects/P/secrets/S`.
        secrets: the door; this process's own where None.
    """

    def __init__(self, secret: str, secrets: secret_manager.Secrets | None = None) -> None:
        self._secret = secret
        self._secrets = secrets
        self._version: secret_manager.SecretVersion | None = None
        self._payload: certificates.AnchorPayload | None = None
        self._issued: dict[tuple[str, str], Issued] = {}

    def trust(self, now: dt.datetime) -> FleetTrust:
        """What the fleet trusts; the first to ask makes its first anchor.

        Raises:
            Permanent: the secret doesn't exist, or what it holds can't be used.
            Temporary: Secret Manager can't answer.
        """
        door = self._door()
        found = door.read(self._secret)
        if found is None:
            offered = certificates.encode_anchor(certificates.new_anchor_payload(now))
            found = door.create_first(self._secret, offered)
        self._version = found
        self._payload = certificates.decode_anchor(found.payload)
        anchors = (self._payload.signing, *self._payload.standby)
        return FleetTrust(
            trust_anchors=self._payload.trust_anchors, signers=tuple(one.certificate_pem for one in anchors)
        )

    def next_step(self, now: dt.datetime) -> certificates.RotationStep:
        """The next step of a rotation; raises as `trust` does."""
        self.trust(now)
        return certificates.next_step(self._known())

    def take(self, step: certificates.RotationStep, now: dt.datetime) -> None:
        """Take the next step of a rotation; cut off anywhere, it is done or not done, and may be taken again.

        Raises:
            Permanent: another step is next.
            Temporary: Secret Manager can't answer, or somebody else rotates at this moment.
        """
        if self.next_step(now) is not step:
            raise not_next(step, certificates.next_step(self._known()))
        version = cast("secret_manager.SecretVersion", self._version)
        payload = certificates.encode_anchor(certificates.stepped(self._known(), step, now))
        self._door().replace(self._secret, version, payload)
        self._payload = self._version = None

    def issue(self, cluster: str, signer: str, now: dt.datetime) -> Issued:
        """Sign a cluster's issuer; raises Permanent where the anchor has expired, and as `trust` does."""
        if (cluster, signer) not in self._issued:
            if self._payload is None:
                self.trust(now)
            self._issued[cluster, signer] = _issue(self._known(), signer, now)
        return self._issued[cluster, signer]

    def _known(self) -> certificates.AnchorPayload:
        return cast("certificates.AnchorPayload", self._payload)

    def _door(self) -> secret_manager.Secrets:
        return self._secrets or secret_manager.secrets()


def not_next(step: certificates.RotationStep, following: certificates.RotationStep) -> Permanent:
    """The error of a step out of turn."""
    return Permanent(
        "NotTheNextStep",
        f"{step} isn't the next step of the rotation, {following} is",
        remedy="see byomesh rotate-anchor status",
    )


def _issue(payload: certificates.AnchorPayload, signer: str, now: dt.datetime) -> Issued:
    anchors = (payload.signing, *payload.standby)
    anchor = next((one for one in anchors if one.certificate_pem == signer), None)
    if anchor is None:
        raise _stranger()
    request = certificates.new_issuer_request()
    return Issued(certificates.sign_issuer(anchor, request.request_pem, now), request.private_key_pem)


class PoolStore:
    """The fleet's trust in a pool of Certificate Authority Service: every CA of it is trusted, the newest signs.

    Args:
        pool: full resource name, `projects/P/locations/L/caPools/C`.
        door: the door; this process's own where None.
    """

    def __init__(self, pool: str, door: private_ca.PrivateCa | None = None) -> None:
        self._pool = pool
        self._given = door
        self._issued: dict[tuple[str, str], Issued] = {}

    def trust(self, now: dt.datetime) -> FleetTrust:
        """What the pool vouches for at the moment, CAs that have ended left out, the oldest first.

        Raises:
            Permanent: there is no such pool, or none of its CAs can sign.
            Temporary: the API can't answer.
        """
        signers = tuple(one.certificate_pem for one in self._signers())
        ages = {one.certificate_pem: age for age, one in enumerate(self._authorities())}
        lasting = [one for one in self._door().trusted(self._pool) if certificates.expiry(one) > now]
        oldest_first = sorted(lasting, key=lambda one: (ages.get(one, len(ages)), one))
        return FleetTrust(trust_anchors="".join(oldest_first), signers=signers)

    def issue(self, cluster: str, signer: str, now: dt.datetime) -> Issued:  # noqa: ARG002 - the service has its clock
        """Let a CA of the pool sign a cluster's issuer, whose key is made here; raises as `PrivateCa.issue` does."""
        if (cluster, signer) not in self._issued:
            authority = next((one for one in self._signers() if one.certificate_pem == signer), None)
            if authority is None:
                raise _stranger()
            request = certificates.new_issuer_request()
            key = certificates.public_key_of(request.request_pem)
            name, lifetime = certificates.ISSUER_NAME, certificates.ISSUER_LIFETIME
            signed = self._door().issue(authority.name, key, name, lifetime)
            self._issued[cluster, signer] = Issued(signed, request.private_key_pem)
        return self._issued[cluster, signer]

    def next_step(self, now: dt.datetime) -> certificates.RotationStep:  # noqa: ARG002 - as the other store
        """The next step of a rotation: a staged newest CA waits to sign, an enabled one for the others to go."""
        *older, newest = self._successive()
        if newest.state == "STAGED" and older:
            return certificates.RotationStep.MOVE
        return certificates.RotationStep.FINISH if older else certificates.RotationStep.BEGIN

    def take(self, step: certificates.RotationStep, now: dt.datetime) -> None:
        """Take the next step of a rotation; cut off anywhere, it may be taken again; raises as `PrivateCa` does."""
        following = self.next_step(now)
        if following is not step:
            raise not_next(step, following)
        door, (*older, newest) = self._door(), self._successive()
        match step:
            case certificates.RotationStep.BEGIN:
                door.stage(self._pool, newest, f"trust-anchor-{now:%Y%m%d-%H%M%S}", certificates.ANCHOR_LIFETIME)
            case certificates.RotationStep.MOVE:
                door.enable(newest.name)
            case certificates.RotationStep.FINISH:
                for one in older:
                    if one.state != "DISABLED":
                        door.disable(one.name)
                    door.delete(one.name)

    def _authorities(self) -> tuple[private_ca.Authority, ...]:
        found = self._door().authorities(self._pool)
        trusted = tuple(one for one in found if one.state in ("ENABLED", "STAGED", "DISABLED"))
        if not any(one.state in ("ENABLED", "STAGED") for one in trusted):
            raise Permanent(
                "NoCertificateAuthority",
                f"no CA of the pool can sign ({self._pool})",
                remedy="enable one: gcloud privateca roots enable",
            )
        return trusted

    def _successive(self) -> tuple[private_ca.Authority, ...]:
        """The newest CA that can sign, last, after all that are older; one that was disabled since is let be."""
        found = self._authorities()
        newest = max(number for number, one in enumerate(found) if one.state in ("ENABLED", "STAGED"))
        return found[: newest + 1]

    def _signers(self) -> list[private_ca.Authority]:
        newest_first = self._authorities()[::-1]
        enabled = [one for one in newest_first if one.state == "ENABLED"]
        return enabled + [one for one in newest_first if one.state == "STAGED"]

    def _door(self) -> private_ca.PrivateCa:
        return self._given or private_ca.private_ca()


def _stranger() -> LookupError:
    return LookupError("the fleet has no such trust anchor; this is a defect of the caller")


class RotatingStore(TrustStore, Protocol):
    """A store whose trust anchor can be replaced."""

    def next_step(self, now: dt.datetime) -> certificates.RotationStep:
        """The next step of a rotation."""

    def take(self, step: certificates.RotationStep, now: dt.datetime) -> None:
        """Take the next step; cut off anywhere, it is done or not done, and may be taken again."""


def fleet_store(settings: Settings) -> RotatingStore:
    """The store that the settings name.

    Raises:
        Permanent: they name none; that they don't name two is seen when they are read.
    """
    if settings.ca_pool:
        return PoolStore(settings.ca_pool)
    if settings.trust_anchor_secret:
        return SecretStore(settings.trust_anchor_secret)
    raise Permanent(
        "BadSettings",
        "neither BYOMESH_TRUST_ANCHOR_SECRET nor BYOMESH_CA_POOL is set, so there is no trust for a mesh",
        remedy="correct the function's environment variables: set one of the two",
    )
