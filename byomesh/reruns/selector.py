"""Label selectors as kubectl has them, held against GKE's resource labels; pure.

The grammar and the meaning of absent labels are Kubernetes'
(https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors): terms are joined by commas,
all must hold, and `!=` and `notin` hold where the label isn't there at all.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

import msgspec

from shared.errors import Permanent, shorten

_KEY = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
_VALUE = r"[A-Za-z0-9._-]*"
_TERMS = re.compile(r",(?![^()]*\))")
_EXISTS = re.compile(rf"(?P<not>!?)\s*(?P<key>{_KEY})")
_EQUALS = re.compile(rf"(?P<key>{_KEY})\s*(?P<op>==|!=|=)\s*(?P<value>{_VALUE})")
_SET = re.compile(rf"(?P<key>{_KEY})\s+(?P<op>in|notin)\s+\((?P<values>[^()]*)\)")
_REMEDY = "write it as for kubectl: team=shop,tier!=dev,region in (eu,us),!legacy"


class Operator(enum.Enum):
    """How a term compares."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "absent"


class Term(msgspec.Struct, frozen=True):
    """One term of a selector.

    Attributes:
        key: the label.
        operator: how it is compared.
        values: with what; () for EXISTS and ABSENT.
    """

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a cluster with these labels is meant."""
        match self.operator:
            case Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.ABSENT:
                return self.key not in labels


class Selector(msgspec.Struct, frozen=True):
    """Terms that must all hold; without any, every cluster is meant."""

    terms: tuple[Term, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a cluster with these labels is meant."""
        return all(term.holds(labels) for term in self.terms)


def parse_selector(text: str) -> Selector:
    """Read a selector.

    Raises:
        Permanent: a term is none.
    """
    return Selector(tuple(_term(part.strip(), text) for part in _TERMS.split(text)))


def _term(part: str, text: str) -> Term:
    if found := _EQUALS.fullmatch(part):
        operator = Operator.NOT_IN if found["op"] == "!=" else Operator.IN
        return Term(found["key"], operator, (found["value"],))
    if found := _SET.fullmatch(part):
        values = tuple(one.strip() for one in found["values"].split(","))
        if all(re.fullmatch(_VALUE, one) for one in values):
            return Term(found["key"], Operator(found["op"]), values)
    elif found := _EXISTS.fullmatch(part):
        return Term(found["key"], Operator.ABSENT if found["not"] else Operator.EXISTS)
    words = f"{shorten(part, 100)!r} in the selector {shorten(text, 200)!r} is no term"
    raise Permanent("BadSelector", words, remedy=_REMEDY)
