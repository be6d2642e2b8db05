"""The metrics that there are: name, kind, labels and what each means. docs/metrics.md shows the
same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from daemon.measures import Histogram

Kind = Literal["counter", "gauge", "histogram", "info"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. ``name`` is without the suffixes that the exposition adds (``_total``, ``_info``,
    ``_bucket`` …)."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The name by which it is asked for."""
        suffix = {"counter": "_total", "info": "_info"}.get(self.kind, "")
        return self.name + suffix


Values = Mapping[Any, float] | Mapping[Any, Histogram]
"""What stands by the values of a family's labels: a tuple of texts, in their order."""

Measured = tuple[Family, Values]

# Counted of the facts.

DELIVERIES = Family(
    "dispatchd_deliveries",
    "counter",
    "Verdicts on deliveries: what each trigger made of what came in (`/dispatch`: of calls of it).",
    ("trigger", "outcome"),
)
REFUSED = Family(
    "dispatchd_requests_refused",
    "counter",
    "Requests that were turned away before they became an event, by the status of the answer.",
    ("status",),
)
INTAKE = Family(
    "dispatchd_intake_duration_seconds",
    "histogram",
    "From the moment a delivery's body is read until it is on disk with its verdicts.",
)
FIRINGS = Family(
    "dispatchd_firings",
    "counter",
    "Cron instants that are accounted for: fired, or missed.",
    ("cron", "outcome"),
)
LATENESS = Family(
    "dispatchd_firing_lateness_seconds",
    "histogram",
    "From a cron instant until its firing is on disk, without what is caught up on or by hand.",
)
INCIDENTS = Family(
    "dispatchd_incidents",
    "counter",
    "Cron instants that were missed or late against what was promised, and entries that ran away.",
    ("entry", "kind"),
)
MADE = Family(
    "dispatchd_dispatches_made",
    "counter",
    "Dispatches that were recorded to be sent.",
    ("entry",),
)
SETTLED = Family(
    "dispatchd_dispatches_settled",
    "counter",
    "Dispatches that reached a final state.",
    ("entry", "state"),
)
ATTEMPTS = Family(
    "dispatchd_attempts",
    "counter",
    "Requests to GitHub that dispatch, by what came of them and the status of the answer "
    "(`none`: there was none).",
    ("outcome", "status"),
)
ATTEMPT_DURATION = Family(
    "dispatchd_attempt_duration_seconds",
    "histogram",
    "From the begin of such a request to its answer.",
)
ACCEPTANCE = Family(
    "dispatchd_acceptance_delay_seconds",
    "histogram",
    "From the making of a dispatch until GitHub has taken it, pacing and retries included.",
)
FOLLOW_UPS = Family(
    "dispatchd_follow_ups",
    "counter",
    "What was owed after a dispatch went wrong, by why and what became of it.",
    ("cause", "outcome"),
)
RUN_MATCHES = Family(
    "dispatchd_run_matches",
    "counter",
    "Runs of dispatches that were found, by how certainly, and dispatches without one.",
    ("match",),
)
RUNS = Family(
    "dispatchd_runs_completed",
    "counter",
    "Runs of dispatches that ended, each time that they did, by how.",
    ("entry", "conclusion"),
)
RUN_START = Family(
    "dispatchd_event_to_run_seconds",
    "histogram",
    "From an event until GitHub made the run of its dispatch, by GitHub's clock and whole seconds.",
)
TROUBLES = Family(
    "dispatchd_troubles",
    "counter",
    "Lines `trouble` in the log, by the part of the daemon that they are about.",
    ("part",),
)
GENERATION = Family(
    "dispatchd_config_generation",
    "gauge",
    "Which config since the start is in force, from 1.",
)

RELOADS = Family(
    "dispatchd_config_reloads",
    "counter",
    "Times that the config was read anew, by what came of it.",
    ("result",),
)
CONFIG_REFUSED = Family(
    "dispatchd_config_refused",
    "gauge",
    "1 while the config on disk is not the one in force, since it was not taken over.",
)

# Read when asked for.

BUILD = Family("dispatchd_build", "info", "The version that runs.", ("version", "simulation"))
ENTRIES = Family("dispatchd_entries", "gauge", "Entries of the config that are enabled.", ("kind",))
PAUSED = Family("dispatchd_entries_paused", "gauge", "Entries that are paused.")
CERTIFICATE = Family(
    "dispatchd_tls_certificate_end_timestamp_seconds",
    "gauge",
    "When the certificate of HTTPS ends, in seconds since 1970; absent where there is none.",
)
UNFINISHED = Family(
    "dispatchd_dispatches", "gauge", "Dispatches that are not settled, by state.", ("state",)
)
OLDEST = Family(
    "dispatchd_queue_oldest_age_seconds",
    "gauge",
    "How long ago the oldest dispatch was made that waits; 0 where none does.",
)
OVERDUE = Family(
    "dispatchd_queue_overdue_seconds",
    "gauge",
    "How long the dispatch has been due that has been so for longest; 0 where none is.",
)
IN_FLIGHT = Family(
    "dispatchd_dispatches_in_flight", "gauge", "Dispatches that are being sent.", ("credential",)
)
RATE_LIMIT = Family(
    "dispatchd_github_rate_limit",
    "gauge",
    "Requests an hour that GitHub allows, as it said last (its resource `core`).",
    ("credential",),
)
RATE_REMAINING = Family(
    "dispatchd_github_rate_remaining", "gauge", "What was left of them then.", ("credential",)
)
RATE_RESET = Family(
    "dispatchd_github_rate_reset_timestamp_seconds",
    "gauge",
    "When GitHub begins to count anew, in seconds since 1970.",
    ("credential",),
)
IMPOSED = Family(
    "dispatchd_github_imposed_wait_seconds",
    "gauge",
    "How long nothing goes since GitHub wants it so.",
    ("credential",),
)
WRITES = Family(
    "dispatchd_pacing_writes_in_hour",
    "gauge",
    "Writes to GitHub within the last 60 minutes (0 where there is no limit for them).",
    ("credential",),
)
WRITES_MAX = Family(
    "dispatchd_pacing_writes_per_hour",
    "gauge",
    "How many of these may go: `GH_WRITES_PER_HOUR` (0: as many as one likes).",
    ("credential",),
)
UNREACHABLE = Family(
    "dispatchd_github_unreachable_seconds",
    "gauge",
    "For how long GitHub has not been reached; 0 while it is.",
    ("credential",),
)
UNACCEPTED = Family(
    "dispatchd_credential_refused",
    "gauge",
    "1 while GitHub does not take the credential.",
    ("credential",),
)
COMMIT_SIZE = Family(
    "dispatchd_store_commit_operations",
    "histogram",
    "How many writes shared one transaction.",
)
COMMIT_DURATION = Family(
    "dispatchd_store_commit_duration_seconds",
    "histogram",
    "How long a transaction took, its statements and the wait for the disk.",
)
COMMIT_FAILURES = Family(
    "dispatchd_store_commit_failures",
    "counter",
    "Transactions that the database did not take.",
)
DATABASE = Family("dispatchd_database_bytes", "gauge", "How large the file of the database is.")
DATABASE_UNUSED = Family(
    "dispatchd_database_unused_bytes", "gauge", "How much of it holds nothing and is used again."
)
DATABASE_MAX = Family(
    "dispatchd_database_max_bytes",
    "gauge",
    "How much it may hold: `max_database_size` (0: there is no limit).",
)
DATABASE_LOG = Family(
    "dispatchd_database_log_bytes", "gauge", "How large the write-ahead log beside it is."
)
DISK_FREE = Family(
    "dispatchd_disk_free_bytes", "gauge", "What the disk of the database has left for dispatchd."
)
DISK_RESERVE = Family(
    "dispatchd_disk_reserve_bytes", "gauge", "Below how much of that `/readyz` says `degraded`."
)
LOOP_LAG = Family(
    "dispatchd_event_loop_lag_seconds",
    "histogram",
    "How much later than it was to the event loop woke; looked at twice a second.",
)
FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
