"""Values in the expressions of GitHub Actions: how they are printed and compared, and the functions
over them.

https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence

LONGEST = 1_000_000
"""Characters that a value may be printed as: `format` within `format` can multiply them."""


_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\d{1,3})\}|[{}]")


class Beyond(Exception):
    """This cannot be said: no expression, or one about something that is not known."""


class Unknown:
    """A value that is there, and nobody here knows it."""


UNKNOWN = Unknown()


class Partial(dict[str, object]):
    """A context of which not all is known: what is not in it may be anything."""


class Found(list[object]):
    """What ``.*`` found: a step further is made from each of them."""


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
        case Unknown():
            return "…"
    return str(value)


def true(value: object) -> bool:
    if isinstance(value, Unknown):
        raise Beyond
    if isinstance(value, float) and math.isnan(value):
        return False
    return isinstance(value, Mapping | list) or bool(value)


def compared(left: object, sign: str, right: object) -> object:
    """Loose, as in Actions: texts without case, and what is of different kinds as numbers."""
    if isinstance(left, Unknown) or isinstance(right, Unknown):
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
    if isinstance(where, Unknown | Partial) or isinstance(what, Unknown):
        return UNKNOWN
    if isinstance(where, list):
        return any(compared(each, "==", what) is True for each in where)
    return not isinstance(where, Mapping) and _text(what).upper() in _text(where).upper()


def _affixed(asks: Callable[[str, str], bool]) -> Callable[[Sequence[object]], object]:
    def function(given: Sequence[object]) -> object:
        if any(isinstance(each, Unknown) for each in given):
            return UNKNOWN
        return asks(_text(given[0]).upper(), _text(given[1]).upper())

    return function


def _format(given: Sequence[object]) -> object:
    if isinstance(given[0], Unknown):
        return UNKNOWN
    room = LONGEST

    def part(found: re.Match[str]) -> str:
        nonlocal room
        if found[0] in ("{{", "}}"):
            return found[0][0]
        if found[1] is None or int(found[1]) + 1 >= len(given):
            raise Beyond  # at GitHub too this is an error
        text = _text(given[int(found[1]) + 1])
        room -= len(text)
        if room < 0:
            raise Beyond
        return text

    return _bounded(_PLACEHOLDER.sub(part, _text(given[0])))


def _join(given: Sequence[object]) -> object:
    what, between = given[0], _text(given[1]) if len(given) > 1 else ","
    if isinstance(what, Unknown):
        return UNKNOWN
    if not isinstance(what, list):
        return "" if isinstance(what, Mapping) else _text(what)
    texts = [_text(each) for each in what]
    if sum(map(len, texts)) + len(texts) * len(between) > LONGEST:
        raise Beyond
    return between.join(texts)


def _to_json(given: Sequence[object]) -> object:
    if isinstance(given[0], Unknown):
        return UNKNOWN
    known = lambda value: _text(value)  # noqa: E731 - a name for what stands in for the unknown
    return _bounded(json.dumps(given[0], indent=2, ensure_ascii=False, default=known))


def _from_json(given: Sequence[object]) -> object:
    if isinstance(given[0], Unknown):
        return UNKNOWN
    try:
        found: object = json.loads(_text(given[0]))
    except ValueError:
        raise Beyond from None
    return found


def _bounded(text: str) -> str:
    if len(text) > LONGEST:
        raise Beyond
    return text


FUNCTIONS: dict[str, tuple[int, int, Callable[[Sequence[object]], object]]] = {
    "contains": (2, 2, _contains),
    "startswith": (2, 2, _affixed(str.startswith)),
    "endswith": (2, 2, _affixed(str.endswith)),
    "format": (1, 255, _format),
    "join": (1, 2, _join),
    "tojson": (1, 1, _to_json),
    "fromjson": (1, 1, _from_json),
}
"""How many values each takes at least and at most, and what it makes of them."""
