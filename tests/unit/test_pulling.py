# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.pubsub_v1 import types

from shared.errors import ByomeshError, Permanent, Temporary
from shared.pulling import Pulled, Puller

NAME = "projects/mesh/subscriptions/mesh-install-dead-letter"
WHEN = dt.datetime(2026, 5, 4, 9, 0, 0, 250_000, tzinfo=dt.UTC)


class Client:
    """The methods of SubscriberClient that are used: notes what they get, and answers or fails."""

    def __init__(self, answer: types.PullResponse | Exception | None = None) -> None:
        self._answer = answer
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def _called(self, method: str, options: dict[str, Any]) -> Any:
        options.pop("timeout")
        self.calls.append((method, options))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def pull(self, **options: Any) -> Any:
        return self._called("pull", options)

    def acknowledge(self, **options: Any) -> Any:
        return self._called("acknowledge", options)

    def modify_ack_deadline(self, **options: Any) -> Any:
        return self._called("modify_ack_deadline", options)


def test_messages_are_pulled_whole() -> None:
    message = types.PubsubMessage(
        data=b"\xff", attributes={"a": "b"}, message_id="7", publish_time=WHEN, ordering_key="k"
    )
    client = Client(types.PullResponse(received_messages=[types.ReceivedMessage(ack_id="7:1", message=message)]))
    assert Puller(client).pull(NAME, 100) == [
        Pulled(ack_id="7:1", message_id="7", data=b"\xff", attributes={"a": "b"}, published=WHEN, ordering_key="k")
    ]
    assert client.calls == [("pull", {"subscription": NAME, "max_messages": 100})]


def test_a_pull_that_meets_nothing_in_time_brings_nothing() -> None:
    assert Puller(Client(exceptions.DeadlineExceeded("late"))).pull(NAME, 1) == []
    assert Puller(Client(types.PullResponse())).pull(NAME, 1) == []


def test_ids_go_in_requests_that_pubsub_takes() -> None:
    ids = [str(number) for number in range(1201)]
    client = Client()
    Puller(client).hold(NAME, ids, 60)
    Puller(client).give_back(NAME, ids)
    Puller(client).acknowledge(NAME, ids)
    Puller(client).acknowledge(NAME, [])
    assert [len(options["ack_ids"]) for _, options in client.calls] == [500, 500, 201] * 3
    assert [options.get("ack_deadline_seconds") for _, options in client.calls] == [60] * 3 + [0] * 3 + [None] * 3
    assert [one for _, options in client.calls[6:] for one in options["ack_ids"]] == ids


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (exceptions.NotFound("no subscription"), Permanent, "SubscriptionMissing"),
        (exceptions.ServiceUnavailable("down"), Temporary, "ApiUnavailable"),
        (exceptions.PermissionDenied("no"), Temporary, "IamNotReady"),
        (RefreshError("no token"), Temporary, "CredentialsUnavailable"),
    ],
)
def test_failures_are_sorted(error: Exception, kind: type[ByomeshError], reason: str) -> None:
    puller = Puller(Client(error))
    calls = (
        lambda: puller.pull(NAME, 1),
        lambda: puller.hold(NAME, ["1"], 60),
        lambda: puller.give_back(NAME, ["1"]),
        lambda: puller.acknowledge(NAME, ["1"]),
    )
    for call in calls:
        with pytest.raises(kind) as raised:
            call()
        assert raised.value.reason == reason
        assert "mesh-install-dead-letter" in raised.value.tried
