"""What a Content-Type header says: the media type, its parameters, and the character set that a
body is decoded by."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from daemon.errors import Refused

_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "latin-1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16-le",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
"""Named one by one: some of Python's codecs take quadratic time. UTF-16 without a byte order mark
is taken as little-endian, as the Encoding Standard has it (https://encoding.spec.whatwg.org)."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16le"),
    (codecs.BOM_UTF16_BE, "utf-16be"),
)

_PARAMETER = re.compile(r';\s*([\w!#$%&\'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;"]*))', re.ASCII)
_ESCAPED = re.compile(r"\\(.)")


def media_type_of(header: str) -> str:
    """The media type that a Content-Type header names, in lower case; ``""`` for none."""
    return header.partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class ContentType:
    """A Content-Type header, for what is more than a media type to whoever asks."""

    header: str

    @property
    def media_type(self) -> str:
        return media_type_of(self.header)

    def parameter(self, name: str) -> str:
        """A parameter's value, the first of that name; ``""`` where there is none.
        Source: RFC 9110, 5.6.6."""
        for found, quoted, plain in _PARAMETER.findall(self.header):
            if found.lower() == name:
                return _ESCAPED.sub(r"\1", quoted) or plain.strip()
        return ""

    @property
    def charset(self) -> str:
        """The character set named, in lower case; ``""`` where there is none."""
        return self.parameter("charset").lower()


def decode(body: bytes, charset: str) -> str:
    """The text. A byte order mark decides before ``charset`` does, and is left out.

    Raises Refused: 415 for a character set that is not supported, 400 for bytes that are not what
    it allows. Source: https://encoding.spec.whatwg.org/#decode.
    """
    skipped = 0
    for mark, marked in _MARKS:
        if body.startswith(mark):
            charset, skipped = marked, len(mark)
            break
    try:
        return body[skipped:].decode(_codec(charset))
    except UnicodeDecodeError as error:
        raise Refused(
            400,
            f"the body is not valid {charset} (byte {error.start + skipped}); send UTF-8, or name "
            "its character set in the Content-Type (charset=…)",
        ) from None


def decode_loosely(body: bytes, charset: str) -> str:
    """The text, with U+FFFD for what is not valid. Raises Refused 415 as above."""
    return body.decode(_codec(charset), "replace")


def _codec(charset: str) -> str:
    if charset not in _CODECS:
        raise Refused(415, f"the character set {charset!r:.40} is not supported; send UTF-8")
    return _CODECS[charset]
