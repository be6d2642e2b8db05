"""A stand-in for GitHub: the few endpoints that dispatchd calls, with GitHub's checks, answers
and memory, for ``--simulate``, ``make demo`` and the tests. It can be told to fail."""

from __future__ import annotations

from daemon.simulator.apps import App, AppWebhook
from daemon.simulator.faults import Fault, FaultKind
from daemon.simulator.repositories import ReceivedDispatch
from daemon.simulator.runs import Run
from daemon.simulator.server import Simulator
from daemon.simulator.tokens import Token
from daemon.simulator.workflows import ANY_EVENT, Listener

__all__ = [
    "ANY_EVENT",
    "App",
    "AppWebhook",
    "Fault",
    "FaultKind",
    "Listener",
    "ReceivedDispatch",
    "Run",
    "Simulator",
    "Token",
]
