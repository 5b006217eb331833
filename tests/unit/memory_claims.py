"""The queue of claims in memory, with what Cloud Tasks promises of it: a task is listed as soon as it was made."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping

from shared.model import ClusterRef, VerifyRequest, decode
from shared.tasks import Claim, key_of
from tests.unit.doors import NOW


class MemoryClaims:
    """Claims, by id.

    Attributes:
        claims: those that there are.
        calls: the methods that were called, in order.
        messages: what each claim publishes if it is never given back.
        skew: seconds that are taken off the next creation times, as another server's clock would.
    """

    def __init__(self, *, lasts: float = 1_200.0) -> None:
        self.claims: dict[str, Claim] = {}
        self.calls: list[str] = []
        self.messages: dict[str, VerifyRequest] = {}
        self.skew: list[float] = []
        self._lasts = lasts
        self._numbers = itertools.count(1)

    def held(self) -> tuple[Claim, ...]:
        self.calls.append("held")
        return tuple(sorted(self.claims.values()))

    def held_lately(self) -> tuple[Claim, ...]:
        self.calls.append("held_lately")
        return tuple(sorted(self.claims.values()))

    def make(self, cluster: ClusterRef, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        self.calls.append("make")
        assert topic.endswith("/mesh-verify")
        assert attributes["cluster"] == str(cluster)
        number = next(self._numbers)
        claim_id = f"{key_of(cluster)}-{int(NOW.timestamp() + self._lasts)}-{number:016x}"
        back = self.skew.pop(0) if self.skew else 0.0
        self.claims[claim_id] = Claim(NOW + dt.timedelta(seconds=number - back), claim_id)
        self.messages[claim_id] = decode(data, VerifyRequest)
        return claim_id

    def give_back(self, claim_id: str, cluster: ClusterRef) -> None:
        self.calls.append("give_back")
        assert claim_id.startswith(key_of(cluster))
        self.claims.pop(claim_id, None)
