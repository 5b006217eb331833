"""A wait: a task that publishes a message when due."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import tasks_v2

from shared import google_errors
from shared.config import Settings, settings
from shared.errors import Temporary
from shared.tasks.client import TIMEOUT, client_of, publishing_task, shared_client


def task_name(queue: str, name_parts: Sequence[str]) -> str:
    """The full name of the task for a wait; the same parts are the same wait, whoever asks for it; pure.

    A hash, because Cloud Tasks spreads load by the beginning of names and slows down queues whose names rise (its
    reference, `projects.locations.queues.tasks`); the parts are kept apart by their lengths.
    """
    text = "".join(f"{len(part)}:{part}" for part in name_parts)
    return f"{queue}/tasks/{hashlib.sha256(text.encode()).hexdigest()[:40]}"


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
        self._client = client or client_of(config)

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
        task = publishing_task(self._settings, topic, data, attributes, due=self._clock() + dt.timedelta(seconds=delay))
        task.name = task_name(self._settings.queue, name_parts)
        tried = f"to queue a wait of {delay:g} s in {self._settings.queue}"
        try:
            self._client.create_task(parent=self._settings.queue, task=task, timeout=TIMEOUT)
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
    return Waits(settings(), client=shared_client())
