"""How a sender checks an address before it uses it: what it asks, and the answer it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from daemon.secret import Secret
from daemon.signatures.request import Mismatch, Request


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a handshake. Without a ``body`` it is the daemon's usual JSON.

    ``learns`` is a secret that the sender hands over: the reply is for a trigger that waits for
    one, and has none. ``fetches`` is a URL that must be fetched before the answer, on a host that
    the scheme trusts; no redirect from there is. What may repeat a secret is left out of ``repr``.
    """

    status: int = 200
    body: str | None = field(default=None, repr=False)
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    learns: Secret | None = None
    fetches: str = field(default="", repr=False)


class Handshake:
    """One vendor's check; what a vendor does not ask is left as it is here. A hashable value.
    Neither method raises, whatever the request holds."""

    __slots__ = ()

    methods: frozenset[str] = frozenset({"POST"})
    """The HTTP methods by which it asks. By one that its trigger does not take as well, a request
    can be nothing but a handshake."""

    takes_token: bool = False
    """Whether the config must give a ``verify_token`` with the scheme, to know the sender by."""

    credential_headers: frozenset[str] = frozenset()
    """Headers (lower case) by which it hands a secret over, to be left out of what is stored."""

    credential_query: frozenset[str] = frozenset()
    """Likewise, query parameters."""

    def opening(self, request: Request, tokens: Sequence[Secret]) -> Reply | Mismatch | None:
        """For a request that proves nothing yet: the reply, why there is none, or None where it is
        no handshake. ``tokens`` are what the config gives as ``verify_token``."""
        return None

    def proven(
        self, request: Request, body: object, secrets: Sequence[Secret]
    ) -> Reply | Mismatch | None:
        """Likewise for a request that proved itself; ``body`` is parsed."""
        return None
