"""The values of variables and the parts of a condition, as JSON and as lines for people."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.text import Text

from daemon.cli.layout import Fields
from daemon.cli.tables import console, plain, put, say, word
from daemon.cli.tryout import Tryout, Variable
from daemon.errors import ExpressionError
from daemon.expressions import JSON, compact, to_json
from daemon.expressions.parts import Join, Part
from daemon.judge import Answer

VALUE_MAX = 120
"""Characters of a value that people are shown; ``--json`` has all of them."""

_JOINS = {Join.ALL: "all of", Join.ANY: "any of", Join.NOT: "not"}

_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),  # before int, which it is to Python
    (int, "int"),
    (float, "double"),
    (str, "string"),
    (list, "list"),
    (dict, "map"),
    (datetime, "timestamp"),
    (timedelta, "duration"),
    (bytes, "bytes"),
    (bytearray, "bytes"),
    (type(None), "null"),
)
"""What CEL calls the types of the engine's Python values."""


def variables_view(variables: Sequence[Variable]) -> dict[str, JSON]:
    """``variables``: the value of each by its name; ``failed_variable``: ``{name, error,
    expression}`` of the one that has none, else None."""
    failed = next((each for each in variables if each.error), None)
    return {
        "variables": {each.name: _json(each.value) for each in variables if not each.error},
        "failed_variable": {
            "name": failed.name,
            "error": failed.error,
            "expression": failed.source,
        }
        if failed
        else None,
    }


def condition_view(part: Part | None) -> JSON:
    """``{expression, value, error, join, parts, operands}``: ``value`` is true, false or, beside an
    ``error``, None; ``join`` is ``all``, ``any`` or ``not`` of ``parts``, or None; ``operands`` are
    ``{path, value}``, or ``{path, missing: true}``."""
    if part is None:
        return None
    return {
        "expression": part.source,
        "value": part.value,
        "error": part.error or None,
        "join": part.join.value or None,
        "parts": [condition_view(each) for each in part.parts],
        "operands": [
            {"path": each.path, "value": _json(each.value)}
            if each.present
            else {"path": each.path, "missing": True}
            for each in part.operands
        ],
    }


def answer_view(answer: Answer | None) -> dict[str, JSON] | None:
    """``{status, content_type, body}``; ``body`` is a JSON value where the content type is JSON."""
    if answer is None:
        return None
    body: JSON = answer.body
    if "json" in answer.content_type.partition(";")[0].lower():
        with contextlib.suppress(ValueError):  # an author may call anything JSON
            body = json.loads(answer.body)
    return {"status": answer.status, "content_type": answer.content_type, "body": body}


def put_insight(found: Tryout) -> None:
    """Prints the variables, and the parts of a condition that is not true."""
    if found.variables:
        say("variables:")
        put(_variable_fields(found.variables))
    if found.condition is not None and not found.condition.value:
        say("when:")
        for line in condition_lines(found.condition):
            console().print(line, soft_wrap=True)


def _variable_fields(variables: Sequence[Variable]) -> Fields:
    rows = Fields()
    for each in variables:
        if each.error:
            rows.add(f"  {each.name}", plain(f"fails: {each.error} — in: {each.source}"))
        else:
            rows.add(f"  {each.name}", plain(f"{brief(each.value)} ({_type(each.value)})"))
    return rows


def condition_lines(part: Part, depth: int = 1) -> Iterator[Text]:
    """Each part on a line after its value, and below it what it looked at."""
    said = "error" if part.value is None else str(part.value).lower()
    indent = "  " * depth
    of = _JOINS.get(part.join, part.source)
    yield Text(indent) + word(said) + plain(f"{'':{8 - len(said)}}{of}")
    below = f"{indent}{'':8}"
    if part.error and not part.parts:  # else one of the parts says so
        yield plain(f"{below}{part.error}")
    for each in part.operands:
        if each.path != part.source:
            value = brief(each.value) if each.present else "(not there)"
            yield plain(f"{below}{each.path} = {value}")
    for inner in part.parts:
        yield from condition_lines(inner, depth + 1)


def brief(value: Any) -> str:
    """A value as compact JSON, cut where it is long."""
    text = compact(_json(value))
    return text if len(text) <= VALUE_MAX else f"{text[: VALUE_MAX - 1]}…"


def _json(value: Any) -> JSON:
    try:
        return to_json(value)
    except ExpressionError:  # NaN or an infinity: fine within an expression, but no JSON
        return str(value)


def _type(value: Any) -> str:
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "type")
