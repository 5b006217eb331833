"""The only door to Cloud Tasks (google-cloud-tasks): a wait is a task that publishes a message when due.

The task's target is Pub/Sub's own REST method `topics.publish`, called with an OAuth token of the settings' service
account, so nothing of ours has to be running meanwhile.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence

import msgspec
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import tasks_v2

from shared import google_errors
from shared.config import Settings, settings
from shared.errors import Temporary

_TIMEOUT = 10.0
_PUBSUB_SCOPE = "https://www.googleapis.com/auth/pubsub"


def task_name(queue: str, name_parts: Sequence[str]) -> str:
    """The full name of the task for a wait; the same parts are the same wait, whoever asks for it; pure.

    A hash, because Cloud Tasks spreads load by the beginning of names and slows down queues whose names rise (its
    reference, `projects.locations.queues.tasks`); the parts are kept apart by their lengths.
    """
    text = "".join(f"{len(part)}:{part}" for part in name_parts)
    return f"{queue}/tasks/{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def publish_body(data: bytes, attributes: Mapping[str, str]) -> bytes:
    """The body of `POST …/v1/TOPIC:publish` (google.pubsub.v1.PublishRequest as JSON); pure."""
    message = {"data": base64.b64encode(data).decode("ascii"), "attributes": dict(attributes)}
    return msgspec.json.encode({"messages": [message]})


class Waits:
    """The queue of waits; one client, made once and used by every call."""

    def __init__(
        self,
        config: Settings,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        client: tasks_v2.CloudTasksClient | None = None,
    ) -> None:
        self._settings = config
        self._clock = clock
        with google_errors.translated(tried="to make a client of Cloud Tasks"):
            self._client = client or tasks_v2.CloudTasksClient(client_options={"api_endpoint": config.tasks_endpoint})

    def publish_later(
        self, topic: str, data: bytes, attributes: Mapping[str, str], delay: float, *, name_parts: Sequence[str]
    ) -> bool:
        """Have a message published after `delay` seconds, once for all who ask with the same `name_parts`.

        Args:
            topic: full resource name.
            data: the message.
            attributes: its attributes.
            delay: seconds from now.
            name_parts: what makes the wait one: cluster, stage, request, and which of its waits it is.

        Returns:
            Whether this call made the task; False where it was there already, or has been within the last hour.

        Raises:
            Temporary: Cloud Tasks can't take it, the queue is missing, or IAM doesn't allow it (yet): the caller's own
                delivery must come again, or the wait would be lost.
        """
        task = tasks_v2.Task(
            name=task_name(self._settings.queue, name_parts),
            schedule_time=self._clock() + dt.timedelta(seconds=delay),
            http_request=tasks_v2.HttpRequest(
                url=f"{self._settings.pubsub_rest_endpoint}/v1/{topic}:publish",
                http_method=tasks_v2.HttpMethod.POST,
                headers={"Content-Type": "application/json"},
                body=publish_body(data, attributes),
                oauth_token=tasks_v2.OAuthToken(
                    service_account_email=self._settings.tasks_service_account, scope=_PUBSUB_SCOPE
                ),
            ),
        )
        tried = f"to queue a wait of {delay:g} s in {self._settings.queue}"
        try:
            self._client.create_task(parent=self._settings.queue, task=task, timeout=_TIMEOUT)
        except exceptions.AlreadyExists:
            return False
        except exceptions.NotFound as error:
            remedy = "create the queue (terraform apply), or correct BYOMESH_QUEUE; it is tried again"
            raise Temporary("QueueMissing", google_errors.describe(error), tried=tried, remedy=remedy) from error
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            needs = "cloudtasks.tasks.create, and iam.serviceAccounts.actAs on the tasks' service account,"
            raise google_errors.translate(error, tried=tried, needs=needs) from error
        return True


@functools.cache
def waits() -> Waits:
    """This process's door, made with its settings at the first call."""
    return Waits(settings())
