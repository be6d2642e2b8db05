"""The text that Prometheus reads, in its own format or in OpenMetrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from daemon.measures import Histogram
from daemon.metrics.counting import Counting
from daemon.metrics.families import Family, Measured
from daemon.metrics.reading import Reading

if TYPE_CHECKING:
    from prometheus_client import Metric

OPEN_METRICS = "application/openmetrics-text"

UNITS = ("seconds", "bytes")


class Scrape:
    """Answers ``GET /metrics``."""

    def __init__(self, counting: Counting, reading: Reading) -> None:
        self._counting = counting
        self._reading = reading
        self._writing = asyncio.Lock()

    async def text(self, accept: str) -> tuple[bytes, str]:
        """The metrics and their content type; in OpenMetrics where ``accept`` names it."""
        async with self._writing:  # one at a time: of many entries it is some work
            read = await self._reading.measured()
            # Copied here, where nothing is counted meanwhile; the text is made beside the loop.
            everything = [_still(each) for each in [*self._counting.measured(), *read]]
            return await asyncio.to_thread(_text, everything, accept)


Bounded = tuple[tuple[float, ...], tuple[int, ...], float]
"""A histogram's bounds, how many values there were up to each, and their sum."""

Still = tuple[Family, Mapping[tuple[str, ...], float | Bounded]]


def _still(measured: Measured) -> Still:
    family, values = measured
    return family, {
        labels: (value.bounds, value.cumulative, value.total)
        if isinstance(value, Histogram)
        else value
        for labels, value in values.items()
    }


def _text(everything: list[Still], accept: str) -> tuple[bytes, str]:
    # A dozen milliseconds and half a megabyte, which who does not ask for metrics goes without.
    from prometheus_client.exposition import choose_encoder

    # What is said there beside the format is the client's, and would be repeated to it.
    named = {each.partition(";")[0].strip().lower() for each in accept.split(",")}
    encode, content_type = choose_encoder(OPEN_METRICS if OPEN_METRICS in named else "")
    return encode(_Collected(everything)), content_type


class _Collected:
    """What stands for a registry of prometheus_client."""

    def __init__(self, everything: list[Still]) -> None:
        self._everything = everything

    def collect(self) -> Iterator[Metric]:
        from prometheus_client import Metric, ProcessCollector

        for family, values in self._everything:
            unit = next((each for each in UNITS if family.name.endswith(f"_{each}")), "")
            metric = Metric(family.name, family.help, family.kind, unit)
            for each, value in values.items():
                labels = dict(zip(family.labels, each, strict=True))
                if isinstance(value, tuple):
                    _add_histogram(metric, labels, value)
                else:
                    metric.add_sample(family.shown, labels, value)
            yield metric
        yield from ProcessCollector(registry=None).collect()


def _add_histogram(metric: Metric, labels: dict[str, str], value: Bounded) -> None:
    bounds, cumulative, total = value
    for bound, count in zip((*map(str, bounds), "+Inf"), cumulative, strict=True):
        metric.add_sample(f"{metric.name}_bucket", {**labels, "le": bound}, count)
    metric.add_sample(f"{metric.name}_count", labels, cumulative[-1])
    metric.add_sample(f"{metric.name}_sum", labels, total)
