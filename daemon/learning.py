"""The secrets that senders hand over in a handshake: taken only while an admin has armed the
trigger for it, and never over one that is there."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.ports import Learned, Lessons
from daemon.secret import Secret

ARMED_FOR = timedelta(minutes=10)


class Learning:
    """What was learned, at hand; the store has the last word."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons
        self._known: dict[str, Learned] = {}

    async def load(self) -> None:
        """What was learned before this start. Raises StoreUnavailable."""
        self._known = dict(await self._lessons.learned())

    def of(self, trigger: str) -> Learned:
        return self._known.get(trigger, Learned())

    def secrets(self, trigger: str) -> tuple[Secret, ...]:
        """The trigger's secret, if it was learned."""
        secret = self.of(trigger).secret
        return () if secret is None else (Secret(secret, f"handed over to {trigger}"),)

    def awaits(self, trigger: str, now: datetime) -> bool:
        """Whether a secret would be taken now."""
        known = self.of(trigger)
        return known.secret is None and known.armed_until is not None and now <= known.armed_until

    async def arm(self, trigger: str, now: datetime, *, forget: bool = False) -> Learned:
        """Has the trigger wait for its sender's secret for `ARMED_FOR`, unless it has one; with
        ``forget`` that one is deleted first. Returns how it stands. Raises StoreUnavailable."""
        known = await self._lessons.arm(trigger, now + ARMED_FOR, forget=forget)
        self._known[trigger] = known
        return known

    async def learn(self, trigger: str, secret: Secret, now: datetime) -> bool:
        """Keeps the secret if one is waited for; whether it did. Raises StoreUnavailable."""
        if not await self._lessons.learn(trigger, secret.reveal(), now):
            return False
        self._known[trigger] = Learned(secret.reveal())
        return True
