"""The one place where outcomes and errors become an acknowledgement, a delay or a retry.

Done, Ignored            acknowledge; publish the status and the requests that follow
Later                    acknowledge; a Cloud Tasks task publishes the request again when due; past its limit: Stuck
ClusterFault             the same: what one cluster alone suffers from must not slow down the others' deliveries
Refused, Permanent       acknowledge; publish the status with what to do
Temporary, anything else raise: functions-framework answers 500 and the delivery comes again with backoff
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec
from cloudevents.http import CloudEvent

from shared import events, pubsub, tasks, telemetry, unreadable
from shared.config import Settings, settings
from shared.errors import ByomeshError, Permanent, Refused, Temporary
from shared.kube_errors import ClusterFault
from shared.model import (
    ClusterEvent,
    ClusterRef,
    EnforceRequest,
    InstallRequest,
    MeshStatus,
    Phase,
    Reason,
    Stage,
    SweepRequest,
    VerifyRequest,
    encode,
    status_for_the_log,
)
from shared.outcome import Done, Ignored, Later, Outcome, Request
from shared.stages import capacity, faults
from shared.waited import Waited

_R = TypeVar("_R", bound=Request)
Message = InstallRequest | VerifyRequest | EnforceRequest | SweepRequest
"""What is published to a function."""


class Deliver(Generic[_R]):
    """Makes a CloudEvent handler of a stage; use it as a decorator.

    Args:
        stage: which of the functions it is; names its waits and its log lines.
        decode: reads the event; raises Permanent for what can't be read.
    """

    def __init__(self, stage: Stage, decode: Callable[[CloudEvent], _R | Ignored]) -> None:
        self._stage: Stage = stage
        self._decode = decode

    def __call__(self, act: Callable[[_R], Outcome]) -> Callable[[CloudEvent], None]:
        """The handler: returns to acknowledge, raises to have the event delivered again."""

        def handle(event: CloudEvent) -> None:
            with telemetry.continue_trace(events.trace(event)):
                emit = Emitter(settings(), self._stage)
                with self._told():
                    request = self._read(event, emit)
                if request is not None:
                    self._act(act, request, Waited.of(events.attributes(event), events.published(event)), emit)

        unreadable.refuse_unreadable(handle.__code__)
        return functools.wraps(act)(handle)

    def _read(self, event: CloudEvent, emit: Emitter) -> _R | None:
        """The event's request; None where it asks for nothing, or can't be read, which is then said."""
        try:
            request = self._decode(event)
        except Permanent as error:
            telemetry.error(str(error), stage=self._stage, reason=error.reason)
            emit.status(failure(error, None))
            return None
        if isinstance(request, Ignored):
            telemetry.info(f"ignored: {request.reason}", stage=self._stage)
            return None
        return request

    def _act(self, act: Callable[[_R], Outcome], request: _R, waited: Waited, emit: Emitter) -> None:
        cluster = "" if isinstance(request, SweepRequest) else str(request.cluster)
        bound = {"cluster": cluster, "request_id": request.request_id, "project": settings().project}
        with telemetry.bind(**bound), self._told():
            try:
                outcome = act(request)
            except (Permanent, Refused) as error:
                telemetry.error(str(error), stage=self._stage, reason=error.reason)
                emit.status(failure(error, request))
                _end(request)
            except ClusterFault as error:
                if isinstance(request, SweepRequest):
                    raise
                telemetry.warning(f"the cluster has a fault, so its request waits: {error}", reason=error.reason)
                emit.outcome(faults.wait_out(error, request, waited.times, settings()), request, waited)
            else:
                emit.outcome(outcome, request, waited)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Log why a delivery is refused; the error goes on."""
        try:
            yield
        except Temporary as error:
            telemetry.warning(f"will be tried again: {error}", stage=self._stage, reason=error.reason)
            raise
        except Exception as error:
            # Its words may be anything, so they stay in the traceback that the platform writes.
            telemetry.error(f"unforeseen, will be tried again: {type(error).__name__}", stage=self._stage)
            raise


def failure(error: ByomeshError, request: Request | None) -> MeshStatus:
    """The status that tells of an error that won't pass by itself."""
    cluster = _cluster(error.cluster) if request is None or isinstance(request, SweepRequest) else request.cluster
    return MeshStatus(
        cluster=cluster,
        mesh=getattr(request, "mesh", ""),
        version=getattr(request, "version", None) or "",
        request_id=request.request_id if request is not None else "",
        phase=Phase.REFUSED if isinstance(error, Refused) else Phase.FAILED,
        reason=error.reason,
        message=str(error),
        timings=telemetry.timings(),
    )


def _cluster(name: str) -> ClusterRef | None:
    try:
        return ClusterRef.parse(name)
    except Permanent:
        return None


class Emitter:
    """Publishes what one request led to."""

    def __init__(
        self, config: Settings, stage: Stage, clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    ) -> None:
        self._settings = config
        self._stage: Stage = stage
        self._clock = clock

    def outcome(self, outcome: Outcome, request: Request, waited: Waited) -> None:
        """Publish an outcome; raises Temporary where Pub/Sub or Cloud Tasks can't take it, so that nothing is lost."""
        match outcome:
            case Ignored(reason):
                telemetry.info(f"ignored: {reason}", stage=self._stage)
                _end(request)
            case Later():
                self._later(outcome, request, waited)
            case Done(status=status, next=following, begin=beginning, sweeps=sweeps):
                for message in (*following, *sweeps):
                    self._request(_with_claim(message, request), self._topic(message))
                for message in beginning:
                    self._request(message, self._settings.topic(self._settings.events_topic))
                if status is not None:
                    # Who asked, where nobody made the change that it answers to.
                    by = status.actor or getattr(request, "actor", None) or ""
                    self.status(msgspec.structs.replace(status, actor=by))
                if not following:
                    _end(request)

    def status(self, status: MeshStatus) -> None:
        """Publish and log a status."""
        status = msgspec.structs.replace(status, time=self._clock(), timings=telemetry.timings())
        telemetry.status(
            f"{status.phase}: {status.message}",
            status_for_the_log(status),
            stage=self._stage,
            phase=status.phase.value,
            reason=status.reason,
            cluster=str(status.cluster or ""),
        )
        topic = self._settings.topic(self._settings.status_topic)
        pubsub.publisher().publish(topic, encode(status), _attributes(status))

    def _request(self, message: Message, topic: str) -> None:
        if message.first_seen is None:
            message = msgspec.structs.replace(message, first_seen=self._clock())
        pubsub.publisher().publish(topic, encode(message), _attributes(message))
        telemetry.info(f"queued for {topic.rpartition('/')[2]}", stage=self._stage)

    def _topic(self, message: Message) -> str:
        match message:
            case InstallRequest():
                name = self._settings.install_topic
            case VerifyRequest():
                name = self._settings.verify_topic
            case _:
                name = self._settings.enforce_topic
        return self._settings.topic(name)

    def _later(self, later: Later, request: Request, waited: Waited) -> None:
        now = self._clock()
        # What says that it was first seen in the future would never have waited too long.
        since = min(later.since or request.first_seen or now, now)
        age = (now - since).total_seconds() - waited.held
        status = msgspec.structs.replace(later.status, reason=later.reason, waits_for=later.waits_for)
        if age > later.limit and not later.uncounted:
            words = f"waited {age:.0f} s for {later.waits_for}, longer than the {later.limit:.0f} s allowed"
            self.status(msgspec.structs.replace(status, phase=Phase.STUCK, message=words))
            _end(request)
            _end(_again(request, later, since, self._stage))
            return
        message = self._renewed(_again(request, later, since, self._stage), now)
        topic = self._settings.topic(self._settings.events_topic) if self._stage == "enable" else self._topic(message)
        # The same for every duplicate of one delivery, so that one wait exists once.
        stamp = request.time if isinstance(request, ClusterEvent) and request.first_seen is None else since
        name = (_subject(message), self._stage, message.request_id, stamp.isoformat(), str(waited.times))
        delay = later.delay_after(age)
        due = now if later.uncounted else now + dt.timedelta(seconds=delay)
        attributes = {**_attributes(message), **waited.again(due)}
        made = tasks.waits().publish_later(topic, encode(message), attributes, delay, name_parts=name)
        if not made and _claim(message) != _claim(request):
            # A duplicate of this delivery waits with a claim of its own.
            _end(message)
        self.status(status)

    def _renewed(self, message: Message, now: dt.datetime) -> Message:
        """A message that goes on waiting, with a claim that lasts."""
        if not isinstance(message, InstallRequest | VerifyRequest):
            return message
        return msgspec.structs.replace(message, claim=capacity.renewed(message, self._settings, now))


def _again(request: Request, later: Later, since: dt.datetime, stage: Stage) -> Message:
    """The message that brings a waiting request back; an audit entry comes back as a request to begin at its stage."""
    if isinstance(request, ClusterEvent) and stage == "enforce":
        return EnforceRequest(
            cluster=request.cluster,
            reason=Reason.DRIFT,
            request_id=request.request_id,
            first_seen=since,
            operation=request.operation,
            ended=request.time,
        )
    if isinstance(request, ClusterEvent):
        return InstallRequest(
            cluster=request.cluster,
            mesh=later.status.mesh,
            reason=Reason.CREATED,
            request_id=request.request_id,
            first_seen=since,
        )
    again = msgspec.structs.replace(request, first_seen=since)
    if isinstance(again, InstallRequest | VerifyRequest) and later.claim is not None:
        return msgspec.structs.replace(again, claim=later.claim)
    return again


def _with_claim(message: Message, request: Request) -> Message:
    """What follows a request goes on with its place, unless the stage gave it another."""
    claim = _claim(request)
    if not claim or _claim(message) or not isinstance(message, InstallRequest | VerifyRequest):
        return message
    return msgspec.structs.replace(message, claim=claim)


def _claim(request: Request | Message) -> str:
    return request.claim if isinstance(request, InstallRequest | VerifyRequest) else ""


def _end(request: Request | Message) -> None:
    if isinstance(request, InstallRequest | VerifyRequest):
        capacity.end(request)


def _subject(message: Message) -> str:
    """What a message is about: a cluster, a project, or ""."""
    return message.project or "" if isinstance(message, SweepRequest) else str(message.cluster)


def _attributes(message: Message | MeshStatus) -> dict[str, str]:
    pairs = {
        "cluster": str(getattr(message, "cluster", None) or ""),
        "mesh": getattr(message, "mesh", ""),
        "request_id": message.request_id,
        "traceparent": telemetry.traceparent(),
    }
    return {key: value for key, value in pairs.items() if value}
