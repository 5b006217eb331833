"""A cluster was changed, or is to be looked at: hold it against the policy, say who made the difference, have it set.

Least privilege decides who acts: what turns allow-net-admin on, installs or verifies is queued for the function that
may do it. This one turns it off, and so needs to read which workloads run; it writes nothing into a cluster.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable

import msgspec

from shared import gke, kube, policy
from shared.cloud_logging import AuditEntry, CloudLogging
from shared.config import Settings
from shared.errors import Permanent, Refused, Temporary
from shared.mesh import capable
from shared.model import Finding, MeshStatus, Phase
from shared.outcome import Done, Ignored, Later, Outcome
from shared.stages import findings, undone
from shared.stages.braking import RELEASED, Brake, Gate
from shared.stages.case import Case, Subject

Connect = Callable[[gke.Cluster], kube.Kube]
Clock = Callable[[], dt.datetime]

LOOK_BACK = dt.timedelta(days=30)
"""How far the log is searched for a cluster's newest status and for who changed it: what Cloud Logging keeps."""
_NEW = dt.timedelta(minutes=30)
_UPDATES = 200
"""Updates of one cluster that are looked through."""

RELEVANT = frozenset(
    {
        "additionalPodRangesConfig",
        "desiredAdditionalIpRangesConfig",
        "desiredAutopilotWorkloadPolicyConfig",
        "desiredReleaseChannel",
    }
)
"""Fields of google.container.v1.ClusterUpdate that the policy speaks of, or that clusterNetworks follow."""


class Enforcer:
    """Looks at one cluster.

    Args:
        google: the GKE API.
        log: Cloud Logging.
        connect: opens a cluster's API server; called only where allow-net-admin is to be turned off.
        rules: which cluster gets which mesh.
        undone_within_a_day: how often others may undo what the policy wants before it is a conflict; 0 is always.
        settings: delays, limits, and this system's own accounts.
        clock: tells the time.
        brake: whether a cluster may be changed now.
    """

    def __init__(
        self,
        *,
        google: gke.Gke,
        log: CloudLogging,
        connect: Connect,
        rules: policy.Policy,
        undone_within_a_day: int,
        settings: Settings,
        clock: Clock,
        brake: Brake = RELEASED,
    ) -> None:
        self._google = google
        self._log = log
        self._connect = connect
        self._rules = rules
        self._limit = undone_within_a_day
        self._settings = settings
        self._clock = clock
        self._brake = brake

    def look(self, subject: Subject) -> Outcome:
        """Judge, and decide what follows.

        Raises:
            Temporary: an API can't answer now; without the log nothing is changed, since it tells a drift from a fight.
            Refused: allow-net-admin is forbidden and in use.
            Permanent: the cluster is gone (an update's is ignored instead).
        """
        try:
            cluster = self._google.get(subject.cluster)
        except Permanent as error:
            if subject.operation and error.reason == gke.CLUSTER_GONE:
                return Ignored(f"{subject.cluster} was deleted before anybody looked")
            raise
        decision = policy.decide(cluster.facts, self._rules)
        if decision.mesh is None and decision.net_admin is policy.NetAdmin.LEAVE:
            return Ignored(f"{subject.cluster}: {decision.reason}")
        began: AuditEntry | None = None
        if subject.operation and subject.ended is not None:
            if self._is_new(cluster) and findings.net_admin(cluster, decision) is None:
                return Ignored(
                    f"{subject.cluster} is new, allows what the policy wants, and gets its mesh as it is now"
                )
            try:
                began = self._log.first_entry(subject.cluster, subject.operation, subject.ended)
            except Temporary as error:
                if findings.net_admin(cluster, decision) is not None:
                    raise
                words = f"{subject.cluster} allows what the policy wants, and the log can't tell of the rest now"
                return Ignored(f"{words}; the next sweep looks at it ({error.reason})")
            quiet = self._quiet(subject, cluster, decision, began)
            if quiet is not None:
                return quiet
        now = self._clock()
        newest = self._log.newest_status(subject.cluster, now - LOOK_BACK)
        found = findings.judge(cluster, decision, newest, self._settings, now)
        case = Case(subject=subject, cluster=cluster, decision=decision, newest=newest, found=found, began=began)
        return self._answer(case)

    def _is_new(self, cluster: gke.Cluster) -> bool:
        """Whether the updates of a cluster are most likely those of its own creation, byomesh's the first among them.

        The log answers sixty reads a minute, which are few where hundreds of clusters are created at once.
        """
        return cluster.created is not None and self._clock() - cluster.created < _NEW

    def _quiet(
        self, subject: Subject, cluster: gke.Cluster, decision: policy.Decision, began: AuditEntry | None
    ) -> Outcome | None:
        """The end of an update that asks for nothing, or whose author isn't known yet; None where it is looked into."""
        if began is not None and began.principal in self._settings.accounts:
            return Ignored(f"the update of {subject.cluster} was byomesh's own ({began.principal})")
        differs = findings.net_admin(cluster, decision)
        if differs is None and (began is None or not undone.fields_of(began) & RELEVANT):
            return Ignored(f"the update of {subject.cluster} changed nothing that the policy speaks of")
        if began is not None or subject.ended is None:
            return None
        if (self._clock() - subject.ended).total_seconds() > self._settings.log_limit:
            return None
        waits_for = f"the log to tell who began {subject.operation}"
        return self._later(subject, "AuthorNotLogged", waits_for, self._settings.log_step)

    def _answer(self, case: Case) -> Outcome:
        subject, found = case.subject, case.found
        if not found:
            return Done(next=(case.verify(),)) if case.mesh else Ignored(f"{subject.cluster} is as the policy wants it")
        if case.cluster.status in gke.UNSETTLED:
            waits_for = f"the cluster, which is {case.cluster.status}"
            return self._later(subject, "ClusterNotSettled", waits_for, self._settings.operation_step)
        if found[0] in (Finding.NET_ADMIN_REQUIRED_BUT_OFF, Finding.NET_ADMIN_FORBIDDEN_BUT_ON):
            return self._net_admin(case)
        if not case.decision.enforce:
            return Done(status=case.audited(), next=(case.verify(),))
        if {Finding.MESH_MISSING, Finding.MESH_OUTDATED, Finding.NEVER_PROCESSED}.isdisjoint(found):
            return Done(next=(case.verify(),))
        queued = case.said(Phase.PENDING, found[0], f"{case.words}; {case.mesh} is queued")
        return Done(status=queued, begin=(case.begin(),))

    def _net_admin(self, case: Case) -> Outcome:
        """Allow-net-admin isn't as the policy wants it: report, refuse a fight, or have it set again."""
        now = self._clock()
        wanted = case.decision.net_admin_required
        updates = self._log.updates(case.cluster.ref, now - LOOK_BACK, _UPDATES)
        case = msgspec.structs.replace(case, author=_author(case.began, updates, to=not wanted))
        if not case.decision.enforce:
            return Done(status=case.audited())
        fight = self._fight(case, updates, now)
        if fight.conflict:
            return Done(status=_conflict(case, fight, digest(self._rules)))
        if wanted and case.mesh:
            again = case.said(Phase.PENDING, case.found[0], f"{case.words}; it is turned on again. {case.advice_words}")
            return Done(status=again, begin=(case.begin(),))
        return self._set(case, wanted=wanted)

    def _fight(self, case: Case, updates: tuple[AuditEntry, ...], now: dt.datetime) -> undone.Fight:
        def counted(reconciled: dt.datetime | None) -> undone.Fight:
            return undone.fight(
                updates,
                wanted=case.decision.net_admin_required,
                ours=self._settings.accounts,
                limit=self._limit,
                now=now,
                reconciled=reconciled,
            )

        fight = counted(None)
        if not fight.conflict:
            return fight
        # Only a conflict asks what was said before: the policy may have been changed since.
        said = self._log.statuses_of(case.cluster.ref, now - undone.WINDOW)
        return counted(undone.reconciled_at(said, digest(self._rules)))

    def _set(self, case: Case, *, wanted: bool) -> Outcome:
        """Set it where no other function would: off, which needs no mesh, or on for a rule that wants none."""
        cluster = case.cluster
        if Gate(brake=self._brake, rules=self._rules, settings=self._settings).shut(cluster.facts):
            return Ignored(f"{case.words}; {cluster.ref} is paused, so the next sweep looks again")
        if not wanted:
            self._hold_to_users(case)
        act = self._google.allow_net_admin if wanted else self._google.forbid_net_admin
        word = "on" if wanted else "off"
        match act(cluster.ref, cluster.etag):
            case gke.Busy(text):
                waits_for = f"GKE, which is busy with the cluster: {text}"
                return self._later(case.subject, "ClusterBusy", waits_for, self._settings.operation_step)
            case gke.Started(operation):
                name = operation.rpartition("/")[2]
                message = f"{case.words}; it is turned {word} ({name}). {case.advice_words}"
                return Done(status=case.said(Phase.REFUSED, f"NetAdminTurned{word.title()}", message))

    def _hold_to_users(self, case: Case) -> None:
        users = capable.users(self._connect(case.cluster))
        if users.pods:
            raise Refused(
                "NetAdminInUse",
                f"{case.words}, and {users.pods} pods of {users.count} workloads use NET_ADMIN: {users}",
                cluster=str(case.cluster.ref),
                tried="to turn allow-net-admin off",
                remedy=(
                    "take these workloads out of the mesh (or the mesh off the cluster: byomesh uninstall), or have "
                    f"the rule {case.decision.rule} not forbid NET_ADMIN; then it is tried again by the next sweep"
                ),
            )

    def _later(self, subject: Subject, reason: str, waits_for: str, delay: float) -> Later:
        status = MeshStatus(
            cluster=subject.cluster,
            request_id=subject.request_id,
            phase=Phase.PENDING,
            reason=reason,
            message=f"holding the cluster against the policy waits for {waits_for}",
        )
        limit = self._settings.operation_limit
        return Later(delay=delay, reason=reason, waits_for=waits_for, limit=limit, status=status)


def digest(rules: policy.Policy) -> str:
    """What a policy says, in twelve characters: another one where it says something else."""
    said = msgspec.json.encode(rules.rules, order="deterministic")
    return hashlib.sha256(said).hexdigest()[:12]


def _author(began: AuditEntry | None, updates: tuple[AuditEntry, ...], *, to: bool) -> undone.Author:
    """Who set it: the update that brought the cluster up, if it was that one, else the newest that did."""
    return undone.author((began, *updates) if began is not None else updates, to=to)


def _conflict(case: Case, fight: undone.Fight, policy_digest: str) -> MeshStatus:
    wish = "on" if case.decision.net_admin_required else "off"
    until = f"until {fight.ends:%Y-%m-%d %H:%M:%S} UTC" if fight.ends else "until a day has passed"
    message = (
        f"allow-net-admin, which the rule {case.decision.rule} wants {wish}, was undone {len(fight.authors)} times "
        f"within a day: {fight.words}. Nothing more is changed {until} or until the policy is changed. "
        f"{case.advice_words}"
    )
    return msgspec.structs.replace(case.said(Phase.REFUSED, undone.CONFLICT, message), policy=policy_digest)
