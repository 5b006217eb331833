"""The queues as the fleet's switch: paused, they dispatch nothing, and no stage begins to change a cluster."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator

import msgspec
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import tasks_v2

from shared import google_errors
from shared.config import Settings, settings
from shared.errors import Permanent, Temporary
from shared.tasks.client import TIMEOUT, client_of, shared_client

_RUNNING = tasks_v2.Queue.State.RUNNING


class QueueState(msgspec.Struct, frozen=True):
    """A queue as it is.

    Attributes:
        name: projects/P/locations/L/queues/Q.
        paused: whether it dispatches nothing (paused, or disabled by an App Engine file).
    """

    name: str
    paused: bool


def queue_of(config: Settings) -> str:
    """Full name of the queue of waits.

    Raises:
        Permanent: no setting names it.
    """
    if not config.queue:
        raise Permanent(
            "QueueUnknown",
            "no setting names the Cloud Tasks queue of waits",
            remedy="set BYOMESH_QUEUE to projects/P/locations/L/queues/Q",
        )
    return config.queue


class Queues:
    """The queue of waits, and that of claims where the settings name one; paused and resumed together."""

    def __init__(
        self,
        config: Settings,
        client: tasks_v2.CloudTasksClient | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = config
        self._client = client or client_of(config)
        self._monotonic = monotonic
        self._known: tuple[float, bool] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Their full names; the queue of waits first.

        Raises:
            Permanent: no setting names it.
        """
        return tuple(name for name in (queue_of(self._settings), self._settings.work_queue) if name)

    def paused(self) -> bool:
        """Whether the queue of waits is paused, as of `pause_look` seconds ago at most.

        One call in that time, however many events there are; where no queue is set, nothing can be paused.

        Raises:
            Temporary: Cloud Tasks can't answer, the queue is missing, or IAM doesn't allow it (yet).
        """
        if not self._settings.queue:
            return False
        now = self._monotonic()
        if self._known is None or now - self._known[0] >= self._settings.pause_look:
            self._known = (now, self._get(self._settings.queue).paused)
        return self._known[1]

    def states(self) -> tuple[QueueState, ...]:
        """How each queue is now; raises as `paused` and `names` do."""
        return tuple(self._get(name) for name in self.names)

    def pause(self) -> Iterator[QueueState]:
        """Pause each queue, and say so; raises as `states` does, needs cloudtasks.queues.pause."""
        for name in self.names:
            with _translated(name, "PauseQueue", "cloudtasks.queues.pause"):
                found = self._client.pause_queue(name=name, timeout=TIMEOUT)
            yield _state(found)

    def resume(self) -> Iterator[QueueState]:
        """Let each queue dispatch again, first what is due; raises as `states` does, needs cloudtasks.queues.resume."""
        for name in self.names:
            with _translated(name, "ResumeQueue", "cloudtasks.queues.resume"):
                found = self._client.resume_queue(name=name, timeout=TIMEOUT)
            yield _state(found)

    def _get(self, name: str) -> QueueState:
        with _translated(name, "GetQueue", "cloudtasks.queues.get"):
            return _state(self._client.get_queue(name=name, timeout=TIMEOUT))


def _state(queue: tasks_v2.Queue) -> QueueState:
    return QueueState(queue.name, paused=queue.state != _RUNNING)


@contextlib.contextmanager
def _translated(queue: str, method: str, needs: str) -> Iterator[None]:
    tried = f"{method} of {queue}"
    try:
        yield
    except exceptions.NotFound as error:
        remedy = "create the queue (terraform apply), or correct its setting; it is tried again"
        raise Temporary("QueueMissing", google_errors.describe(error), tried=tried, remedy=remedy) from error
    except (exceptions.GoogleAPIError, GoogleAuthError) as error:
        raise google_errors.translate(error, tried=tried, needs=needs) from error


@functools.cache
def queues() -> Queues:
    """This process's door, made with its settings at the first call."""
    return Queues(settings(), shared_client())
