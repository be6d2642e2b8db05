"""What a scheme looks at, the request as it came in, and what it says of one that it does not
believe."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from daemon.value import shown

URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")
"""The characters of a URL, RFC 3986. Neither a brace nor a quotation mark is one: where nothing
parts a signed URL from the body, no JSON can be moved from the one into the other."""


class Request(Struct, frozen=True):
    """A request as it came in, before anything is left out of it.

    ``path`` is as sent, without the query. ``headers`` have lower-case names, credentials
    included; a repeated header is joined with ``", "``. ``query`` is decoded. ``url`` is the whole
    URL that the sender called, as it wrote it, for those who sign that; empty where it is not
    known. ``fetched`` holds what the scheme asked to be fetched (``Scheme.needs``), by its URL.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    url: str = ""
    fetched: Mapping[str, bytes] = {}

    def __repr__(self) -> str:
        return shown(self, without={"headers", "query", "body", "url", "fetched"})


class Mismatch(Struct, frozen=True):
    """Why a sender is not believed, and (``hint``) how to mend it.

    For the operator, never for the sender. Holds no secret, no expected signature and nothing
    that the sender sent as its proof. One with a hint needs no further explanation.
    """

    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.hint})" if self.hint else self.reason
