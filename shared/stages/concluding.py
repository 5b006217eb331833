"""What to say and what to queue after the last look of a verification; pure."""

from __future__ import annotations

import msgspec

from shared.config import Settings
from shared.mesh.drift import Drift
from shared.mesh.naming import of_object
from shared.mesh.profile import Profile
from shared.model import Finding, InstallRequest, MeshStatus, Phase, Reason, Remedy, Repair, VerifyRequest
from shared.stages.findings import of_repairs

DRIFTED = "Drifted"
"""The reason of a status that only hands drift to the installer, while every check passes."""
_NAMED = 5
"""How many drifted objects a message names."""
_WHILE_READY = frozenset({Repair.ISSUER_RENEWAL, Repair.RESTART_WORKLOADS, Repair.CLUSTER_NETWORKS})
"""Repairs that are made while the mesh works as it should.

A webhook's certificate isn't one: while it is missing the checks of it are skipped, and until its caBundle follows it,
the webhook can't be reached. Nor is an issuer near its end, once the checks warn of it.
"""
_ALWAYS = frozenset(
    {Repair.CONFIG, Repair.CRD, Repair.RBAC, Repair.SERVICE_ACCOUNT, Repair.SERVICE, Repair.WEBHOOK_CONFIGURATION}
)
"""Repairs of objects that are taken back even from a mesh that passes every check."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found beside the checks' outcomes.

    Attributes:
        foreign: field managers of a mesh that others installed; it is judged, and never repaired.
        remedies: what helps against each check that fails or warns.
        due: repairs that no check asks for.
        drift: objects that aren't as their release has them, as far as reading tells.
        releases: `releaseReapplied` where a release is not deployed.
        waits_for: what of the mesh isn't ready; "" where all is.
        restart: whether the policy has outdated workloads restarted, and some are left to restart.
        notes: sentences about what nobody repairs unasked.
        auditor: the rule of the policy that only audits the cluster, so that nothing is repaired; "" where none does.
        missing: whether the mesh isn't there at all.
        networks: whether clusterNetworks left out addresses, or differed between its places, before it was mended.
        hands: who changed objects that were mended, in words.
    """

    foreign: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    due: tuple[Repair, ...] = ()
    drift: tuple[Drift, ...] = ()
    releases: tuple[Repair, ...] = ()
    waits_for: str = ""
    restart: bool = False
    notes: tuple[str, ...] = ()
    auditor: str = ""
    missing: bool = False
    networks: bool = False
    hands: tuple[str, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether something is to be repaired that pods may be waiting for in vain."""
        return bool(self.due or self.drift or self.releases)

    @property
    def mendable(self) -> bool:
        """Whether that may be repaired."""
        return self.broken and not self.auditor


def conclude(
    request: VerifyRequest, status: MeshStatus, profile: Profile, settings: Settings, found: Found
) -> tuple[MeshStatus, tuple[InstallRequest, ...]]:
    """Decide.

    Args:
        request: what was asked.
        status: what is known, the checks included.
        profile: the mesh.
        settings: how many repairs are tried.
        found: what was found beside.
    """
    wanted = wanted_repairs(status, found)
    again = request.attempt < settings.repair_attempts
    repair = InstallRequest(
        cluster=request.cluster,
        mesh=request.mesh,
        version=request.version,
        reason=Reason.REPAIR,
        request_id=request.request_id,
        attempt=request.attempt + 1,
        actor=request.actor,
        repairs=wanted,
    )
    if status.checks.failing:
        return _failing(request, status, found, (repair,) if again else ())
    again = again and not found.auditor
    due = wanted or status.repaired or request.waiting
    following = (repair,) if again and due and not found.foreign else ()
    if status.net_admin is False and profile.needs_net_admin:
        words = "the mesh works, but the cluster doesn't allow NET_ADMIN to new pods"
        return _phase(status, Phase.DEGRADED, "NetAdminOff", words), following
    warned = status.checks.warned and Repair.ISSUER_RENEWAL in wanted
    if following and (warned or not _WHILE_READY.issuperset(wanted)):
        words = f"{status.mesh} passes every check, but {_drift_words(found)}; a repair is queued"
        return _phase(status, Phase.DEGRADED, DRIFTED, words), following
    if found.auditor and found.broken and not found.foreign:
        words = f"{status.mesh} passes every check, but {_drift_words(found)}; {_only_audits(found)}"
        return _phase(status, Phase.DEGRADED, "AuditOnly", words), ()
    ready = f"{status.mesh} {status.version} works: {status.checks.passed} checks passed, {status.checks.warned} warned"
    sentences = [ready, *(f"{option}: {state}" for option, state in status.options.items())]
    if request.waiting:
        sentences.append(f"{'follows' if following else 'not installed'}: {', '.join(request.waiting)}")
    if status.outdated.pods:
        sentences.append(_outdated_words(status, following))
    sentences += found.notes
    return _phase(status, Phase.READY, "ChecksPassed", "; ".join(sentences)), following


def named(told: MeshStatus, found: Found) -> MeshStatus:
    """A status that names what differed from the policy, and whose hand it bears.

    In the cluster the status stands without that: it is to be the same once the difference is mended.
    """
    findings = _findings(told, found)
    if not findings:
        return told
    # Where checks fail or objects are handed on, the message tells of these already.
    words = [f"found: {one.words}" for one in findings if told.phase is Phase.READY]
    words += [f"changed by others: {', '.join(found.hands)}"] if found.hands else []
    message = "; ".join((told.message, *words))
    return msgspec.structs.replace(told, message=message, findings=tuple(one.value for one in findings))


def _findings(status: MeshStatus, found: Found) -> tuple[Finding, ...]:
    repairs = [*wanted_repairs(status, found), *([Repair.CLUSTER_NETWORKS] if found.networks else [])]
    return of_repairs(repairs, missing=found.missing) if not found.foreign else ()


def _outdated_words(status: MeshStatus, following: tuple[InstallRequest, ...]) -> str:
    found = status.outdated
    named = ", ".join(found.workloads[:_NAMED]) + (", …" if len(found.workloads) > _NAMED else "")
    if any(Repair.RESTART_WORKLOADS in one.repairs for one in following):
        return f"{found.pods} pods have outdated proxies or none and are being restarted: {named}"
    return f"{found.pods} pods have outdated proxies or none until their workloads are restarted: {named}"


def wanted_repairs(status: MeshStatus, found: Found) -> tuple[Repair, ...]:
    """The repairs to queue, each once.

    A drifted object is named by its own repair, which takes it back from whoever changed it, where the mesh doesn't
    work, or where nobody tunes such an object and it must be right for what no check tries. Of others, such as a
    Deployment's replicas, the installer applies what nobody else holds.
    """
    failing = {one.description for one in status.checks.failing}
    named = [Repair(one) for one in status.repaired]
    named += [repair for remedy in found.remedies if remedy.check in failing for repair in remedy.repairs]
    named += [*found.due, *found.releases]
    for repair in (of_object(drift.object) for drift in found.drift):
        named.append(repair if failing or found.waits_for or repair in _ALWAYS else Repair.RELEASE_REAPPLIED)
    if found.restart and not failing:
        named.append(Repair.RESTART_WORKLOADS)
    return tuple(dict.fromkeys(named))


def _failing(
    request: VerifyRequest, status: MeshStatus, found: Found, repair: tuple[InstallRequest, ...]
) -> tuple[MeshStatus, tuple[InstallRequest, ...]]:
    failing = status.checks.failing
    first = failing[0]
    words = f"{len(failing)} of the checks failed, the first: {first.description}: {first.error}"
    advice = next((one.advice for one in found.remedies if one.check == first.description), "")
    if found.foreign:
        words += (
            f"; byomesh didn't install this mesh (managed by {', '.join(found.foreign)}), so nothing of it is mended"
        )
        return _phase(status, Phase.DEGRADED, "ForeignMesh", _with_advice(words, advice)), ()
    if found.auditor:
        words = _with_advice(f"{words}; {_only_audits(found)}", advice)
        return _phase(status, Phase.DEGRADED, "AuditOnly", words), ()
    if found.remedies and not wanted_repairs(status, found):
        words = _with_advice(f"{words}; no repair of byomesh's mends that", advice)
        return _phase(status, Phase.DEGRADED, "CannotRepair", f"{words}; then publish the request again"), ()
    if repair:
        return _phase(status, Phase.DEGRADED, "ChecksFailed", f"{words}; a repair is queued"), repair
    words += f"; {request.attempt} repairs didn't help: mend it by hand, then publish the request again"
    return _phase(status, Phase.FAILED, "RepairsDidNotHelp", _with_advice(words, advice)), ()


def _only_audits(found: Found) -> str:
    return f"the rule {found.auditor} of the policy only audits, so nothing of it is mended"


def _with_advice(words: str, advice: str) -> str:
    return f"{words}; what to do: {advice}" if advice else words


def _changed_by(drift: Drift) -> str:
    return f" (changed by {drift.owners[0][0]})" if drift.owners else ""


def _drift_words(found: Found) -> str:
    if found.drift:
        named = ", ".join(f"{one.object} at {one.paths[0]}{_changed_by(one)}" for one in found.drift[:_NAMED])
        more = f" and {len(found.drift) - _NAMED} more" if len(found.drift) > _NAMED else ""
        return f"{named}{more} is not as its release has it"
    if found.releases:
        return "a Helm release is missing or unfinished"
    return f"{', '.join(found.due)} is due"


def _phase(status: MeshStatus, phase: Phase, reason: str, message: str) -> MeshStatus:
    return msgspec.structs.replace(status, phase=phase, reason=reason, message=message)
