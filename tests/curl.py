"""The little of curl that the documentation's examples use, for machines without it, and so that a
test sees the same curl everywhere: ``python tests/curl.py -s -X POST URL -H … -d …``."""

from __future__ import annotations

import argparse
import http.client
import socket
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

DEADLINE = 30.0
"""Seconds for one request."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the command line gives it. ``target`` is the path with its query."""

    method: str
    host: str
    target: str
    headers: dict[str, str]
    body: bytes | None
    include: bool
    output: Path | None
    unix_socket: str | None


def parse(words: Sequence[str]) -> Call:
    """The call for the words behind ``curl``. Raises SystemExit(2) for an option that is not known
    here: an example that uses one must not pass as if it had worked."""
    parser = argparse.ArgumentParser(prog="curl", allow_abbrev=False, add_help=False)
    parser.add_argument("url")
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data", action="append", default=[])
    parser.add_argument("--data-binary", action="append", default=[])
    parser.add_argument("-i", "--include", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("-s", "--silent", action="store_true")
    parser.add_argument("--unix-socket")
    given = parser.parse_args(words)
    parts = urlsplit(given.url if "://" in given.url else f"http://{given.url}")
    if parts.scheme != "http":
        parser.error(f"only http is spoken here, not {parts.scheme}")
    pieces = [_data(text, binary=False) for text in given.data]
    pieces += [_data(text, binary=True) for text in given.data_binary]
    headers = {"User-Agent": "curl", "Accept": "*/*"}
    if pieces:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    for line in given.header:
        name, _, value = line.partition(":")
        headers = {k: v for k, v in headers.items() if k.lower() != name.lower()}
        headers[name] = value.strip()
    return Call(
        method=given.request or ("POST" if pieces else "GET"),
        host=parts.netloc,
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        headers=headers,
        body=b"&".join(pieces) if pieces else None,
        include=given.include,
        output=given.output,
        unix_socket=given.unix_socket,
    )


def perform(call: Call) -> bytes:
    """What curl would print. Raises OSError where nobody answers."""
    with closing(_connection(call)) as connection:
        connection.request(call.method, call.target, call.body, call.headers)
        answer = connection.getresponse()
        body = answer.read()
    head = b""
    if call.include:
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        lines += [f"{name}: {value}" for name, value in answer.getheaders()]
        head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
    if call.output is not None:
        call.output.write_bytes(head + body)
        return b""
    return head + body


class _LocalConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, host: str) -> None:
        super().__init__(host, timeout=DEADLINE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(self._path)


def _connection(call: Call) -> http.client.HTTPConnection:
    if call.unix_socket is not None:
        return _LocalConnection(call.unix_socket, call.host)
    return http.client.HTTPConnection(call.host, timeout=DEADLINE)


def _data(text: str, *, binary: bool) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    content = Path(text[1:]).read_bytes()
    return content if binary else content.translate(None, b"\r\n")


if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(perform(parse(sys.argv[1:])))
    except OSError as error:
        sys.exit(f"curl: {error}")
