"""Amounts as annotations write them: Kubernetes quantities, Go's durations and Go's booleans. Pure.

Each reader gives None for what it can't read; Linkerd's injector then keeps the value that it has.
"""

from __future__ import annotations

import decimal
import math
import re

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d+))?")
_FACTORS = {
    **{suffix: decimal.Decimal(1000) ** power for power, suffix in enumerate("num kMGTPE", start=-3)},
    **{f"{suffix}i": decimal.Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
_DURATION = re.compile(r"[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+)")
_PARTS = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def quantity(text: str) -> str | None:
    """The text itself where it is a quantity, such as 100m or 64Mi (k8s.io/apimachinery pkg/api/resource)."""
    return text if _QUANTITY.fullmatch(text) else None


def whole_cores(text: str) -> int | None:
    """A quantity of CPU in whole cores, rounded up: 1 for 100m."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    number, suffix, exponent = found.groups()
    factor = decimal.Decimal(10) ** int(exponent) if exponent else _FACTORS[suffix or " "]
    return math.ceil(decimal.Decimal(number) * factor)


def seconds(text: str) -> float | None:
    """The seconds of a duration such as 1m30s (Go's time.ParseDuration); those of 0 are 0."""
    if not _DURATION.fullmatch(text):
        return None
    size = sum(float(number) * _SECONDS[unit] for number, unit in _PARTS.findall(text))
    return -size if text.startswith("-") else size


def boolean(text: str) -> bool | None:
    """Go's strconv.ParseBool."""
    return True if text in _TRUE else False if text in _FALSE else None


def integer(text: str) -> int | None:
    """A whole number in decimal digits."""
    return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else None


def port_range(text: str) -> str | None:
    """A port or a range of ports as `LOWER-UPPER`, normalised: 80 for 80-80 (linkerd2 pkg/util/portrange.go)."""
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    if found is None:
        return None
    lower, upper = int(found[1]), int(found[2] or found[1])
    if not lower <= upper <= 65535:  # noqa: PLR2004 - the last port
        return None
    return str(lower) if lower == upper else f"{lower}-{upper}"
