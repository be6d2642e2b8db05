"""The values that labels may have. Each makes a series of its own, which Prometheus keeps, so none
is what a stranger chose: what is not known here is ``other``."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.event import API_ENTRY
from daemon.run import FAILURES
from daemon.spec import Config

OTHER = "other"

LABELLED_MAX = 1000
"""Entries that have series of their own; those that come later in the config are `OTHER`."""

STATUSES = frozenset(
    {200, 204, 301, 302, 304, 307, 308}
    | {400, 401, 403, 404, 405, 408, 409, 410, 411, 413, 415, 417, 422, 429, 431, 451}
    | {500, 501, 502, 503, 504}
)
CONCLUSIONS = frozenset(
    {*FAILURES, "success", "cancelled", "skipped", "neutral", "stale", "action_required"}
)
PARTS = frozenset(
    {"admin_socket", "config", "deadlines", "dispatcher", "heartbeat", "hook_places"}
    | {
        "hook_ranges",
        "http",
        "janitor",
        "notify",
        "pauses",
        "recovery",
        "scheduler",
        "store",
        "tracing",
    }
    | {"tracker", "trigger", "watchdog"}
)


class Known(dict[str, str]):
    """The names of a config's entries, as far as they are labels: each gives itself, and any other
    `OTHER`."""

    def __init__(self, config: Config) -> None:
        self.crons = _first(cron.name for cron in config.crons if cron.enabled)
        self.triggers = _first(trigger.name for trigger in config.triggers if trigger.enabled)
        super().__init__((name, name) for name in (*self.crons, *self.triggers, API_ENTRY))

    def __missing__(self, name: str) -> str:
        return OTHER


def _first(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)[:LABELLED_MAX]


def status(number: int | None) -> str:
    if number is None:
        return "none"
    return str(number) if number in STATUSES else OTHER


def conclusion(text: str) -> str:
    return text if text in CONCLUSIONS else OTHER


def part(text: str) -> str:
    """Of a Trouble's part, which may name an entry: ``trigger deploys``."""
    whole = text.replace(" ", "_")
    first = text.partition(" ")[0]
    return whole if whole in PARTS else first if first in PARTS else OTHER
