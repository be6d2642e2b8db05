"""Who may send: ``parse`` makes a Scheme of an entry's ``auth``, its ``verify`` believes a request
or says why not, and ``explain`` finds out more for the operator."""

from __future__ import annotations

from daemon.signatures.catalogue import ALIASES, PARAMETERS, SCHEMES, parse
from daemon.signatures.entry import SchemeEntry
from daemon.signatures.explain import explain
from daemon.signatures.handshake import Handshake, Reply
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import Acknowledgement, Scheme, SchemeError

__all__ = [
    "ALIASES",
    "PARAMETERS",
    "SCHEMES",
    "Acknowledgement",
    "Handshake",
    "Mismatch",
    "Reply",
    "Request",
    "Scheme",
    "SchemeEntry",
    "SchemeError",
    "explain",
    "parse",
]
