"""The world around the daemon: the time, the stand-in for GitHub, and an address at which GitHub is
away."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from daemon.simulator import Simulator
from tests.harness.process import GH_TOKEN


def wall_clock() -> datetime:
    """The real time: the daemon under test is another process and has no other."""
    return datetime.now(UTC)


def stand_in() -> Simulator:
    """GitHub as these tests know it: it takes the daemon's token and no other. Not started yet."""
    return Simulator(wall_clock, tokens=[GH_TOKEN])


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 at which connections are refused until somebody listens there.

    The socket that is bound to it keeps others from being given the port meanwhile; it does not
    keep a server from listening there, since both allow the address to be reused.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
