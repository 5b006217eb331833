"""One trust anchor takes over from another, in three steps of the fleet's payload; pure.

begin   a new anchor is trusted beside the old one, which signs on
move    the new one signs; the old one stays trusted, and signs where a cluster isn't ready for the new one
finish  the old one goes
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum

from shared.mesh.linkerd.certificates.credentials import AnchorPayload
from shared.mesh.linkerd.certificates.issuing import new_trust_anchor
from shared.mesh.linkerd.certificates.pem import certificate_of, certificates_of, pem_of


class RotationStep(enum.StrEnum):
    """What is next to be done about the fleet's trust; `begin` where no rotation is under way."""

    BEGIN = "begin"
    MOVE = "move"
    FINISH = "finish"


def next_step(fleet: AnchorPayload) -> RotationStep:
    """Where a fleet stands: the successor is the last anchor of the bundle."""
    if not fleet.standby:
        return RotationStep.BEGIN
    last = certificates_of(fleet.trust_anchors, "the trust anchors")[-1]
    moved = certificate_of(fleet.signing.certificate_pem, "the signing trust anchor") == last
    return RotationStep.FINISH if moved else RotationStep.MOVE


def stepped(fleet: AnchorPayload, step: RotationStep, now: dt.datetime) -> AnchorPayload:
    """The payload after a step, which must be the next one."""
    match step:
        case RotationStep.BEGIN:
            successor = new_trust_anchor(now)
            bundle = fleet.trust_anchors.strip() + "\n" + successor.certificate_pem
            return AnchorPayload(bundle, fleet.signing, (successor,))
        case RotationStep.MOVE:
            successor, *others = fleet.standby
            return dataclasses.replace(fleet, signing=successor, standby=(*others, fleet.signing))
        case RotationStep.FINISH:
            gone = [certificate_of(one.certificate_pem, "a trust anchor on standby") for one in fleet.standby]
            kept = [one for one in certificates_of(fleet.trust_anchors, "the trust anchors") if one not in gone]
            return AnchorPayload("".join(map(pem_of, kept)), fleet.signing)
