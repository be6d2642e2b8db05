"""The tables of the store, and how our values become columns. The migrations lead here step by
step; a test holds the two together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    true,
)
from sqlalchemy.types import TypeDecorator

from daemon.dispatch import Hold, OnAmbiguous, State
from daemon.event import FiringOutcome, Outcome
from daemon.follow_up import Cause, Standing
from daemon.incident import IncidentKind
from daemon.run import Match

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def _microseconds(value: datetime | None) -> int | None:
    return None if value is None else (value - EPOCH) // MICROSECOND


# Functions of one argument rather than methods `process_…`: SQLAlchemy would call those through
# another function, for a dozen values of each row.


def _instant(value: int | None) -> datetime | None:
    return None if value is None else EPOCH + timedelta(microseconds=value)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored as microseconds since 1970 UTC: exact, and sorted as a number."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:
        return _microseconds

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[int | None], datetime | None]:
        return _instant


def _of_span(value: timedelta | None) -> int | None:
    return None if value is None else value // MICROSECOND


def _span(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(microseconds=value)


class Span(TypeDecorator[timedelta]):
    """A timedelta, stored as microseconds."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[timedelta | None], int | None]:
        return _of_span

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[int | None], timedelta | None]:
        return _span


class Flag(TypeDecorator[bool]):
    """A truth value, which drivers take as it is: nothing has to be looked at."""

    impl = Boolean
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> None:
        return None


def _text(value: StrEnum | None) -> str | None:
    return None if value is None else value._value_  # which is found at once, unlike `value`


class _Members(dict[str | None, StrEnum | None]):
    """The members of a StrEnum by their text."""

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__({word.value: word for word in words})
        self[None] = None
        self._words = words

    def __missing__(self, value: str | None) -> StrEnum:
        return self._words(value or "")  # which says what is wrong


class Word(TypeDecorator[StrEnum]):
    """A member of a StrEnum, stored as its text: a new member needs no migration."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words
        self._members = _Members(words)

    def bind_processor(self, dialect: Dialect) -> Callable[[StrEnum | None], str | None]:
        return _text

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[str | None], StrEnum | None]:
        return self._members.__getitem__


def partial(*columns: Column[Any], where: ColumnElement[bool]) -> Index:
    """An index of the rows alone for which ``where`` holds."""
    # `postgresql_where` would load that dialect, 2 MB, beside SQLite's. Who opens a PostgreSQL
    # database sets it from the other.
    return Index(None, *columns, sqlite_where=where)


def json(name: str) -> Column[Any]:
    """A nullable column of JSON, in which nothing is NULL and not the JSON text ``null``."""
    return Column(name, JSON(none_as_null=True))


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Rows that are found by their key alone are stored in its index (`sqlite_with_rowid=False`): half
# the pages to write. Events and dispatches carry large texts, for which SQLite advises against it.

events = Table(
    "events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # delivery or firing
    Column("source", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("replay_of", Text),
    # of a delivery
    Column("method", Text),
    Column("path", Text),
    json("headers"),
    json("query"),
    json("params"),
    Column("body", LargeBinary),
    Column("client_ip", Text),
    # of a firing
    Column("scheduled_at", Instant),
    Column("catch_up", Flag),
    Column("by_hand", Flag),
    # of all: who asked for it, where somebody did
    Column("by", Text, nullable=False, server_default=""),
    Index(None, "source", "id"),
    Index(None, "at"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("entry", Text, nullable=False),
    Column("outcome", Word(Outcome), nullable=False),
    Column("reason", Text, nullable=False),
    Column("duplicate_of", Text),
    Index(None, "outcome", "event_id"),
    sqlite_with_rowid=False,
)

dispatches = Table(
    "dispatches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
    Column("entry", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("client_payload", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("state", Word(State), nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("retry_until", Instant),
    Column("settled_at", Instant),
    Column("replay_of", Text),
    # When somebody must look at it next: `due_at` of one that waits, the end of the lease of one
    # that is being sent, and null for all others, so that the index below holds unfinished work
    # only and stays small however long the history grows.
    Column("wake_at", Instant),
    Column("lease_owner", Text),
    Column("claimed_from", Word(State)),
    Column("urgent", Flag, nullable=False, server_default=false()),
    Column("lane", Text, nullable=False, server_default=""),  # what it is sent under
    Column("workflow", Text, nullable=False, server_default=""),
    Column("ref", Text, nullable=False, server_default=""),
    Column("run_id", BigInteger),
    Column("run_url", Text, nullable=False, server_default=""),
    Column("expect_within", Span),
    Column("expect_workflow", Text, nullable=False, server_default=""),
    Column("on_ambiguous", Word(OnAmbiguous), nullable=False, server_default=OnAmbiguous.VERIFY),
    Column("sent_at", Instant),
    Column("match", Word(Match), nullable=False, server_default=Match.UNTRACKED),
    Column("diagnosis", Text, nullable=False, server_default=""),
    Column("run_outcome", Text, nullable=False, server_default=""),
    # When its runs are to be looked for next; null: not any more, or not yet.
    Column("look_at", Instant),
    Column("parent_id", Text),  # may outlive what it names
    Column("depth", Integer, nullable=False, server_default="0"),
    Column("held_by", Word(Hold)),
    Index(None, "event_id"),
    Index(None, "entry", "id"),
    Index(None, "state", "id"),
)
partial(
    dispatches.c.lane,
    dispatches.c.urgent,
    dispatches.c.wake_at,
    dispatches.c.id,
    where=dispatches.c.wake_at.is_not(None),
)

partial(dispatches.c.parent_id, where=dispatches.c.parent_id.is_not(None))
partial(dispatches.c.repository, dispatches.c.look_at, where=dispatches.c.look_at.is_not(None))

# The runs that dispatches started, as they were seen last.
runs = Table(
    "runs",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("repository", Text, primary_key=True),
    Column("dispatch_id", ForeignKey("dispatches.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("conclusion", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    # When it is to be looked at next; null: it has ended, or is followed no longer.
    Column("look_at", Instant),
    Index(None, "dispatch_id"),
)
partial(runs.c.repository, runs.c.look_at, where=runs.c.look_at.is_not(None))

attempts = Table(
    "attempts",
    metadata,
    Column("dispatch_id", ForeignKey("dispatches.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at", Instant, nullable=False),
    Column("duration", Span, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("message", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    sqlite_with_rowid=False,
)

budgets = Table(
    "budgets",
    metadata,
    Column("lane", Text, primary_key=True),
    Column("spent", JSON, nullable=False),
    sqlite_with_rowid=False,
)

dedupe = Table(
    "dedupe",
    metadata,
    Column("entry", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("event_id", Text, nullable=False),  # may outlive its event: the window decides
    Column("fingerprint", Text, nullable=False),
    Column("sticky", Flag, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index(None, "expires_at"),
    sqlite_with_rowid=False,
)

# Events that a sticky key stands for, so that retention finds them.
partial(dedupe.c.event_id, where=dedupe.c.sticky == true())

# Events that count towards a rate limit.
admissions = Table(
    "admissions",
    metadata,
    Column("entry", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("at", Instant, primary_key=True, autoincrement=False),
    Column("event_id", Text, primary_key=True),
    Index(None, "at"),
    sqlite_with_rowid=False,
)

# How many dispatches an entry made in a slice of time, which begins `at`; of these, how many its
# breaker held, and how many were too deep in a chain. A slot is used again for a later slice.
tallies = Table(
    "tallies",
    metadata,
    Column("entry", Text, primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("made", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("deep", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# The last event of each burst, whose dispatches may still be superseded, and when its first came.
bursts = Table(
    "bursts",
    metadata,
    Column("entry", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("at", Instant, nullable=False),
    Index(None, "at"),
    sqlite_with_rowid=False,
)

cursors = Table(
    "cursors",
    metadata,
    Column("cron", Text, primary_key=True),
    Column("identity", Text, nullable=False),
    Column("cursor", Instant, nullable=False),
    # What the clock on the wall of the schedule's zone was ahead of UTC then; null: not known.
    Column("offset", Span),
    sqlite_with_rowid=False,
)

firings = Table(
    "firings",
    metadata,
    Column("cron", Text, primary_key=True),
    Column("scheduled_at", Instant, primary_key=True, autoincrement=False),
    # Where a row stands for several, the earliest of them; else the instant itself.
    Column("first", Instant, primary_key=True, autoincrement=False),
    Column("outcome", Word(FiringOutcome), nullable=False),
    Column("reason", Text, nullable=False),
    Column("event_id", Text),
    Column("count", Integer, nullable=False),  # 0: of an older release, which did not count
    Index(None, "scheduled_at"),
    sqlite_with_rowid=False,
)

# Firings that wait for the end of the one before, at most one of each cron: `event_id` is sent when
# nothing of the event `behind` is unfinished any more.
buffered = Table(
    "buffered",
    metadata,
    Column("cron", Text, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("behind", Text, nullable=False),
    Index(None, "behind"),
    sqlite_with_rowid=False,
)

# Entries that rest until somebody resumes them; from then on only until all that they held is sent.
pauses = Table(
    "pauses",
    metadata,
    Column("entry", Text, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("resumed_at", Instant),
    sqlite_with_rowid=False,
)

incidents = Table(
    "incidents",
    metadata,
    Column("entry", Text, primary_key=True),
    Column("last", Instant, primary_key=True, autoincrement=False),
    Column("kind", Word(IncidentKind), primary_key=True),
    Column("first", Instant, nullable=False),
    Column("count", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Column("text", Text, nullable=False),
    Index(None, "at"),
    sqlite_with_rowid=False,
)

# How many instants there ever were in incidents: these counts outlive the incidents themselves.
incident_counts = Table(
    "incident_counts",
    metadata,
    Column("entry", Text, primary_key=True),
    Column("kind", Word(IncidentKind), primary_key=True),
    Column("count", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# What the default `notify` is told, and what became of that.
news = Table(
    "news",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("ref", Text, primary_key=True),
    Column("entry", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("count", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("over", Flag, nullable=False),
    Column("state", Word(Standing), nullable=False),
    Column("target", Text, nullable=False, server_default=""),
    Column("settled_at", Instant),
    Index(None, "settled_at"),
    sqlite_with_rowid=False,
)
partial(news.c.at, where=news.c.settled_at.is_(None))

# What of the daemon itself is not well, as it was told.
ailments = Table(
    "ailments",
    metadata,
    Column("name", Text, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("text", Text, nullable=False),
    sqlite_with_rowid=False,
)

# By when GitHub is to have taken a firing's dispatch: later is an incident.
deadlines = Table(
    "deadlines",
    metadata,
    Column("dispatch_id", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("scheduled_at", Instant, nullable=False),
    Column("alert_after", Span, nullable=False),
    Index(None, "at"),
    sqlite_with_rowid=False,
)

# What is owed after a dispatch went wrong, once for each way and run in which it did.
follow_ups = Table(
    "follow_ups",
    metadata,
    Column("dispatch_id", ForeignKey("dispatches.id", ondelete="CASCADE"), primary_key=True),
    Column("cause", Word(Cause), primary_key=True),
    # Of the run that failed; 0 where none did.
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_attempt", Integer, primary_key=True, autoincrement=False),
    Column("entry", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("why", Text, nullable=False),
    Column("run_name", Text, nullable=False),
    Column("run_conclusion", Text, nullable=False),
    Column("run_url", Text, nullable=False),
    Column("state", Word(Standing), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("wake_at", Instant),  # null for all that is settled
    Column("settled_at", Instant),
    Column("reason", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("made", Text),
    sqlite_with_rowid=False,
)
partial(follow_ups.c.wake_at, where=follow_ups.c.wake_at.is_not(None))

# One row, written over and over to find out whether the database takes writes.
trial = Table(
    "trial",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("filler", LargeBinary, nullable=False),
)

# Secrets that senders hand over in a handshake, and until when one is waited for.
learned = Table(
    "learned",
    metadata,
    Column("trigger", Text, primary_key=True),
    Column("armed_until", Instant),
    Column("secret", Text),
    Column("learned_at", Instant),
    sqlite_with_rowid=False,
)

# What was fetched and must be known after a restart too: the addresses of GitHub's webhooks.
fetched = Table(
    "fetched",
    metadata,
    Column("url", Text, primary_key=True),
    json("content"),
    Column("at", Instant, nullable=False),
    sqlite_with_rowid=False,
)
