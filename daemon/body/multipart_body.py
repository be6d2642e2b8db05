"""``multipart/form-data``: text fields, and of files their names, types and sizes. What is in them
is kept nowhere but in the stored body."""

from __future__ import annotations

from collections.abc import Iterator

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from daemon.body.content_type import ContentType, decode_loosely
from daemon.body.fitting import fit
from daemon.body.form import FORM_FIELDS_MAX, object_of
from daemon.body.json_body import fitting_json, is_json, refuse_depth
from daemon.errors import Refused
from daemon.expressions import JSON

BOUNDARY_MAX = 70
"""Characters of the boundary. Source: RFC 2046, 5.1.1."""

PART_HEADERS_MAX = 8
PART_HEADER_BYTES_MAX = 4096


def parse_multipart(body: bytes, content_type: ContentType) -> JSON:
    """The fields by name, in order, lists where one is repeated: text as a string, a part that says
    it is JSON as its value, a file as ``{"filename", "content_type", "size"}`` (size in bytes,
    ``content_type`` ``""`` where none is named).

    Raises Refused: 400 for what is malformed, breaks off or has too many parts or too large
    headers, 415 for a part's character set. Source: RFC 7578.
    """
    boundary = content_type.parameter("boundary")
    if not 0 < len(boundary) <= BOUNDARY_MAX or not boundary.isascii():
        raise Refused(
            400,
            "the Content-Type names no boundary that separates the parts of the body; it reads "
            f"multipart/form-data; boundary=… with 1 to {BOUNDARY_MAX} characters",
        )
    try:
        fields = object_of(_fields(body, boundary))
    except ParserLimitReached:
        raise Refused(
            400,
            f"the multipart body has more than {FORM_FIELDS_MAX} parts, or a part of it more than "
            f"{PART_HEADERS_MAX} headers, or one of over {PART_HEADER_BYTES_MAX:,} bytes",
        ) from None
    except MultipartError as error:
        raise Refused(400, f"malformed multipart body: {error.args[0]}") from None
    refuse_depth(fields, "multipart")
    return fit(fields)


def _fields(body: bytes, boundary: str) -> Iterator[tuple[str, JSON]]:
    parser = PushMultipartParser(
        boundary,
        max_header_size=PART_HEADER_BYTES_MAX,
        max_header_count=PART_HEADERS_MAX,
        max_segment_count=FORM_FIELDS_MAX,
        strict=True,
    )
    segment: MultipartSegment | None = None
    content: list[bytes] = []
    with parser:
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                segment, content = event, []
            elif event is not None:
                content.append(event)
            elif segment is not None:
                yield segment.name or "", _value(segment, b"".join(content))


def _value(segment: MultipartSegment, content: bytes) -> JSON:
    declared = ContentType(segment.header("Content-Type", ""))
    if segment.filename is not None:
        return {
            "filename": segment.filename,
            "content_type": declared.media_type,
            "size": len(content),
        }
    if declared.media_type and is_json(declared.media_type):
        return fitting_json(content)
    return decode_loosely(content, declared.charset or "utf-8")
