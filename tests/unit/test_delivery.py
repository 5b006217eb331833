"""Outcomes and errors made into acknowledgements, waits and retries, by the events that the functions are sent."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from cloudevents.http import CloudEvent

from shared import delivery, events
from shared.config import Settings
from shared.delivery import Deliver
from shared.errors import ByomeshError, Permanent, Refused, Temporary
from shared.model import (
    ClusterEvent,
    EnforceRequest,
    InstallRequest,
    MeshStatus,
    Phase,
    Reason,
    SweepRequest,
    VerifyRequest,
    decode,
)
from shared.outcome import Done, Ignored, Later, Outcome
from shared.tasks import task_name
from shared.waited import Waited
from tests.unit.doors import EU1, NOW

SETTINGS = Settings(project="mesh", queue="projects/mesh/locations/l/queues/waits")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STATUS = MeshStatus(cluster=EU1, mesh="linkerd", request_id="op-1", phase=Phase.PENDING, reason="Queued", message="m")
ENTRY = {
    "protoPayload": {
        "serviceName": "container.googleapis.com",
        "methodName": "google.container.v1.ClusterManager.CreateCluster",
        "resourceName": str(EU1),
    },
    "operation": {"id": "op-1", "last": True},
    "timestamp": "2026-05-04T08:59:00Z",
}
Published = tuple[str, dict[str, Any], dict[str, str]]


class Doors:
    """Pub/Sub and Cloud Tasks: what was given to them, in order."""

    def __init__(self) -> None:
        self.published: list[Published] = []
        self.waits: list[tuple[str, dict[str, Any], dict[str, str], float, str]] = []
        self.fault: ByomeshError | None = None

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        if self.fault is not None:
            raise self.fault
        self.published.append((topic.rpartition("/")[2], json.loads(data), dict(attributes)))
        return "1"

    def publish_later(
        self, topic: str, data: bytes, attributes: Mapping[str, str], delay: float, *, name_parts: Sequence[str]
    ) -> bool:
        if self.fault is not None:
            raise self.fault
        name = task_name(SETTINGS.queue, name_parts)
        fresh = name not in {wait[-1] for wait in self.waits}
        if fresh:
            self.waits.append((topic.rpartition("/")[2], json.loads(data), dict(attributes), delay, name))
        return fresh

    @property
    def statuses(self) -> list[dict[str, Any]]:
        return [message for topic, message, _ in self.published if topic == "mesh-status"]


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> Doors:
    found = Doors()
    monkeypatch.setattr(delivery, "settings", lambda: SETTINGS)
    monkeypatch.setattr("shared.pubsub.publisher", lambda: found)
    monkeypatch.setattr("shared.tasks.waits", lambda: found)
    return found


def message(body: Any, published: str = "2026-05-04T08:59:30Z", **attributes: str) -> CloudEvent:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    data = {
        "data": base64.b64encode(raw).decode(),
        "messageId": "42",
        "publishTime": published,
        "attributes": attributes,
    }
    return CloudEvent({"type": events.PUBSUB_TYPE, "source": "s", "time": "2026-05-04T09:00:00Z"}, {"message": data})


def audit(**extensions: str) -> CloudEvent:
    found = {"type": events.AUDIT_TYPE, "source": "s", "time": "2026-05-04T09:00:00Z", **extensions}
    return CloudEvent(found, ENTRY)


BODY = {"cluster": str(EU1), "mesh": "linkerd"}


def install(act: Callable[[InstallRequest], Outcome]) -> Callable[[CloudEvent], None]:
    return Deliver("install", events.install_request)(act)


def enable(act: Callable[[ClusterEvent | InstallRequest], Outcome]) -> Callable[[CloudEvent], None]:
    return Deliver[ClusterEvent | InstallRequest]("enable", events.cluster_event)(act)


def later(**changes: Any) -> Later:
    facts: dict[str, Any] = {
        "delay": 15.0,
        "reason": "OperationRunning",
        "waits_for": "operation op-2",
        "limit": 1e12,
        "status": STATUS,
    }
    return Later(**{**facts, **changes})


def returned(doors: Doors) -> CloudEvent:
    """The newest wait, as Cloud Tasks publishes it when due."""
    _, body, attributes, _, _ = doors.waits[-1]
    return message(body, "2026-05-04T09:30:00Z", **attributes)


def test_what_is_done_queues_what_follows_and_then_tells_it(doors: Doors) -> None:
    verify = VerifyRequest(cluster=EU1, mesh="linkerd", request_id="op-1")
    follow = InstallRequest(cluster=EU1, mesh="linkerd", first_seen=NOW)

    @install
    def act(request: InstallRequest) -> Outcome:
        assert request == InstallRequest(
            cluster=EU1, mesh="linkerd", request_id="42", first_seen=dt.datetime(2026, 5, 4, 8, 59, 30, tzinfo=dt.UTC)
        )
        return Done(status=STATUS, next=(verify, follow))

    before = dt.datetime.now(dt.UTC)
    act(message(BODY))
    assert [topic for topic, _, _ in doors.published] == ["mesh-verify", "mesh-install", "mesh-status"]
    (_, queued, attributes), (_, second, _), (_, status, _) = doors.published
    # The next stage's limits count from its own beginning.
    assert before <= dt.datetime.fromisoformat(queued.pop("first_seen")) <= dt.datetime.now(dt.UTC)
    assert queued == {"cluster": str(EU1), "mesh": "linkerd", "request_id": "op-1"}
    assert second["first_seen"] == "2026-05-04T09:00:00Z"
    assert attributes.pop("traceparent").startswith("00-")
    assert attributes == {"cluster": str(EU1), "mesh": "linkerd", "request_id": "op-1"}
    assert (status["phase"], status["message"], status["cluster"]) == ("Pending", "m", str(EU1))
    assert dt.datetime.fromisoformat(status["time"]) >= before
    assert decode(json.dumps(status).encode(), MeshStatus).reason == "Queued"


def test_what_is_done_may_have_nothing_to_say(doors: Doors) -> None:
    install(lambda _: Done())(message(BODY))
    assert doors.published == []


def test_what_is_ignored_is_acknowledged_and_logged(doors: Doors, capsys: pytest.CaptureFixture[str]) -> None:
    install(lambda _: Ignored("opted out"))(message(BODY))
    first = {**ENTRY, "operation": {"id": "op-1", "first": True}}
    enable(lambda _: pytest.fail("the first entry of an operation asks for nothing"))(message(first))
    assert (doors.published, doors.waits) == ([], [])
    lines = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "ignored: opted out"
    assert lines[1].startswith("ignored: CreateCluster of")


@pytest.mark.parametrize(
    ("error", "phase"), [(Permanent("Gone", "p", remedy="r"), "Failed"), (Refused("No", "p", remedy="r"), "Refused")]
)
def test_what_will_not_pass_is_told_and_acknowledged(doors: Doors, error: ByomeshError, phase: str) -> None:
    def act(_: InstallRequest) -> Outcome:
        raise error

    install(act)(message({**BODY, "version": "edge-26.6.3", "request_id": "op-1"}))
    (status,) = doors.statuses
    assert (status["phase"], status["reason"], status["message"]) == (phase, error.reason, str(error))
    assert (status["cluster"], status["mesh"], status["version"]) == (str(EU1), "linkerd", "edge-26.6.3")
    assert status["request_id"] == "op-1"


def test_a_failed_event_has_no_mesh_yet(doors: Doors) -> None:
    def act(_: ClusterEvent | InstallRequest) -> Outcome:
        raise Refused("No", "p")

    enable(act)(audit())
    (status,) = doors.statuses
    assert (status["cluster"], status["mesh"], status["version"], status["request_id"]) == (str(EU1), "", "", "op-1")


UNREADABLE: dict[str, tuple[Any, str | None, str]] = {
    "no JSON": (b"{", None, "MalformedEvent"),
    "no cluster": ({"mesh": "linkerd"}, None, "MalformedMessage"),
    "no cluster's name": ({"cluster": "eu-1", "mesh": "linkerd"}, None, "MalformedCluster"),
    "wrong type": ({**BODY, "attempt": "x"}, str(EU1), "MalformedMessage"),
    "from the future": ({**BODY, "schema": 2}, str(EU1), "SchemaTooNew"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_told_and_acknowledged(doors: Doors, case: str) -> None:
    body, cluster, reason = UNREADABLE[case]
    install(lambda _: pytest.fail("nobody can act on it"))(message(body))
    ((topic, status, attributes),) = doors.published
    assert topic == "mesh-status"
    assert (status["phase"], status["reason"], status["cluster"]) == ("Failed", reason, cluster)
    assert ("cluster" in attributes) is (cluster is not None)


def test_a_fault_that_passes_is_raised_and_logged_with_its_cluster(
    doors: Doors, capsys: pytest.CaptureFixture[str]
) -> None:
    error = Temporary("ApiUnavailable", "down")

    def act(_: InstallRequest) -> Outcome:
        raise error

    with pytest.raises(Temporary) as raised:
        install(act)(message(BODY, traceparent=TRACE))
    assert raised.value is error
    assert doors.published == []
    line = json.loads(capsys.readouterr().out)
    assert (line["severity"], line["reason"], line["stage"]) == ("WARNING", "ApiUnavailable", "install")
    assert line["message"] == "will be tried again: ApiUnavailable: down"
    assert line["logging.googleapis.com/labels"] == {"cluster": str(EU1), "request_id": "42"}
    assert line["logging.googleapis.com/trace"] == "projects/mesh/traces/0af7651916cd43dd8448eb211c80319c"


def test_what_nobody_foresaw_is_raised_and_logged_without_its_words(
    doors: Doors, capsys: pytest.CaptureFixture[str]
) -> None:
    def act(_: InstallRequest) -> Outcome:
        raise KeyError("hidden words")

    with pytest.raises(KeyError):
        install(act)(message(BODY))
    assert doors.published == []
    line = json.loads(capsys.readouterr().out)
    assert (line["severity"], line["message"]) == ("ERROR", "unforeseen, will be tried again: KeyError")


OUTCOMES: dict[str, Outcome] = {
    "status": Done(status=STATUS),
    "request": Done(next=(VerifyRequest(cluster=EU1, mesh="linkerd"),)),
    "wait": later(),
}


@pytest.mark.parametrize("case", OUTCOMES)
def test_what_cannot_be_handed_on_comes_again(doors: Doors, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    doors.fault = Temporary("PublishUnconfirmed", "no answer")
    with pytest.raises(Temporary) as raised:
        install(lambda _: OUTCOMES[case])(message(BODY))
    assert raised.value is doors.fault
    assert "will be tried again: PublishUnconfirmed" in capsys.readouterr().out


def test_an_unreadable_message_whose_status_is_lost_comes_again(doors: Doors) -> None:
    doors.fault = Temporary("PublishUnconfirmed", "no answer")
    with pytest.raises(Temporary):
        install(lambda _: Done())(message(b"{"))


def test_a_wait_is_told_counted_and_comes_back_as_it_was(doors: Doors) -> None:
    handle = install(lambda _: later())
    handle(message({**BODY, "operation": "op-2", "attempt": 1}))
    ((topic, body, attributes, delay, _),) = doors.waits
    assert (topic, delay, attributes["waits"]) == ("mesh-install", 15.0, "1")
    assert body == {
        **BODY,
        "operation": "op-2",
        "attempt": 1,
        "request_id": "42",
        "first_seen": "2026-05-04T08:59:30Z",
    }
    (status,) = doors.statuses
    assert (status["reason"], status["waits_for"], status["phase"]) == (
        "OperationRunning",
        "operation op-2",
        "Pending",
    )
    handle(returned(doors))
    handle(returned(doors))
    assert [wait[2]["waits"] for wait in doors.waits] == ["1", "2", "3"]
    assert [wait[1]["first_seen"] for wait in doors.waits] == ["2026-05-04T08:59:30Z"] * 3


@pytest.mark.parametrize(("make", "first"), [(install, message(BODY)), (enable, audit()), (enable, message(ENTRY))])
def test_duplicates_of_one_delivery_are_one_wait(doors: Doors, make: Any, first: CloudEvent) -> None:
    handle = make(lambda _: later())
    handle(first)
    handle(first)
    assert len(doors.waits) == 1
    again = returned(doors)
    handle(again)
    handle(again)
    assert len(doors.waits) == 2


def test_waits_of_other_stages_clusters_and_requests_are_others(doors: Doors) -> None:
    other = {**BODY, "cluster": str(msgspec.structs.replace(EU1, name="eu-2"))}
    requests = [BODY, other, {**BODY, "request_id": "r"}, {**BODY, "first_seen": "2026-05-04T08:00:00Z"}]
    for body in requests:
        status = msgspec.structs.replace(STATUS, cluster=EU1)
        install(lambda _, status=status: later(status=status))(message(body))  # type: ignore[misc]
        enable(lambda _: later())(message(body))
        Deliver("verify", events.verify_request)(lambda _: later())(message(body))
    assert len(doors.waits) == 3 * len(requests)
    assert [wait[0] for wait in doors.waits] == ["mesh-install", "cluster-events", "mesh-verify"] * len(requests)


@pytest.mark.parametrize(
    ("handler", "make"),
    [
        (install, lambda **attributes: message({**BODY, "first_seen": "2026-05-04T08:00:00Z"}, **attributes)),
        (enable, lambda **attributes: message(ENTRY, **attributes)),
    ],
)
def test_what_is_published_again_waits_anew(doors: Doors, handler: Any, make: Any) -> None:
    later = Later(delay=15, reason="Busy", waits_for="it", limit=1e9, status=STATUS)
    handle = handler(lambda _request: later)
    handle(make())
    for _ in range(2):
        handle(make(first_seen="2026-05-04T12:00:00Z"))
    assert len(doors.waits) == 2
    assert doors.waits[1][1]["first_seen"] == "2026-05-04T12:00:00Z"
    assert doors.waits[1][2]["waits"] == "1"
    assert "first_seen" not in doors.waits[1][2]


def test_a_waiting_event_comes_back_as_a_request_to_begin_with_enabling(doors: Doors) -> None:
    seen: list[ClusterEvent | InstallRequest] = []

    @enable
    def act(request: ClusterEvent | InstallRequest) -> Outcome:
        seen.append(request)
        return later()

    act(audit())
    ((topic, body, _, _, _),) = doors.waits
    assert topic == "cluster-events"
    first_seen = body["first_seen"]
    assert body == {**BODY, "reason": "created", "request_id": "op-1", "first_seen": first_seen}
    act(returned(doors))
    act(returned(doors))
    assert isinstance(seen[0], ClusterEvent)
    came_back = InstallRequest(
        cluster=EU1,
        mesh="linkerd",
        reason=Reason.CREATED,
        request_id="op-1",
        first_seen=dt.datetime.fromisoformat(first_seen),
    )
    assert seen[1:] == [came_back, came_back]
    # Eventarc doesn't say when it first looked, so the limit counts from the first wait on.
    assert {wait[1]["first_seen"] for wait in doors.waits[1:]} == {first_seen}


LIMITS = [
    (None, 30.0, False),
    (None, 29.9, True),
    (dt.datetime(2026, 5, 4, 8, 59, 50, tzinfo=dt.UTC), 10.0, False),
    (dt.datetime(2026, 5, 4, 8, 59, 50, tzinfo=dt.UTC), 9.9, True),
]


@pytest.mark.parametrize(("since", "limit", "stuck"), LIMITS)
def test_past_its_limit_a_wait_is_stuck(doors: Doors, since: dt.datetime | None, limit: float, stuck: bool) -> None:
    request = InstallRequest(
        cluster=EU1,
        mesh="linkerd",
        request_id="op-1",
        first_seen=dt.datetime(2026, 5, 4, 8, 59, 30, tzinfo=dt.UTC),
    )
    emit = delivery.Emitter(SETTINGS, "install", lambda: NOW)
    emit.outcome(later(since=since, limit=limit), request, Waited(3))
    (status,) = doors.statuses
    assert status["reason"] == "OperationRunning"
    assert status["waits_for"] == "operation op-2"
    assert status["time"] == "2026-05-04T09:00:00Z"
    if stuck:
        assert (status["phase"], doors.waits) == ("Stuck", [])
        waited = "30" if since is None else "10"
        allowed = f"{limit:.0f}"
        assert status["message"] == f"waited {waited} s for operation op-2, longer than the {allowed} s allowed"
    else:
        assert (status["phase"], status["message"]) == ("Pending", "m")
        assert doors.waits[0][1]["first_seen"] == (since or request.first_seen or NOW).isoformat().replace(
            "+00:00", "Z"
        )


def test_a_request_that_nobody_dated_waits_from_now_on(doors: Doors) -> None:
    emit = delivery.Emitter(SETTINGS, "verify", lambda: NOW)
    emit.outcome(later(limit=0), VerifyRequest(cluster=EU1, mesh="linkerd"), Waited())
    assert doors.waits[0][1]["first_seen"] == "2026-05-04T09:00:00Z"


def test_a_wait_that_the_fleet_imposes_has_no_end_and_counts_towards_none(doors: Doors) -> None:
    emit = delivery.Emitter(SETTINGS, "install", lambda: NOW)
    old = InstallRequest(cluster=EU1, mesh="linkerd", request_id="r", first_seen=NOW - dt.timedelta(days=3))
    emit.outcome(later(limit=1.0, uncounted=True), old, Waited(times=4, held=7.5))
    ((_, body, attributes, delay, _),) = doors.waits
    assert (delay, attributes["waits"], attributes["held"]) == (15.0, "5", "7.500")
    # From now on, until it is published again, nothing counts.
    assert attributes["due"] == NOW.isoformat()
    assert body["first_seen"] == "2026-05-01T09:00:00Z"
    assert doors.statuses[0]["phase"] == "Pending"


def test_time_that_a_message_was_held_does_not_make_it_stuck(doors: Doors) -> None:
    """Its queue was paused for two hours, while it waited for an operation that may take one."""
    due = "2026-05-04T09:00:15+00:00"
    body = {**BODY, "first_seen": "2026-05-04T09:00:00Z", "request_id": "r"}
    back = message(body, "2026-05-04T11:00:15Z", waits="1", due=due)
    emit = delivery.Emitter(SETTINGS, "install", lambda: NOW + dt.timedelta(hours=2, seconds=20))
    waited = Waited.of(events.attributes(back), events.published(back))
    assert waited == Waited(times=1, held=7200.0)
    emit.outcome(later(limit=3600.0), events.install_request(back), waited)
    ((_, again, attributes, _, _),) = doors.waits
    assert (again["first_seen"], attributes["held"]) == ("2026-05-04T09:00:00Z", "7200.000")
    emit.outcome(later(limit=3600.0), events.install_request(back), Waited(times=1))
    assert doors.statuses[-1]["phase"] == "Stuck"


@pytest.mark.parametrize(
    "event", [message(BODY, traceparent=TRACE), audit(traceparent=TRACE), message(ENTRY, traceparent=TRACE)]
)
def test_the_trace_goes_on(doors: Doors, event: CloudEvent) -> None:
    Deliver[ClusterEvent | InstallRequest]("enable", events.cluster_event)(lambda _: Done(status=STATUS))(event)
    ((_, _, attributes),) = doors.published
    version, trace, span, flags = attributes["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE.split("-")[1], "01")
    assert span != TRACE.split("-")[2]


def test_the_handler_is_known_by_the_functions_name() -> None:
    def install_mesh(_: InstallRequest) -> Outcome:
        """Handle it."""
        return Done()

    assert (install(install_mesh).__name__, install(install_mesh).__doc__) == ("install_mesh", "Handle it.")


def test_what_the_main_path_takes_from_its_beginning_goes_to_the_topic_of_events(doors: Doors) -> None:
    request = InstallRequest(cluster=EU1, mesh="linkerd", request_id="r", actor="alice@example.com")
    install(lambda _: Done(begin=(request,), status=STATUS))(message({**BODY, "actor": "bob@example.com"}))
    assert [topic for topic, _, _ in doors.published] == ["cluster-events", "mesh-status"]
    assert doors.published[0][1]["actor"] == "alice@example.com"
    assert doors.statuses[0]["actor"] == "bob@example.com"
    # Who made the change comes before who asked.
    told = msgspec.structs.replace(STATUS, actor="carol@example.com")
    install(lambda _: Done(status=told))(message({**BODY, "actor": "bob@example.com"}))
    assert doors.statuses[1]["actor"] == "carol@example.com"


def enforce(act: Callable[[Any], Outcome]) -> Callable[[CloudEvent], None]:
    return Deliver[ClusterEvent | EnforceRequest | SweepRequest]("enforce", events.enforcement)(act)


UPDATE = json.loads(json.dumps(ENTRY).replace("CreateCluster", "UpdateCluster"))


def test_an_update_that_waits_comes_back_with_its_operation_and_its_end(doors: Doors) -> None:
    seen: list[Any] = []

    @enforce
    def act(request: ClusterEvent | EnforceRequest | SweepRequest) -> Outcome:
        seen.append(request)
        return later()

    act(CloudEvent({"type": events.AUDIT_TYPE, "source": "s", "time": "2026-05-04T09:00:00Z"}, UPDATE))
    topic, body, attributes, _, _ = doors.waits[-1]
    assert (topic, attributes["cluster"]) == ("mesh-enforce", str(EU1))
    assert (body["operation"], body["reason"], body["ended"]) == ("op-1", "drift", "2026-05-04T08:59:00Z")
    act(returned(doors))
    assert isinstance(seen[-1], EnforceRequest)
    assert [wait[0] for wait in doors.waits] == ["mesh-enforce", "mesh-enforce"]


def test_the_parts_of_a_sweep_go_to_its_own_topic(doors: Doors) -> None:
    @enforce
    def act(request: ClusterEvent | EnforceRequest | SweepRequest) -> Outcome:
        return Done(sweeps=(SweepRequest(project="shop", request_id=request.request_id),))

    act(message({}))
    (published,) = doors.published
    assert published[0] == "mesh-enforce"
    assert (published[1]["project"], published[1]["request_id"]) == ("shop", "42")
    assert "cluster" not in published[2]


def test_a_sweep_that_waits_and_one_that_fails_name_no_cluster(doors: Doors) -> None:
    outcomes: list[Any] = [later(), Refused("PolicyRefuses", "no")]

    @enforce
    def act(_request: ClusterEvent | EnforceRequest | SweepRequest) -> Outcome:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Refused):
            raise outcome
        return later()

    act(message({"project": "shop"}))
    assert doors.waits[-1][1]["project"] == "shop"
    act(message({}))
    assert (doors.statuses[-1]["cluster"], doors.statuses[-1]["phase"]) == (None, "Refused")
