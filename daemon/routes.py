"""Which triggers a request's path concerns: literal paths first, then those with parameters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from daemon.spec import Auth, TriggerSpec

Segments = tuple[str, ...]


ALWAYS_WITHHELD = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-api-key",  # our own API's
        "x-github-webhook-secret-token",  # the older event handler's
    }
)
"""Headers that carry credentials whatever the scheme: neither stored nor shown to expressions."""


@dataclass(frozen=True, slots=True)
class Panel:
    """The triggers of a path that judge the requests of one method, ``by_auth`` those that ask
    senders for the same proof: it is looked at once for all of them."""

    triggers: tuple[TriggerSpec, ...]
    by_auth: tuple[tuple[Auth, tuple[TriggerSpec, ...]], ...]

    @classmethod
    def of(cls, triggers: Iterable[TriggerSpec]) -> Panel:
        triggers = tuple(triggers)
        by_auth: dict[Auth, tuple[TriggerSpec, ...]] = {}
        for trigger in triggers:
            by_auth[trigger.auth] = (*by_auth.get(trigger.auth, ()), trigger)
        return cls(triggers, tuple(by_auth.items()))

    @property
    def max_body(self) -> int:
        """Bytes of a body that at least one of them takes."""
        return max(trigger.max_body for trigger in self.triggers)


@dataclass(frozen=True)
class Route:
    """One configured path and the triggers that share it. What follows from these is worked out
    once, and not for each request."""

    path: str
    triggers: tuple[TriggerSpec, ...]

    @cached_property
    def panels(self) -> Mapping[str, Panel]:
        """By method."""
        methods = frozenset[str]().union(*(trigger.methods for trigger in self.triggers))
        return {
            method: Panel.of(trigger for trigger in self.triggers if method in trigger.methods)
            for method in sorted(methods)
        }

    @cached_property
    def withheld_headers(self) -> frozenset[str]:
        """Lower-case names of those that hold credentials of any trigger here."""
        schemes = (trigger.auth.scheme for trigger in self.triggers)
        return ALWAYS_WITHHELD.union(*(scheme.credential_headers for scheme in schemes))

    @cached_property
    def withheld_query(self) -> frozenset[str]:
        """Likewise, names of query parameters."""
        schemes = (trigger.auth.scheme for trigger in self.triggers)
        return frozenset[str]().union(*(scheme.credential_query for scheme in schemes))


@dataclass(frozen=True, slots=True)
class Match:
    """A route and what its ``{params}`` stand for in this request."""

    route: Route
    params: Mapping[str, str]


class Routes:
    """The configured paths. ``{name}`` stands for one segment, which is not empty."""

    def __init__(self, triggers: Iterable[TriggerSpec]) -> None:
        by_path: dict[str, list[TriggerSpec]] = defaultdict(list)
        for trigger in triggers:
            by_path[trigger.path].append(trigger)
        self._literal: dict[Segments, Route] = {}
        self._with_params: dict[int, list[tuple[Segments, Route]]] = defaultdict(list)
        for path, sharing in by_path.items():
            segments, route = _segments(path), Route(path, tuple(sharing))
            if any(map(_is_param, segments)):
                self._with_params[len(segments)].append((segments, route))
            else:
                self._literal[segments] = route
        for candidates in self._with_params.values():
            # The more literal pattern wins, compared from the left.
            candidates.sort(key=lambda pattern: [_is_param(segment) for segment in pattern[0]])

    def match(self, raw_path: str) -> Match | None:
        """``raw_path`` is percent-encoded: an encoded slash does not part segments."""
        segments = tuple(map(unquote, _segments(raw_path)))
        if route := self._literal.get(segments):
            return Match(route, {})
        for pattern, route in self._with_params.get(len(segments), ()):
            params = _params(pattern, segments)
            if params is not None:
                return Match(route, params)
        return None


def _segments(path: str) -> Segments:
    return tuple(path.split("/")[1:])


def _is_param(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _params(pattern: Segments, segments: Segments) -> dict[str, str] | None:
    params: dict[str, str] = {}
    for expected, actual in zip(pattern, segments, strict=True):
        if _is_param(expected):
            if not actual:
                return None
            params[expected[1:-1]] = actual
        elif expected != actual:
            return None
    return params
