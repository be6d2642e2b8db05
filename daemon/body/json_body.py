"""JSON bodies: quickly, as expressions can hold them, or exactly as received."""

from __future__ import annotations

import json
from typing import Any

import orjson

from daemon.body.fitting import fit
from daemon.errors import Refused
from daemon.expressions import JSON

DEPTH_MAX = 64
"""Levels of nesting that a body may have: the expression engine recurses natively."""

_CONTAINERS = frozenset({dict, list})


def is_json(media_type: str) -> bool:
    """Whether a body of this media type is read as JSON; so is one without."""
    return media_type in ("", "application/json") or media_type.endswith("+json")


def fitting_json(body: bytes) -> JSON:
    """The value as the engine can hold it, by a parser that takes a third of the time. It has large
    integers as floating point by itself, and refuses lone surrogates. Raises Refused 400."""
    try:
        value: JSON = orjson.loads(body)
    except ValueError:
        # No JSON; or something odd. The other parser tells them apart, and says where the fault is.
        return fit(exact_json(body))
    refuse_depth(value)
    # A backslash is found in a fraction of the time, and most bodies have none.
    return fit(value) if b"\\" in body and rb"\u0000" in body else value


def exact_json(body: bytes) -> JSON:
    """The value exactly as received. Raises Refused 400."""
    try:
        # Decoded here: `json` itself would take UTF-16, and UTF-8 of halves of surrogate pairs.
        value: JSON = _DECODER.decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Refused(
            400, f"the JSON body is not valid UTF-8 (byte {error.start}); send it in UTF-8"
        ) from None
    except json.JSONDecodeError as error:
        raise Refused(
            400, f"malformed JSON body: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except _NotJson as error:
        raise Refused(400, f"malformed JSON body: {error}") from None
    except ValueError:  # sys.set_int_max_str_digits
        raise Refused(400, "malformed JSON body: a number of thousands of digits") from None
    except RecursionError:
        raise _too_deep("JSON") from None
    refuse_depth(value)
    return value


def refuse_depth(value: JSON, kind: str = "JSON") -> None:
    """Raises Refused 400 where the value is nested too deep."""
    level: list[Any] = [value] if type(value) in _CONTAINERS else []
    for _ in range(DEPTH_MAX):
        level = [
            item
            for container in level
            for item in (container.values() if type(container) is dict else container)
            # Text is what most of them are.
            if type(item) is not str and type(item) in _CONTAINERS
        ]
        if not level:
            return
    raise _too_deep(kind)


def _too_deep(kind: str) -> Refused:
    return Refused(400, f"the {kind} body is nested more than {DEPTH_MAX} levels deep")


class _NotJson(ValueError):
    """Python's parser takes it, and JSON does not know it."""


def _refuse_constant(name: str) -> Any:
    raise _NotJson(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
