"""What is done with dead letters: published again, or dropped."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from byomesh.dead_letters.letter import Letter, replayed
from byomesh.dead_letters.reading import Reader
from shared.errors import ByomeshError


class Publisher(Protocol):
    """What is used of `shared.pubsub.Publisher`."""

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        """Publish, and return the message's id once Pub/Sub has it."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one letter.

    Attributes:
        letter: it.
        message_id: the id under which it was published again; "" where it wasn't.
        error: why it stays; "" where it doesn't.
    """

    letter: Letter
    message_id: str = ""
    error: str = ""


Tell = Callable[[int], None]
"""Told how many letters are done."""


def replay(
    letters: Iterable[Letter],
    reader: Reader,
    publisher: Publisher,
    project: str,
    clock: Callable[[], dt.datetime],
    tell: Tell = lambda _count: None,
) -> list[Settled]:
    """Publish letters to the topics that they came from; each leaves the dead letter once Pub/Sub has confirmed that.

    Cut off between the two, a letter is both published and still there, so it may be published twice. That is
    harmless, since every stage reads the present state.
    """

    def one(letter: Letter) -> str:
        topic = f"projects/{project}/topics/{letter.topic}"
        message_id = publisher.publish(topic, letter.pulled.data, replayed(letter, clock()))
        reader.settle(letter)
        return message_id

    return _each(letters, reader, one, tell)


def drop(letters: Iterable[Letter], reader: Reader, tell: Tell = lambda _count: None) -> list[Settled]:
    """Remove letters for good."""

    def one(letter: Letter) -> str:
        reader.settle(letter)
        return ""

    return _each(letters, reader, one, tell)


def _each(letters: Iterable[Letter], reader: Reader, act: Callable[[Letter], str], tell: Tell) -> list[Settled]:
    """One letter that can't be settled doesn't hold up the others."""
    done: list[Settled] = []
    for letter in letters:
        try:
            reader.keep()
            done.append(Settled(letter=letter, message_id=act(letter)))
        except ByomeshError as error:
            done.append(Settled(letter=letter, error=str(error)))
        tell(len(done))
    return done
