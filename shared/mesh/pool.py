"""The fleet's trust in a pool of Certificate Authority Service."""

from __future__ import annotations

import datetime as dt

from shared import private_ca
from shared.errors import Permanent
from shared.mesh.fleet import not_next, stranger
from shared.mesh.fleet_trust import FleetTrust, Issued
from shared.mesh.linkerd import certificates


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
                raise stranger()
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
