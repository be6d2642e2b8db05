"""What the tests of the whole program share: the daemon as a real process, a sender whose
deliveries are counted, and the comparison of what was acknowledged with what GitHub received."""

from __future__ import annotations

from tests.harness.balance import Balance, dispatch_id_of
from tests.harness.process import (
    API_KEY,
    DELIVERY,
    GH_TOKEN,
    PUSH,
    SECRETS,
    WEBHOOK_SECRET,
    Daemon,
    Entry,
    Finished,
    run_command,
)
from tests.harness.sender import Sender, signature
from tests.harness.surroundings import reserved_port, stand_in, wall_clock

__all__ = [
    "API_KEY",
    "DELIVERY",
    "GH_TOKEN",
    "PUSH",
    "SECRETS",
    "WEBHOOK_SECRET",
    "Balance",
    "Daemon",
    "Entry",
    "Finished",
    "Sender",
    "dispatch_id_of",
    "reserved_port",
    "run_command",
    "signature",
    "stand_in",
    "wall_clock",
]
