"""What the daemon did and saw, as frozen values: the one stream from which log lines, metrics,
live views and notices are made. Whoever acts publishes; whoever shows subscribes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.dispatch import Attempt, Dispatch
from daemon.event import Event, FiringOutcome, Pause, Verdict
from daemon.follow_up import FollowUp
from daemon.incident import Incident
from daemon.run import Run


@dataclass(frozen=True, slots=True)
class Started:
    """The daemon serves. ``addresses`` are URLs and the admin socket's path."""

    addresses: tuple[str, ...]
    crons: int
    triggers: int
    database: str
    simulated: bool


@dataclass(frozen=True, slots=True)
class ConfigReloading:
    """The config is being read anew, because of ``why``."""

    why: str


@dataclass(frozen=True, slots=True)
class ConfigChanging:
    """A new config is about to be taken over: each of its ``changes`` in words."""

    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """Another config is in force, number ``generation`` since the start, with so many enabled
    entries, and with ``warnings``."""

    generation: int
    crons: int
    triggers: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigRefused:
    """A new config was not taken over, for these ``reasons``; the one of ``generation`` is in force
    as before."""

    generation: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventRecorded:
    """An event and its verdicts are on disk."""

    event: Event
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class DispatchAdded:
    """A further dispatch of an event that was there already: a replay by hand, or a follow-up.
    ``by`` says who asked for it, where somebody did."""

    dispatch: Dispatch
    by: str = ""


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request was turned away before it became an event."""

    method: str
    path: str
    client_ip: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class FiringAccounted:
    """A cron instant (``count`` of them, up to ``scheduled_at``) is accounted for. One that was
    missed and not ``wanted`` so is an incident as well; one that fired is an event."""

    cron: str
    scheduled_at: datetime
    outcome: FiringOutcome
    reason: str = ""
    count: int = 1
    wanted: bool = False
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class IncidentNoticed:
    """What a schedule promised did not happen, or too late; it is recorded."""

    incident: Incident


@dataclass(frozen=True, slots=True)
class EntryPaused:
    """Nothing of the entry is sent from now on."""

    pause: Pause


@dataclass(frozen=True, slots=True)
class EntryResumed:
    """The entry works again; ``released`` dispatches that it held are let go."""

    entry: str
    by: str
    released: int


@dataclass(frozen=True, slots=True)
class DispatchesReleased:
    """Somebody let dispatches of an entry go that were held since they might have run away."""

    entry: str
    by: str
    dispatches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AttemptMade:
    """GitHub was asked once; ``dispatch`` is as it stands after that."""

    dispatch: Dispatch
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class DispatchLookedInto:
    """It was looked for what had become of a dispatch whose answer was lost, and that did not
    settle it: it is held, to be sent again, or still unsure."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class DispatchSettled:
    """A dispatch reached a final state, by an attempt or without one."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class MissedLookedFor:
    """The deliveries of ``hooks`` webhooks at GitHub were looked through for such as did not
    arrive. Of those that were ``missed``, ``asked`` were asked for again up to now; ``refused``
    counts, by status, those to which the same would be answered."""

    hooks: int
    missed: int
    asked: int
    refused: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class FollowUpSettled:
    """What was owed after a dispatch went wrong is done, or given up."""

    follow_up: FollowUp
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class NewsTold:
    """The default `notify`, at ``target``, was told of so much, of these kinds."""

    count: int
    target: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WellnessChanged:
    """Something about the daemon itself, by that ``name``, is not well as ``text`` says, or that is
    ``over``."""

    name: str
    text: str
    over: bool


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A run of a dispatch was seen for the first time (``before`` is None), or is another than it
    was ``before``. ``dispatch`` is as it stands then."""

    dispatch: Dispatch
    run: Run
    before: Run | None


@dataclass(frozen=True, slots=True)
class RunNotFound:
    """No run of a dispatch was found in time, or none that is its own for certain; its diagnosis
    says why."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class CertificateRenewed:
    """New connections are shown what ``file`` holds now; it ``ends`` then."""

    file: str
    ends: datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something in the daemon itself does not work: which part, what, and what it does now."""

    part: str
    message: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """Intake has ended; ``in_flight`` dispatches are given time to finish."""

    in_flight: int


Fact = (
    Started
    | EventRecorded
    | DispatchAdded
    | RequestRefused
    | FiringAccounted
    | IncidentNoticed
    | EntryPaused
    | EntryResumed
    | DispatchesReleased
    | AttemptMade
    | DispatchLookedInto
    | DispatchSettled
    | MissedLookedFor
    | FollowUpSettled
    | NewsTold
    | WellnessChanged
    | RunSeen
    | RunNotFound
    | CertificateRenewed
    | Trouble
    | Stopping
    | ConfigReloading
    | ConfigChanging
    | ConfigReloaded
    | ConfigRefused
)

Subscriber = Callable[[Fact], None]


class Facts:
    """Hands every published fact to every subscriber, in order, on the event loop.

    Subscribers must be quick and must not raise: a fact tells what *has* happened.
    """

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Adds a subscriber; returns the call that removes it again."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def publish(self, fact: Fact) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber(fact)
