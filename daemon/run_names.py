"""A workflow's ``run-name`` as GitHub evaluates it: the expressions of Actions, with values printed
as Actions prints them.

https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence

TITLE_MAX = 250
"""Characters of a title that are shown."""
DEEPEST = 50
"""Levels that an expression may nest, as at GitHub."""
LONGEST = 1_000_000
"""Characters that a value may be printed as: `format` within `format` can multiply them."""

_EXPRESSION = re.compile(r"\$\{\{((?:'[^']*'|[^'])*?)\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:'(?P<text>(?:[^']|'')*)'"
    r"|(?P<number>[+-]?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))"
    r"|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>&&|\|\||[=!<>]=|[()\[\].,!<>*])"
    r"|(?P<end>$))"
)
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\d{1,3})\}|[{}]")


class _Beyond(Exception):
    """This cannot be said: no expression, or one about something that is not known."""


class _Unknown:
    """A value that is there, and nobody here knows it."""


UNKNOWN = _Unknown()


class Partial(dict[str, object]):
    """A context of which not all is known: what is not in it may be anything."""


def evaluated(run_name: str, contexts: Mapping[str, object]) -> str:
    """``run_name`` with its expressions evaluated over ``contexts`` (``github``, ``inputs``, …).

    What cannot be evaluated stays as it is written, so that whoever watches sees which part is not
    known. It never raises.
    """

    def value(found: re.Match[str]) -> str:
        try:
            return printed(_Evaluation(found[1], contexts).whole())
        except (_Beyond, RecursionError):
            return found[0]

    return _EXPRESSION.sub(value, run_name)[:TITLE_MAX]


def printed(value: object) -> str:
    """As Actions turns a value into text: of an object it says no more than that it is one."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return format(value, ".15g")
        case Mapping():
            return "Object"
        case list():
            return "Array"
        case _Unknown():
            return "…"
    return str(value)


class _Evaluation:
    """One expression, evaluated as it is read. Both sides of an operator are evaluated, which no
    function here minds."""

    def __init__(self, text: str, contexts: Mapping[str, object]) -> None:
        self._contexts = contexts
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def whole(self) -> object:
        value = self._either()
        if self._next() != ("end", ""):
            raise _Beyond
        return value

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at]

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at += token[0] != "end"
        return token

    def _took(self, sign: str) -> bool:
        if self._peek() != ("sign", sign):
            return False
        self._at += 1
        return True

    def _must(self, sign: str) -> None:
        if not self._took(sign):
            raise _Beyond

    def _either(self) -> object:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _Beyond
        value = self._both()
        while self._took("||"):
            right = self._both()
            value = value if _true(value) else right
        self._depth -= 1
        return value

    def _both(self) -> object:
        value = self._compared()
        while self._took("&&"):
            right = self._compared()
            value = right if _true(value) else value
        return value

    def _compared(self) -> object:
        value = self._negated()
        while self._peek()[0] == "sign" and self._peek()[1] in _COMPARISONS:
            value = _comparison(value, self._next()[1], self._negated())
        return value

    def _negated(self) -> object:
        turned = False
        denied = False
        while self._took("!"):
            turned, denied = True, not denied
        value = self._followed()
        return _true(value) != denied if turned else value

    def _followed(self) -> object:
        value = self._primary()
        while True:
            if self._took("."):
                kind, name = self._next()
                if (kind, name) == ("sign", "*"):
                    value = _each(value)
                elif kind == "name":
                    value = _member(value, name)
                else:
                    raise _Beyond
            elif self._took("["):
                value = _each(value) if self._took("*") else _member(value, self._either())
                self._must("]")
            else:
                return value

    def _primary(self) -> object:
        kind, text = self._next()
        match kind:
            case "text":
                return text.replace("''", "'")
            case "number":
                return _number(text)
            case "name":
                return self._named(text)
            case "sign" if text == "(":
                value = self._either()
                self._must(")")
                return value
        raise _Beyond

    def _named(self, name: str) -> object:
        if self._took("("):
            return self._called(name.lower())
        if name in _WORDS:
            return _WORDS[name]
        # The names of contexts have no case either.
        if name.lower() not in self._contexts:
            raise _Beyond
        return self._contexts[name.lower()]

    def _called(self, name: str) -> object:
        given: list[object] = []
        if not self._took(")"):
            given.append(self._either())
            while self._took(","):
                given.append(self._either())
            self._must(")")
        least, most, function = _FUNCTIONS.get(name, (0, -1, _format))
        if not least <= len(given) <= most:
            raise _Beyond
        return function(given)


class _Found(list[object]):
    """What ``.*`` found: a step further is made from each of them."""


_WORDS = {"true": True, "false": False, "null": None, "NaN": math.nan, "Infinity": math.inf}


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at = 0
    while not tokens or tokens[-1][0] != "end":
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise _Beyond
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    return tokens


def _number(text: str) -> object:
    if "0x" in text:
        return int(text, 16)
    value = float(text)
    return int(value) if value.is_integer() else value


def _member(value: object, key: object) -> object:
    """What a key or an index leads to, None where it leads nowhere. Keys have no case."""
    if isinstance(value, _Unknown) or isinstance(key, _Unknown):
        return UNKNOWN
    if isinstance(value, _Found):
        members = (_member(each, key) for each in value)
        return _Found(member for member in members if member is not None)
    if isinstance(value, list):
        within = isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(value)
        return value[int(printed(key))] if within else None
    if not isinstance(value, Mapping):
        return None
    wanted = printed(key).lower()
    missing = UNKNOWN if isinstance(value, Partial) else None
    return next((item for name, item in value.items() if name.lower() == wanted), missing)


def _each(value: object) -> object:
    if isinstance(value, _Unknown | Partial):
        return UNKNOWN
    if isinstance(value, Mapping):
        return _Found(value.values())
    return _Found(value) if isinstance(value, list) else _Found()


def _true(value: object) -> bool:
    if isinstance(value, _Unknown):
        raise _Beyond
    if isinstance(value, float) and math.isnan(value):
        return False
    return isinstance(value, Mapping | list) or bool(value)


def _comparison(left: object, sign: str, right: object) -> object:
    """Loose, as in Actions: texts without case, and what is of different kinds as numbers."""
    if isinstance(left, _Unknown) or isinstance(right, _Unknown):
        return UNKNOWN
    if isinstance(left, Mapping | list) or isinstance(right, Mapping | list):
        return {"==": left is right, "!=": left is not right}.get(sign, False)
    a: str | float
    b: str | float
    if isinstance(left, str) and isinstance(right, str):
        a, b = left.upper(), right.upper()
    else:
        a, b = _as_number(left), _as_number(right)
    match sign:
        case "==":
            return a == b
        case "!=":
            return a != b
        case "<":
            return a < b  # type: ignore[operator]  # both are of one kind
        case "<=":
            return a <= b  # type: ignore[operator]
        case ">":
            return a > b  # type: ignore[operator]
    return a >= b  # type: ignore[operator]


def _as_number(value: object) -> float:
    match value:
        case None:
            return 0
        case bool() | int() | float():
            return value
    text = str(value).strip()
    try:
        return float(text) if text else 0
    except ValueError:
        return math.nan


def _text(value: object) -> str:
    return printed(value)


def _contains(given: Sequence[object]) -> object:
    where, what = given
    if isinstance(where, _Unknown | Partial) or isinstance(what, _Unknown):
        return UNKNOWN
    if isinstance(where, list):
        return any(_comparison(each, "==", what) is True for each in where)
    return not isinstance(where, Mapping) and _text(what).upper() in _text(where).upper()


def _affixed(asks: Callable[[str, str], bool]) -> Callable[[Sequence[object]], object]:
    def function(given: Sequence[object]) -> object:
        if any(isinstance(each, _Unknown) for each in given):
            return UNKNOWN
        return asks(_text(given[0]).upper(), _text(given[1]).upper())

    return function


def _format(given: Sequence[object]) -> object:
    if isinstance(given[0], _Unknown):
        return UNKNOWN
    room = LONGEST

    def part(found: re.Match[str]) -> str:
        nonlocal room
        if found[0] in ("{{", "}}"):
            return found[0][0]
        if found[1] is None or int(found[1]) + 1 >= len(given):
            raise _Beyond  # at GitHub too this is an error
        text = _text(given[int(found[1]) + 1])
        room -= len(text)
        if room < 0:
            raise _Beyond
        return text

    return _bounded(_PLACEHOLDER.sub(part, _text(given[0])))


def _join(given: Sequence[object]) -> object:
    what, between = given[0], _text(given[1]) if len(given) > 1 else ","
    if isinstance(what, _Unknown):
        return UNKNOWN
    if not isinstance(what, list):
        return "" if isinstance(what, Mapping) else _text(what)
    texts = [_text(each) for each in what]
    if sum(map(len, texts)) + len(texts) * len(between) > LONGEST:
        raise _Beyond
    return between.join(texts)


def _to_json(given: Sequence[object]) -> object:
    if isinstance(given[0], _Unknown):
        return UNKNOWN
    known = lambda value: _text(value)  # noqa: E731 - a name for what stands in for the unknown
    return _bounded(json.dumps(given[0], indent=2, ensure_ascii=False, default=known))


def _from_json(given: Sequence[object]) -> object:
    if isinstance(given[0], _Unknown):
        return UNKNOWN
    try:
        found: object = json.loads(_text(given[0]))
    except ValueError:
        raise _Beyond from None
    return found


def _bounded(text: str) -> str:
    if len(text) > LONGEST:
        raise _Beyond
    return text


_FUNCTIONS: dict[str, tuple[int, int, Callable[[Sequence[object]], object]]] = {
    "contains": (2, 2, _contains),
    "startswith": (2, 2, _affixed(str.startswith)),
    "endswith": (2, 2, _affixed(str.endswith)),
    "format": (1, 255, _format),
    "join": (1, 2, _join),
    "tojson": (1, 1, _to_json),
    "fromjson": (1, 1, _from_json),
}
"""How many values each takes at least and at most, and what it makes of them."""
