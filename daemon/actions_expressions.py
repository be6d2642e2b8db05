"""The expressions of GitHub Actions, evaluated over contexts of which not all need be known."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from daemon.actions_values import (
    FUNCTIONS,
    UNKNOWN,
    Beyond,
    Found,
    Partial,
    Unknown,
    compared,
    printed,
    true,
)

DEEPEST = 50
"""Levels that an expression may nest, as at GitHub."""
_TOKEN = re.compile(
    r"\s*(?:'(?P<text>(?:[^']|'')*)'"
    r"|(?P<number>[+-]?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))"
    r"|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>&&|\|\||[=!<>]=|[()\[\].,!<>*])"
    r"|(?P<end>$))"
)
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def expression(text: str, contexts: Mapping[str, object]) -> object:
    """The value of ``text``. Raises Beyond where it has none that is known."""
    return _Evaluation(text, contexts).whole()


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
            raise Beyond
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
            raise Beyond

    def _either(self) -> object:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Beyond
        value = self._both()
        while self._took("||"):
            right = self._both()
            value = value if true(value) else right
        self._depth -= 1
        return value

    def _both(self) -> object:
        value = self._compared()
        while self._took("&&"):
            right = self._compared()
            value = right if true(value) else value
        return value

    def _compared(self) -> object:
        value = self._negated()
        while self._peek()[0] == "sign" and self._peek()[1] in _COMPARISONS:
            value = compared(value, self._next()[1], self._negated())
        return value

    def _negated(self) -> object:
        turned = False
        denied = False
        while self._took("!"):
            turned, denied = True, not denied
        value = self._followed()
        return true(value) != denied if turned else value

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
                    raise Beyond
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
        raise Beyond

    def _named(self, name: str) -> object:
        if self._took("("):
            return self._called(name.lower())
        if name in _WORDS:
            return _WORDS[name]
        # The names of contexts have no case either.
        if name.lower() not in self._contexts:
            raise Beyond
        return self._contexts[name.lower()]

    def _called(self, name: str) -> object:
        given: list[object] = []
        if not self._took(")"):
            given.append(self._either())
            while self._took(","):
                given.append(self._either())
            self._must(")")
        least, most, function = FUNCTIONS.get(name, (0, -1, None))
        if function is None or not least <= len(given) <= most:
            raise Beyond
        return function(given)


_WORDS = {"true": True, "false": False, "null": None, "NaN": math.nan, "Infinity": math.inf}


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at = 0
    while not tokens or tokens[-1][0] != "end":
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise Beyond
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
    if isinstance(value, Unknown) or isinstance(key, Unknown):
        return UNKNOWN
    if isinstance(value, Found):
        members = (_member(each, key) for each in value)
        return Found(member for member in members if member is not None)
    if isinstance(value, list):
        within = isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(value)
        return value[int(printed(key))] if within else None
    if not isinstance(value, Mapping):
        return None
    wanted = printed(key).lower()
    missing = UNKNOWN if isinstance(value, Partial) else None
    return next((item for name, item in value.items() if name.lower() == wanted), missing)


def _each(value: object) -> object:
    if isinstance(value, Unknown | Partial):
        return UNKNOWN
    if isinstance(value, Mapping):
        return Found(value.values())
    return Found(value) if isinstance(value, list) else Found()
