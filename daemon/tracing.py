"""Hands the spans of events to OpenTelemetry, where its environment says where they go: the extra
``[otel]``. Nothing waits for that, and what cannot be delivered is left out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol

from daemon import __version__
from daemon.errors import StoreError, UsageError
from daemon.event import Event
from daemon.facts import EventRecorded, Fact, Facts, Trouble
from daemon.sparing import Sparing
from daemon.trace import Context, Span, Traced, context_by_id, context_of, event_id_of, spans

QUEUED = 10_000
"""Facts that wait to be looked into; more than these go without spans."""

KNOWN = 10_000
"""Events whose trace is remembered. Of others the store is asked."""

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

LOST = "spans were not delivered where OTEL_EXPORTER_OTLP_ENDPOINT says"


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment, by OpenTelemetry's own variables, wants traces."""
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not disabled and any(environ.get(name, "").strip() for name in ENDPOINTS)


class Exporter(Protocol):
    """Takes spans, and delivers them in its own time."""

    def put(self, span: Span) -> None: ...

    async def close(self, grace: float) -> None:
        """Delivers what it has, within so many seconds."""
        ...


class Tracing:
    """Subscribes to the facts. ``event`` looks one up by its id: after a restart, the rest of its
    trace is to follow."""

    def __init__(
        self,
        exporter: Exporter,
        event: Callable[[str], Awaitable[Event | None]],
        clock: Callable[[], datetime],
        facts: Facts,
    ) -> None:
        self._exporter = exporter
        self._event = event
        self._clock = clock
        self._facts = facts
        self._sparing = Sparing()
        self._queue: asyncio.Queue[tuple[Traced, datetime]] = asyncio.Queue(QUEUED)
        self._contexts: OrderedDict[str, Context] = OrderedDict()

    def hear(self, fact: Fact) -> None:
        if isinstance(fact, Traced) and not self._queue.full():
            self._queue.put_nowait((fact, self._clock()))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            fact, now = await self._queue.get()
            await self._trace(fact, now)

    async def stop(self, grace: float) -> None:
        """What was heard is delivered, within so many seconds. Once nobody publishes any more."""
        try:
            async with asyncio.timeout(grace / 2):
                while not self._queue.empty():
                    await self._trace(*self._queue.get_nowait())
        except TimeoutError:
            pass
        await self._exporter.close(grace / 2)

    async def _trace(self, fact: Traced, now: datetime) -> None:
        try:
            context = await self._context(fact)
            if context.sampled:
                for span in spans(fact, context, now):
                    self._exporter.put(span)
        except Exception as error:  # noqa: BLE001 - a fault there must not end the daemon
            text = f"no span was made of {type(fact).__name__}: {type(error).__name__}"
            if told := self._sparing.told(text, now.timestamp()):
                self._facts.publish(Trouble("tracing", told))

    async def _context(self, fact: Traced) -> Context:
        event_id = event_id_of(fact)
        context = self._contexts.get(event_id)
        if context is not None:
            self._contexts.move_to_end(event_id)
            return context
        if isinstance(fact, EventRecorded):
            context = context_of(fact.event)
        else:
            try:
                event = await self._event(event_id)
            except StoreError:
                event = None
            context = context_of(event) if event else context_by_id(event_id)
        self._contexts[event_id] = context
        if len(self._contexts) > KNOWN:
            self._contexts.popitem(last=False)
        return context


class OpenTelemetry:
    """OpenTelemetry's own batches over OTLP and HTTP, on a thread of theirs. Needs a running event
    loop. Raises UsageError where the extra is not installed."""

    def __init__(self, environ: Mapping[str, str], facts: Facts, *, simulated: bool) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise UsageError(
                f"{' or '.join(ENDPOINTS)} asks for traces, which take packages that are not "
                "installed: pip install 'dispatchd[otel]'"
            ) from None
        about: dict[str, str | bool] = {"service.version": __version__}
        if "OTEL_SERVICE_NAME" not in environ:
            about["service.name"] = "dispatchd"
        if simulated:
            about["dispatchd.simulation"] = True
        self._resource = Resource.create(about)
        self._logs = _Telling(facts, asyncio.get_running_loop())
        logger = logging.getLogger("opentelemetry")
        logger.addHandler(self._logs)
        logger.propagate = False  # it would say where it cannot go, with its exceptions
        self._processor = BatchSpanProcessor(OTLPSpanExporter())

    def put(self, span: Span) -> None:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        flags = TraceFlags(TraceFlags.SAMPLED)
        trace_id = span.context.trace_id
        foreign = bool(span.parent) and span.parent == span.context.parent
        parent = SpanContext(trace_id, span.parent, foreign, flags) if span.parent else None
        made = ReadableSpan(
            span.name,
            SpanContext(trace_id, span.id, False, flags),
            parent,
            self._resource,
            dict(span.attributes),
            kind=SpanKind[span.kind.upper()],
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=_nanoseconds(span.began),
            end_time=_nanoseconds(span.ended),
        )
        self._processor.on_end(made)

    async def close(self, grace: float) -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def close() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            with contextlib.suppress(RuntimeError):  # the loop has ended before
                loop.call_soon_threadsafe(ended.set)

        # On a thread that nothing waits for: a collector that does not answer must not hold us up.
        threading.Thread(target=close, name="otel-close", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), grace)
        logger = logging.getLogger("opentelemetry")
        logger.addHandler(logging.NullHandler())  # what is given up after this is told nowhere
        logger.removeHandler(self._logs)


class _Telling(logging.Handler):
    """What OpenTelemetry logs becomes a fact, now and then: that spans were lost."""

    def __init__(self, facts: Facts, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.WARNING)
        self._facts = facts
        self._loop = loop
        self._sparing = Sparing()

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        if text := self._sparing.told(LOST, self._loop.time()):
            self._facts.publish(Trouble("tracing", text))


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1000
