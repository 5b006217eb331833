from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from shared import telemetry
from shared.telemetry import Trace

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_is_cloud_loggings_structured_format(capsys: pytest.CaptureFixture[str]) -> None:
    with telemetry.bind(cluster="c", request_id="r", project="p"), telemetry.continue_trace(PARENT):
        telemetry.info("installed", charts=2, ok=True, version=None)
    (line,) = lines(capsys)
    assert dt.datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert len(line.pop("logging.googleapis.com/spanId")) == 16
    assert line == {
        "severity": "INFO",
        "message": "installed",
        "charts": 2,
        "ok": True,
        "version": None,
        "logging.googleapis.com/labels": {"cluster": "c", "request_id": "r"},
        "logging.googleapis.com/trace": "projects/p/traces/0af7651916cd43dd8448eb211c80319c",
        "logging.googleapis.com/trace_sampled": True,
    }


def test_severities_and_no_trace_without_a_project(capsys: pytest.CaptureFixture[str]) -> None:
    with telemetry.continue_trace(PARENT):
        telemetry.warning("w")
        telemetry.error("e")
    found = lines(capsys)
    assert [line["severity"] for line in found] == ["WARNING", "ERROR"]
    assert all(set(line) == {"severity", "message", "time"} for line in found)


def test_a_fact_cannot_take_the_place_of_severity(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.error("e", severity="DEBUG", time="never")
    (line,) = lines(capsys)
    assert line["severity"] == "ERROR"
    assert line["time"] != "never"


def test_long_texts_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.info("m" * 5_000, fact="f" * 5_000)
    (line,) = lines(capsys)
    assert line["message"].endswith("(3000 more characters)")
    assert line["fact"].endswith("(3000 more characters)")


def test_bindings_nest_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    with telemetry.bind(cluster="c", request_id="r"):
        with telemetry.bind(mesh="linkerd", request_id="r2"):
            telemetry.info("inner")
        telemetry.info("outer")
    telemetry.info("outside")
    inner, outer, outside = lines(capsys)
    key = "logging.googleapis.com/labels"
    assert inner[key] == {"cluster": "c", "request_id": "r2", "mesh": "linkerd"}
    assert outer[key] == {"cluster": "c", "request_id": "r"}
    assert key not in outside


def test_a_trace_goes_on_with_a_span_of_its_own() -> None:
    with telemetry.continue_trace(PARENT):
        here = telemetry.traceparent()
        assert telemetry.traceparent() == here
    parent, child = Trace.parse(PARENT), Trace.parse(here)
    assert parent is not None
    assert child is not None
    assert child.trace_id == parent.trace_id
    assert child.span_id != parent.span_id


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        f"{PARENT}-more",
        PARENT.upper(),
    ],
)
def test_a_malformed_trace_is_begun_anew(text: str | None) -> None:
    assert Trace.parse(text) is None
    with telemetry.continue_trace(text):
        assert Trace.parse(telemetry.traceparent()) is not None


def test_a_later_version_may_say_more() -> None:
    found = Trace.parse("01" + PARENT[2:] + "-more")
    assert found is not None
    assert str(found) == PARENT


def test_outside_of_an_event_each_trace_is_new() -> None:
    assert telemetry.traceparent() != telemetry.traceparent()


def test_stages_are_timed_also_where_they_fail() -> None:
    clock = iter([10.0, 10.5, 20.0, 21.0, 30.0, 30.25])
    with telemetry.continue_trace(None):
        with telemetry.stage_timer("plan", lambda: next(clock)):
            pass
        with pytest.raises(RuntimeError), telemetry.stage_timer("apply", lambda: next(clock)):
            raise RuntimeError
        with telemetry.stage_timer("plan", lambda: next(clock)):
            pass
        assert telemetry.timings() == {"plan": 0.75, "apply": 1.0}
        with telemetry.continue_trace(None):
            assert telemetry.timings() == {}


def test_outside_of_an_event_nothing_is_kept() -> None:
    with telemetry.stage_timer("plan"):
        pass
    assert telemetry.timings() == {}
