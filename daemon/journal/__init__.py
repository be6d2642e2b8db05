"""Facts as log lines: one line a decision, with the ids that lead on from it. No body, no header
and no secret ever gets here, and nothing from outside that would steer who reads it."""

from daemon.journal.journal import Journal
from daemon.journal.libraries import crashed, leaves, listen_to_libraries, listen_to_loop
from daemon.journal.opening import open_log
from daemon.journal.telling import config_warning

__all__ = [
    "Journal",
    "config_warning",
    "crashed",
    "leaves",
    "listen_to_libraries",
    "listen_to_loop",
    "open_log",
]
