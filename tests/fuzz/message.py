"""The form that inputs have: like an HTTP message, so that a finding can be read, and a change to
one line of it leaves the others what they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """``first`` is the first line; ``headers`` follow it, names in lower case, and repeated ones
    joined, as the daemon has them; ``body`` is all after an empty line."""

    first: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def parse(cls, data: bytes) -> Message:
        head, _, body = data.partition(b"\n\n")
        # As HTTP servers do: bytes that are not UTF-8 become lone surrogates.
        first, *lines = head.decode("utf-8", "surrogateescape").split("\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return cls(first, headers, body)
