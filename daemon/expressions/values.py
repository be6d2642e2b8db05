"""JSON as our values have it, and how what the engine comes to is written as JSON or as text."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from daemon.errors import ExpressionError

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None
Path: TypeAlias = tuple[str | int, ...]


def to_json(value: Any, source: str = "") -> JSON:
    """An engine value as JSON. Raises ExpressionError for what JSON cannot hold (NaN)."""
    # A large body comes by here item by item: what is most frequent is asked first.
    match value:
        case str() | int() | None:
            return value
        case dict():
            return {
                key if isinstance(key, str) else _key(key): to_json(item, source)
                for key, item in value.items()
            }
        case list():
            return [to_json(item, source) for item in value]
        case float():
            if not math.isfinite(value):
                raise ExpressionError(f"came to {value}, which JSON cannot hold", source=source)
            return value
        case datetime():
            return rfc3339(value)
        case timedelta():
            return _seconds(value)
        case bytes() | bytearray():
            return base64.b64encode(value).decode("ascii")
    return str(value).partition("<")[0].lower()  # a type, as CEL names it: `map`, `int`


def as_text(value: JSON) -> str:
    """A JSON value within a longer text: strings as they are, all else as compact JSON."""
    return value if isinstance(value, str) else compact(value)


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def compact(value: JSON) -> str:
    """JSON without needless white space or escapes, as it goes out and is stored."""
    return _COMPACT.encode(value)


_IN_ORDER = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True
)


def compact_in_order(value: JSON) -> str:
    """The same with the keys of each object in order: equal values have equal text. The engine has
    another order of its own in each process."""
    return _IN_ORDER.encode(value)


def rfc3339(instant: datetime) -> str:
    """``2026-11-23T04:05:06Z``, with a fraction only where there is one."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _seconds(span: timedelta) -> str:
    """``90s``, ``-0.5s``: whole microseconds, since a float would lose seconds of a long span."""
    microseconds = span // timedelta(microseconds=1)
    whole, part = divmod(abs(microseconds), 1_000_000)
    fraction = f".{part:06}".rstrip("0") if part else ""
    return f"{'-' if microseconds < 0 else ''}{whole}{fraction}s"


def _key(key: Any) -> str:
    return as_text(to_json(key))
