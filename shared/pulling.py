"""The pulling half of the door to Pub/Sub (google-cloud-pubsub), for dead letters: only the command imports it.

A pulled message is held for the subscription's ack deadline, or as long as `hold` says; what is neither acknowledged
nor given back comes again by itself (cloud.google.com/pubsub/docs/pull, docs/lease-management).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1  # type: ignore[attr-defined]

from shared import google_errors
from shared.errors import Permanent

_PULL_TIMEOUT = 4.0
"""Seconds that one pull waits for a first message; Pub/Sub itself would wait for minutes."""
_CALL_TIMEOUT = 20.0
_IDS_A_CALL = 500
"""Ids a request; it may have 512 KiB (docs/quotas), and an id of Pub/Sub's takes some 200 bytes."""


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is held.

    Attributes:
        ack_id: names the hold; another one for each delivery.
        message_id: Pub/Sub's id of the message, the same for each delivery.
        data: the payload.
        attributes: the message's attributes.
        published: when Pub/Sub took it.
        ordering_key: "" where it has none.
    """

    ack_id: str
    message_id: str
    data: bytes
    attributes: dict[str, str]
    published: dt.datetime
    ordering_key: str = ""


class Puller:
    """Pull subscriptions; one client for all of them, which threads may share.

    Every method raises:
        Temporary: Pub/Sub can't answer now, or IAM doesn't allow it (yet).
        Permanent: the subscription doesn't exist (reason `SubscriptionMissing`).
    """

    def __init__(self, client: pubsub_v1.SubscriberClient | None = None) -> None:
        with google_errors.translated(tried="to make a client of Pub/Sub"):
            self._client = client or pubsub_v1.SubscriberClient()

    def pull(self, subscription: str, most: int) -> list[Pulled]:
        """Up to `most` messages that nobody holds; none after some seconds in which there was none.

        Fewer, or none, is no proof that there are no more: Pub/Sub promises that only for what is asked for again.
        """
        try:
            answer = self._client.pull(subscription=subscription, max_messages=most, timeout=_PULL_TIMEOUT)
        except exceptions.DeadlineExceeded:
            return []
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise _translated(error, f"to pull from {subscription}") from error
        return [_pulled(received) for received in answer.received_messages]

    def hold(self, subscription: str, ack_ids: Sequence[str], seconds: int) -> None:
        """Keep messages for `seconds` from now (10 to 600)."""
        self._modify(subscription, ack_ids, seconds, "to hold messages of")

    def give_back(self, subscription: str, ack_ids: Sequence[str]) -> None:
        """Let others have the messages at once."""
        self._modify(subscription, ack_ids, 0, "to give messages back to")

    def acknowledge(self, subscription: str, ack_ids: Sequence[str]) -> None:
        """Remove messages for good. One whose hold has run out may come again nevertheless."""
        for ids in _chunks(ack_ids):
            try:
                self._client.acknowledge(subscription=subscription, ack_ids=ids, timeout=_CALL_TIMEOUT)
            except (exceptions.GoogleAPIError, GoogleAuthError) as error:
                raise _translated(error, f"to acknowledge messages of {subscription}") from error

    def _modify(self, subscription: str, ack_ids: Sequence[str], seconds: int, tried: str) -> None:
        for ids in _chunks(ack_ids):
            try:
                self._client.modify_ack_deadline(
                    subscription=subscription, ack_ids=ids, ack_deadline_seconds=seconds, timeout=_CALL_TIMEOUT
                )
            except (exceptions.GoogleAPIError, GoogleAuthError) as error:
                raise _translated(error, f"{tried} {subscription}") from error


def _chunks(ack_ids: Sequence[str]) -> list[list[str]]:
    return [list(ack_ids[begin : begin + _IDS_A_CALL]) for begin in range(0, len(ack_ids), _IDS_A_CALL)]


def _pulled(received: pubsub_v1.types.ReceivedMessage) -> Pulled:
    message = received.message
    return Pulled(
        ack_id=received.ack_id,
        message_id=message.message_id,
        data=message.data,
        attributes=dict(message.attributes),
        published=dt.datetime.fromtimestamp(message.publish_time.timestamp(), dt.UTC),
        ordering_key=message.ordering_key,
    )


def _translated(error: exceptions.GoogleAPIError | GoogleAuthError, tried: str) -> Exception:
    if isinstance(error, exceptions.NotFound):
        remedy = "create the subscription (terraform apply), or correct --project"
        return Permanent("SubscriptionMissing", google_errors.describe(error), tried=tried, remedy=remedy)
    return google_errors.translate(error, tried=tried, needs="pubsub.subscriptions.consume")
