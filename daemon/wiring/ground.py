"""What every part stands on, and what an earlier run of the daemon left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from daemon.config import read_anew
from daemon.cursors import TakenUp, take_up
from daemon.facts import Facts, IncidentNoticed, Trouble
from daemon.ids import IdSource
from daemon.in_force import InForce
from daemon.pauses import Pauses
from daemon.secret import Secret
from daemon.store import Store
from daemon.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Ground:
    """``elapsed`` gives seconds that no step of the ``clock`` changes."""

    in_force: InForce
    store: Store
    surroundings: Surroundings
    stack: AsyncExitStack
    facts: Facts
    ids: IdSource
    clock: Callable[[], datetime]
    elapsed: Callable[[], float]

    @property
    def simulated(self) -> bool:
        return self.surroundings.simulate

    def reread(self, secret: Secret) -> Secret:
        """Follows the secret's reference once more."""
        return read_anew(secret, self.surroundings.environ)


async def take_up_what_was_left(ground: Ground) -> tuple[Pauses, TakenUp]:
    """Puts right what a kill or a wrong clock left, and finds where the schedules go on. Raises
    StoreError."""
    store, clock, facts = ground.store, ground.clock, ground.facts
    if count := await store.rewind_waits(clock()):
        facts.publish(
            Trouble(
                "dispatcher",
                f"dispatches began to wait at a time that is still to come, {count} of them: "
                "the clock was wrong then; they wait from now on",
            )
        )
    await store.reclaim(clock())
    await store.hasten_follow_ups(clock())
    pauses = Pauses(store, clock, facts)
    await pauses.load()
    crons = ground.in_force.config.crons
    taken_up = take_up(crons, await store.cursors(), clock(), pauses.standing)
    for remark in taken_up.remarks:
        facts.publish(Trouble("scheduler", remark))
    for incident in await store.take_up(taken_up):
        facts.publish(IncidentNoticed(incident))
    return pauses, taken_up
