"""Whether two texts are the same Kubernetes quantity: the API server writes `1000m` as `1`; pure."""

from __future__ import annotations

import decimal
import re
from typing import Any

_QUANTITY = re.compile(r"([+-]?[0-9.]{1,100})(?:e([+-]?[0-9]+)|([numkMGTPE]|[KMGTPE]i)?)", re.IGNORECASE)
_DIGITS = 5
"""Digits of an exponent, and its sign; Kubernetes has no quantity beyond 2^63 or below a nanounit."""
_POWERS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def same_quantity(one: Any, other: Any) -> bool:
    """Whether both are quantities (k8s.io/apimachinery pkg/api/resource) and equal; False where one is none."""
    left, right = _amount(one), _amount(other)
    return left is not None and left == right


def _amount(value: Any) -> decimal.Decimal | None:
    match = _QUANTITY.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if match is None or isinstance(value, bool):
        return None
    number, exponent, suffix = match.groups()
    try:
        amount = decimal.Decimal(number)
    except decimal.InvalidOperation:
        return None
    if exponent is not None:
        return amount.scaleb(int(exponent)) if len(exponent) <= _DIGITS else None
    if suffix in _BINARY:
        return amount * decimal.Decimal(1024) ** _BINARY[suffix]
    return amount.scaleb(_POWERS[suffix or ""]) if (suffix or "") in _POWERS else None
