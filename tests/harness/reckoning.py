"""The books of a run through many lives of the daemon: every delivery, every cron instant, and
what GitHub took for it. They name what is lost, skipped, or doubled with no kill to explain it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from daemon.event import FiringOutcome

SECOND = timedelta(seconds=1)

ON_TIME = timedelta(seconds=60)
"""An instant that the daemon comes to no later than this has to fire (docs/delivery.md)."""


class Wrong(StrEnum):
    """What must not happen."""

    LOST = "lost"  # an acknowledged delivery that GitHub never received
    DOUBLED = "doubled"  # two dispatches for one delivery
    SKIPPED = "skipped"  # an owed instant that neither fired nor is booked as missed for a reason
    FIRED_TWICE = "fired twice"  # two dispatches for one instant
    EARLY = "fired early"  # received before its instant
    SENT_AGAIN = "sent again"  # one dispatch, received once more than kills can explain
    UNASKED = "unasked"  # received for nothing that was sent or owed, or long after it was settled
    TROUBLE = "trouble"  # the daemon itself complained, or its database is damaged


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that went wrong, with what a person needs to look into it."""

    wrong: Wrong
    subject: str
    why: str

    def __str__(self) -> str:
        return f"{self.wrong}: {self.subject}: {self.why}"


@dataclass(frozen=True, slots=True)
class Reception:
    """A request that GitHub took: when, from which life of the daemon, the dispatch, and what it is
    for (a delivery's name, or an instant as `instant_name` has it)."""

    at: datetime
    life: int
    dispatch_id: str
    subject: str


@dataclass(frozen=True, slots=True)
class Booking:
    """What the daemon's own database says of a cron instant."""

    outcome: FiringOutcome
    reason: str


@dataclass(slots=True)
class Tally:
    """The counts of what is settled. ``explained`` are receptions of a dispatch that an earlier
    life had sent already, and was killed before it had written down GitHub's answer."""

    deliveries: int = 0
    acknowledged: int = 0
    received: int = 0
    instants: int = 0
    fired: int = 0
    missed: int = 0
    explained: int = 0


@dataclass(slots=True)
class _Account:
    acknowledged: bool = False
    receptions: list[Reception] = field(default_factory=list)


class Reckoning:
    """The books. ``crons`` are the names of entries that fire every second. They owe every instant
    since the first life said that it serves, through all that came between.

    What happens is entered as it happens; ``close_deliveries`` and ``close_instants`` settle what
    is over and forget it, so that the books stay small however long the run.
    """

    def __init__(self, crons: Collection[str]) -> None:
        self.tally = Tally()
        self.findings: list[Finding] = []
        self._crons = frozenset(crons)
        self._deliveries: dict[str, _Account] = {}
        self._firings: defaultdict[str, _Account] = defaultdict(_Account)
        self._unreceived: set[str] = set()
        self._sending: dict[int, frozenset[str]] = {}
        self._lives: list[tuple[datetime, datetime]] = []
        self._serving_since: datetime | None = None
        self._owed_from: datetime | None = None
        self.closed_until = datetime.min.replace(tzinfo=UTC)
        """Up to where all instants are settled."""

    @property
    def open_deliveries(self) -> list[str]:
        """Those that were sent and are not settled."""
        return list(self._deliveries)

    @property
    def backlog(self) -> int:
        """How many deliveries were acknowledged and not received yet."""
        return len(self._unreceived)

    # What happens

    def sent(self, delivery: str) -> None:
        """The sender begins to send it; a second time for one that is sent again."""
        self._deliveries.setdefault(delivery, _Account())

    def acknowledged(self, delivery: str) -> None:
        """From now on it must not get lost."""
        account = self._deliveries[delivery]
        account.acknowledged = True
        if not account.receptions:
            self._unreceived.add(delivery)

    def received(self, reception: Reception) -> None:
        """GitHub took a request."""
        cron, space, at = reception.subject.partition(" ")
        if not space:
            account = self._deliveries.get(reception.subject)
            late = "no delivery of this name is open: never sent, or settled before"
        else:
            known = cron in self._crons and at > rfc3339(self.closed_until)
            account = self._firings[reception.subject] if known else None
            late = "no such instant is owed: unknown, or settled before"
        if account is None:
            self._find(Wrong.UNASKED, reception.subject, f"{reception.dispatch_id}: {late}")
            return
        if space and reception.at < datetime.fromisoformat(at):
            self._find(Wrong.EARLY, reception.subject, f"received at {reception.at:%T.%f}")
        account.receptions.append(reception)
        self._unreceived.discard(reception.subject)

    def serves(self, at: datetime) -> None:
        """A life says that it is at work."""
        self._serving_since = at
        if self._owed_from is None:
            self._owed_from = at.replace(microsecond=0) + SECOND

    def ended(self, at: datetime, life: int, sending: Collection[str]) -> None:
        """It ended. Where it was killed, its database says that these dispatches were being sent;
        one that ends in order is sending nothing."""
        self._sending[life] = frozenset(sending)
        if self._serving_since is not None:
            self._lives.append((self._serving_since, at))
        self._serving_since = None

    # What is over

    def close_deliveries(self, deliveries: Iterable[str]) -> None:
        """Settles these. Their sender waits for no answer any more, and the outbox owes nothing of
        theirs."""
        for name in deliveries:
            account = self._deliveries.pop(name)
            self._unreceived.discard(name)
            self.tally.deliveries += 1
            self.tally.acknowledged += account.acknowledged
            self.tally.received += bool(account.receptions)
            if account.acknowledged and not account.receptions:
                self._find(Wrong.LOST, name, "acknowledged, and GitHub never received it")
            self._check_receptions(name, account, Wrong.DOUBLED)

    def close_instants(self, until: datetime, bookings: Mapping[str, Booking]) -> None:
        """Settles every instant up to ``until``, a whole second. ``bookings`` is what the database
        says of them; the outbox owes nothing of theirs."""
        if self._owed_from is None:
            raise RuntimeError("no life has served yet: nothing is owed")
        at = max(self._owed_from, self.closed_until + SECOND)
        while at <= until:
            for cron in sorted(self._crons):
                self._close_instant(cron, at, bookings)
            at += SECOND
        for name in [name for name in self._firings if name.partition(" ")[2] <= rfc3339(until)]:
            # Owed to nobody: from before the first life said that it serves, or at no whole second.
            account = self._firings.pop(name)
            if name not in bookings:
                self._find(Wrong.UNASKED, name, "it fired, and is not booked")
            self._check_receptions(name, account, Wrong.FIRED_TWICE)
        self.closed_until = until

    def _close_instant(self, cron: str, at: datetime, bookings: Mapping[str, Booking]) -> None:
        name = instant_name(cron, at)
        account = self._firings.pop(name, None)
        booking = bookings.get(name)
        self.tally.instants += 1
        if account is not None:
            self.tally.fired += 1
            if booking is None or booking.outcome is not FiringOutcome.FIRED:
                shown = "not booked" if booking is None else f"booked as {booking.outcome}"
                self._find(Wrong.UNASKED, name, f"it fired, and is {shown}")
            self._check_receptions(name, account, Wrong.FIRED_TWICE)
        elif booking is None:
            self._find(Wrong.SKIPPED, name, "neither fired nor booked as missed")
        elif booking.outcome is FiringOutcome.FIRED:
            self._find(Wrong.SKIPPED, name, "booked as fired, and GitHub never received it")
        elif not booking.reason:
            self._find(Wrong.SKIPPED, name, "booked as missed without a reason")
        elif life := self._life_on_time(at):
            why = f"though it was at work from {life[0]:%T} to {life[1]:%T}"
            self._find(Wrong.SKIPPED, name, f"booked as missed ({booking.reason}), {why}")
        else:
            self.tally.missed += 1

    def _life_on_time(self, at: datetime) -> tuple[datetime, datetime] | None:
        """A life of a second or more within the time in which the instant has to fire."""
        for began, ended in reversed(self._lives):
            if min(ended, at + ON_TIME) - max(began, at) >= SECOND:
                return began, ended
        return None

    def _check_receptions(self, name: str, account: _Account, several: Wrong) -> None:
        lives = defaultdict[str, list[int]](list)
        for reception in account.receptions:
            lives[reception.dispatch_id].append(reception.life)
        if len(lives) > 1:
            self._find(several, name, f"as {' and as '.join(sorted(lives))}")
        for id_, senders in lives.items():
            for earlier, later in pairwise(sorted(senders)):
                if earlier < later and id_ in self._sending.get(earlier, ()):
                    self.tally.explained += 1
                    continue
                why = f"{id_} by life {earlier} and by life {later}, and no kill explains it"
                self._find(Wrong.SENT_AGAIN, name, why)

    def _find(self, wrong: Wrong, subject: str, why: str) -> None:
        self.findings.append(Finding(wrong, subject, why))


def instant_name(cron: str, at: datetime) -> str:
    """What an instant is called in the books, and in the payload of its dispatch."""
    return f"{cron} {rfc3339(at)}"


def rfc3339(at: datetime) -> str:
    """To the second, so that the texts sort as the instants do."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
