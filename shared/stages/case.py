"""One cluster with all that is known of it, what is said of it, and what may be queued for it; pure."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared import gke, policy
from shared.cloud_logging.entries import AuditEntry
from shared.model import (
    ClusterEvent,
    ClusterRef,
    EnforceRequest,
    Finding,
    InstallRequest,
    MeshStatus,
    Phase,
    Reason,
    VerifyRequest,
)
from shared.stages import advice, undone


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be looked at, and why.

    Attributes:
        cluster: which cluster.
        reason: DRIFT where an update brought it up, SWEEP or RERUN where nobody changed anything.
        request_id: what later messages carry.
        operation: bare id of the update; "" where there was none.
        ended: when the update ended.
    """

    cluster: ClusterRef
    reason: Reason
    request_id: str
    operation: str = ""
    ended: dt.datetime | None = None

    @classmethod
    def of(cls, request: ClusterEvent | EnforceRequest) -> Subject:
        """An update, from its last audit entry, or a request to look."""
        if isinstance(request, EnforceRequest):
            return cls(
                cluster=request.cluster,
                reason=request.reason,
                request_id=request.request_id,
                operation=request.operation or "",
                ended=request.ended,
            )
        return cls(
            cluster=request.cluster,
            reason=Reason.DRIFT,
            request_id=request.request_id,
            operation=request.operation,
            ended=request.time,
        )


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster with all that is known of it.

    Attributes:
        subject: why it is looked at.
        cluster: as GKE's API has it.
        decision: what the policy says of it.
        newest: what was said last of its mesh; None where nothing was, as far as the log goes back.
        found: what differs, the gravest first.
        began: the first entry of the update that brought it up; None where there was none, or the log hasn't got it.
        author: who set allow-net-admin to what it is; None where that is not what was found.
    """

    subject: Subject
    cluster: gke.Cluster
    decision: policy.Decision
    newest: MeshStatus | None
    found: tuple[Finding, ...]
    began: AuditEntry | None = None
    author: undone.Author | None = None

    @property
    def mesh(self) -> str:
        """The mesh that is wished for, or ""."""
        return self.decision.mesh or ""

    @property
    def words(self) -> str:
        """What was found, and who made it so."""
        found = "; ".join(one.words for one in self.found)
        by = f", since {self.author.words} set it so" if self.author is not None else ""
        return f"{found}{by} (rule {self.decision.rule}: {self.decision.reason})"

    @property
    def _allowed(self) -> bool:
        """What allow-net-admin should be, for the owner's own code."""
        return self.decision.net_admin_required

    @property
    def advice_words(self) -> str:
        """What keeps it from being set back."""
        return f"To make your own code agree: {advice.in_words(self.cluster.ref, allowed=self._allowed)}"

    def said(self, phase: Phase, reason: str, message: str) -> MeshStatus:
        """A status; what was known of the mesh itself stays known."""
        base = self.newest or MeshStatus(cluster=self.cluster.ref, phase=phase, reason=reason, message=message)
        about_net_admin = self.author is not None
        return msgspec.structs.replace(
            base,
            cluster=self.cluster.ref,
            mesh=self.mesh or base.mesh,
            request_id=self.subject.request_id,
            phase=phase,
            reason=str(reason),
            message=message,
            net_admin=self.cluster.allow_net_admin if self.cluster.autopilot else None,
            repaired=(),
            waits_for="",
            findings=tuple(one.value for one in self.found),
            actor=str(self.author) if self.author is not None else "",
            advice=advice.net_admin(self.cluster.ref, allowed=self._allowed) if about_net_admin else (),
            policy="",
            time=None,
        )

    def audited(self) -> MeshStatus:
        """What is found where the policy only audits; nothing is changed or queued."""
        message = f"{self.words}; the rule only audits, so nothing is changed"
        if self.author is not None:
            message += f". {self.advice_words}"
        return self.said(Phase.DEGRADED, self.found[0], message)

    def begin(self) -> InstallRequest:
        """Has the main path do it, from its beginning."""
        actor = self.author.principal if self.author is not None else None
        return InstallRequest(
            cluster=self.cluster.ref,
            mesh=self.mesh,
            reason=self.subject.reason if self.subject.reason is not Reason.RERUN else Reason.DRIFT,
            request_id=self.subject.request_id,
            actor=actor if actor != undone.UNKNOWN else None,
        )

    def verify(self) -> VerifyRequest:
        """Has the mesh looked at from the inside."""
        return VerifyRequest(
            cluster=self.cluster.ref, mesh=self.mesh, reason=self.subject.reason, request_id=self.subject.request_id
        )
