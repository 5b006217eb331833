# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.cloud.pubsub_v1.publisher.exceptions import MessageTooLargeError  # type: ignore[import-untyped]

from shared import pubsub
from shared.errors import ByomeshError, Permanent, Temporary
from shared.pubsub import Publisher

TOPIC = "projects/mesh/topics/mesh-install"


class Client:
    """The one method of PublisherClient that is used; what its future ends with is given."""

    def __init__(self, result: str | Exception | None) -> None:
        self._result = result
        self.published: list[tuple[str, bytes, dict[str, Any]]] = []

    def publish(self, topic: str, data: bytes, **options: Any) -> concurrent.futures.Future[str]:
        self.published.append((topic, data, options))
        future: concurrent.futures.Future[str] = concurrent.futures.Future()
        if isinstance(self._result, Exception):
            future.set_exception(self._result)
        elif self._result is not None:
            future.set_result(self._result)
        return future


def test_a_message_is_confirmed() -> None:
    client = Client("17")
    assert Publisher(client).publish(TOPIC, b"{}", {"cluster": "c"}) == "17"
    ((topic, data, options),) = client.published
    assert (topic, data, options.pop("cluster")) == (TOPIC, b"{}", "c")
    assert options.pop("timeout") == 10
    assert options.pop("retry").timeout == 15
    assert options == {}


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (concurrent.futures.TimeoutError(), Temporary, "PublishUnconfirmed"),
        (exceptions.RetryError("gave up", None), Temporary, "PublishUnconfirmed"),
        (exceptions.NotFound("no topic"), Temporary, "TopicMissing"),
        (exceptions.ServiceUnavailable("down"), Temporary, "ApiUnavailable"),
        (exceptions.PermissionDenied("no"), Temporary, "IamNotReady"),
        (RefreshError("no token"), Temporary, "CredentialsUnavailable"),
        (exceptions.InvalidArgument("bad"), Permanent, "ApiRejected"),
        (MessageTooLargeError("huge"), Permanent, "MessageTooLarge"),
    ],
)
def test_what_is_not_confirmed_raises(error: Exception, kind: type[ByomeshError], reason: str) -> None:
    with pytest.raises(kind) as raised:
        Publisher(Client(error)).publish(TOPIC, b"{}", {})
    assert (raised.value.reason, raised.value.tried) == (reason, f"to publish to {TOPIC}")
    assert raised.value.__cause__ is error


def test_silence_is_not_confirmation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pubsub, "_TOTAL_TIMEOUT", 0)
    with pytest.raises(Temporary, match="hasn't confirmed"):
        Publisher(Client(None)).publish(TOPIC, b"{}", {})


def test_the_door_is_made_once_and_sends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    def make(**options: Any) -> object:
        made.append(options)
        return object()

    monkeypatch.setattr("shared.pubsub.pubsub_v1.PublisherClient", make)
    pubsub.publisher.cache_clear()
    try:
        assert pubsub.publisher() is pubsub.publisher()
    finally:
        pubsub.publisher.cache_clear()
    ((batch,),) = [options.values() for options in made]
    assert (batch.max_messages, batch.max_latency) == (1, 0)
