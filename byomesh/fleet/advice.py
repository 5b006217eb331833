"""What to do about a status, by its reason: the table of docs/statuses.md, for commands and reports; pure."""

from __future__ import annotations

import functools
import re
from importlib import resources

from byomesh.fleet.state import State
from shared.model import MeshStatus

_NEXT = " Next: "
"""Before the remedy in an error's words (`shared.errors.ByomeshError`)."""
_NOTHING = "nothing"
_FIELDS = {"what `checks.failing` names": "the checks that fail", "`message`": "the message"}
"""Words for fields that a person may not see."""
_ROW = re.compile(r"^\| (?P<reasons>`[^|]*) \| (?P<phases>[^|]*) \| (?P<words>.*) \|$", re.MULTILINE)


@functools.cache
def table() -> dict[str, tuple[tuple[str, str], ...]]:
    """The page's rows by reason, each its phases and its words; reasons.md is a copy of the page's table."""
    page = resources.files("byomesh.fleet").joinpath("reasons.md").read_text(encoding="utf-8")
    for field, words in _FIELDS.items():
        page = page.replace(field, words)
    rows: dict[str, tuple[tuple[str, str], ...]] = {}
    for match in _ROW.finditer(page):
        for reason in re.findall(r"`(\w+)`", match["reasons"]):
            rows[reason] = (*rows.get(reason, ()), (match["phases"], match["words"]))
    return rows


def words_for(status: MeshStatus) -> str:
    """The page's words about a status's reason, by its phase where one reason has several; "" where it has none."""
    rows = table().get(status.reason, ())
    of_phase = [words for phases, words in rows if status.phase.value in phases]
    return next(iter(of_phase or [words for _, words in rows]), "")


def problem_and_remedy(status: MeshStatus) -> tuple[str, str]:
    """A status's message without what a row says anyway, and the remedy that an error's words end with, or ""."""
    message, _, remedy = status.message.partition(_NEXT)
    head = f"{status.reason} on {status.cluster}: "
    return message.removeprefix(head).removeprefix(f"{status.reason}: "), remedy


def what_to_do(status: MeshStatus) -> str:
    """What somebody is to do about a status; "" where nothing is, or the message alone tells."""
    state = State.of(status.phase)
    if state.fine or state.under_way:
        return ""
    _, remedy = problem_and_remedy(status)
    words = words_for(status)
    # "nothing; Stuck after an hour: see ...": only the second half is for a cluster that is stuck.
    if words.startswith(_NOTHING) and state is State.STUCK:
        words = words.partition("Stuck")[2].partition(": ")[2]
    failing = {one.description for one in status.checks.failing}
    advice = [one.advice for one in status.remedies if one.check in failing and one.advice]
    if advice and not remedy:
        return f"{'; '.join(advice)}; then `byomesh rerun {status.cluster}`"
    return remedy or words
