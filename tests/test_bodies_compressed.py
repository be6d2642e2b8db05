"""Compressed bodies: what is undone, what is refused, and that nothing grows beyond its limit."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.body import parse_body, parse_json
from daemon.errors import Refused
from tests.harness.raw_http import ask, request
from tests.inprocess import serving
from tests.specs import SECRET, SIGNED, trigger_entry

VALUE = {"ref": "refs/heads/main", "text": "x" * 500}
PLAIN = json.dumps(VALUE).encode()


def gzipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)  # else a test's name would hold the time


def raw_deflate(body: bytes) -> bytes:
    """As some senders have it: without the wrapping that the book asks for."""
    return zlib.compress(body, wbits=-15)


def encoded(encoding: str) -> dict[str, str]:
    return {"content-type": "application/json", "content-encoding": encoding}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzipped(PLAIN)),
        ("X-GZip", gzipped(PLAIN)),
        ("deflate", zlib.compress(PLAIN)),
        ("deflate", raw_deflate(PLAIN)),
        ("identity, gzip,", gzipped(PLAIN)),
        ("deflate, gzip", gzipped(zlib.compress(PLAIN))),
        ("gzip, gzip", gzipped(gzipped(PLAIN))),
        ("identity", PLAIN),
        ("", PLAIN),
    ],
)
def test_a_body_is_decompressed_by_its_encoding_for_either_reader(
    encoding: str, body: bytes
) -> None:
    assert parse_body(encoded(encoding), body) == VALUE
    assert parse_json(encoded(encoding), body) == VALUE


def test_a_compressed_body_of_nothing_is_none() -> None:
    assert parse_body(encoded("gzip"), gzipped(b"")) is None
    assert parse_body(encoded("gzip"), b"") is None


@pytest.mark.parametrize(
    ("encoding", "body", "status", "words"),
    [
        ("br", PLAIN, 415, "'br' is not supported; send it plain, or with gzip or deflate"),
        ("gzip, zstd", PLAIN, 415, "'zstd' is not supported"),
        ("gzip, gzip, gzip", PLAIN, 415, "compressed 3 times is not supported"),
        ("gzip", PLAIN, 400, "the body is not gzip, as Content-Encoding says, or damaged"),
        ("gzip", zlib.compress(PLAIN), 400, "not gzip"),
        ("deflate", gzipped(PLAIN), 400, "not deflate"),
        ("gzip", gzipped(PLAIN)[:-3], 400, "gzip body breaks off after 538 decompressed"),
        ("gzip", gzipped(PLAIN)[:5], 400, "breaks off after 0 decompressed"),
        ("deflate", raw_deflate(PLAIN)[:-3], 400, "deflate body breaks off"),
        ("gzip", gzipped(PLAIN)[:-8] + bytes(8), 400, "incorrect data check"),
        ("gzip", gzipped(PLAIN) + b"more", 400, "4 bytes follow the end of the gzip body"),
        ("gzip", gzipped(PLAIN) * 2, 400, "bytes follow the end"),
        ("deflate", raw_deflate(PLAIN) + b"m", 400, "1 bytes follow the end of the deflate"),
    ],
)
def test_what_cannot_be_decompressed_is_refused_with_the_reason(
    encoding: str, body: bytes, status: int, words: str
) -> None:
    for parse in (parse_body, parse_json):
        with pytest.raises(Refused, match=words) as caught:
            parse(encoded(encoding), body)
        assert caught.value.status == status


def test_a_body_may_have_the_limit_once_decompressed_and_not_a_byte_more() -> None:
    for body in (gzipped(PLAIN), gzipped(gzipped(PLAIN))):
        headers = encoded("gzip" if gzip.decompress(body) == PLAIN else "gzip, gzip")
        assert parse_body(headers, body, len(PLAIN)) == VALUE
        with pytest.raises(Refused, match=f"the {len(PLAIN) - 1:,} bytes allowed") as caught:
            parse_json(headers, body, len(PLAIN) - 1)
        assert caught.value.status == 413


@pytest.mark.parametrize("times", [1, 2])
def test_a_bomb_takes_no_more_memory_than_the_limit(times: int) -> None:
    """16 MiB of zeros, in 16 KiB, or in some hundred bytes."""
    body = b"0" * 16 * 2**20
    for _ in range(times):
        body = gzipped(body)
    headers, limit = encoded(", ".join(["gzip"] * times)), 2**20
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match="1,048,576 bytes allowed"):
            parse_body(headers, body, limit)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * limit  # zlib hands out what it gathered in pieces, put together


async def test_an_encoding_that_is_not_taken_is_answered_before_the_body_is_sent(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, triggers=[trigger_entry()]) as daemon:
        for encodings in (["br"], ["gzip", "gzip", "gzip"]):
            headers = [("Content-Encoding", each) for each in encodings]
            answer = await ask(daemon.url, request("POST", "/hook", headers, length=10))
            assert answer is not None
            assert answer.status == 415


async def test_the_signature_is_over_the_bytes_as_they_came(tmp_path: Path) -> None:
    """A delivery whose signature is over what it decompresses to is not believed."""
    entry = trigger_entry(auth=SIGNED, when="body.ref == 'refs/heads/main'")
    headers = {"content-encoding": "gzip"}
    async with serving(tmp_path, triggers=[entry]) as daemon:
        status, answer = await daemon.deliver("/hook", gzipped(PLAIN), headers=headers)
        assert (status, answer["matched"]) == (202, ["trigger"])
        over_plain = hmac.new(SECRET.encode(), PLAIN, hashlib.sha256).hexdigest()
        forged = headers | {"x-hub-signature-256": f"sha256={over_plain}"}
        assert (await daemon.deliver("/hook", gzipped(PLAIN), headers=forged))[0] == 401


@given(st.binary(max_size=300), st.sampled_from(["gzip", "zlib", "raw"]))
def test_whatever_was_compressed_comes_back(text: bytes, wrapping: str) -> None:
    compressed = {
        "gzip": gzipped(text),
        "zlib": zlib.compress(text),
        "raw": raw_deflate(text),
    }[wrapping]
    headers = {
        "content-type": "text/plain; charset=iso-8859-1",
        "content-encoding": "gzip" if wrapping == "gzip" else "deflate",
    }
    plain = {"content-type": headers["content-type"]}
    try:
        expected = parse_body(plain, text)
    except Refused:  # what begins like a byte order mark
        return
    assert parse_body(headers, compressed) == expected
