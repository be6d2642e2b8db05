"""What happened to us, as values: a Delivery or a Firing becomes one Event, and each entry that
it concerns gives a Verdict on it. Frozen, without a clock and without I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from daemon.chain import Descent
from daemon.dispatch import Dispatch
from daemon.incident import Incident
from daemon.value import shown

API_ENTRY = "/dispatch"
"""The entry that calls of ``POST /dispatch`` are booked under; no slug can collide with it."""


class Delivery(Struct, frozen=True):
    """A verified request: a third party's webhook, or a call of ``POST /dispatch``.

    ``route`` is the configured path (``/hooks/{team}``), ``path`` the one that was called.
    ``headers`` have lower-case names and hold no credentials; ``query`` keeps the first value of a
    repeated name. ``body`` is as received: it is what a replay judges again.
    """

    route: str
    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    params: Mapping[str, str]
    body: bytes
    client_ip: str
    received_at: datetime

    def __repr__(self) -> str:
        return shown(self, without={"body"})


class Firing(Struct, frozen=True):
    """One instant of a cron entry that became due, or (``by_hand``) was asked for.

    ``catch_up`` says that it was owed from a time when the daemon was away.
    """

    cron: str
    scheduled_at: datetime
    fired_at: datetime
    catch_up: bool = False
    by_hand: bool = False


class Event(Struct, frozen=True):
    """One Delivery or Firing, under the id by which it is stored, shown and replayed. ``by`` says
    who asked for it, where somebody did: the name of an API key, or a user of this machine."""

    id: str
    cause: Delivery | Firing
    replay_of: str | None = None
    by: str = ""

    @property
    def at(self) -> datetime:
        """When it came in (a delivery) or was fired."""
        cause = self.cause
        return cause.received_at if isinstance(cause, Delivery) else cause.fired_at

    @property
    def source(self) -> str:
        """The route or the cron entry that it came by."""
        return self.cause.route if isinstance(self.cause, Delivery) else self.cause.cron


class Outcome(StrEnum):
    """What one entry made of one event."""

    DISPATCHED = "dispatched"
    HELD = "held"  # the entry is paused, or its breaker is open
    UNMATCHED = "unmatched"  # its `when` said no
    DUPLICATE = "duplicate"  # its first delivery was dispatched or held
    LIMITED = "limited"  # above its rate limit
    ERROR = "error"  # an expression failed; can be replayed once that is mended
    HANDSHAKE = "handshake"  # answered the sender's check; owes no dispatch
    UNAUTHORIZED = "unauthorized"

    @property
    def counts_as_first(self) -> bool:
        """Whether a later delivery under the same de-duplication key is a duplicate of this."""
        return self in (Outcome.DISPATCHED, Outcome.HELD)


class DedupeKey(Struct, frozen=True):
    """What makes two deliveries the same one to one entry, and until when.

    ``also`` is another key by which the same delivery is known, where the first could be made up.
    ``fingerprint`` is a digest of the request where a repeated key with another request must be
    refused (``Idempotency-Key``). A ``sticky`` key stays taken even when its dispatches failed.
    """

    key: str
    expires_at: datetime
    fingerprint: str = ""
    sticky: bool = False
    also: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key, self.also) if self.also else (self.key,)


class RateLimit(Struct, frozen=True):
    """At most ``max`` events of one entry under one ``key`` within any span ``per``."""

    key: str
    max: int
    per: timedelta


class Burst(Struct, frozen=True):
    """Events of one entry under one ``key`` of which only the last is dispatched: when none has
    come for ``window``, or ``max_wait`` after the first."""

    key: str
    window: timedelta
    max_wait: timedelta


class Verdict(Struct, frozen=True):
    """One entry's word on one event, with the dispatches that the event thereby owes.

    What was there before only the store can tell. It sets ``duplicate_of``, the id of the first
    event, and ``conflict``, that this one carried another fingerprint; ``retry_at``, when one that
    is limited would be taken; ``supersedes``, the ids of the dispatches of the same burst that
    this event's go instead of; and ``incidents``, what somebody has to hear of. It finds the parent
    of the dispatches by ``descent``, which is what the event says of that.
    """

    entry: str
    outcome: Outcome
    reason: str = ""
    dispatches: tuple[Dispatch, ...] = ()
    dedupe: DedupeKey | None = None
    limit: RateLimit | None = None
    burst: Burst | None = None
    duplicate_of: str | None = None
    conflict: bool = False
    retry_at: datetime | None = None
    supersedes: tuple[str, ...] = ()
    descent: Descent | None = None
    incidents: tuple[Incident, ...] = ()


class Pause(Struct, frozen=True):
    """That an entry rests until somebody resumes it: since when, who wanted it, and why."""

    entry: str
    since: datetime
    by: str
    reason: str = ""

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"paused by {self.by} since {self.since:%FT%TZ}{why}"


Paused = Callable[[str], Pause | None]
"""The pause of an entry, where it is paused."""


class Overlap(StrEnum):
    """What to do with an instant while the previous firing of its entry is unfinished."""

    ALLOW = "allow"
    SKIP = "skip"  # it is missed
    BUFFER_ONE = "buffer_one"  # it waits; what comes while one waits is missed


class FiringOutcome(StrEnum):
    """How a cron instant that was owed ended."""

    FIRED = "fired"
    MISSED = "missed"


class FiringRecord(Struct, frozen=True):
    """A cron instant as accounted for. Of a truncated backlog ``first`` is the other bound, and
    ``count`` how many instants it was."""

    cron: str
    scheduled_at: datetime
    outcome: FiringOutcome
    reason: str
    event_id: str | None
    first: datetime | None
    count: int


class Missed(Struct, frozen=True):
    """Instants of a cron entry that were owed and will not fire, and why.

    One instant has ``first == last``. A backlog that is too long to list has the bounds of what
    was left off, both included, and how many that were. ``wanted`` says that somebody asked for it
    to be so (a pause, the entry's `overlap`).
    """

    first: datetime
    last: datetime
    reason: str
    count: int = 1
    wanted: bool = False


class Due(Struct, frozen=True):
    """All that one cron entry owes up to now, each instant as fired or missed, oldest first.

    ``cursor`` is where the entry's cursor moves to once this is recorded: every instant up to it
    is then accounted for. ``offset`` is what the clock on the wall of its zone was ahead of UTC
    there, for who goes on from it with other time zone data. Which firings come to overlap only the
    store can tell: those become missed or wait, as ``overlap`` says. What GitHub has not taken
    ``alert_after`` the instant (and its jitter) is an incident.
    """

    cron: str
    cursor: datetime
    firings: tuple[Firing, ...] = ()
    missed: tuple[Missed, ...] = ()
    overlap: Overlap = Overlap.ALLOW
    incidents: tuple[Incident, ...] = ()
    offset: timedelta = timedelta()
    alert_after: timedelta | None = None
