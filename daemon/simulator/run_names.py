"""A workflow's ``run-name`` as GitHub evaluates it: of the expressions of Actions the few that run
names are made of, with values printed as Actions prints them."""

from __future__ import annotations

import re
from collections.abc import Mapping

TITLE_MAX = 250
"""Characters of a title that are shown."""

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TERM = re.compile(
    r"\s*(?:'(?P<text>(?:[^']|'')*)'|(?P<path>[A-Za-z_][\w-]*(?:\.[\w-]+|\['[^']*'\])*))\s*"
)
_KEY = re.compile(r"\.?([\w-]+)|\['([^']*)'\]")
_FALSY: tuple[object, ...] = (None, False, 0, "")


def evaluated(run_name: str, contexts: Mapping[str, object]) -> str:
    """``run_name`` with its expressions evaluated over ``contexts`` (``github``, ``inputs``, …).

    Known are paths, texts and ``||`` between these. What is not known stays as it is written, so
    that whoever watches sees which part the stand-in has not.
    """

    def value(found: re.Match[str]) -> str:
        terms = _terms(found[1], contexts)
        if terms is None:
            return found[0]
        return printed(next((term for term in terms if term not in _FALSY), terms[-1]))

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
    return str(value)


def _terms(expression: str, contexts: Mapping[str, object]) -> list[object] | None:
    """The values between the ``||``; None for an expression that is not known here."""
    values: list[object] = []
    rest = expression
    while found := _TERM.match(rest):
        path, text = found["path"], found["text"]
        if path is None:
            values.append(text.replace("''", "'"))
        elif _KEY.match(path)[1].lower() in contexts:  # type: ignore[index]  # _TERM saw a key
            values.append(_at(contexts, path))
        else:
            return None
        rest = rest[found.end() :]
        if not rest:
            return values
        if not rest.startswith("||"):
            return None
        rest = rest[2:]
    return None


def _at(contexts: Mapping[str, object], path: str) -> object:
    """What ``path`` leads to, None where it leads nowhere. Keys have no case, as in Actions."""
    value: object = contexts
    for plain, quoted in _KEY.findall(path):
        wanted = (plain or quoted).lower()
        members = value if isinstance(value, Mapping) else {}
        value = next((item for key, item in members.items() if key.lower() == wanted), None)
    return value
