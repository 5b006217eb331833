"""Reads dead-letter subscriptions to their end, and gives back what isn't settled."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from byomesh.dead_letters.letter import SUFFIX, Letter, read
from shared.errors import ByomeshError, Permanent
from shared.pulling import Puller

LEASE = 60
"""Seconds that a letter is held without another word; a command that is killed keeps it from others that long."""
_RENEW_SECONDS = LEASE / 3
_BATCH = 250
_EMPTY_PULLS = 2
"""So many pulls in a row that bring nothing new are the end; one alone may have met a part that is empty."""

Tell = Callable[[int], None]
"""Told how many letters were read so far."""


class Held(msgspec.Struct):
    """What was read, and is held until it is settled or given back.

    Attributes:
        letters: oldest first, each message once.
        missing: topics that have no dead-letter subscription.
        limited: whether there may be more than were asked for.
    """

    letters: list[Letter]
    missing: list[str]
    limited: bool


class Reader:
    """The dead-letter subscriptions of a project."""

    def __init__(
        self, puller: Puller, project: str, topics: Sequence[str], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._puller = puller
        self._project = project
        self._topics = topics
        self._monotonic = monotonic
        self._ack_ids: dict[str, dict[str, str]] = {topic: {} for topic in topics}
        self._renewed = monotonic()

    @contextlib.contextmanager
    def read(self, most: int, tell: Tell = lambda _count: None) -> Iterator[Held]:
        """Read up to `most` letters of each topic; what isn't settled within the block is given back at its end.

        Raises:
            ByomeshError: Pub/Sub can't answer, or IAM doesn't allow it.
        """
        held = Held([], [], limited=False)
        try:
            with ThreadPoolExecutor(max(len(self._topics), 1)) as pool:
                work = [pool.submit(self._drain, topic, most, held, tell) for topic in self._topics]
                for one in work:
                    one.result()
            held.letters.sort(key=lambda letter: (letter.refused, letter.id))
            held.missing.sort()
            yield held
        finally:
            self._give_back()

    def settle(self, letter: Letter) -> None:
        """Remove a letter for good; raises as `shared.pulling.Puller.acknowledge`."""
        self._puller.acknowledge(self.subscription(letter.topic), [self._ack_ids[letter.topic][letter.id]])
        del self._ack_ids[letter.topic][letter.id]

    def keep(self) -> None:
        """Hold everything that is left for another minute, where that is due."""
        if self._monotonic() - self._renewed < _RENEW_SECONDS:
            return
        for topic, ids in self._ack_ids.items():
            if ids:
                self._puller.hold(self.subscription(topic), list(ids.values()), LEASE)
        self._renewed = self._monotonic()

    def subscription(self, topic: str) -> str:
        """Full name of a topic's dead-letter subscription."""
        return f"projects/{self._project}/subscriptions/{topic}{SUFFIX}"

    def _drain(self, topic: str, most: int, held: Held, tell: Tell) -> None:
        known, subscription = self._ack_ids[topic], self.subscription(topic)
        empty = 0
        while empty < _EMPTY_PULLS and len(known) < most:
            try:
                pulled = self._puller.pull(subscription, min(_BATCH, most - len(known)))
            except Permanent as error:
                if error.reason != "SubscriptionMissing":
                    raise
                held.missing.append(topic)
                return
            fresh = [one for one in pulled if one.message_id not in known]
            # A message that came again, because its hold ran out, is settled by its newest delivery.
            known.update({one.message_id: one.ack_id for one in pulled})
            if pulled:
                self._puller.hold(subscription, [one.ack_id for one in pulled], LEASE)
            held.letters.extend(read(topic, one) for one in fresh)
            empty = 0 if fresh else empty + 1
            tell(len(held.letters))
        held.limited = held.limited or empty < _EMPTY_PULLS

    def _give_back(self) -> None:
        for topic, ids in self._ack_ids.items():
            if ids:
                # Whatever ended the block is the news; what isn't given back comes again within a minute.
                with contextlib.suppress(ByomeshError):
                    self._puller.give_back(self.subscription(topic), list(ids.values()))
