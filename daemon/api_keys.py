"""API keys: what opens the daemon's own routes. Only digests of them are held; a key is at hand
where it is made and where one is presented, and nowhere else."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

BEGINNING = "dispatchd_"
"""What a key of ours begins with: who looks for leaked secrets knows one when they see it."""

RANDOM_BYTES = 32
"""256 bits. Nobody guesses these however fast a guess can be checked, so one round of SHA-256 hides
them as well as a slow hash would, and costs nothing at each request."""

OWN = "API_KEY"
"""The name of the key that is a setting of its own; no key of the list can have it, for the names
of these are in lower case."""

_HASH = re.compile(r"sha256:([0-9a-f]{64})")


class Scope(StrEnum):
    """What a key is good for."""

    DISPATCH = "dispatch"  # POST /dispatch
    READ = "read"  # what came in, what became of it, and the metrics
    ADMIN = "admin"  # all of that, and whatever changes anything


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One caller, by ``name``. ``digests`` are the SHA-256 of each key that is valid at present:
    several while one is replaced by another."""

    name: str
    scopes: frozenset[Scope]
    digests: tuple[bytes, ...]
    expires_at: datetime | None = None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def made_of(random: bytes) -> str:
    """A key of `RANDOM_BYTES` random bytes."""
    return BEGINNING + random.hex()


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()


def hash_of(key: str) -> str:
    """How the config writes down which key it means."""
    return "sha256:" + digest(key).hex()


def read_hash(text: str) -> bytes:
    """The digest that a `hash_of` stands for. Raises ValueError, whose text never repeats it: it
    may be the key itself, written here by mistake."""
    found = _HASH.fullmatch(text)
    if found is None:
        raise ValueError(
            "is no hash of a key: sha256: and 64 digits, as `dispatchd key create` prints"
        )
    return bytes.fromhex(found[1])


def holder(presented: str, keys: Iterable[ApiKey]) -> ApiKey | None:
    """Whose key was presented. All are compared, each in a time that tells nothing."""
    given = digest(presented)
    found: ApiKey | None = None
    for key in keys:
        for each in key.digests:
            if hmac.compare_digest(given, each):
                found = key
    return found
