"""CloudEvents 1.0 over HTTP: whether a request is one, and what expressions see of it under
``event.cloudevent``."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import unquote_to_bytes

from daemon.body import media_type_of, parse_body
from daemon.errors import Refused
from daemon.expressions import JSON

MEDIA_TYPE = "application/cloudevents"

_REQUIRED = ("specversion", "id", "source", "type")
_BINARY = frozenset(f"ce-{name}" for name in _REQUIRED[1:])
_TEXTS = frozenset({*_REQUIRED, "subject", "time", "datacontenttype", "dataschema"})

_NAME = re.compile("[a-z0-9]+")
_PLANES_ENDS = "".join(chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF))
_FORBIDDEN = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_PLANES_ENDS}]")
"""What a String may not hold: control characters, halves of surrogate pairs, and code points that
are no characters. Source: CloudEvents 1.0.2, Type System."""
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*:")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+[ \t]*(?:;.*)?", re.ASCII)
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):(\d\d)(?:\.\d+)?(?:Z|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII | re.IGNORECASE,
)
# One that is left open goes to the end: looking for the next within it would take quadratic time.
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)("|\\?\Z)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def cloud_event(headers: Mapping[str, str], body: JSON, raw_body: bytes) -> dict[str, JSON] | None:
    """The CloudEvent that a request is: its attributes by name, extensions among them, and
    ``data``. None where the request is no CloudEvent.

    ``headers`` have lower-case names, ``body`` is what ``parse_body`` made of ``raw_body``. A
    request is one in structured mode by its content type, and one in binary mode by its header
    ``ce-specversion``, or by the three other required ones together.

    Optional attributes that are not sent are left out, and so is ``data`` where there is none. In
    binary mode all values are strings, and ``datacontenttype`` is the Content-Type; in structured
    mode an extension may also be a bool or an integer. ``data`` is the same in both: what
    ``parse_body`` makes of it, or, in structured mode and of a type that is not supported there,
    the text or the Base64 text as it was sent.

    Raises Refused: 400 that names the attribute which is missing or malformed, 415 for a batch or
    another format than JSON. Sources: CloudEvents 1.0.2, its JSON format and its HTTP binding
    (https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents).
    """
    content_type = headers.get("content-type", "")
    media_type = media_type_of(content_type)
    if media_type.startswith(MEDIA_TYPE):
        _refuse_other_formats(media_type)
        return _structured(body)
    if "ce-specversion" in headers or headers.keys() >= _BINARY:
        event = _binary(headers, content_type)
        return event | {"data": body} if raw_body else event
    return None


def _refuse_other_formats(media_type: str) -> None:
    if media_type.startswith(f"{MEDIA_TYPE}-batch"):
        raise Refused(
            415,
            "a batch of CloudEvents is not supported: a request is one event; send each in a "
            f"request of its own, as {MEDIA_TYPE}+json",
        )
    if media_type != f"{MEDIA_TYPE}+json":
        raise Refused(
            415, f"CloudEvents as {media_type!r:.80} are not supported; send {MEDIA_TYPE}+json"
        )


def _structured(body: JSON) -> dict[str, JSON]:
    if not isinstance(body, dict):
        raise Refused(400, f"a CloudEvent as {MEDIA_TYPE}+json is a JSON object, and this is none")
    sent = {name: value for name, value in body.items() if value is not None}
    data, encoded = sent.pop("data", None), sent.pop("data_base64", None)
    event = _checked(sent)
    declared = str(event.get("datacontenttype", ""))
    if encoded is not None:
        if data is not None:
            raise _wrong("data_base64", "there is `data` as well; send one of them")
        return event | {"data": _decoded(encoded, declared)}
    if isinstance(data, str) and not _is_json(declared):
        # The text is decoded already, whatever character set it had by itself.
        media_type, _, rest = declared.partition(";")
        data = _interpreted(data.encode(), f"{media_type}; charset=utf-8; {rest}", data)
    return event | {"data": data} if "data" in body else event


def _binary(headers: Mapping[str, str], content_type: str) -> dict[str, JSON]:
    sent: dict[str, JSON] = {
        name.removeprefix("ce-"): _header_value(name, value)
        for name, value in headers.items()
        if name.startswith("ce-") and name != "ce-datacontenttype"  # the Content-Type says it
    }
    if content_type:
        sent["datacontenttype"] = content_type
    return _checked(sent)


def _header_value(name: str, value: str) -> str:
    """Source: HTTP binding 1.0.2, 3.1.3.2. First what is quoted, as older senders do, then one
    round of percent-decoding."""
    if '"' in value:
        value = _QUOTED.sub(
            lambda quoted: _ESCAPED.sub(r"\1", quoted[1]) if quoted[2] == '"' else quoted[0], value
        )
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeError:
        raise _wrong(
            name.removeprefix("ce-"), "it is not valid UTF-8; percent-encode it as UTF-8"
        ) from None


def _checked(sent: Mapping[str, JSON]) -> dict[str, JSON]:
    """The attributes, each by the rules of its type. Raises Refused 400."""
    for name in _REQUIRED:
        if name not in sent:
            raise _wrong(name, "it is missing, and every CloudEvent has one")
    if sent["specversion"] != "1.0":
        raise _wrong("specversion", "only 1.0 is supported; send that")
    for name, value in sent.items():
        if not _NAME.fullmatch(name) or name == "data":
            raise _wrong(name, "a name has lower-case letters and digits only, and is not `data`")
        if name in _TEXTS and not isinstance(value, str):
            raise _wrong(name, "it is no string")
        if not isinstance(value, str | bool | int):
            raise _wrong(name, "it is neither a string nor a bool nor an integer")
        if isinstance(value, str):
            _check_text(name, value)
    return dict(sent)


def _check_text(name: str, value: str) -> None:
    if name in _TEXTS and not value:
        raise _wrong(name, "it is empty")
    if _FORBIDDEN.search(value):
        raise _wrong(name, "it has control characters, or others that are not allowed")
    if name in ("source", "dataschema") and not _URI_REFERENCE.fullmatch(value):
        raise _wrong(name, "it is no URI; percent-encode what a URI may not hold")
    if name == "dataschema" and not _SCHEME.match(value):
        raise _wrong(name, "it is no absolute URI, as https://example.com/schema")
    if name == "datacontenttype" and not _MEDIA_TYPE.fullmatch(value):
        raise _wrong(name, "it is no media type, as application/json")
    if name == "time" and not _is_timestamp(value):
        raise _wrong(name, "it is no RFC 3339 timestamp, as 2026-11-23T04:05:06Z")


def _is_timestamp(text: str) -> bool:
    found = _TIMESTAMP.fullmatch(text)
    if found is None or found[3] > "60":  # 60 is a leap second
        return False
    try:
        datetime.fromisoformat(f"{found[1]}T{found[2]}")
    except ValueError:
        return False
    return True


def _is_json(content_type: str) -> bool:
    """By the JSON format's own rule (1.0.2, 3.1.1); without a type it is JSON."""
    return not content_type or media_type_of(content_type).endswith(("/json", "+json"))


def _decoded(encoded: JSON, content_type: str) -> JSON:
    try:
        data = base64.b64decode(str(encoded).encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise _wrong("data_base64", "it is not Base64") from None
    return _interpreted(data, content_type, encoded) if content_type else encoded


def _interpreted(data: bytes, content_type: str, otherwise: JSON) -> JSON:
    try:
        return parse_body({"content-type": content_type}, data)
    except Refused as refusal:
        if refusal.status == 415:
            return otherwise
        raise _wrong("data", refusal.message) from None


def _wrong(name: str, what: str) -> Refused:
    return Refused(400, f"the CloudEvent's attribute {name!r:.60}: {what}")
