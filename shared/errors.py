"""What can go wrong, split by what the caller must do about it.

    ByomeshError
    ├── Temporary    a real fault (429, 5xx, cut connection, IAM not yet propagated): raise, so that delivery is retried
    ├── Permanent    it will never work as sent (malformed, unknown mesh, cluster gone): report and acknowledge
    └── Refused      the policy or the cluster says no: report and acknowledge, with what would make it yes

Waiting is none of these: it is an outcome (`shared.outcome.Later`).
"""

from __future__ import annotations

MAX_TEXT = 2_000
"""Characters of another system's words that an error keeps: enough for Warden's longest denial, not for a payload."""

_MAX_NAME = 300
"""Characters of a cluster's resource name, be it one or not."""


def shorten(text: str, limit: int = MAX_TEXT) -> str:
    """Cut another system's words to at most `limit` characters, saying how many were left out.

    Half a surrogate pair becomes a question mark: JSON can name one, and no UTF-8 can hold it.
    """
    text = text.strip()
    kept = text[:limit].encode(errors="replace").decode()
    return kept if len(text) <= limit else f"{kept}… ({len(text) - limit} more characters)"


class ByomeshError(Exception):
    """Base of every error that this package raises on purpose.

    Attributes:
        reason: a constant in CamelCase for machines and dashboards, such as `ClusterGone`.
        problem: what was wrong, in a sentence without secrets.
        cluster: full resource name of the cluster it was about, or "" where none is known.
        tried: what was being done when it happened, or "".
        remedy: what to do next, or "".
    """

    def __init__(self, reason: str, problem: str, *, cluster: str = "", tried: str = "", remedy: str = "") -> None:
        super().__init__(reason, problem)
        self.reason = reason
        self.problem = shorten(problem)
        self.cluster = shorten(cluster, _MAX_NAME)
        self.tried = shorten(tried)
        self.remedy = shorten(remedy)

    def __str__(self) -> str:
        where = f" on {self.cluster}" if self.cluster else ""
        tried = f" Tried: {self.tried}." if self.tried else ""
        remedy = f" Next: {self.remedy}" if self.remedy else ""
        return f"{self.reason}{where}: {self.problem}{tried}{remedy}"


class Temporary(ByomeshError):
    """A fault that is expected to pass by itself; the delivery is refused, so that it comes again with backoff."""


class Permanent(ByomeshError):
    """It will never work as it was sent; the status is published and the delivery acknowledged."""


class Refused(ByomeshError):
    """The policy, the organisation or the cluster says no; the remedy names who can change that."""
