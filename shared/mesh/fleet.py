"""Where the fleet's trust lives: a secret of Secret Manager that holds the anchor itself, or a pool of CAs (`pool`).

Each is a `shared.mesh.hooks.TrustStore`. Make one for each request: it signs at most one issuer for a cluster, however
often a plan is made anew.
"""

from __future__ import annotations

import datetime as dt
from typing import Protocol, cast

from shared import secret_manager
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
        raise stranger()
    request = certificates.new_issuer_request()
    return Issued(certificates.sign_issuer(anchor, request.request_pem, now), request.private_key_pem)


def stranger() -> LookupError:
    """The error of a signer that the fleet doesn't have."""
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
        from shared.mesh.pool import PoolStore  # noqa: PLC0415 - its client takes a while to load, and few need it

        return PoolStore(settings.ca_pool)
    if settings.trust_anchor_secret:
        return SecretStore(settings.trust_anchor_secret)
    raise Permanent(
        "BadSettings",
        "neither BYOMESH_TRUST_ANCHOR_SECRET nor BYOMESH_CA_POOL is set, so there is no trust for a mesh",
        remedy="correct the function's environment variables: set one of the two",
    )
