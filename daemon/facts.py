"""What the daemon did and saw, as frozen values: the one stream from which log lines, metrics,
live views and notices are made. Whoever acts publishes; whoever shows subscribes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar, overload

from msgspec import Struct

from daemon.dispatch import Attempt, Dispatch
from daemon.event import Event, FiringOutcome, Pause, Verdict
from daemon.follow_up import FollowUp
from daemon.incident import Incident
from daemon.run import Run


class Started(Struct, frozen=True):
    """The daemon serves. ``addresses`` are URLs and the admin socket's path."""

    addresses: tuple[str, ...]
    crons: int
    triggers: int
    database: str
    simulated: bool


class ConfigReloading(Struct, frozen=True):
    """The config is being read anew, because of ``why``."""

    why: str


class ConfigChanging(Struct, frozen=True):
    """A new config is about to be taken over: each of its ``changes`` in words."""

    changes: tuple[str, ...]


class ConfigReloaded(Struct, frozen=True):
    """Another config is in force, number ``generation`` since the start, with so many enabled
    entries, and with ``warnings``."""

    generation: int
    crons: int
    triggers: int
    warnings: tuple[str, ...]


class ConfigRefused(Struct, frozen=True):
    """A new config was not taken over, for these ``reasons``; the one of ``generation`` is in force
    as before."""

    generation: int
    reasons: tuple[str, ...]


class EventRecorded(Struct, frozen=True):
    """An event and its verdicts are on disk."""

    event: Event
    verdicts: tuple[Verdict, ...]


class DispatchAdded(Struct, frozen=True):
    """A further dispatch of an event that was there already: a replay by hand, or a follow-up.
    ``by`` says who asked for it, where somebody did."""

    dispatch: Dispatch
    by: str = ""


class RequestRefused(Struct, frozen=True):
    """A request was turned away before it became an event."""

    method: str
    path: str
    client_ip: str
    status: int
    reason: str


class FiringAccounted(Struct, frozen=True):
    """A cron instant (``count`` of them, up to ``scheduled_at``) is accounted for. One that was
    missed and not ``wanted`` so is an incident as well; one that fired is an event."""

    cron: str
    scheduled_at: datetime
    outcome: FiringOutcome
    reason: str = ""
    count: int = 1
    wanted: bool = False
    event_id: str = ""


class IncidentNoticed(Struct, frozen=True):
    """What a schedule promised did not happen, or too late; it is recorded."""

    incident: Incident


class EntryPaused(Struct, frozen=True):
    """Nothing of the entry is sent from now on."""

    pause: Pause


class EntryResumed(Struct, frozen=True):
    """The entry works again; ``released`` dispatches that it held are let go."""

    entry: str
    by: str
    released: int


class DispatchesReleased(Struct, frozen=True):
    """Somebody let dispatches of an entry go that were held since they might have run away."""

    entry: str
    by: str
    dispatches: tuple[str, ...]


class AttemptMade(Struct, frozen=True):
    """GitHub was asked once; ``dispatch`` is as it stands after that."""

    dispatch: Dispatch
    attempt: Attempt


class DispatchLookedInto(Struct, frozen=True):
    """It was looked for what had become of a dispatch whose answer was lost, and that did not
    settle it: it is held, to be sent again, or still unsure."""

    dispatch: Dispatch


class DispatchSettled(Struct, frozen=True):
    """A dispatch reached a final state, by an attempt or without one."""

    dispatch: Dispatch


class MissedLookedFor(Struct, frozen=True):
    """The deliveries of ``hooks`` webhooks at GitHub were looked through for such as did not
    arrive. Of those that were ``missed``, ``asked`` were asked for again up to now; ``refused``
    counts, by status, those to which the same would be answered."""

    hooks: int
    missed: int
    asked: int
    refused: Mapping[int, int]


class FollowUpSettled(Struct, frozen=True):
    """What was owed after a dispatch went wrong is done, or given up."""

    follow_up: FollowUp
    event_id: str = ""


class NewsTold(Struct, frozen=True):
    """The default `notify`, at ``target``, was told of so much, of these kinds."""

    count: int
    target: str
    kinds: tuple[str, ...]


class WellnessChanged(Struct, frozen=True):
    """Something about the daemon itself, by that ``name``, is not well as ``text`` says, or that is
    ``over``."""

    name: str
    text: str
    over: bool


class RunSeen(Struct, frozen=True):
    """A run of a dispatch was seen for the first time (``before`` is None), or is another than it
    was ``before``. ``dispatch`` is as it stands then."""

    dispatch: Dispatch
    run: Run
    before: Run | None


class RunNotFound(Struct, frozen=True):
    """No run of a dispatch was found in time, or none that is its own for certain; its diagnosis
    says why."""

    dispatch: Dispatch


class CertificateRenewed(Struct, frozen=True):
    """New connections are shown what ``file`` holds now; it ``ends`` then."""

    file: str
    ends: datetime


class Trouble(Struct, frozen=True):
    """Something in the daemon itself does not work: which part, what, and what it does now."""

    part: str
    message: str


class Stopping(Struct, frozen=True):
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

Kind = TypeVar("Kind", bound=Fact)
Subscriber = Callable[[Kind], None]


class Facts:
    """Hands every published fact to every subscriber to its kind, in order, on the event loop.

    Subscribers must be quick and must not raise: a fact tells what *has* happened.
    """

    def __init__(self) -> None:
        self._subscriptions: list[_Subscription] = []
        self._hearing: dict[type[Fact], list[Subscriber[Any]]] = {}

    @overload
    def subscribe(self, subscriber: Subscriber[Fact]) -> Callable[[], None]: ...

    @overload
    def subscribe(
        self, subscriber: Subscriber[Kind], kind: type[Kind], /, *kinds: type[Kind]
    ) -> Callable[[], None]: ...

    def subscribe(self, subscriber: Subscriber[Any], *kinds: type[Any]) -> Callable[[], None]:
        """Adds a subscriber, to all facts or to those of these kinds; returns the call that removes
        it again."""
        subscription = subscriber, kinds
        self._subscriptions.append(subscription)
        self._hearing.clear()

        def remove() -> None:
            self._subscriptions.remove(subscription)
            self._hearing.clear()

        return remove

    def publish(self, fact: Fact) -> None:
        kind = type(fact)
        hearing = self._hearing.get(kind)
        if hearing is None:
            hearing = self._hearing[kind] = [
                subscriber
                for subscriber, kinds in self._subscriptions
                if not kinds or kind in kinds
            ]
        for subscriber in hearing:
            subscriber(fact)


_Subscription = tuple[Subscriber[Any], tuple[type[Fact], ...]]
