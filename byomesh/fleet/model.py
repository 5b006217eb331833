"""A fleet as it was seen at one moment: frozen data, without a client; pure."""

from __future__ import annotations

import collections
import datetime as dt

import msgspec

from byomesh.fleet.state import State
from byomesh.fleet.told import Journey, Moment
from shared.model import ClusterRef, FailingCheck, MeshStatus


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """A check that fails or warns, with what helps.

    Attributes:
        check: as the mesh's own tool prints it.
        category: the check's category; "" where it only warns.
        error: what is wrong; "" where it only warns.
        repairs: names of the repairs that mend it.
        advice: what to do where no repair does; "" where nothing is to be said.
    """

    check: str
    category: str = ""
    error: str = ""
    repairs: tuple[str, ...] = ()
    advice: str = ""


class ClusterRow(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster.

    Attributes:
        ref: which one.
        state: how it is.
        reason: a constant: the status's, or why there is none.
        message: a sentence for people.
        to_do: what somebody is to do; "" where nothing is.
        mesh: the mesh that runs, or is asked for; "" for none.
        version: the mesh's version, or "".
        net_admin: whether GKE allows NET_ADMIN; None on a Standard cluster, or where nobody knows.
        passed: checks that passed.
        warned: checks that warned.
        failed: checks that failed.
        skipped: checks that weren't made.
        troubles: checks that fail or warn, with what helps.
        findings: what differs from the policy: names of `shared.model.Finding`.
        actor: who made the change that the newest status answers to, or asked for it; "" where nobody knows.
        advice: what makes the owner's own code agree with the policy: commands and configuration, a text each.
        waits_for: what it waits for, or "".
        paused: why the policy has it wait, or "".
        changed: since when it has been as it is; None where nothing was said of it.
        heard: when something was last said of it, if only that it still is so; None likewise.
        request_id: the newest request, or "".
        gke: GKE's status of it, such as RUNNING; "" where GKE doesn't list it or wasn't asked.
        autopilot: whether it is an Autopilot cluster; None where GKE doesn't list it.
        kubernetes: its control plane's version, or "".
        channel: its release channel, or "".
        labels: its resource labels.
        created: when it was created, where GKE says so.
        rule: the rule of the policy that decides about it, or "".
        mode: what the policy has done about it (`shared.policy.Mode`), or "".
        rule_reason: why, in the rule's words.
        options: what is there of the mesh's extensions, by the name of the option.
        outdated: pods whose proxies are outdated or missing.
        repaired: repairs that its newest request made.
        journeys: what its requests led to, the newest first.
        moments: what was said and done, the newest first.
        earlier: how many older moments were left out.
    """

    ref: ClusterRef
    state: State
    reason: str
    message: str
    to_do: str = ""
    mesh: str = ""
    version: str = ""
    net_admin: bool | None = None
    passed: int = 0
    warned: int = 0
    failed: int = 0
    skipped: int = 0
    troubles: tuple[Trouble, ...] = ()
    findings: tuple[str, ...] = ()
    actor: str = ""
    advice: tuple[str, ...] = ()
    waits_for: str = ""
    paused: str = ""
    changed: dt.datetime | None = None
    heard: dt.datetime | None = None
    request_id: str = ""
    gke: str = ""
    autopilot: bool | None = None
    kubernetes: str = ""
    channel: str = ""
    labels: dict[str, str] = {}
    created: dt.datetime | None = None
    rule: str = ""
    mode: str = ""
    rule_reason: str = ""
    options: dict[str, str] = {}
    outdated: int = 0
    repaired: tuple[str, ...] = ()
    journeys: tuple[Journey, ...] = ()
    moments: tuple[Moment, ...] = ()
    earlier: int = 0

    @property
    def checks(self) -> int:
        """How many checks were made."""
        return self.passed + self.warned + self.failed


class Unseen(msgspec.Struct, frozen=True, order=True):
    """What could not be looked at.

    Attributes:
        project: the project.
        location: the region or zone; "" for the whole project.
        why: in words, with what to do.
    """

    project: str
    location: str
    why: str

    def __str__(self) -> str:
        where = f"{self.location} of the project {self.project}" if self.location else f"the project {self.project}"
        return f"{where}: {self.why}"


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """Every cluster, the worst first.

    Attributes:
        time: when it was looked at.
        since: how far back the log was read.
        projects: what was asked for.
        rows: the clusters.
        unseen: what could not be looked at.
        notes: what else keeps the picture from being whole, a sentence each.
        policy: where the policy is from.
        partial: whether only some of the clusters were asked for.
    """

    time: dt.datetime
    since: dt.datetime
    projects: tuple[str, ...]
    rows: tuple[ClusterRow, ...]
    unseen: tuple[Unseen, ...] = ()
    notes: tuple[str, ...] = ()
    policy: str = ""
    partial: bool = False

    def counts(self) -> dict[State, int]:
        """How many clusters are how, the worst first; states that no cluster has are absent."""
        counted = collections.Counter(row.state for row in self.rows)
        return {state: counted[state] for state in State if counted[state]}

    @property
    def exit_code(self) -> int:
        """1 where a cluster isn't as it should be, else 2 where something couldn't be looked at, else 0."""
        if any(not row.state.fine and row.state is not State.UNKNOWN for row in self.rows):
            return 1
        return 2 if self.unseen or any(row.state is State.UNKNOWN for row in self.rows) else 0


def failing(checks: tuple[FailingCheck, ...], told: MeshStatus) -> tuple[Trouble, ...]:
    """Checks that fail, in their order, then those that only warn and have a remedy."""
    remedies = {remedy.check: remedy for remedy in told.remedies}
    found = [
        Trouble(
            check=one.description,
            category=one.category,
            error=one.error,
            repairs=tuple(str(name) for name in remedies[one.description].repairs)
            if one.description in remedies
            else (),
            advice=remedies[one.description].advice if one.description in remedies else "",
        )
        for one in checks
    ]
    named = {one.description for one in checks}
    found += [
        Trouble(check=remedy.check, repairs=tuple(str(name) for name in remedy.repairs), advice=remedy.advice)
        for remedy in told.remedies
        if remedy.check not in named
    ]
    return tuple(found)
