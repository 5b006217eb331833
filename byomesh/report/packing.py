"""A fleet made small for the report's script: every text once, times as seconds, nothing that is empty; pure."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from byomesh.fleet.model import ClusterRow, Fleet
from byomesh.fleet.state import State
from byomesh.fleet.told import Journey, Moment
from shared.model import Finding

_HARMLESS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
"""What could end a script element, or begin a comment in one; in JSON all of it can only stand in a string."""


class Words:
    """Texts by number, each once: most of a fleet's messages are the same."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    def __call__(self, text: str) -> int:
        """The number of a text."""
        return self._numbers.setdefault(text, len(self._numbers))

    def all(self) -> list[str]:
        """Every text, by its number."""
        return list(self._numbers)


def packed(fleet: Fleet) -> str:
    """The fleet as JSON that may stand in a script element."""
    words = Words()
    rows = [_row(row, words) for row in fleet.rows]
    data = {
        "time": _seconds(fleet.time),
        "states": [[state.value, state.words, _group(state)] for state in State],
        "rows": rows,
        "words": words.all(),
    }
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).translate(_HARMLESS)


def _group(state: State) -> str:
    if state.under_way:
        return "under-way"
    return "fine" if state.fine else "amiss"


def _row(row: ClusterRow, words: Words) -> dict[str, Any]:
    """Of a field that is empty there is nothing; texts are numbers of `words`, also within lists."""
    texts = {
        "project": row.ref.project,
        "location": row.ref.location,
        "name": row.ref.name,
        "reason": row.reason,
        "message": row.message,
        "toDo": row.to_do,
        "waitsFor": row.waits_for,
        "paused": row.paused,
        "mesh": row.mesh,
        "version": row.version,
        "requestId": row.request_id,
        "gke": row.gke,
        "kubernetes": row.kubernetes,
        "channel": row.channel,
        "rule": row.rule,
        "mode": row.mode,
        "ruleReason": row.rule_reason,
        "actor": row.actor,
    }
    numbers = {
        "state": list(State).index(row.state),
        "netAdmin": None if row.net_admin is None else int(row.net_admin),
        "autopilot": None if row.autopilot is None else int(row.autopilot),
        "passed": row.passed or None,
        "warned": row.warned or None,
        "failed": row.failed or None,
        "skipped": row.skipped or None,
        "outdated": row.outdated or None,
        "earlier": row.earlier or None,
        "changed": _seconds(row.changed),
        "heard": _seconds(row.heard),
        "created": _seconds(row.created),
    }
    lists = {
        "troubles": [
            [words(text) for text in (one.check, one.category, one.error, ", ".join(one.repairs), one.advice)]
            for one in row.troubles
        ],
        "findings": [words(_finding(name)) for name in row.findings],
        "advice": [words(text) for text in row.advice],
        "repaired": [words(name) for name in row.repaired],
        "options": [[words(name), words(state)] for name, state in row.options.items()],
        "labels": [[words(name), words(value)] for name, value in sorted(row.labels.items())],
        "journeys": [_journey(one, words) for one in row.journeys],
        "moments": [_moment(one, words) for one in row.moments],
    }
    return {
        **{key: words(text) for key, text in texts.items() if text},
        **{key: number for key, number in numbers.items() if number is not None},
        **{key: found for key, found in lists.items() if found},
    }


def _finding(name: str) -> str:
    """A finding in half a sentence; its name where this version doesn't know it."""
    return Finding(name).words if name in {one.value for one in Finding} else name


def _journey(journey: Journey, words: Words) -> list[Any]:
    """[request, created, began, outcome, [[work, seconds, open], ...], [repair, ...]]."""
    return [
        words(journey.request_id),
        int(journey.created),
        _seconds(journey.began),
        list(State).index(journey.outcome),
        [[words(span.work.value), round(span.seconds, 1), int(span.open)] for span in journey.spans],
        [words(name) for name in journey.repaired],
    ]


def _moment(moment: Moment, words: Words) -> list[Any]:
    """[time, who, what, state or -1, reason, client, actor]."""
    state = list(State).index(moment.state) if moment.state is not None else -1
    texts = [words(moment.who), words(moment.what)]
    return [_seconds(moment.time), *texts, state, words(moment.reason), words(moment.client), words(moment.actor)]


def _seconds(time: dt.datetime | None) -> int | None:
    return round(time.timestamp()) if time is not None else None
