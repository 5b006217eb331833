"""Whether a mesh goes to the version that is wished, or stays at the one that runs; pure.

A version is wished by a request, by the policy or by the profile, and a folder of charts has one of its own. It isn't
followed where an upgrade to it was rolled back before, nor backwards, unless somebody asks for just that.
"""

from __future__ import annotations

import re

import msgspec

_VERSION = re.compile(r"\D*?(\d{1,18})\.(\d{1,18})\.(\d{1,18})(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")
_DIGITS = 18
"""Digits of a number that is compared as one."""


class FailedUpgrade(msgspec.Struct, frozen=True, kw_only=True):
    """An upgrade that was rolled back, and isn't tried again by itself.

    Attributes:
        version: the mesh's version that failed.
        charts: `identity` of the charts that failed.
        from_version: the version that was there before, and is again.
        cause: what failed, in a sentence.
        request_id: the request that asked for it, so that its duplicates don't ask again.
    """

    version: str
    charts: str
    from_version: str
    cause: str
    request_id: str = ""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Who wishes a version.

    Attributes:
        version: the mesh's version that a request names; None where none does.
        request_id: that request's.
        by_operator: whether the policy names the version, or charts lie in a folder for it.
    """

    version: str | None = None
    request_id: str = ""
    by_operator: bool = False


NOBODY = Wish()
"""Nobody names a version: it is the profile's."""


def is_older(one: str, other: str) -> bool:
    """Whether `one` comes before `other`; False where either is no version of three numbers.

    `2026.6.3`, `edge-26.6.3` and `v1.2.3-rc.1` are versions; both must be of the same form to be compared with sense.
    """
    left, right = _VERSION.fullmatch(one), _VERSION.fullmatch(other)
    if left is None or right is None:
        return False
    numbers = [tuple(int(part) for part in match.groups()[:3]) for match in (left, right)]
    if numbers[0] != numbers[1]:
        return numbers[0] < numbers[1]
    # What has a suffix comes before what has none (semver.org, 11).
    return left[4] is not None and (right[4] is None or _suffix(left[4]) < _suffix(right[4]))


def _suffix(text: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() and len(part) <= _DIGITS else (1, 0, part) for part in text.split(".")]


def why_kept(installed: str, wished: str, charts: str, wish: Wish, failed: FailedUpgrade | None) -> str:
    """Why the installed version stays though another is wished, in a sentence; "" where the wish is followed.

    Args:
        installed: version of the chart of the control plane that is deployed; "" where none is.
        wished: version of the chart that is wished.
        charts: `identity` of the charts that are wished.
        wish: who wishes it.
        failed: the upgrade that was rolled back last.
    """
    if not installed:
        return ""
    # Also where only other charts than the control plane's differ, or they would be tried again and again.
    if failed is not None and failed.charts == charts and not _asks_again(wish, failed):
        return (
            f"{failed.version} is skipped, for the upgrade to it was rolled back to {failed.from_version} "
            f"({failed.cause}); ask for it by version to try it again"
        )
    if is_older(wished, installed) and wish.version is None and not wish.by_operator:
        return f"chart {installed} runs, which is newer than the {wished} of the profile; ask for a version to go back"
    return ""


def _asks_again(wish: Wish, failed: FailedUpgrade) -> bool:
    again = not wish.request_id or wish.request_id != failed.request_id
    return wish.version == failed.version and again
