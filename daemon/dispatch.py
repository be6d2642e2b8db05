"""What we owe GitHub, as values: a Dispatch, each Attempt to send it, the run that GitHub named,
and the table of states that says which step may follow which."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from daemon.run import Match
from daemon.value import shown

EXPECTED_WITHIN = timedelta(minutes=5)
"""How long a run is looked for, unless an entry says otherwise."""


class OnAmbiguous(StrEnum):
    """What to do about a request whose answer was lost, so that GitHub may have acted on it."""

    VERIFY = "verify"  # look among the runs for its id, and only then send again
    RESEND = "resend"  # send again at once
    HOLD = "hold"  # leave it to a person


class ExpectedRun(Struct, frozen=True):
    """The run that is to follow: within what time, and of which workflow file (empty: any)."""

    within: timedelta = EXPECTED_WITHIN
    workflow: str = ""


class State(StrEnum):
    """Where a dispatch stands. The last four are final."""

    PENDING = "pending"  # waits for its time, the pacing or a retry
    SENDING = "sending"  # claimed under a lease; a request may be on the wire
    HELD = "held"  # waits for a person
    UNSURE = "unsure"  # a request went out and its answer was lost: GitHub may have acted on it
    ACCEPTED = "accepted"  # GitHub answered 204
    DEAD = "dead"  # will not be sent; `reason` says why
    SUPERSEDED = "superseded"  # a later one of the same burst goes instead
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return not TRANSITIONS[self]


class Hold(StrEnum):
    """What holds a dispatch that is held."""

    PAUSE = "pause"  # its entry rests; the resume lets it go
    DEPTH = "depth"  # its chain is deeper than max_chain_depth
    BREAKER = "breaker"  # its entry made too many
    UNSURE = "unsure"  # it may have been sent, and nobody can tell


TRANSITIONS: dict[State, frozenset[State]] = {
    # From pending or held to accepted: a run with its id was seen, so an earlier request had
    # arrived.
    State.PENDING: frozenset(
        {
            State.SENDING,
            State.ACCEPTED,
            State.HELD,
            State.DEAD,
            State.SUPERSEDED,
            State.CANCELLED,
        }
    ),
    State.SENDING: frozenset({State.ACCEPTED, State.PENDING, State.HELD, State.UNSURE, State.DEAD}),
    State.HELD: frozenset(
        {State.PENDING, State.ACCEPTED, State.DEAD, State.SUPERSEDED, State.CANCELLED}
    ),
    State.UNSURE: frozenset(
        {State.SENDING, State.ACCEPTED, State.HELD, State.DEAD, State.CANCELLED}
    ),
    State.ACCEPTED: frozenset(),
    State.DEAD: frozenset(),
    State.SUPERSEDED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""From each state, the states that may follow. The store refuses every other step."""


TO_SEND = frozenset({State.PENDING, State.HELD})
"""Still to be sent: when its time has come, or when a person says so."""


UNFINISHED = tuple(state for state in State if not state.final)
"""What is still to be done something about."""


class Dispatch(Struct, frozen=True):
    """One ``repository_dispatch`` or ``workflow_dispatch`` that an event owes.

    ``repository`` is ``owner/name``. ``client_payload`` is the JSON text that goes out, metadata
    included; empty where it could not be made (the dispatch is then dead). A
    ``workflow_dispatch`` names its ``workflow`` and ``ref``, which are empty on the other kind;
    its ``event_type`` is empty, and its ``client_payload`` the inputs. ``due_at`` is the
    earliest next try and ``expires_at`` the end of ``send_within``. ``retry_until`` ends the
    retries; it is set at the first attempt and moves with every wait that GitHub imposed, since
    waits for pacing do not count. ``reason`` says why it is in its state; on an accepted one, why
    GitHub may have got it twice. ``run_id`` and ``run_url`` are the run that GitHub named in its
    answer, or else the first that was seen. ``urgent`` ones, of crons and of calls, go before those
    of webhooks: somebody waits for them, or for their time. ``parent_id`` is the dispatch that its
    event descends from, where one is known, and ``depth`` how many are above it. ``held_by`` says
    what holds one that is held.

    A run is expected within ``expect_within`` (None: none is, and nobody looks), of the workflow
    file ``expect_workflow`` where that is named. ``sent_at`` is when a request went out last, by
    GitHub's clock where it has answered. ``match`` says what is known of its runs, ``diagnosis``
    what is wrong with that, in words, and ``run_outcome`` how they stand or ended (`run.summary`).
    """

    id: str
    event_id: str
    entry: str
    repository: str
    event_type: str
    client_payload: str
    created_at: datetime
    due_at: datetime
    expires_at: datetime
    state: State = State.PENDING
    reason: str = ""
    attempts: int = 0
    retry_until: datetime | None = None
    settled_at: datetime | None = None
    replay_of: str | None = None
    urgent: bool = False
    workflow: str = ""
    ref: str = ""
    run_id: int | None = None
    run_url: str = ""
    parent_id: str | None = None
    depth: int = 0
    held_by: Hold | None = None
    expect_within: timedelta | None = EXPECTED_WITHIN
    expect_workflow: str = ""
    on_ambiguous: OnAmbiguous = OnAmbiguous.VERIFY
    sent_at: datetime | None = None
    match: Match = Match.UNTRACKED
    diagnosis: str = ""
    run_outcome: str = ""

    def __repr__(self) -> str:
        return shown(self, without={"client_payload"})


class RunNamed(Struct, frozen=True):
    """A run that GitHub named when it took a dispatch. ``url`` is for people, and may be empty."""

    id: int
    url: str


class Attempt(Struct, frozen=True):
    """One try to send a dispatch: what went out when, and GitHub's answer.

    ``status`` is None where no answer came. ``request_id`` is GitHub's ``x-github-request-id``.
    ``outcome`` is accepted, throttled, unauthorized, failed, unreachable or ambiguous.
    """

    dispatch_id: str
    number: int
    started_at: datetime
    duration: timedelta
    outcome: str
    status: int | None = None
    message: str = ""
    request_id: str = ""


class Settlement(Struct, frozen=True):
    """Where an attempt leaves its dispatch. ``due_at`` matters for pending and unsure ones; for
    accepted ones ``run``, where GitHub named one, and ``sent_at``, GitHub's clock then.
    ``diagnosis`` is what a look for its run came to."""

    state: State
    reason: str = ""
    diagnosis: str = ""
    due_at: datetime | None = None
    retry_until: datetime | None = None
    run: RunNamed | None = None
    sent_at: datetime | None = None
