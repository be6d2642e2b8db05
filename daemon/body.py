"""A request's bytes as the value that expressions see under ``body``: JSON, a form, or text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from daemon.errors import Refused
from daemon.expressions import JSON

DEPTH_MAX = 64
"""Levels of nesting that a JSON body may have: the expression engine recurses natively."""

FORM_FIELDS_MAX = 1000

INT_MIN, INT_MAX = -(2**63), 2**64 - 1
"""The integers that the engine knows, those without a sign among them."""

_CHARSETS = frozenset(
    {
        "utf-8",
        "utf8",
        "us-ascii",
        "ascii",
        "iso-8859-1",
        "latin1",
        "latin-1",
        "windows-1252",
        "utf-16",
    }
)
"""Named one by one: some of Python's codecs take quadratic time."""

_SUPPORTED = "application/json (or +json), application/x-www-form-urlencoded, text/plain"


def parse_body(headers: Mapping[str, str], body: bytes) -> JSON:
    """The value of ``body``: any JSON value; a form's fields as strings (a list where a field is
    repeated); text; None where there are no bytes. Without a content type it is read as JSON.

    Lone surrogates and NUL become U+FFFD and integers beyond 64 bits become floating point, since
    the expression engine cannot hold them; the stored body stays as received.

    Raises Refused: 400 where the bytes are not what the content type says, 415 for a type that is
    not supported.
    """
    if not body:
        return None
    media_type, parameters = _content_type(headers)
    if _is_json(media_type):
        return _fast_json(body)
    if media_type == "application/x-www-form-urlencoded":
        return _form(_text(body, ""))
    if media_type.startswith("text/"):
        return _fit(_text(body, parameters))
    raise Refused(415, f"content type {media_type!r:.80} is not supported; send {_SUPPORTED}")


def parse_json(headers: Mapping[str, str], body: bytes) -> JSON:
    """The JSON value of ``body`` exactly as received, for what no expression looks at.
    Raises Refused: 400 for malformed JSON, 415 for another content type."""
    media_type, _ = _content_type(headers)
    if not _is_json(media_type):
        raise Refused(
            415, f"content type {media_type!r:.80} is not supported here; send application/json"
        )
    return _json(body)


def _content_type(headers: Mapping[str, str]) -> tuple[str, str]:
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    return media_type.strip().lower(), parameters


def _is_json(media_type: str) -> bool:
    return media_type in ("", "application/json") or media_type.endswith("+json")


def _fast_json(body: bytes) -> JSON:
    """The value as the engine can hold it, by a parser that takes a third of the time. It has large
    integers as floating point by itself, and refuses lone surrogates."""
    try:
        value: JSON = orjson.loads(body)
    except ValueError:
        # No JSON; or something odd. The other parser tells them apart, and says where the fault is.
        return _fit(_json(body))
    _refuse_depth(value)
    return _fit(value) if rb"\u0000" in body else value


def _json(body: bytes) -> JSON:
    """The value exactly as received."""
    try:
        # Decoded here: `json` itself would take UTF-16, and UTF-8 of halves of surrogate pairs.
        value: JSON = _DECODER.decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Refused(400, f"the JSON body is not valid UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise Refused(
            400, f"malformed JSON body: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except _NotJson as error:
        raise Refused(400, f"malformed JSON body: {error}") from None
    except ValueError:  # sys.set_int_max_str_digits
        raise Refused(400, "malformed JSON body: a number of thousands of digits") from None
    except RecursionError:
        raise _too_deep() from None
    _refuse_depth(value)
    return value


def _too_deep() -> Refused:
    return Refused(400, f"the JSON body is nested more than {DEPTH_MAX} levels deep")


class _NotJson(ValueError):
    """Python's parser takes it, and JSON does not know it."""


def _refuse_constant(name: str) -> Any:
    raise _NotJson(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _form(text: str) -> JSON:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX, errors="replace"
        )
    except ValueError:
        raise Refused(400, f"the form has more than {FORM_FIELDS_MAX} fields") from None
    fields: dict[str, JSON] = {}
    for name, value in pairs:
        known = fields.get(name)
        if name not in fields:
            fields[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            fields[name] = [known, value]
    return _fit(fields)


def _text(body: bytes, parameters: str) -> str:
    charset = next(
        (
            value.strip().strip('"')
            for name, _, value in (part.partition("=") for part in parameters.split(";"))
            if name.strip().lower() == "charset"
        ),
        "utf-8",
    )
    if charset.lower() not in _CHARSETS:
        raise Refused(415, f"the character set {charset!r:.40} is not supported; send UTF-8")
    try:
        return body.decode(charset)
    except UnicodeDecodeError as error:
        raise Refused(400, f"the body is not valid {charset} (byte {error.start})") from None


def fit_text(text: str) -> str:
    """The text as the expression engine can take it: no NUL, no lone surrogate."""
    if "\0" not in text and (text.isascii() or not _has_surrogate(text)):
        return text
    return text.replace("\0", "�").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _fit(value: JSON) -> JSON:
    match value:
        case str():
            return fit_text(value)
        case bool() | float() | None:
            return value
        case int():
            return value if INT_MIN <= value <= INT_MAX else _float(value)
        case list():
            return [_fit(item) for item in value]
    return {fit_text(key): _fit(item) for key, item in value.items()}


def _float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _refuse_depth(value: JSON) -> None:
    level: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(DEPTH_MAX):
        level = [
            item
            for container in level
            for item in (container.values() if type(container) is dict else container)
            if type(item) is dict or type(item) is list
        ]
        if not level:
            return
    raise _too_deep()
