"""Who may send: ``parse`` makes a Scheme of an entry's ``auth``, its ``verify`` believes a request
or says why not, and ``explain`` finds out more for the operator."""

from __future__ import annotations

from daemon.signatures.catalogue import PARAMETERS, SCHEMES, SchemeEntry, parse
from daemon.signatures.explain import explain
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import Scheme, SchemeError

__all__ = [
    "PARAMETERS",
    "SCHEMES",
    "Mismatch",
    "Request",
    "Scheme",
    "SchemeEntry",
    "SchemeError",
    "explain",
    "parse",
]
