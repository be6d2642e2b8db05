"""Forms as ``application/x-www-form-urlencoded``, and how the fields of any kind of form become one
object."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from daemon.body.fitting import fit
from daemon.body.json_body import fitting_json
from daemon.errors import Refused
from daemon.expressions import JSON

FORM_FIELDS_MAX = 1000

_AT_ONCE = 64 * 1024
"""Bytes of a form's field that are decoded in one go."""


def parse_form(body: bytes) -> JSON:
    """The fields as strings, a list where one is repeated. A form whose only field is ``payload``,
    with a JSON object or array in it, is that value: so GitHub and Slack send JSON in a form.

    Raises Refused 400 for bytes that are not UTF-8, and for too many fields. Percent-encoded bytes
    that are not UTF-8 become U+FFFD. Source: https://url.spec.whatwg.org/#urlencoded-parsing.
    """
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            400, f"the form is not valid utf-8 (byte {error.start}); percent-encode it as UTF-8"
        ) from None
    if body.count(b"&") >= FORM_FIELDS_MAX:
        raise Refused(
            400, f"the form has more than {FORM_FIELDS_MAX} fields; send fewer, or send JSON"
        )
    pairs = [
        (_unquoted(name), _unquoted(value))
        for name, _, value in (field.partition(b"=") for field in body.split(b"&") if field)
    ]
    match pairs:
        case [("payload", value)] if value.lstrip().startswith(("{", "[")):
            return _payload(value)
    return fit(object_of(pairs))


def _unquoted(text: bytes) -> str:
    """Without its percent-encoding. That is undone some at a time: Python's own way keeps an object
    for every percent sign, and so takes seventy times the room of a text of nothing else."""
    parts: list[bytes] = []
    start = 0
    while start < len(text):
        end = text.find(b"%", start + _AT_ONCE)
        parts.append(unquote_to_bytes(text[start : end if end > 0 else None].replace(b"+", b" ")))
        start = end if end > 0 else len(text)
    return b"".join(parts).decode("utf-8", "replace")


def _payload(text: str) -> JSON:
    try:
        return fitting_json(text.encode())
    except Refused:
        return {"payload": fit(text)}  # a form like any other, with a text that opens with a brace


def object_of(pairs: Iterable[tuple[str, JSON]]) -> dict[str, JSON]:
    """Names and values as one object; the values of a name that is repeated as a list."""
    values: dict[str, list[JSON]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: each[0] if len(each) == 1 else each for name, each in values.items()}
