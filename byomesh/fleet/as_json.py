"""A fleet as the JSON of `byomesh status -o json`, whose shape docs/status.md has; fields are only ever added; pure."""

from __future__ import annotations

import datetime as dt
from typing import Any

from byomesh.fleet.model import ClusterRow, Fleet
from byomesh.fleet.told import Journey, Moment

SCHEMA = 1
"""Version of the shape."""


def fleet_json(fleet: Fleet) -> dict[str, Any]:
    """The whole fleet."""
    return {
        "schema": SCHEMA,
        "time": moment(fleet.time),
        "since": moment(fleet.since),
        "policy": fleet.policy,
        "projects": list(fleet.projects),
        "counts": {state.value: count for state, count in fleet.counts().items()},
        "not_seen": [{"project": one.project, "location": one.location, "why": one.why} for one in fleet.unseen],
        "notes": list(fleet.notes),
        "clusters": [row_json(row, fleet.time) for row in fleet.rows],
    }


def row_json(row: ClusterRow, now: dt.datetime) -> dict[str, Any]:
    """One cluster; `now` is what its age is reckoned from."""
    return {
        "cluster": str(row.ref),
        "project": row.ref.project,
        "location": row.ref.location,
        "name": row.ref.name,
        "state": row.state.value,
        "ready": row.state.value == "Ready",
        "reason": row.reason,
        "message": row.message,
        "to_do": row.to_do,
        "waits_for": row.waits_for,
        "paused": row.paused,
        "mesh": row.mesh,
        "version": row.version,
        "net_admin": row.net_admin,
        "checks": {"passed": row.passed, "warned": row.warned, "failed": row.failed, "skipped": row.skipped},
        "troubles": [
            {
                "check": one.check,
                "category": one.category,
                "error": one.error,
                "repairs": list(one.repairs),
                "advice": one.advice,
            }
            for one in row.troubles
        ],
        "findings": list(row.findings),
        "actor": row.actor,
        "advice": list(row.advice),
        "changed": moment(row.changed),
        "heard": moment(row.heard),
        "age": round((now - row.changed).total_seconds()) if row.changed is not None else None,
        "request_id": row.request_id,
        "repaired": list(row.repaired),
        "options": dict(row.options),
        "outdated_pods": row.outdated,
        "gke": {
            "status": row.gke,
            "autopilot": row.autopilot,
            "version": row.kubernetes,
            "channel": row.channel,
            "labels": dict(row.labels),
            "created": moment(row.created),
        },
        "policy": {"rule": row.rule, "mode": row.mode, "reason": row.rule_reason},
        "journeys": [_journey(one) for one in row.journeys],
        "timeline": [_moment(one) for one in row.moments],
        "earlier": row.earlier,
    }


def _journey(journey: Journey) -> dict[str, Any]:
    return {
        "request_id": journey.request_id,
        "created": journey.created,
        "began": moment(journey.began),
        "seconds": round(journey.seconds, 1),
        "outcome": journey.outcome.value,
        "repaired": list(journey.repaired),
        "stages": [
            {
                "stage": span.work.value,
                "began": moment(span.began),
                "seconds": round(span.seconds, 1),
                "open": span.open,
            }
            for span in journey.spans
        ],
    }


def _moment(one: Moment) -> dict[str, Any]:
    return {
        "time": moment(one.time),
        "who": one.who,
        "client": one.client,
        "actor": one.actor,
        "state": one.state.value if one.state is not None else None,
        "reason": one.reason,
        "message": one.what,
    }


def moment(time: dt.datetime | None) -> str | None:
    """A time in RFC 3339, in UTC to the second."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time is not None else None
