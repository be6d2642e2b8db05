"""The shape that most webhook signatures share: an HMAC in a header, over the body and perhaps a
time and an id. Vendors are presets of it (``presets.py``)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from daemon.secret import Secret
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import Scheme, SchemeError, is_blank, no_secret, octets

FIELDS = ("body", "timestamp", "id", "method", "path")
"""What a ``signed`` template may name."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_BORDER = re.compile(r"\{(?:body|path)\}[^{}]*([^{}])(?=\{id\})|\{id\}(?=([^{}]))")
"""Where an id ends: the character after it, and the one before where text of any length stands
there."""

_UNIX_TIME = re.compile(r"[0-9]{10}|[0-9]{13}")


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

    def key(self, secret: Secret) -> bytes:
        """The key's bytes; empty where the secret is blank or not in this encoding."""
        if is_blank(secret):
            return b""
        try:
            match self:
                case KeyEncoding.UTF8:
                    return octets(secret.reveal())
                case KeyEncoding.HEX:
                    return bytes.fromhex(secret.reveal())
                case KeyEncoding.BASE64:
                    return base64.b64decode(secret.reveal(), validate=True)
        except ValueError:
            return b""


@dataclass(frozen=True, slots=True)
class HmacScheme(Scheme):
    """An HMAC of the request in ``header``.

    ``prefix`` stands before each signature (``sha256=``); of several, separated by commas or
    spaces, any may match. ``signed`` is what is hashed, with ``{body}`` as the raw bytes received;
    ``{timestamp}`` is the text of ``timestamp_header`` (Unix seconds or milliseconds) and ``{id}``
    that of ``delivery_header``. A time further than ``tolerance`` from now, in either direction,
    is refused, and so is a signed id that holds the character which ends it. Header names are lower
    case.

    Raises SchemeError where these contradict each other.
    """

    header: str
    name: str = "hmac"
    prefix: str = ""
    algorithm: Algorithm = Algorithm.SHA256
    encoding: Encoding = Encoding.HEX
    signed: str = "{body}"
    timestamp_header: str = ""
    tolerance: timedelta = timedelta(minutes=5)
    key_encoding: KeyEncoding = KeyEncoding.UTF8
    delivery_header: str = ""

    def __post_init__(self) -> None:
        named = set(_PLACEHOLDER.findall(self.signed))
        rest = _PLACEHOLDER.sub("", self.signed)
        unknown = ["{" + name + "}" for name in sorted(named.difference(FIELDS))]
        if unknown or "{" in rest or "}" in rest:
            known = ", ".join("{" + name + "}" for name in FIELDS)
            what = f"names {', '.join(unknown)}" if unknown else "holds an unpaired brace"
            raise SchemeError(f"`signed` {what}; it may name {known}", "signed")
        if "body" not in named:
            raise SchemeError(
                "`signed` leaves out {body}: the signature would say nothing about it", "signed"
            )
        if "timestamp" in named and not self.timestamp_header:
            raise SchemeError(
                "`signed` names {timestamp}: say in `timestamp_header` where it comes from",
                "signed",
            )
        if self.timestamp_header and "timestamp" not in named:
            # Unsigned, the time could be made fresh by anyone who replays an old request.
            raise SchemeError(
                "`timestamp_header` proves nothing unless `signed` names {timestamp}",
                "timestamp_header",
            )
        if self.tolerance <= timedelta(0):
            raise SchemeError("`tolerance` must be longer than 0s", "tolerance")
        if "id" in named and not self.delivery_header:
            raise SchemeError(
                "`signed` names {id}: say in `delivery_header` where it comes from", "signed"
            )

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        keys = self._keys(secrets)
        if not keys:
            return no_secret(secrets)
        if self.header not in request.headers:
            return Mismatch(f"the header {self.header} is missing")
        received = self.signatures(request)
        if not received:
            began = f" that begins with {self.prefix!r}" if self.prefix else ""
            return Mismatch(f"the header {self.header} holds no signature{began}")
        if "{id}" in self.signed and self.delivery_id(request, None) is None:
            return Mismatch(f"the header {self.delivery_header} is missing, which is signed too")
        if mismatch := self._check_id(request):
            return mismatch
        if self.timestamp_header and (mismatch := self.check_time(request, now)):
            return mismatch
        if not self._any_matches(received, keys, request):
            return Mismatch("the signature does not match")
        return None

    def matches(self, request: Request, secrets: Sequence[Secret]) -> bool:
        """Whether any signature in the header is right for any secret, whatever the time."""
        return self._any_matches(self.signatures(request), self._keys(secrets), request)

    def _any_matches(
        self, received: Sequence[str], keys: Sequence[bytes], request: Request
    ) -> bool:
        # All are compared, so that the time taken does not tell which one was right.
        found = False
        for key in keys:
            expected = self.signature(request, key).encode()
            for one in received:
                found |= hmac.compare_digest(octets(one), expected)
        return found

    def _keys(self, secrets: Sequence[Secret]) -> list[bytes]:
        return [key for secret in secrets if (key := self.key_encoding.key(secret))]

    def signatures(self, request: Request) -> list[str]:
        """The signatures that the header holds, without their prefix."""
        found = _after(self.prefix).findall(request.headers.get(self.header, ""))
        if self.encoding is Encoding.HEX:
            # Some libraries write hex in upper case throughout (.NET's Convert.ToHexString).
            return [one.lower() if one == one.upper() else one for one in found]
        return found

    def signature(self, request: Request, key: bytes) -> str:
        """What the header must hold after the prefix."""
        mac = hmac.new(key, digestmod=self.algorithm)
        for position, part in enumerate(_parts(self.signed)):
            # The pattern has one group, so what is at odd positions is a field's name.
            mac.update(self._field(part, request) if position % 2 else octets(part))
        return self.encoding.write(mac.digest())

    def _field(self, name: str, request: Request) -> bytes:
        match name:
            case "body":
                return request.body
            case "timestamp":
                return octets(request.headers.get(self.timestamp_header, ""))
            case "id":
                return octets(request.headers.get(self.delivery_header, ""))
            case "method":
                return octets(request.method.upper())
            case _:
                return octets(request.path)

    def _check_id(self, request: Request) -> Mismatch | None:
        """Whether the id could end elsewhere: who holds a genuine request could then take bytes
        from one side of it to the other, and the signature would still be right."""
        id_ = request.headers.get(self.delivery_header, "")
        for before, after in _BORDER.findall(self.signed):
            border = before or after
            if border in id_:
                return Mismatch(
                    f"the header {self.delivery_header} holds {border!r}, which parts it from the "
                    "rest of what is signed",
                    "such a request could pass for another one; see what the sender puts there",
                )
        return None

    def check_time(self, request: Request, now: datetime) -> Mismatch | None:
        """Whether the signed time is too far from ``now``, which a replayed request's is."""
        text = request.headers.get(self.timestamp_header)
        if text is None:
            return Mismatch(f"the header {self.timestamp_header} is missing")
        # A pattern, since int() also takes signs, spaces, underscores and the digits of any script.
        if not _UNIX_TIME.fullmatch(text):
            return Mismatch(
                f"the header {self.timestamp_header} is not a Unix time",
                "10 digits for seconds, 13 for milliseconds",
            )
        seconds = int(text) / (1 if len(text) == 10 else 1000)
        age = timedelta(seconds=now.timestamp() - seconds)
        if abs(age) <= self.tolerance:
            return None
        where = "old" if age > timedelta(0) else "in the future"
        return Mismatch(
            f"the header {self.timestamp_header} is {_span(abs(age))} {where}, "
            f"and {_span(self.tolerance)} are allowed"
        )

    def delivery_id(self, request: Request, body: object) -> str | None:
        return request.headers.get(self.delivery_header, "").strip() or None

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        key = self.key_encoding.key(secret)
        if not key:
            raise SchemeError(no_secret([secret]).reason, "secret")
        headers: dict[str, str] = {}
        if self.timestamp_header:
            headers[self.timestamp_header] = str(int(now.timestamp()))
        if "{id}" in self.signed:
            moment = now.astimezone(UTC).isoformat().encode()
            headers[self.delivery_header] = hashlib.sha256(moment + body).hexdigest()[:32]
        request = Request(method, path, headers, {}, body)
        return headers | {self.header: self.prefix + self.signature(request, key)}


@lru_cache
def _after(prefix: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[\s,]){re.escape(prefix)}([^\s,]+)")


@lru_cache
def _parts(signed: str) -> list[str]:
    return _PLACEHOLDER.split(signed)


def _span(length: timedelta) -> str:
    """A length of time as the config writes durations, in whole seconds rounded up: ``1h5m``."""
    rest = math.ceil(length.total_seconds())
    text = ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
