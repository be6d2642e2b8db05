"""What the stand-in can be told to do wrong, as values; parsed from JSON for those who ask over
HTTP."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum


class FaultKind(StrEnum):
    """What goes wrong with the answer to a dispatch."""

    STATUS = "status"  # an error status; 502 with the HTML page of a gateway
    STALL = "stall"  # acted on, and answered only after `seconds`, or when released
    RESET = "reset"  # the TCP connection is reset without an answer
    SECONDARY = "secondary"  # a secondary rate limit, with or without `retry_after`
    PRIMARY = "primary"  # the hour's requests are used up, for `seconds` more
    REDIRECT = "redirect"  # the repository was renamed: points to `location`
    ENDLESS = "endless"  # an error status with a body that never ends
    DRIP = "drip"  # an error status with a body of which a byte a second comes


class FaultPlace(StrEnum):
    """The requests that a fault shows on."""

    DISPATCH = "dispatch"  # what starts a workflow
    READ = "read"  # every GET


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to do wrong with the next ``times`` requests; None: until cleared.

    ``on`` says with which ones. ``acts`` says that the dispatch takes effect although its answer
    is the fault's. ``status`` defaults to 403 (secondary, primary), 307 (redirect) and else 503.
    ``seconds`` is how long a stall holds the answer (None: until released) or a primary limit
    lasts (None: 60).
    ``retry_after`` is in seconds. ``location`` defaults to the repository's address by number.
    """

    kind: FaultKind
    times: int | None = 1
    status: int | None = None
    acts: bool = False
    seconds: float | None = None
    retry_after: int | None = None
    location: str | None = None
    on: FaultPlace = FaultPlace.DISPATCH

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def parse(cls, document: object) -> Fault:
        """A fault from its JSON; raises ValueError with a text that says what is allowed."""
        if not isinstance(document, dict):
            raise ValueError('a fault is an object, such as {"kind": "status", "times": 2}')
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(document) - known):
            raise ValueError(f"unknown key '{unknown[0]}'; there are {', '.join(sorted(known))}")
        if document.get("kind") not in list(FaultKind):
            raise ValueError(f"kind must be one of {', '.join(FaultKind)}")
        place = document.get("on", FaultPlace.DISPATCH)
        if place not in list(FaultPlace):
            raise ValueError(f"on must be one of {', '.join(FaultPlace)}")
        for name, (allowed, what) in _ALLOWED.items():
            if name in document and not allowed(document[name]):
                raise ValueError(f"{name} must be {what}")
        kind = FaultKind(document["kind"])
        return cls(**{**document, "kind": kind, "on": FaultPlace(place)})


def _is_number(value: object, least: float, most: float) -> bool:
    # A bool is an int too, but no number that anyone means.
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
    )


def _whole(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: (
        value is None or (isinstance(value, int) and _is_number(value, least, most))
    )


_ALLOWED: dict[str, tuple[Callable[[object], bool], str]] = {
    "times": (_whole(1, 1_000_000), "a whole number from 1, or null for ever"),
    "status": (_whole(300, 599), "a status from 300 to 599"),
    "acts": (lambda value: isinstance(value, bool), "true or false"),
    "seconds": (
        lambda value: value is None or _is_number(value, 0, 86_400),
        "a number of seconds from 0 to 86400, or null",
    ),
    "retry_after": (_whole(0, 86_400), "a whole number of seconds from 0 to 86400, or null"),
    "location": (lambda value: value is None or isinstance(value, str), "a URL, or null"),
}


class Faults:
    """The faults that are still to happen, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._queues: dict[FaultPlace, deque[tuple[Fault, int | None]]] = {
            place: deque() for place in FaultPlace
        }

    def add(self, fault: Fault) -> None:
        self._queues[fault.on].append((fault, fault.times))

    def clear(self) -> None:
        for queue in self._queues.values():
            queue.clear()

    def take(self, place: FaultPlace) -> Fault | None:
        """The fault for the next request there, or None when all goes well."""
        queue = self._queues[place]
        if not queue:
            return None
        fault, left = queue.popleft()
        if left is None or left > 1:
            queue.appendleft((fault, None if left is None else left - 1))
        return fault

    def pending(self) -> list[dict[str, object]]:
        queued = (each for queue in self._queues.values() for each in queue)
        return [{**fault.as_json(), "times": left} for fault, left in queued]
