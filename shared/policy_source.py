"""The policy that a setting names, wherever it is: built in, written out, in a file, or in Cloud Storage.

A policy in a bucket takes effect without a deployment: its generation is looked at every few seconds while events
come, and its content read again only where that changed. What can't be used refuses deliveries, as a file does, and
so does an object that isn't there or may not be read. Only where Cloud Storage itself can't answer does the policy
that was read last hold on, for a time that is bounded (docs/decisions/0024-policy-object.md).
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from shared import policy, telemetry
from shared.config import Settings, settings
from shared.errors import ByomeshError, Permanent, Temporary
from shared.policy import BadPolicy, Fault, Policy

if TYPE_CHECKING:
    from shared.cloud_storage import StoredObject

SCHEME = "gs://"

OUTAGES = frozenset({"ApiUnavailable", "CredentialsUnavailable", "ObjectChanged"})
"""Reasons of faults that say nothing of the policy, and pass by themselves."""

_UPLOAD = "upload it: gcloud storage cp FILE {name}; or correct BYOMESH_POLICY"


Reader: TypeAlias = "Callable[[StoredObject | None], StoredObject | None]"
"""Reads the object: given what is known, that itself where it is still so; None where there is none."""


def load(source: str) -> Policy:
    """The policy at `source`, as it is now or was a few seconds ago.

    Args:
        source: `gs://BUCKET/OBJECT`, or what `policy.load` takes.

    Raises:
        BadPolicy: it can't be used, or isn't there.
        Temporary: Cloud Storage can't answer, or IAM doesn't allow it (yet).
    """
    if not is_object(source):
        return policy.load(source)
    return _watched(source.strip()).current()


def is_object(source: str) -> bool:
    """Whether a policy's source is an object of Cloud Storage."""
    return source.strip().startswith(SCHEME) and "\n" not in source.strip()


@functools.lru_cache(maxsize=4)
def _watched(source: str) -> Watched:
    from shared import cloud_storage  # noqa: PLC0415 - its client is slow to load, and few policies are in a bucket

    try:
        name = cloud_storage.ObjectName.parse(source)
    except Permanent as error:
        raise _fault(source, error.problem, error.remedy) from error
    door = cloud_storage.cloud_storage()
    return Watched(source, lambda known: door.read(name, policy.LIMIT, known), settings())


class Watched:
    """A policy in a bucket, looked at again once it is due; deliveries that come meanwhile get what was found."""

    def __init__(
        self, source: str, read: Reader, config: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep what to read; nothing is read yet.

        Args:
            source: the object's name, for people.
            read: reads it.
            config: how often, and how long what is known holds.
            clock: seconds that only rise.
        """
        self._source = source
        self._read = read
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._stored: StoredObject | None = None
        self._found: Policy | ByomeshError | None = None
        self._looked = 0.0
        self._answered = 0.0

    def current(self) -> Policy:
        """The policy; raises as `load` does.

        One look at a time: whoever comes while another looks waits for what that one finds.
        """
        with self._lock:
            now = self._clock()
            if self._found is None or now - self._looked >= self._config.policy_step:
                self._found = self._look(now)
                self._looked = self._clock()
            found = self._found
        if isinstance(found, Policy):
            return found
        # The same fault may be told several times; each has its own traceback.
        raise found.with_traceback(None)

    def _look(self, now: float) -> Policy | ByomeshError:
        try:
            stored = self._read(self._stored)
        except ByomeshError as error:
            return self._unanswered(error, now)
        self._answered = now
        if stored is None:
            self._stored = None
            return _fault(self._source, "there is no such object", _UPLOAD.format(name=self._source))
        if stored is self._stored and isinstance(self._found, Policy | BadPolicy):
            return self._found
        self._stored = stored
        return self._judged(stored)

    def _judged(self, stored: StoredObject) -> Policy | BadPolicy:
        where = f"{self._source}#{stored.generation}"
        try:
            found = policy.read_bytes(stored.content, where)
        except BadPolicy as error:
            telemetry.error(f"the policy {where} can't be used, and deliveries are refused: {error}")
            return error
        telemetry.info(f"the policy is {where}, with {len(found.rules)} rules")
        return found

    def _unanswered(self, error: ByomeshError, now: float) -> Policy | ByomeshError:
        if error.reason not in OUTAGES:
            # Cloud Storage has answered: what is said of the object holds at once.
            self._stored = None
            return error if isinstance(error, Temporary) else _fault(self._source, error.problem, error.remedy)
        left = self._answered + self._config.policy_limit - now
        if self._stored is None or left <= 0 or not isinstance(self._found, Policy | BadPolicy):
            return error
        telemetry.warning(f"the policy can't be looked at, and holds as it was for {left:.0f} s more: {error}")
        return self._found


def _fault(source: str, problem: str, remedy: str) -> BadPolicy:
    return BadPolicy(source[:200], [Fault(0, 0, problem, remedy)])
