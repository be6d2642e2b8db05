"""Traces: one from the delivery to its run, as a collector of OpenTelemetry gets it over HTTP."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from daemon import tracing
from daemon.app import running, wall_clock
from daemon.dispatch import Dispatch, State
from daemon.errors import UsageError
from daemon.event import Delivery, Event, Firing
from daemon.facts import DispatchSettled, EventRecorded, Fact, Facts, RunNotFound, RunSeen, Trouble
from daemon.run import Match, Run
from daemon.simulator import Simulator
from daemon.surroundings import Surroundings
from daemon.trace import Context, Span, Traced, context_of, spans
from daemon.tracing import Tracing, wanted
from tests.harness import reserved_port
from tests.inprocess import serving
from tests.specs import ENVIRON, config, trigger_entry

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


@dataclass
class Collector:
    """Takes spans over OTLP. ``services`` are the attributes of who sent them."""

    url: str = ""
    spans: list[Any] = field(default_factory=list)
    services: list[dict[str, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        told = ExportTraceServiceRequest.FromString(await request.read())
        for resource in told.resource_spans:
            attributes = resource.resource.attributes
            self.services.append({each.key: each.value.string_value for each in attributes})
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return web.Response(content_type="application/x-protobuf")

    def named(self, name: str) -> Any:
        (found,) = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield collector
    await runner.cleanup()


def point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment that has traces go there; OpenTelemetry reads the process's own."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": url}


async def test_one_trace_leads_from_the_delivery_to_the_end_of_its_run(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = timedelta(seconds=0.1)
    github = Simulator(wall_clock, queued_for=moment, running_for=moment)
    environ = point_at(collector.url, monkeypatch)
    async with serving(
        tmp_path, triggers=[trigger_entry()], environ=environ, simulator=github
    ) as daemon:
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        status, answer = await daemon.call("POST", "/hook", key=None, json={}, headers=headers)
        assert status == 202
        await daemon.until(lambda fact: isinstance(fact, RunSeen) and fact.run.ended)
    # All of it is delivered before the daemon ends.
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    event, dispatch = collector.named("POST /hook"), collector.named("dispatch build")
    attempt = collector.named("POST dispatches")
    (ran,) = [span for span in collector.spans if span.name.startswith("run ")]
    assert event.parent_span_id.hex() == CALLER
    assert dispatch.parent_span_id == event.span_id
    assert attempt.parent_span_id == ran.parent_span_id == dispatch.span_id
    said = {each.key: each.value.string_value for each in dispatch.attributes}
    assert said["dispatchd.dispatch"] == answer["dispatches"][0]
    assert event.start_time_unix_nano <= dispatch.start_time_unix_nano
    assert attempt.start_time_unix_nano < attempt.end_time_unix_nano
    assert collector.services[0]["service.name"] == "dispatchd"


async def test_what_its_sender_does_not_want_traced_is_not(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = point_at(collector.url, monkeypatch)
    async with serving(tmp_path, triggers=[trigger_entry()], environ=environ) as daemon:
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
        await daemon.call("POST", "/hook", key=None, json={}, headers=headers)
        await daemon.until(lambda fact: isinstance(fact, DispatchSettled))
    assert collector.spans == []


async def test_a_collector_that_is_not_there_holds_nothing_up_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with reserved_port() as port:
        environ = point_at(f"http://someone:secret@127.0.0.1:{port}", monkeypatch)
    async with (
        asyncio.timeout(20),
        serving(tmp_path, triggers=[trigger_entry()], environ=environ) as daemon,
    ):
        assert (await daemon.call("POST", "/hook", key=None, json={}))[0] == 202
        await daemon.until(lambda fact: isinstance(fact, DispatchSettled))
        await daemon.until(lambda fact: isinstance(fact, Trouble))
    assert [fact for fact in daemon.seen if isinstance(fact, Trouble)] == [
        Trouble("tracing", tracing.LOST)
    ]


async def test_traces_without_their_packages_are_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    environ = {**ENVIRON, "DISPATCHD_DATABASE_URL": f"sqlite:///{tmp_path}/d.sqlite"}
    asked = Surroundings({**environ, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c.example"})
    with pytest.raises(UsageError, match=r"pip install 'dispatchd\[otel\]'"):
        async with running(config(environ=environ), Facts(), asked):
            raise AssertionError("it started")


def test_opentelemetrys_own_variables_say_whether_there_are_traces() -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}
    assert wanted(endpoint)
    assert not wanted({})
    assert not wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": " "})
    assert not wanted({**endpoint, "OTEL_SDK_DISABLED": "true"})


# Which trace it is


def delivery(traceparent: str | None = None) -> Event:
    headers = {} if traceparent is None else {"traceparent": traceparent}
    cause = Delivery("/hook", "POST", "/hook", headers, {}, {}, b"", "10.0.0.1", NOON)
    return Event("evt_1", cause)


def test_a_traceparent_of_a_later_version_counts_too() -> None:
    ours = Context(int(TRACE, 16), int(CALLER, 16))
    assert context_of(delivery(f"00-{TRACE}-{CALLER}-01")) == ours
    assert context_of(delivery(f"cc-{TRACE}-{CALLER}-03-what-the-future-holds")) == ours


@pytest.mark.parametrize(
    "text",
    [
        f"00-{TRACE}-{CALLER}-01-more",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}",
        "",
    ],
)
def test_one_that_the_standard_does_not_allow_is_passed_over(text: str) -> None:
    assert context_of(delivery(text)) == context_of(delivery())


@given(st.text())
def test_whatever_stands_there_the_event_has_a_trace(text: str) -> None:
    context = context_of(delivery(text))
    assert 0 < context.trace_id < 2**128
    assert 0 <= context.parent < 2**64


def test_a_firing_begins_a_trace_of_its_own() -> None:
    event = Event("evt_2", Firing("nightly", NOON, NOON))
    assert context_of(event).parent == 0
    (span,) = spans(EventRecorded(event, ()), context_of(event), NOON)
    assert (span.name, span.kind, span.parent) == ("nightly", "internal", 0)


def dispatch(**changes: Any) -> Dispatch:
    keys: dict[str, Any] = {"state": State.ACCEPTED, **changes}
    return Dispatch("dsp_1", "evt_1", "push", "o/r", "x", "{}", NOON, NOON, NOON, **keys)


def test_what_went_wrong_is_an_error_of_its_span() -> None:
    context = context_of(delivery())
    dead = DispatchSettled(dispatch(state=State.DEAD, reason="404: no such repository"))
    missing = RunNotFound(dispatch(match=Match.MISSING, diagnosis="nothing listens"))
    run = Run("o/r", 1, 1, "ci.yml", "CI", "", "push", "completed", "failure", "", "u", NOON, NOON)
    failed = RunSeen(dispatch(match=Match.VERIFIED), run, None)
    facts: list[tuple[Traced, str]] = [
        (dead, "404: no such repository"),
        (missing, "nothing listens"),
        (failed, "failure"),
    ]
    for fact, error in facts:
        (span,) = spans(fact, context, NOON)
        assert span.error == error
    assert list(spans(RunSeen(dispatch(), run, run), context, NOON)) == []  # told before


# What is kept of it


class Kept:
    """Takes the spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def put(self, span: Span) -> None:
        self.spans.append(span)

    async def close(self, grace: float) -> None:
        pass


@asynccontextmanager
async def following(known: Event | None) -> AsyncIterator[tuple[Callable[[Any], None], Kept]]:
    kept, looked = Kept(), list[str]()

    async def event(event_id: str) -> Event | None:
        looked.append(event_id)
        return known

    tracing = Tracing(kept, event, lambda: NOON, Facts())
    yield tracing.hear, kept
    await tracing.stop(1)
    assert len(looked) <= 1


async def test_after_a_restart_the_rest_of_a_trace_follows_its_beginning() -> None:
    async with following(delivery(f"00-{TRACE}-{CALLER}-01")) as (hear, kept):
        hear(DispatchSettled(dispatch()))
        hear(RunNotFound(dispatch(match=Match.MISSING)))
    assert {f"{span.context.trace_id:032x}" for span in kept.spans} == {TRACE}
    assert kept.spans[0].parent != int(CALLER, 16)  # its event's, which its caller's is above


async def test_an_event_that_aged_out_leaves_its_id_to_tell_the_trace() -> None:
    async with following(None) as (hear, kept):
        hear(DispatchSettled(dispatch()))
        hear(Trouble("store", "no span is made of this"))
    assert kept.spans[0].context == context_of(delivery())


async def test_more_than_can_be_looked_into_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "QUEUED", 5)
    async with following(delivery()) as (hear, kept):
        for _ in range(9):
            hear(DispatchSettled(dispatch()))
    assert len(kept.spans) == 5


async def test_a_fault_of_the_exporter_is_told_and_ends_nothing() -> None:
    class Faulty(Kept):
        def put(self, span: Span) -> None:
            if not told:
                raise ValueError("a secret")
            super().put(span)

    async def nobody(event_id: str) -> Event | None:
        return None

    facts, told = Facts(), list[Fact]()
    facts.subscribe(told.append)
    exporter = Faulty()
    tracing = Tracing(exporter, nobody, lambda: NOON, facts)
    for _ in range(2):
        tracing.hear(DispatchSettled(dispatch()))
    await tracing.stop(1)
    assert told == [Trouble("tracing", "no span was made of DispatchSettled: ValueError")]
    assert len(exporter.spans) == 1
