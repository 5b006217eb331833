"""Claims: tasks that say which clusters are being worked on, and that look after a cluster whose work was cut off.

A claim's id is made of the cluster, of when it ends, and of chance, so that it can be read without a call, and so that
no name is used twice (a deleted task's name stays taken for an hour or more). The task is due when the claim ends; it
then has the cluster verified, which begins whatever is missing, and is gone.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import cast

import msgspec
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import tasks_v2

from shared import google_errors, telemetry
from shared.config import Settings, settings
from shared.errors import ByomeshError, Temporary
from shared.model import ClusterRef
from shared.tasks.client import TIMEOUT, client_of, publishing_task, shared_client

_ID = re.compile(r"(?P<cluster>[0-9a-f]{24})-(?P<ends>[0-9]{1,12})-[0-9a-f]{16}")
_PAGE = 1000


class Claim(msgspec.Struct, frozen=True, order=True):
    """A cluster that is being worked on; claims sort by age.

    Attributes:
        created: when Cloud Tasks took it.
        claim_id: its task's id.
    """

    created: dt.datetime
    claim_id: str

    @property
    def cluster(self) -> str:
        """The cluster's key, as `key_of` makes it; "" where the id is none of ours."""
        found = _ID.fullmatch(self.claim_id)
        return found["cluster"] if found is not None else ""


def key_of(cluster: ClusterRef) -> str:
    """What a cluster's claims begin with: a hash, since Cloud Tasks spreads load by the beginning of names; pure."""
    return hashlib.sha256(str(cluster).encode()).hexdigest()[:24]


def seconds_left(claim_id: str, now: dt.datetime) -> float:
    """Seconds until a claim ends by itself; negative where it has, or where the id is none; pure."""
    found = _ID.fullmatch(claim_id)
    return float(found["ends"]) - now.timestamp() if found is not None else -1.0


class Claims:
    """The queue of claims; one client, made once and used by every call."""

    def __init__(
        self,
        config: Settings,
        client: tasks_v2.CloudTasksClient | None = None,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = config
        self._client = client or client_of(config)
        self._clock = clock
        self._monotonic = monotonic
        self._lately: tuple[float, tuple[Claim, ...]] | None = None

    def held(self) -> tuple[Claim, ...]:
        """Every claim that there is, the oldest first.

        Raises:
            Temporary: Cloud Tasks can't answer, the queue is missing or unknown, or IAM doesn't allow it (yet).
        """
        queue = self._queue()
        request = tasks_v2.ListTasksRequest(parent=queue, page_size=_PAGE)
        try:
            listed = list(self._client.list_tasks(request=request, timeout=TIMEOUT))
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise _fault(error, f"ListTasks of {queue}", "cloudtasks.tasks.list") from error
        found = (Claim(cast("dt.datetime", one.create_time), one.name.rpartition("/")[2]) for one in listed)
        held = tuple(sorted(one for one in found if one.cluster))
        self._lately = (self._monotonic(), held)
        return held

    def held_lately(self) -> tuple[Claim, ...]:
        """The claims as of `pause_look` seconds ago at most: to turn somebody away, never to let anybody in.

        Raises:
            Temporary: as `held` does.
        """
        if self._lately is None or self._monotonic() - self._lately[0] >= self._settings.pause_look:
            return self.held()
        return self._lately[1]

    def make(self, cluster: ClusterRef, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        """Make a claim that ends in `work_limit` seconds, and publishes a message then.

        Returns:
            The claim's id; it is listed by whoever asks from now on.

        Raises:
            Temporary: as `held` does.
        """
        queue, due = self._queue(), self._clock() + dt.timedelta(seconds=self._settings.work_limit)
        claim_id = f"{key_of(cluster)}-{int(due.timestamp())}-{secrets.token_hex(8)}"
        task = publishing_task(self._settings, topic, data, attributes, due=due)
        task.name = f"{queue}/tasks/{claim_id}"
        try:
            self._client.create_task(parent=queue, task=task, timeout=TIMEOUT)
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            needs = "cloudtasks.tasks.create, and iam.serviceAccounts.actAs on the tasks' service account,"
            raise _fault(error, f"to claim a place in {queue}", needs) from error
        return claim_id

    def give_back(self, claim_id: str, cluster: ClusterRef) -> None:
        """End a claim of a cluster; one that can't be ended now ends by itself, so nothing is raised."""
        found = _ID.fullmatch(claim_id)
        if found is None or found["cluster"] != key_of(cluster):
            return
        try:
            self._client.delete_task(name=f"{self._queue()}/tasks/{claim_id}", timeout=TIMEOUT)
        except exceptions.NotFound:
            return
        except (exceptions.GoogleAPIError, GoogleAuthError, ByomeshError) as error:
            telemetry.warning(f"a claim stays until it ends by itself: {google_errors.describe(error)}", claim=claim_id)

    def _queue(self) -> str:
        if not self._settings.work_queue:
            raise Temporary(
                "WorkQueueUnknown",
                "the policy limits the clusters that are worked on at once, and no setting names the queue of claims",
                remedy="set BYOMESH_WORK_QUEUE, or take limits.clustersAtOnce out of the policy; it is tried again",
            )
        return self._settings.work_queue


def _fault(error: exceptions.GoogleAPIError | GoogleAuthError, tried: str, needs: str) -> ByomeshError:
    if isinstance(error, exceptions.NotFound):
        remedy = "create the queue (terraform apply), or correct BYOMESH_WORK_QUEUE; it is tried again"
        return Temporary("QueueMissing", google_errors.describe(error), tried=tried, remedy=remedy)
    return google_errors.translate(error, tried=tried, needs=needs)


@functools.cache
def claims() -> Claims:
    """This process's door, made with its settings at the first call."""
    return Claims(settings(), shared_client())
