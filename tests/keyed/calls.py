"""Made-up calls, from nearly in order to hostile: of what a daemon was seen to name in its answers,
and of what programs stumble over."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from daemon.dispatch import State
from daemon.event import FiringOutcome, Outcome
from tests.harness import API_KEY
from tests.harness.raw_http import request
from tests.keyed.odd import CONTENT_TYPES, ODD_HEADERS, ODD_JSON, ODD_TEXTS, PACKERS, UNKNOWN
from tests.keyed.routes import PARAMETER, Route

SEEN_MAX = 300
"""Ids that are remembered of the answers, so that many calls are about what there is."""

ID = re.compile(rb"(?:evt|dsp)_[0-9a-z]{26}")
HOOK_ID = re.compile(rb'"id":(\d+)')

QUERY_MAX = 6000
"""What more there is would be refused with the request line."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


@dataclass(frozen=True, slots=True)
class Call:
    """``data`` is what goes over the wire. ``keyed`` says that the right key goes with it,
    ``clean`` that nothing but the key decides whether its route takes it up."""

    route: Route
    method: str
    data: bytes
    keyed: bool
    clean: bool


class Calls:
    """Makes calls of ``routes``. ``names`` are those of the entries, ``places`` what GitHub has."""

    def __init__(
        self,
        routes: Sequence[Route],
        names: Sequence[str],
        places: Sequence[str],
        chance: random.Random,
    ) -> None:
        self._routes = routes
        self._names = names
        self._places = places
        self._chance = chance
        self._events: list[str] = []
        self._dispatches: list[str] = []
        self._hooks: list[int] = []
        self._keys = sorted({key for route in routes for key in (route.body or ())})
        self._turn = 0

    def learn(self, answer: bytes) -> None:
        """Remembers what an answer names."""
        for found in ID.findall(answer)[-20:]:
            seen = self._events if found.startswith(b"evt") else self._dispatches
            self._remember(seen, found.decode())
        for found in HOOK_ID.findall(answer)[:20]:
            self._remember(self._hooks, int(found))

    @property
    def _ids(self) -> list[str]:
        return self._chance.choice((self._events, self._dispatches))

    def _remember(self, seen: list[Any], value: Any) -> None:
        if len(seen) < SEEN_MAX:
            seen.append(value)
        else:
            seen[self._chance.randrange(SEEN_MAX)] = value

    def make(self) -> Call:
        """The next call; the routes take turns."""
        chance = self._chance
        route = self._routes[self._turn % len(self._routes)]
        self._turn += 1
        keyed = route.admin or chance.random() < 0.9
        clean = not keyed or chance.random() < 0.7
        method = route.method if clean or chance.random() < 0.8 else chance.choice(METHODS)
        target = self._target(route, clean=clean).encode("utf-8", "surrogatepass")
        body, headers = self._body(route)
        if not clean:
            headers += chance.sample(ODD_HEADERS, chance.choice((1, 2, 5)))
        if route.path == "/dispatch" and chance.random() < 0.9:
            headers.append(("Prefer", "respond-async"))
        headers += self._key(keyed=keyed)
        raw = [(name, value.encode("latin-1")) for name, value in headers]
        return Call(route, method, request(method, target, raw, body), keyed, clean)

    def _key(self, *, keyed: bool) -> list[tuple[str, str]]:
        if keyed:
            return [("x-api-key", API_KEY)]
        wrong = ("", "wrong", API_KEY[:-1], API_KEY + "x", API_KEY.upper(), "\xff" * 10, "x" * 5000)
        given = self._chance.choice(wrong)
        return self._chance.choice(
            (
                [],
                [("x-api-key", given)],
                [("Authorization", f"Bearer {given}")],
                [("x-api-key", given or "x"), ("Authorization", f"Bearer {API_KEY}")],
                [("X-API-KEY", given), ("x-api-key", API_KEY)],
            )
        )

    def _target(self, route: Route, *, clean: bool) -> str:
        chance = self._chance

        def place(parameter: re.Match[str]) -> str:
            if clean or chance.random() < 0.6:
                known = self._names if parameter[0] == "{name}" else self._ids
                foreign = chance.random() < 0.1
                return quote(chance.choice(UNKNOWN if foreign or not known else known), safe="")
            odd = chance.choice(ODD_TEXTS)[:5000]
            return quote(odd.encode("utf-8", "surrogatepass"), safe=chance.choice(("", "/%{}")))

        path = PARAMETER.sub(place, route.path)
        if not clean and chance.random() < 0.1:
            path += chance.choice(("/", "//", "/.", "%00", "?", "/x", ";x"))
        chosen = [name for name in sorted(route.query) if chance.random() < 0.5]
        pairs = [(name, self._text(name)) for name in chosen]
        if chance.random() < 0.1:
            pairs.append((chance.choice(("limit", "x", "", "\x00", "key")), self._text("")))
        query = "&".join(f"{quote(name)}={_quoted(text)}" for name, text in pairs)
        if not clean and chance.random() < 0.1:
            query += chance.choice(("&&&", "%", "=%ff", "&limit=1&limit=x", "+", "#x", ";a=b"))
        return f"{path}?{query[:QUERY_MAX]}" if query else path

    def _text(self, name: str) -> str:
        """For a query, under this name."""
        value = self._value(name) if self._chance.random() < 0.8 else self._odd_text()
        return value if isinstance(value, str) else json.dumps(value)

    def _odd_text(self) -> str:
        return self._chance.choice(ODD_TEXTS)[:1000]

    def _body(self, route: Route) -> tuple[bytes, list[tuple[str, str]]]:
        """The bytes, and the headers that are about them."""
        chance = self._chance
        if route.body is None and chance.random() < 0.7:
            return b"", []
        kind = chance.random()
        if kind < 0.75:
            body = self._object(sorted(route.body or ()))
        elif kind < 0.95:
            body = chance.choice(ODD_JSON)
        else:
            body = chance.randbytes(chance.randrange(200))
        content_type = (
            "application/json" if chance.random() < 0.85 else chance.choice(CONTENT_TYPES)
        )
        headers = [("Content-Type", content_type)] if chance.random() < 0.95 else []
        if chance.random() < 0.05:
            coding, pack = chance.choice(PACKERS)
            headers.append(("Content-Encoding", coding))
            body = pack(body)
        return body, headers

    def _object(self, keys: Sequence[str]) -> bytes:
        """A JSON object with some of these keys, most values of the kind that it wants; now and
        then with a foreign key, a key twice, or a piece missing."""
        chance = self._chance
        chosen = [key for key in keys if chance.random() < 0.7]
        if chance.random() < 0.1:
            chosen.append(chance.choice([*self._keys, *ODD_TEXTS[:12]]))
        if chosen and chance.random() < 0.05:
            chosen.append(chance.choice(chosen))
        members = (
            f"{json.dumps(key)}: {json.dumps(self._value(key))}"
            for key in chance.sample(chosen, len(chosen))
        )
        text = "{" + ", ".join(members) + "}"
        if chance.random() < 0.05:
            start = chance.randrange(len(text))
            text = text[:start] + text[start + chance.randrange(3) :]
        return text.encode()

    def _value(self, key: str) -> Any:
        """What goes by this name; now and then something else."""
        chance = self._chance
        if chance.random() < 0.1:
            return self._odd_value(3)
        match key:
            case "at" | "from" | "to" | "since" | "before" if chance.random() < 0.8:
                days = chance.choice((0, 0, 0.01, 1, 29, 400, 4000)) * chance.choice((-1, -1, 1))
                return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
            case "limit":
                return chance.choice((1, 2, 50, 1000, 0, 1001, -1, 10**20))
            case "outcome":
                return chance.choice([*Outcome, *FiringOutcome])
            case "state":
                return chance.choice(list(State))
            case "dry_run" | "refused" | "track" | "forget":
                return chance.choice((True, False))
            case "entries":
                return chance.choice(("all", [*self._names], [chance.choice(self._names)], []))
            case "entry" | "cron" | "source" | "name":
                return chance.choice([*self._names, "/dispatch"])
            case "id":
                return chance.choice([*self._hooks[-20:], 1, 0])
            case "place" | "repository":
                return chance.choice(self._places)
            case "places":
                return [chance.choice(self._places) for _ in range(chance.randrange(3))]
            case "events":
                return chance.sample(["push", "workflow_run", "ping", "*", "nonsense"], 2)
            case "url":
                return chance.choice(("https://hooks.example/hooks/github", "http://127.0.0.1/x"))
            case "params" | "client_payload":
                return {text[:50]: self._odd_value(2) for text in chance.sample(ODD_TEXTS, 2)}
            case "event_type":
                return chance.choice(("build", "x" * 100, "a b", "é"))
            case _:
                return chance.choice([*self._names, *self._ids[-5:], self._odd_value(2)])

    def _odd_value(self, depth: int) -> Any:
        chance = self._chance
        if depth and chance.random() < 0.3:
            inner = [self._odd_value(depth - 1) for _ in range(chance.randrange(4))]
            keys = chance.sample(ODD_TEXTS, len(inner))
            return chance.choice((inner, dict(zip(keys, inner, strict=True))))
        numbers = (0, -1, 1.5, 1e300, 2**63, 2**64, -(2**63) - 1, 10**400, float("nan"))
        return chance.choice((None, True, False, *numbers, *chance.sample(ODD_TEXTS, 9)))


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"))
