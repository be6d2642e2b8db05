"""Bodies that are too large, too deep, broken or of another kind, and calls that ask for what
cannot be: each gets a clear answer and takes nothing down (the fixture looks after each test)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.raw_http import chunked, connected, request
from tests.harness.target import JSON, KEY, Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
MAX_BODY = 5 * MIB
"""What a trigger takes by default."""


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"a": 1,}', "line 1, column"),
        (b'{\n  "a": 1\n  "b": 2\n}', "line 3, column 3"),
        (b"{", "line 1, column 2"),
        (b'"\x01"', "line 1, column 2"),
        (b"\xef\xbb\xbf{}{}", "line 1, column"),
        (b"[] []", "line 1, column 4"),
    ],
)
async def test_malformed_json_is_answered_400_with_its_line_and_column(
    target: Target, body: bytes, place: str
) -> None:
    answer = await target.post("/open", body)
    assert answer.status == 400
    assert answer.error.startswith("malformed JSON body: ")
    assert place in answer.error


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b'{"a": -Infinity}'])
async def test_numbers_that_json_does_not_have_are_answered_400(
    target: Target, body: bytes
) -> None:
    answer = await target.post("/open", body)
    assert answer.status == 400
    assert "is not JSON" in answer.error


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "image/png"},
        {"Content-Type": "multipart/mixed; boundary=x"},
        {"Content-Type": "text/plain; charset=klingon"},
        {**JSON, "Content-Encoding": "zstd"},
        {**JSON, "Content-Encoding": "br, identity"},
    ],
)
async def test_a_body_of_another_kind_is_answered_415_and_told_what_is_taken(
    target: Target, headers: dict[str, str]
) -> None:
    answer = await target.post("/open", b"{}", headers)
    assert answer.status == 415
    assert "is not supported" in answer.error
    assert "send" in answer.error


async def test_a_body_that_says_it_is_too_large_is_answered_413_before_it_is_sent(
    target: Target,
) -> None:
    answer = await target.ask(request("POST", "/open", JSON, b"{", length=30 * MIB))
    assert answer.status == 413
    assert f"{MAX_BODY:,}" in answer.error


@pytest.mark.parametrize("path", ["/open", "/hooks/github"])
async def test_a_body_that_is_too_large_is_answered_413_while_it_still_comes(
    target: Target, path: str
) -> None:
    """In chunks of no told sum; nobody has proved anything yet, and the reading ends early."""
    head = chunked("POST", path, JSON)
    chunk = b"%x\r\n%b\r\n" % (MIB, b" " * MIB)
    async with connected(target.url) as wire:
        await wire.send(head, *[chunk] * 6)
        answer = await wire.answer()
    assert answer is not None
    assert answer.status == 413
    assert f"{MAX_BODY:,}" in answer.error


async def test_30_mb_that_are_really_sent_are_answered_413(target: Target) -> None:
    answer = await target.ask(request("POST", "/open", JSON, b" " * 30 * MIB))
    assert answer.status == 413


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
async def test_json_that_is_nested_too_deep_is_answered_400(
    target: Target, depth: int, opening: bytes, closing: bytes
) -> None:
    answer = await target.post("/open", opening * depth + b"1" + closing * depth)
    assert answer.status == 400
    assert answer.error == "the JSON body is nested more than 64 levels deep"


@pytest.mark.parametrize(
    "body", [b'{"a": "\xff"}', b'"\xc3\x28"', b'["\xed\xa0\x80"]', b'{"a": "\xf0\x9f"}']
)
async def test_invalid_utf_8_is_answered_400_with_the_byte(target: Target, body: bytes) -> None:
    answer = await target.post("/open", body)
    assert answer.status == 400
    assert "not valid UTF-8 (byte " in answer.error


@pytest.mark.parametrize(
    ("body", "received"),
    [
        (b'{"a": "x\\u0000y"}', {"a": "x\N{REPLACEMENT CHARACTER}y"}),
        (b'{"a": "x\\ud800y"}', {"a": "x\N{REPLACEMENT CHARACTER}y"}),
        (b'{"\\udc00": 1}', {"\N{REPLACEMENT CHARACTER}": 1}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}),
    ],
)
async def test_characters_that_are_none_are_replaced_and_the_rest_arrives(
    target: Target, body: bytes, received: Any
) -> None:
    answer = await target.post("/open", body)
    assert answer.status == 202
    assert await target.received(answer) == received


async def test_an_integer_of_400_digits_is_taken_and_said_to_be_too_large_to_send(
    target: Target,
) -> None:
    """It is no number that GitHub could take: the dispatch is dead with the reason, not lost."""
    answer = await target.post("/open", b'{"a": %b}' % (b"9" * 400))
    assert answer.status == 202
    (id_,) = answer.json()["dispatches"]
    shown = await target.ask(request("GET", f"/api/v1/dispatches/{id_}", KEY))
    dispatch = shown.json()
    assert dispatch["state"] == "dead"
    assert "JSON cannot hold" in dispatch["reason"]


async def test_an_integer_of_5000_digits_is_answered_400(target: Target) -> None:
    answer = await target.post("/open", b"9" * 5000)
    assert answer.status == 400


async def test_half_a_body_whose_sender_goes_away_leaves_nothing_behind(target: Target) -> None:
    async with connected(target.url) as wire:
        await wire.send(request("POST", "/open", JSON, b'{"a": ', length=100))
    async with connected(target.url) as wire:
        head = chunked("POST", "/open", JSON)
        await wire.send(head, b"5\r\n[1,2,\r\n")


@pytest.mark.parametrize(
    "rest", [b"zz\r\n", b"5\r\n[1]", b"3;x=\x00\r\n[1]\r\n", b"-1\r\n", b"f" * 40 + b"\r\n"]
)
async def test_broken_chunks_are_a_refusal_or_the_end_of_the_connection(
    target: Target, rest: bytes
) -> None:
    async with connected(target.url) as wire:
        head = chunked("POST", "/open", JSON)
        await wire.send(head, rest)
        wire.writer.write_eof()
        answer = await wire.answer()
    assert answer is None or answer.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"event_type": 5}',
        b'{"event_type": "\\ud800"}',
        b'{"event_type": "%b"}' % (b"x" * 101),
        b'{"event_type": "x", "client_payload": []}',
        b'{"event_type": "x", "client_payload": {"dispatchd": 1}}',
        b'{"event_type": "x", "client_payload": {"a": "\\ud800"}}',
        b'{"event_type": "x", "client_payload": {"\\ud800": 1}}',
        b'{"event_type": "x", "client_payload": {"a": 1e400}}',
        b'{"event_type": "x", "client_payload": {"a": "%b"}}' % (b"x" * 70_000),
        b'{"event_type": "x", "client_payload": {%b}}'
        % b", ".join(b'"%d": 1' % number for number in range(11)),
    ],
    ids=range(14),
)
async def test_a_call_that_github_could_not_take_is_answered_400(
    target: Target, body: bytes
) -> None:
    answer = await target.post("/dispatch", body, {**KEY, **JSON})
    assert answer.status == 400
    assert answer.error


async def test_a_call_of_more_than_a_mebibyte_is_answered_413(target: Target) -> None:
    headers = {**KEY, **JSON}
    answer = await target.ask(request("POST", "/dispatch", headers, b"{", length=MIB + 1))
    assert answer.status == 413


@pytest.mark.parametrize("repository", [b'"evil/repo"', b"5", b'"\\ud800/x"', b'"acme/shop/.."'])
async def test_a_repository_off_the_list_is_answered_403(target: Target, repository: bytes) -> None:
    body = b'{"event_type": "x", "repository": %b}' % repository
    answer = await target.post("/dispatch", body, {**KEY, **JSON})
    assert answer.status == 403


@pytest.mark.parametrize("key", ["", "x" * 256, b"\xff", b"\xed\xa0\x80"])
async def test_an_idempotency_key_that_cannot_be_one_is_answered_400(
    target: Target, key: str | bytes
) -> None:
    headers = {**KEY, **JSON, "Idempotency-Key": key}
    answer = await target.post("/dispatch", b'{"event_type": "x"}', headers)
    assert answer.status == 400
    assert "Idempotency-Key" in answer.error


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=2026-01-01",
        "since=%00",
        "state=%ff",
        "state=",
        "limit=0",
        "limit=-1",
        "limit=1e3",
        "limit=99999999999999999999",
        "limit=%D9%A3%D9%A3%D9%A3%D9%A3",
    ],
)
async def test_a_list_that_cannot_be_asked_for_is_answered_400(target: Target, query: str) -> None:
    answer = await target.ask(request("GET", f"/api/v1/dispatches?{query}", KEY))
    assert answer.status == 400
    assert query.partition("=")[0] in answer.error
