"""Forms as ``application/x-www-form-urlencoded``, and how the fields of any kind of form become one
object."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from daemon.body.fitting import fit
from daemon.body.json_body import fitting_json
from daemon.errors import Refused
from daemon.expressions import JSON

FORM_FIELDS_MAX = 1000


def parse_form(body: bytes) -> JSON:
    """The fields as strings, a list where one is repeated. A form whose only field is ``payload``,
    with a JSON object or array in it, is that value: so GitHub and Slack send JSON in a form.

    Raises Refused 400 for bytes that are not UTF-8, and for too many fields. Percent-encoded bytes
    that are not UTF-8 become U+FFFD. Source: https://url.spec.whatwg.org/#urlencoded-parsing.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            400, f"the form is not valid utf-8 (byte {error.start}); percent-encode it as UTF-8"
        ) from None
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX, errors="replace"
        )
    except ValueError:
        raise Refused(
            400, f"the form has more than {FORM_FIELDS_MAX} fields; send fewer, or send JSON"
        ) from None
    match pairs:
        case [("payload", value)] if value.lstrip().startswith(("{", "[")):
            return _payload(value)
    return fit(object_of(pairs))


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
