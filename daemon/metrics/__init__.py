"""What ``/metrics`` tells: what was counted of the stream of facts, and how things stand when it is
asked for. See docs/metrics.md."""

from daemon.metrics.counting import Counting
from daemon.metrics.loop_lag import LoopLag
from daemon.metrics.reading import Reading
from daemon.metrics.scrape import Scrape

__all__ = ["Counting", "LoopLag", "Reading", "Scrape"]
