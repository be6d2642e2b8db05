"""What programs stumble over: odd texts, bodies, content types, headers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence

from daemon.asking import BODY_MAX

ODD_TEXTS = (
    "", " ", "\x00", "a\x00b", "\n", "\r\n\r\n", "\ud800", "\udfff\ud800", "\ufeff", "\u202e",
    "ﬀ", "İ", "𝕏" * 30, "é" * 300, "null", "None", "NaN", "0", "-1", "1e9", "9" * 40, "9" * 5000,
    "٣", "²", "true", "../../etc/passwd", "..", ".", "/", "//", "%", "%00", "%zz", "{id}",
    "{{ body }}",
    "'; DROP TABLE events; --", '"', "\\", "`", "$(id)", "<script>", "x" * 100, "x" * 70_000,
    "evt_", "dsp_", "evt_" + "0" * 26, "dsp_" + "z" * 26, "DSP_" + "0" * 26, "dsp_" + "\u0660" * 26,
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z", "2026-03-01",
    "2026-03-01T00:00:00", "2026-03-01T24:00:00Z", "2026-12-31T23:59:60Z", "1969-12-31T23:59:59Z",
    "2026-03-01T00:00:00+99:99", "2026-03-01T00:00:00.123456789Z", "acme", "acme/", "acme/shop/x",
    "acme/shop?x", "acme/..", "app:", "app:x", "http://", "http://[", "https://\x00/",
    "https://x" * 99,
    "file:///etc/passwd", "//x", "http://user:pass@h/", "http://h:99999/",
)  # fmt: skip

UNKNOWN = ("nobody", "evt_" + "0" * 26, "dsp_" + "z" * 26, "-1", "a b", "é", "push\n", "'")
"""In the place of a parameter: one segment of a path, that there is nothing behind."""

ODD_JSON: Sequence[bytes] = (
    b"", b" ", b"{", b"}", b"[]", b"null", b"true", b"0", b'""', b"{}{}", b"{} x", b"{,}", b'{"a"}',
    b"NaN", b"[Infinity]", b'{"entries": NaN}', b"1e999", b"-0", b"9" * 5000,
    b'{"id": ' + b"9" * 4000 + b"}",
    b'{"id": 1e400}', b'{"id": -1}', b'{"id": 1.5}', b'{"id": 18446744073709551616}',
    b"[" * 100_000,
    b'{"a":' * 30_000, b"[" * 60 + b"]" * 60, b"[" * 70 + b"]" * 70, b'{"a": "\\ud800"}',
    b'{"\\ud800": 1}', b'{"a": "\\u0000"}', b'{"a": "\x00"}', b'{"a": "\xff"}', b"\xef\xbb\xbf{}",
    '{"a": "é"}'.encode("latin-1"), '{"entries": "all"}'.encode("utf-16"),
    '{"entries": "all"}'.encode("utf-32-le"), b"{" + b'"a": 1,' * 20_000 + b'"b": 2}',
    b'{"__proto__": {}, "constructor": 1}', b"// no\n{}", b"a=b&c=d", b"<a/>", b"--x\r\n\r\n--x--",
    b"\x00" * 100, b"\x80\x81\xfe\xff", gzip.compress(b"{}"), b"x" * (BODY_MAX + 1),
    b'"' + b"x" * (1024 * 1024) + b'"',
)  # fmt: skip

CONTENT_TYPES = (
    "application/json", "application/json", "application/json; charset=utf-8",
    "application/json; charset=utf-16", "application/json; charset=no-such", "APPLICATION/JSON",
    "application/vnd.acme+json", "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "text/plain", "text/plain; charset=latin-1", "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x", "multipart/form-data", "application/xml", "image/png",
    "json",
    "", ";", "application/json;;;", "application/json; charset=" + "x" * 200, "a/b/c", "\xff/\xfe",
)  # fmt: skip

PACKERS: Sequence[tuple[str, Callable[[bytes], bytes]]] = (
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("gzip", bytes),
    ("br", bytes),
    ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
    ("identity", bytes),
    ("gzip", lambda body: gzip.compress(bytes(20_000_000))),
)

ODD_HEADERS = (
    ("Idempotency-Key", "the same"), ("Idempotency-Key", ""), ("Idempotency-Key", "x" * 300),
    ("Idempotency-Key", "\xff\x80"), ("Prefer", "wait=0"), ("Prefer", ",,;=;,respond-async;;"),
    ("Accept", "application/openmetrics-text; version=1.0.0"), ("Accept", "*/*;q=x"), ("Accept",
    ";;,"),
    ("Accept", "x" * 4000), ("Accept-Encoding", "gzip;q=nan"), ("Expect", "100-continue"),
    ("Expect", "the unexpected"), ("Upgrade", "websocket"), ("Connection", "upgrade"),
    ("Connection", "close"), ("X-Forwarded-For", "junk, 1.2.3.4,,"), ("Forwarded", 'for="[::1'),
    ("Origin", "https://elsewhere.example"), ("Range", "bytes=0-0,-1"), ("Cookie", "a=b; =; ;;"),
    ("If-None-Match", "*"), ("X-HTTP-Method-Override", "DELETE"), ("traceparent", "00-0-0-0"),
    ("traceparent", f"00-{'a' * 32}-{'b' * 16}-01"), ("Authorization", "Bearer"),
    ("Authorization", "Basic \xff"), ("Content-Location", "/"), ("Date", "yesterday"),
)  # fmt: skip
