"""Compressed bodies: which encodings are taken, and how they are undone within a limit, so that a
small request cannot become a large one in memory."""

from __future__ import annotations

import zlib

from daemon.errors import Refused

ENCODINGS_MAX = 2
"""Compressions that a body may have on top of each other."""

_KNOWN = ("gzip", "deflate")
_ALIASES = {"x-gzip": "gzip"}

_GZIP, _ZLIB, _RAW = 31, 15, -15
"""zlib's names (``wbits``) for the three wrappings of one and the same compression."""


def content_codings(header: str) -> tuple[str, ...]:
    """The compressions that a Content-Encoding header names, in the order in which they were
    applied: ``gzip`` or ``deflate``. Source: RFC 9110, 8.4.

    Raises Refused 415 for another, and for more than two.
    """
    named = (each.strip().lower() for each in header.split(","))
    codings = tuple(_ALIASES.get(each, each) for each in named if each not in ("", "identity"))
    for coding in codings:
        if coding not in _KNOWN:
            raise Refused(
                415,
                f"content encoding {coding!r:.40} is not supported; send it plain, or with gzip or "
                "deflate",
            )
    if len(codings) > ENCODINGS_MAX:
        raise Refused(
            415,
            f"a body that is compressed {len(codings)} times is not supported; send it compressed "
            f"{ENCODINGS_MAX} times at most",
        )
    return codings


def decompress(body: bytes, codings: tuple[str, ...], limit: int) -> bytes:
    """The body before it was compressed, at most ``limit`` bytes of it.

    Raises Refused: 413 for more, 400 for what is damaged, broken off, or followed by something
    else (a second member, as gzip files may have, among it).
    """
    for coding in reversed(codings):
        body = _decompress(body, coding, limit)
    return body


def _decompress(body: bytes, coding: str, limit: int) -> bytes:
    stream = zlib.decompressobj(_wrapping(body, coding))
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise Refused(
            400, f"the body is not {coding}, as Content-Encoding says, or damaged ({error})"
        ) from None
    if len(plain) > limit:
        raise Refused(
            413, f"the body is larger than the {limit:,} bytes allowed here once decompressed"
        )
    if not stream.eof:
        raise Refused(
            400, f"the {coding} body breaks off after {len(plain):,} decompressed bytes; send all"
        )
    if stream.unused_data:
        raise Refused(
            400,
            f"{len(stream.unused_data):,} bytes follow the end of the {coding} body; send one "
            "compressed stream and nothing else",
        )
    return plain


def _wrapping(body: bytes, coding: str) -> int:
    """``deflate`` is the zlib format by the book (RFC 9110, 8.4.1.2), and some send it without
    that wrapping. Its two bytes of header tell (RFC 1950, 2.2): without them, the first would open
    a stored block and have a bit set in its padding, which no compressor does."""
    if coding == "gzip":
        return _GZIP
    head = int.from_bytes(body[:2], "big")
    return _ZLIB if (head >> 8) & 0x0F == 8 and head % 31 == 0 else _RAW
