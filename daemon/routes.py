"""Which triggers a request's path concerns: literal paths first, then those with parameters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from daemon.spec import TriggerSpec

Segments = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """One configured path and the triggers that share it."""

    path: str
    triggers: tuple[TriggerSpec, ...]

    @property
    def methods(self) -> frozenset[str]:
        return frozenset().union(*(trigger.methods for trigger in self.triggers))


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
