"""The shape that most webhook signatures share: an HMAC in a header, over the body and perhaps a
time and an id. Vendors are presets of it (``presets.py``)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from daemon.secret import Secret
from daemon.signatures.body_field import PATH, text_at, text_in
from daemon.signatures.freshness import check_age, require_positive
from daemon.signatures.handshake import Handshake
from daemon.signatures.keys import Algorithm, Encoding, KeyEncoding, signing_key
from daemon.signatures.request import URL, Mismatch, Request
from daemon.signatures.scheme import (
    UNGUESSABLE,
    USUAL,
    Acknowledgement,
    Scheme,
    SchemeError,
    no_secret,
    octets,
)

FIELDS = ("body", "timestamp", "id", "method", "path", "url")
"""What a ``signed`` template may name."""

SIGNATURES_MAX = 32
"""Signatures of one header that are looked at; senders put one there for each secret."""

BODY_ALONE = "{body}"
"""What most senders sign."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_BORDER = re.compile(r"\{(?:body|path|url)\}[^{}]*([^{}])(?=\{id\})|\{id\}(?=([^{}]))")
"""Where an id ends: the character after it, and the one before where text of any length stands
there."""

_UNIX_TIME = re.compile(r"[0-9]{10}|[0-9]{13}")


@dataclass(frozen=True, slots=True)
class HmacScheme(Scheme):
    """An HMAC of the request in ``header``.

    ``prefix`` stands before each signature (``sha256=``); of several, separated by commas or
    spaces, any may match. ``signed`` is what is hashed, with ``{body}`` as the raw bytes received
    and ``{url}`` as the sender wrote it; ``{timestamp}`` (Unix seconds or milliseconds) is the text
    of ``timestamp_header``, or what stands in ``header`` itself after ``timestamp_prefix``, and
    ``{id}`` that of ``delivery_header``. Instead, the time can be the body's ``timestamp_field``. A
    time further than ``tolerance`` from now, in either direction, is refused, and so is a signed id
    that holds the character which ends it. ``key_prefix`` is no part of the key. A delivery's id is
    in ``delivery_header`` or in the body's ``delivery_field``. Header names are lower case.

    The rest a vendor's preset says, no user: ``identify`` makes an id of a request and its parsed
    body where neither holds one, and ``told_by_body`` says that no two deliveries have the same
    body.

    Raises SchemeError where these contradict each other.
    """

    header: str
    name: str = "hmac"
    prefix: str = ""
    algorithm: Algorithm = Algorithm.SHA256
    encoding: Encoding = Encoding.HEX
    signed: str = BODY_ALONE
    timestamp_header: str = ""
    timestamp_prefix: str = ""
    timestamp_field: str = ""
    tolerance: timedelta = timedelta(minutes=5)
    key_encoding: KeyEncoding = KeyEncoding.UTF8
    key_prefix: str = ""
    delivery_header: str = ""
    delivery_field: str = ""
    identify: Callable[[object], str | None] | None = None
    told_by_body: bool = False
    learns_secret: bool = False
    handshake: Handshake | None = None
    acknowledgement: Acknowledgement = USUAL

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
        self._check_sources(named)
        require_positive(self.tolerance)

    def _check_sources(self, named: set[str]) -> None:
        """Whether the time and the id come from one place each, and what is signed from any."""
        times = ("timestamp_header", "timestamp_prefix", "timestamp_field")
        for group in (times, ("delivery_header", "delivery_field")):
            given = [key for key in group if getattr(self, key)]
            if len(given) > 1:
                both = " and ".join(f"`{key}`" for key in given)
                raise SchemeError(f"{both} exclude each other", given[-1])
        for key in ("timestamp_field", "delivery_field"):
            if (path := getattr(self, key)) and not PATH.fullmatch(path):
                raise SchemeError(f"`{key}` must be the body's keys joined by dots", key)
        if "timestamp" in named and not self._stamped:
            raise SchemeError(
                "`signed` names {timestamp}: say in `timestamp_header` where it comes from",
                "signed",
            )
        if self._stamped and "timestamp" not in named:
            # Unsigned, the time could be made fresh by anyone who replays an old request.
            key = "timestamp_header" if self.timestamp_header else "timestamp_prefix"
            raise SchemeError(f"`{key}` proves nothing unless `signed` names {{timestamp}}", key)
        for before, after in pairwise(_PLACEHOLDER.split(self.signed)[1::2]):
            if "id" in (before, after) and f"{{{before}}}{{{after}}}" in self.signed:
                raise SchemeError(
                    f"`signed` puts {{{before}}} and {{{after}}} together, with nothing between: "
                    "nobody could tell where the id ends",
                    "signed",
                )
        if "id" in named and not self.delivery_header:
            raise SchemeError(
                "`signed` names {id}: say in `delivery_header` where it comes from", "signed"
            )

    @property
    def _stamped(self) -> bool:
        """Whether the time stands in a header."""
        return bool(self.timestamp_header or self.timestamp_prefix)

    @property
    def timed(self) -> bool:
        """Whether a time is signed."""
        return self._stamped or bool(self.timestamp_field)

    @property
    def signs_url(self) -> bool:
        return "{url}" in self.signed

    @property
    def replayable(self) -> bool:
        unsigned_id = bool(self.delivery_header) and "{id}" not in self.signed
        return self.told_by_body or (unsigned_id and not self.timed)

    def signed_part(self, request: Request) -> bytes:
        if not self._stamped:
            return request.body
        return octets(self._time(request) or "") + b"." + request.body

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        keys = self._keys(secrets)
        if not keys:
            if self.learns_secret and not secrets:
                return Mismatch(
                    "its sender has not handed the secret over yet",
                    "`dispatchd arm` with the trigger's name lets it take one",
                )
            return no_secret(secrets)
        if self.header not in request.headers:
            return Mismatch(f"the header {self.header} is missing")
        received = self.signatures(request)
        if not received:
            began = f" that begins with {self.prefix!r}" if self.prefix else ""
            return Mismatch(f"the header {self.header} holds no signature{began}")
        if self.signed != BODY_ALONE and (mismatch := self._check_parts(request)):
            return mismatch
        if self._stamped and (mismatch := self.check_time(request, now)):
            return mismatch
        if not self._any_matches(received, keys, request):
            return Mismatch("the signature does not match")
        # Only now is the body known to be the sender's, and worth the time to parse it.
        return self.check_time(request, now) if self.timestamp_field else None

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

    def key(self, secret: Secret) -> bytes:
        """The key's bytes; empty where the secret cannot be used."""
        return self.key_encoding.key(secret, self.key_prefix)

    def secret_fault(self, secret: Secret) -> str:
        if self.key(secret):
            return ""
        if self.key_encoding is KeyEncoding.UTF8:
            return UNGUESSABLE
        form = "hex digits" if self.key_encoding is KeyEncoding.HEX else "base64"
        return f"it should be {form}" + (f", after {self.key_prefix}" if self.key_prefix else "")

    def _keys(self, secrets: Sequence[Secret]) -> list[bytes]:
        return [key for secret in secrets if (key := self.key(secret))]

    def signatures(self, request: Request) -> list[str]:
        """The signatures that the header holds, without their prefix."""
        text = request.headers.get(self.header, "")
        found = _after(self.prefix).findall(text)[:SIGNATURES_MAX]
        if self.encoding is Encoding.HEX:
            # Some libraries write hex in upper case throughout (.NET's Convert.ToHexString).
            return [one.lower() if one == one.upper() else one for one in found]
        return found

    def signature(self, request: Request, key: bytes) -> str:
        """What the header must hold after the prefix."""
        if self.signed == BODY_ALONE:
            return self.encoding.write(hmac.digest(key, request.body, self.algorithm))
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
                return octets(self._time(request) or "")
            case "id":
                return octets(request.headers.get(self.delivery_header, ""))
            case "method":
                return octets(request.method.upper())
            case "url":
                return octets(request.url)
            case _:
                return octets(request.path)

    def _check_parts(self, request: Request) -> Mismatch | None:
        """Whether the id and the URL are there if they are signed, and the id could not end
        elsewhere: who holds a genuine request could then take bytes from one side of it to the
        other, and the signature would still be right."""
        if "{url}" in self.signed and not request.url:
            return Mismatch(
                "the URL that the sender called is signed, and not known here",
                "set `public_url` in DAEMON.yaml",
            )
        for name, text in (("url", request.url), ("path", request.path)):
            # What the body begins with could be moved into it, and back.
            if f"{{{name}}}" in self.signed and not URL.fullmatch(text):
                return Mismatch(f"the {name} that was called holds what no {name} may")
        if "{id}" not in self.signed:
            return None
        id_ = request.headers.get(self.delivery_header, "")
        if not id_.strip():
            return Mismatch(f"the header {self.delivery_header} is missing, which is signed too")
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
        age = self.age(request, now)
        if isinstance(age, Mismatch):
            return age
        return check_age(self._time_place, age, self.tolerance)

    def age(self, request: Request, now: datetime) -> timedelta | Mismatch:
        """How long before ``now`` the request says it was signed, or why that cannot be told."""
        text = self._time(request)
        if text is None:
            return Mismatch(f"{self._time_place} is missing")
        # A pattern, since int() also takes signs, spaces, underscores and the digits of any script.
        if not _UNIX_TIME.fullmatch(text):
            return Mismatch(
                f"{self._time_place} is not a Unix time",
                "10 digits for seconds, 13 for milliseconds",
            )
        seconds = int(text) / (1 if len(text) == 10 else 1000)
        return timedelta(seconds=now.timestamp() - seconds)

    @property
    def _time_place(self) -> str:
        """Where the time stands, in words."""
        if self.timestamp_header:
            return f"the header {self.timestamp_header}"
        if self.timestamp_prefix:
            return f"the time ({self.timestamp_prefix}) in the header {self.header}"
        return f"the body's {self.timestamp_field}"

    def _time(self, request: Request) -> str | None:
        if self.timestamp_header:
            return request.headers.get(self.timestamp_header)
        if self.timestamp_prefix:
            text = request.headers.get(self.header, "")
            times = set(_after(self.timestamp_prefix).findall(text))
            return times.pop() if len(times) == 1 else None
        return text_in(request.body, self.timestamp_field)

    def delivery_id(self, request: Request, body: object) -> str | None:
        if self.identify is not None:
            return self.identify(body)
        if self.delivery_field:
            return text_at(body, self.delivery_field)
        return request.headers.get(self.delivery_header, "").strip() or None

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        key = signing_key(self.key(secret), secret)
        headers: dict[str, str] = {}
        time = str(int(now.timestamp()))
        begins = f"{self.timestamp_prefix}{time}," if self.timestamp_prefix else ""
        if self.timestamp_header:
            headers[self.timestamp_header] = time
        if "{id}" in self.signed:
            moment = now.astimezone(UTC).isoformat().encode()
            headers[self.delivery_header] = hashlib.sha256(moment + body).hexdigest()[:32]
        request = Request(method, path, headers | {self.header: begins}, {}, body, url=path)
        return headers | {self.header: begins + self.prefix + self.signature(request, key)}


@lru_cache
def _after(prefix: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[\s,]){re.escape(prefix)}([^\s,]+)")


@lru_cache
def _parts(signed: str) -> list[str]:
    return _PLACEHOLDER.split(signed)
