"""The only door to Pub/Sub (google-cloud-pubsub): publishes one message and waits until Pub/Sub has it.

The client of `google.cloud.pubsub_v1` costs 0.04 s more at import than the bare `google.pubsub_v1`, and understands
Google's own PUBSUB_EMULATOR_HOST for it. No ordering keys: a failed publish would pause its key.
"""

from __future__ import annotations

import concurrent.futures
import functools
from collections.abc import Mapping

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1  # type: ignore[attr-defined]

from shared import google_errors
from shared.errors import Permanent, Temporary

_CALL_TIMEOUT = 10.0
_TOTAL_TIMEOUT = 25.0
"""Seconds for a publish with all its repetitions; what isn't confirmed by then counts as not sent."""

_RETRY = Retry(
    predicate=if_exception_type(
        exceptions.Aborted,
        exceptions.DeadlineExceeded,
        exceptions.InternalServerError,
        exceptions.ResourceExhausted,
        exceptions.ServiceUnavailable,
        exceptions.Unknown,
    ),
    initial=0.1,
    maximum=5.0,
    multiplier=2.0,
    timeout=_TOTAL_TIMEOUT - _CALL_TIMEOUT,
)


class Publisher:
    """Pub/Sub's publishing half; one client, made once and used by every call.

    It needs no settings: a topic's full name comes with each message, and PUBSUB_EMULATOR_HOST is the client's own.
    """

    def __init__(self, client: pubsub_v1.PublisherClient | None = None) -> None:
        # One message a batch: each is confirmed before its handler goes on, so there is nothing to collect.
        batch = pubsub_v1.types.BatchSettings(max_messages=1, max_latency=0)
        with google_errors.translated(tried="to make a client of Pub/Sub"):
            self._client = client or pubsub_v1.PublisherClient(batch_settings=batch)

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        """Publish a message and wait until Pub/Sub has confirmed it.

        Publishing twice is harmless (every stage reads the present state), so transient faults are repeated here.

        Args:
            topic: full resource name.
            data: the message.
            attributes: the message's attributes, the trace context among them.

        Returns:
            The message's id.

        Raises:
            Temporary: it isn't confirmed, the topic is missing, or IAM doesn't allow it (yet): nothing may be lost, so
                the caller's own delivery must come again.
            Permanent: Pub/Sub will never take this message (too large).
        """
        tried = f"to publish to {topic}"
        try:
            future = self._client.publish(topic, data, retry=_RETRY, timeout=_CALL_TIMEOUT, **attributes)
            message_id: str = future.result(timeout=_TOTAL_TIMEOUT)
        except (concurrent.futures.TimeoutError, exceptions.RetryError) as error:
            raise Temporary(
                "PublishUnconfirmed",
                f"Pub/Sub hasn't confirmed the message: {google_errors.describe(error)}",
                tried=tried,
                remedy="none; it is tried again",
            ) from error
        except exceptions.NotFound as error:
            remedy = "create the topic (terraform apply), or correct the function's topic setting; it is tried again"
            raise Temporary("TopicMissing", google_errors.describe(error), tried=tried, remedy=remedy) from error
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise google_errors.translate(error, tried=tried, needs="pubsub.topics.publish") from error
        except pubsub_v1.publisher.exceptions.MessageTooLargeError as error:
            raise Permanent("MessageTooLarge", str(error), tried=tried, remedy="none; this is a defect") from error
        return message_id


@functools.cache
def publisher() -> Publisher:
    """This process's door, made at the first call."""
    return Publisher()
