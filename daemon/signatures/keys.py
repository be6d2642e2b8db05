"""How a digest is made and written, and how a secret's text becomes the key."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from enum import StrEnum

from daemon.secret import Secret
from daemon.signatures.scheme import SchemeError, no_secret, octets


class Algorithm(StrEnum):
    SHA256 = "sha256"
    SHA1 = "sha1"
    SHA512 = "sha512"

    @property
    def size(self) -> int:
        """Bytes in a digest."""
        return hashlib.new(self).digest_size


class Encoding(StrEnum):
    """How the digest is written in the header."""

    HEX = "hex"
    BASE64 = "base64"

    def write(self, digest: bytes) -> str:
        return digest.hex() if self is Encoding.HEX else base64.b64encode(digest).decode()


class KeyEncoding(StrEnum):
    """How the secret's text becomes the key."""

    UTF8 = "utf8"
    HEX = "hex"
    BASE64 = "base64"

    def key(self, secret: Secret, prefix: str = "") -> bytes:
        """The key's bytes, without ``prefix`` where the text begins with that; empty where it is
        blank, not in this encoding, or a key that anybody could guess. Base64 may lack its ``=``.
        """
        text = secret.reveal().removeprefix(prefix)
        if not text.strip():
            return b""
        try:
            match self:
                case KeyEncoding.UTF8:
                    key = octets(text)
                case KeyEncoding.HEX:
                    key = bytes.fromhex(text)
                case KeyEncoding.BASE64:
                    key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except ValueError:
            return b""
        # HMAC fills a key up with zeros (RFC 2104), so one of zeros alone is as good as none.
        return key if key.strip(b"\0") else b""


def shared_keys(secrets: Sequence[Secret]) -> list[bytes]:
    """The keys of those secrets that can be used as they are."""
    return [key for secret in secrets if (key := KeyEncoding.UTF8.key(secret))]


def signing_key(key: bytes, secret: Secret) -> bytes:
    """``key``, which was made of ``secret``. Raises SchemeError where it is empty."""
    if not key:
        raise SchemeError(no_secret([secret]).reason, "secret")
    return key
