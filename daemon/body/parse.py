"""From a request's headers and bytes to the value of ``body``: which parser its content type
asks for."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.body.compression import content_codings, decompress
from daemon.body.content_type import ContentType, decode, media_type_of
from daemon.body.fitting import fit_text
from daemon.body.form import parse_form
from daemon.body.json_body import exact_json, fitting_json, is_json
from daemon.errors import Refused
from daemon.expressions import JSON

PLAIN_BYTES_MAX = 5 * 1024 * 1024
"""Bytes that a body may have once it is decompressed, where the caller does not say."""

_SUPPORTED = (
    "application/json (or +json), application/x-www-form-urlencoded, multipart/form-data, "
    "application/xml (or +xml), text/plain"
)

_ONE_A_LINE = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-seq"}
)

_JSON_AS_TEXT = "x-amz-sns-message-type"
"""The header by which a delivery of AWS SNS is known. It is JSON, and says that it is text/plain
(https://docs.aws.amazon.com/sns/latest/dg/http-header.html)."""


def parse_body(headers: Mapping[str, str], body: bytes, limit: int = PLAIN_BYTES_MAX) -> JSON:
    """The value of ``body``: any JSON value; a form's fields as an object; an XML document as an
    object (``parse_xml``); text; None where there are no bytes. Without a content type it is read
    as JSON. ``headers`` have lower-case names; a compressed body may have ``limit`` bytes once it
    is decompressed.

    Lone surrogates and NUL become U+FFFD and integers beyond 64 bits become floating point, since
    the expression engine cannot hold them; the stored body stays as received.

    Raises Refused: 400 where the bytes are not what the headers say, 413 beyond the limit, 415 for
    a content type, an encoding or a character set that is not supported.
    """
    if body and "content-encoding" in headers:
        body = _plain(headers, body, limit)
    return _parse(headers, body) if body else None


def parse_json(headers: Mapping[str, str], body: bytes, limit: int = PLAIN_BYTES_MAX) -> JSON:
    """The JSON value of ``body`` exactly as received, for what no expression looks at.
    Raises Refused: 400 for malformed JSON, 413 and 415 as above."""
    media_type = media_type_of(headers.get("content-type", ""))
    if not is_json(media_type):
        raise Refused(
            415, f"content type {media_type!r:.80} is not supported here; send application/json"
        )
    return exact_json(_plain(headers, body, limit))


def _plain(headers: Mapping[str, str], body: bytes, limit: int) -> bytes:
    return decompress(body, content_codings(headers.get("content-encoding", "")), limit)


def _parse(headers: Mapping[str, str], body: bytes) -> JSON:
    header = headers.get("content-type", "")
    media_type = media_type_of(header)
    if is_json(media_type):
        return fitting_json(body)
    content_type = ContentType(header)
    if media_type == "application/x-www-form-urlencoded":
        return parse_form(body)
    if media_type == "multipart/form-data":
        from daemon.body.multipart_body import parse_multipart

        return parse_multipart(body, content_type)
    if media_type in ("application/xml", "text/xml") or media_type.endswith("+xml"):
        from daemon.body.xml_body import parse_xml

        return parse_xml(body, content_type)
    if media_type.startswith("text/"):
        if _JSON_AS_TEXT in headers:
            return fitting_json(body)
        return fit_text(decode(body, content_type.charset or "utf-8"))
    if media_type in _ONE_A_LINE:
        raise Refused(
            415,
            f"content type {media_type!r} is not supported: it holds several values, and a request "
            "is one event; send each as application/json in a request of its own",
        )
    raise Refused(415, f"content type {media_type!r:.80} is not supported; send {_SUPPORTED}")
