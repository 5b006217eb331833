"""The messages of a rerun sent: at once to their topic, or spread over time by tasks that Cloud Tasks keeps."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from byomesh.reruns.planning import Planned
from shared.errors import ByomeshError

_AT_ONCE = 16
"""Messages under way at the same time; each waits for Pub/Sub's confirmation."""


class Publisher(Protocol):
    """What is asked of Pub/Sub."""

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        """Publish a message; its id."""


class Postponer(Protocol):
    """What is asked of Cloud Tasks."""

    def publish_later(
        self, topic: str, data: bytes, attributes: Mapping[str, str], delay: float, *, name_parts: Sequence[str]
    ) -> bool:
        """Have a message published after so many seconds."""


class Sent(msgspec.Struct, frozen=True):
    """What became of one cluster's message.

    Attributes:
        planned: what was to be sent.
        message_id: Pub/Sub's id; "" where a task publishes it, or nothing was sent.
        error: why it wasn't; "" where it was.
    """

    planned: Planned
    message_id: str = ""
    error: str = ""


Post = Callable[[Planned], str]
"""Sends one message; its id where Pub/Sub gave one."""


def at_once(publisher: Publisher) -> Post:
    """Publishes each message now."""
    return lambda one: publisher.publish(one.topic, one.message.encode(), _attributes(one))


def spread(postponer: Postponer) -> Post:
    """Has each message published after its delay, by a task that Cloud Tasks keeps."""

    def post(one: Planned) -> str:
        parts = ("rerun", one.request_id, str(one.cluster))
        postponer.publish_later(one.topic, one.message.encode(), _attributes(one), one.delay, name_parts=parts)
        return ""

    return post


def send(planned: Iterable[Planned], post: Post, told: Callable[[int], None]) -> tuple[Sent, ...]:
    """Send every message that isn't skipped; one that fails keeps none back.

    Args:
        planned: what to send.
        post: sends one.
        told: called with the number of messages that are done, after each.
    """

    def one_by_one(one: Planned) -> Sent:
        try:
            return Sent(one, post(one))
        except ByomeshError as error:
            return Sent(one, error=str(error))

    done: list[Sent] = []
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        for sent in pool.map(one_by_one, [one for one in planned if not one.skipped]):
            done.append(sent)
            told(len(done))
    return tuple(done)


def _attributes(one: Planned) -> dict[str, str]:
    return {"cluster": str(one.cluster), "request_id": one.request_id}
