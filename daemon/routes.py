"""Which triggers a request's path concerns: literal paths first, then those with parameters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import unquote

from msgspec import Struct

from daemon.signatures import Handshake, Scheme
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


GREETING_MAX = 64 * 1024
"""Bytes of the body of a request that can only be a handshake."""


@dataclass(frozen=True)
class Party:
    """Triggers that ask senders for the same proof: it is looked at once for all of them."""

    auth: Auth
    triggers: tuple[TriggerSpec, ...]

    @cached_property
    def max_body(self) -> int:
        """Bytes of a body that at least one of them takes."""
        return max(trigger.max_body for trigger in self.triggers)

    @cached_property
    def body_for_all(self) -> int:
        """Bytes of a body that each of them takes."""
        return min(trigger.max_body for trigger in self.triggers)

    def without(self, names: Container[str]) -> Party:
        """The party without the triggers of these names."""
        return Party(self.auth, tuple(each for each in self.triggers if each.name not in names))


@dataclass(frozen=True)
class Panel:
    """The triggers of a path that judge the requests of one method, as a list and by the proof
    that they ask for. ``greeting`` are those that answer handshakes by this method, among them such
    as take no deliveries by it."""

    triggers: tuple[TriggerSpec, ...]
    parties: tuple[Party, ...]
    greeting: tuple[Party, ...] = ()

    @classmethod
    def of(cls, triggers: Iterable[TriggerSpec], method: str) -> Panel:
        triggers = tuple(triggers)
        greeting = [each for each in triggers if method in _asked_by(each)]
        judging = [each for each in triggers if method in each.methods]
        return cls(tuple(judging), _parties(judging), _parties(greeting))

    @cached_property
    def max_body(self) -> int:
        """Bytes of a body that at least one of them takes, or of a handshake where that is all."""
        return max((trigger.max_body for trigger in self.triggers), default=GREETING_MAX)

    @cached_property
    def guarded(self) -> bool:
        """Whether any of them looks at the sender's address."""
        return any(trigger.allow_from for trigger in self.everyone)

    @cached_property
    def signs_url(self) -> bool:
        """Whether any sender of theirs signs the URL that it called."""
        return any(trigger.auth.scheme.signs_url for trigger in self.everyone)

    @cached_property
    def fetching(self) -> tuple[Party, ...]:
        """Those that may need something of the world before they can tell."""
        return tuple(
            each for each in self.parties if type(each.auth.scheme).needs is not Scheme.needs
        )

    @cached_property
    def greeted_unproven(self) -> tuple[tuple[Party, Handshake], ...]:
        """Those whose handshake proves nothing yet."""
        return tuple(
            (party, handshake)
            for party, handshake in _handshakes(self.greeting)
            if type(handshake).opening is not Handshake.opening
        )

    @cached_property
    def greeted_proven(self) -> tuple[tuple[Party, Handshake], ...]:
        """Those whose handshake proves itself as a delivery does, as far as they take any."""
        judging = {trigger.name for trigger in self.triggers}
        others = {trigger.name for trigger in self.everyone} - judging
        return tuple(
            (party, handshake)
            for party, handshake in _handshakes(_without(self.greeting, others))
            if type(handshake).proven is not Handshake.proven
        )

    @property
    def everyone(self) -> Iterator[TriggerSpec]:
        """All triggers in it, some of them twice."""
        for party in (*self.parties, *self.greeting):
            yield from party.triggers

    @property
    def empty(self) -> bool:
        return not self.parties and not self.greeting

    def without(self, names: Container[str]) -> Panel:
        """The panel without the triggers of these names."""
        return Panel(
            tuple(trigger for trigger in self.triggers if trigger.name not in names),
            _without(self.parties, names),
            _without(self.greeting, names),
        )


def _asked_by(trigger: TriggerSpec) -> frozenset[str]:
    """The methods of the trigger's handshake."""
    handshake = trigger.auth.scheme.handshake
    return handshake.methods if handshake else frozenset()


def _sharing_auth(triggers: Iterable[TriggerSpec]) -> tuple[TriggerSpec, ...]:
    """The triggers, of which those that ask for the same proof have the same object for it: what
    follows from a scheme is worked out once for a delivery, and to find schemes equal takes long.
    """
    shared: dict[Auth, Auth] = {}
    return tuple(
        replace(trigger, auth=shared.setdefault(trigger.auth, trigger.auth)) for trigger in triggers
    )


def _parties(triggers: Iterable[TriggerSpec]) -> tuple[Party, ...]:
    parties: dict[object, list[TriggerSpec]] = defaultdict(list)
    for trigger in triggers:
        auth = trigger.auth
        # Each learns a secret of its own.
        own = auth.scheme.learns_secret and not auth.secrets
        parties[auth, trigger.name if own else ""].append(trigger)
    return tuple(Party(each[0].auth, tuple(each)) for each in parties.values())


def _handshakes(parties: Iterable[Party]) -> Iterator[tuple[Party, Handshake]]:
    for party in parties:
        if (handshake := party.auth.scheme.handshake) is not None:
            yield party, handshake


def _without(parties: Iterable[Party], names: Container[str]) -> tuple[Party, ...]:
    kept = (party.without(names) for party in parties)
    return tuple(party for party in kept if party.triggers)


@dataclass(frozen=True)
class Route:
    """One configured path and the triggers that share it. What follows from these is worked out
    once, and not for each request."""

    path: str
    triggers: tuple[TriggerSpec, ...]

    @cached_property
    def panels(self) -> Mapping[str, Panel]:
        """By method."""
        methods = frozenset[str]().union(
            *(trigger.methods | _asked_by(trigger) for trigger in self.triggers)
        )
        return {method: Panel.of(self.triggers, method) for method in sorted(methods)}

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """Those by which deliveries come."""
        return tuple(method for method, panel in self.panels.items() if panel.triggers)

    @cached_property
    def withheld_headers(self) -> frozenset[str]:
        """Lower-case names of those that hold credentials of any trigger here."""
        return ALWAYS_WITHHELD.union(*(each.credential_headers for each in self._askers))

    @cached_property
    def withheld_query(self) -> frozenset[str]:
        """Likewise, names of query parameters."""
        return frozenset[str]().union(*(each.credential_query for each in self._askers))

    @cached_property
    def redacting(self) -> tuple[Scheme, ...]:
        """The schemes that take a secret out of the body."""
        schemes = {trigger.auth.scheme for trigger in self.triggers}
        return tuple(
            each for each in schemes if type(each).without_secret is not Scheme.without_secret
        )

    @property
    def _askers(self) -> Iterator[Scheme | Handshake]:
        for trigger in self.triggers:
            scheme = trigger.auth.scheme
            yield scheme
            if scheme.handshake is not None:
                yield scheme.handshake


class Match(Struct, frozen=True):
    """A route and what its ``{params}`` stand for in this request."""

    route: Route
    params: Mapping[str, str]


class Routes:
    """The configured paths. ``{name}`` stands for one segment, which is not empty."""

    def __init__(self, triggers: Iterable[TriggerSpec]) -> None:
        by_path: dict[str, list[TriggerSpec]] = defaultdict(list)
        for trigger in triggers:
            by_path[trigger.path].append(trigger)
        self._literal: dict[Segments, Match] = {}
        self._as_written: dict[str, Match] = {}
        """Those again by the whole path, for requests that spell it as the config does."""
        self._with_params: dict[int, list[tuple[Segments, Route]]] = defaultdict(list)
        for path, sharing in by_path.items():
            segments, route = _segments(path), Route(path, _sharing_auth(sharing))
            if any(map(_is_param, segments)):
                self._with_params[len(segments)].append((segments, route))
            else:
                self._literal[segments] = Match(route, {})
                if unquote(path) == path:
                    self._as_written[path] = self._literal[segments]
        for candidates in self._with_params.values():
            # The more literal pattern wins, compared from the left.
            candidates.sort(key=lambda pattern: [_is_param(segment) for segment in pattern[0]])

    def match(self, raw_path: str) -> Match | None:
        """``raw_path`` is percent-encoded: an encoded slash does not part segments."""
        if found := self._as_written.get(raw_path):
            return found
        segments = tuple(map(unquote, _segments(raw_path)))
        if found := self._literal.get(segments):
            return found
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
