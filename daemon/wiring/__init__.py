"""The parts of the daemon, wired a group at a time. Each group opens what it needs on the stack of
its `Ground`, from where it is closed at the end, in the reverse order."""

from daemon.wiring.ground import Ground, take_up_what_was_left
from daemon.wiring.inward import Inward, wire_inward
from daemon.wiring.outward import Outward, wire_outward
from daemon.wiring.watch import Watch, wire_watch

__all__ = [
    "Ground",
    "Inward",
    "Outward",
    "Watch",
    "take_up_what_was_left",
    "wire_inward",
    "wire_outward",
    "wire_watch",
]
