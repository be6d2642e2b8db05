"""Why an HMAC did not match, found by trying: what if one thing about the request, the secret or
the scheme were different, as after each of the usual mistakes?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, islice, product

from msgspec import structs

from daemon.secret import Secret
from daemon.signatures.hmac_scheme import HmacScheme
from daemon.signatures.keys import Algorithm, Encoding, KeyEncoding
from daemon.signatures.presets import PRESETS
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.senders import describe, similar_header, what_to_do
from daemon.signatures.slips import body_slips, secret_slips

_PREFIXES = ("sha256=", "sha1=", "sha512=", "hmac-sha256=", "v0=", "v1=", "v1,", "")
"""The usual ones. Only these are ever shown: anything else might be part of a secret."""

_SHAPES = {
    Encoding.HEX: re.compile(r"[0-9a-fA-F]+"),
    Encoding.BASE64: re.compile(r"[0-9a-zA-Z+/]+={0,2}"),
}

_SIGNED = ("{timestamp}.{body}", "{timestamp}:{body}", "{timestamp}{body}", "v0:{timestamp}:{body}")

_KEY_PREFIXES = ("", "whsec_")

_TIMES_MAX = 4
"""Headers that could hold a time, of those that are tried."""

_UNIX_TIME = re.compile(r"1[0-9]{9}(?:[0-9]{3})?")


@dataclass(frozen=True, slots=True)
class _Trial:
    """A request that ``scheme`` refused, and the means to ask how it would not have been."""

    scheme: HmacScheme
    request: Request
    secrets: Sequence[Secret]

    def matches(
        self,
        *,
        scheme: HmacScheme | None = None,
        body: bytes | None = None,
        secret: Secret | None = None,
    ) -> bool:
        """Whether the signature would be right with this one thing changed, whatever the time."""
        request = self.request if body is None else structs.replace(self.request, body=body)
        secrets = self.secrets if secret is None else [secret]
        return (scheme or self.scheme).matches(request, secrets)


def explain_hmac(
    scheme: HmacScheme,
    request: Request,
    secrets: Sequence[Secret],
    now: datetime,
    mismatch: Mismatch,
) -> Mismatch:
    """``mismatch``, which ``scheme`` gave, with as much more as can be found out."""
    trial = _Trial(scheme, request, secrets)
    if not any(map(scheme.key, secrets)):
        return next(chain(_other_secret(trial), _other_credential(trial)), mismatch)
    about_time = scheme.timed and mismatch == scheme.check_time(request, now)
    late = about_time and isinstance(scheme.age(request, now), timedelta)
    if mismatch.hint and not late:
        return mismatch
    if scheme.header not in request.headers:
        return _without_header(trial, mismatch)
    looks = _as_it_looks(scheme, request)
    if looks is None:
        return _out_of_shape(trial)
    if looks != scheme:
        return _written_otherwise(trial, looks)
    if about_time:
        return _out_of_time(trial, mismatch)
    for suspicion in (
        _other_secret,
        _other_key,
        _other_signed,
        _time_elsewhere,
        _other_body,
        _other_credential,
    ):
        for found in suspicion(trial):
            return found
    references = ", ".join(secret.reference for secret in secrets)
    preset = PRESETS.get(scheme.name)
    where = f". The secret is under: {preset.setup}" if preset else ""
    return Mismatch(
        mismatch.reason,
        "it is written as it should be, so either the sender has another secret than "
        f"{references}, or the body was changed on its way{where}",
    )


def _as_it_looks(scheme: HmacScheme, request: Request) -> HmacScheme | None:
    """``scheme`` with the prefix, encoding and algorithm that the header seems to be written in;
    ``scheme`` itself if it can be that, None if the header holds nothing like a digest.

    Each pair of encoding and algorithm has a length of its own, so the shape tells both.
    """
    for prefix in dict.fromkeys((scheme.prefix, *_PREFIXES)):
        for encoding in dict.fromkeys((scheme.encoding, *Encoding)):
            for algorithm in dict.fromkeys((scheme.algorithm, *Algorithm)):
                looks = replace(scheme, prefix=prefix, encoding=encoding, algorithm=algorithm)
                length = _length(looks)
                for one in looks.signatures(request):
                    if len(one) == length and _SHAPES[encoding].fullmatch(one):
                        return looks
    return None


def _length(scheme: HmacScheme) -> int:
    """Characters in a signature, without its prefix."""
    return len(scheme.encoding.write(bytes(scheme.algorithm.size)))


def _differences(scheme: HmacScheme, looks: HmacScheme) -> tuple[str, str]:
    """How ``looks`` differs: in words, and as what to write in ``auth``."""
    names = ("header", "prefix", "encoding", "algorithm")
    pairs = [(name, getattr(scheme, name), getattr(looks, name)) for name in names]
    differ = [(name, meant, found) for name, meant, found in pairs if meant != found]
    words = [
        f"{name} {json.dumps(found)} where {json.dumps(meant)} is meant"
        for name, meant, found in differ
    ]
    return " and ".join(words), ", ".join(f'"{name}": {json.dumps(f)}' for name, _, f in differ)


def _without_header(trial: _Trial, mismatch: Mismatch) -> Mismatch:
    similar = similar_header(trial.scheme.header, trial.request.headers)
    if similar is None:
        hint = (
            "nothing in the request looks like a signature: most senders sign only once a secret "
            "is set on their side, in the settings of the webhook"
        )
        return Mismatch(mismatch.reason, hint)
    there = f"the request has {describe(similar)}"
    looks = _as_it_looks(replace(trial.scheme, header=similar), trial.request)
    if looks and trial.matches(scheme=looks):
        _, mend = _differences(trial.scheme, looks)
        return Mismatch(mismatch.reason, f"{there}, which matches once {mend} is written in `auth`")
    return Mismatch(mismatch.reason, f"{there}: {what_to_do(similar)}")


def _out_of_shape(trial: _Trial) -> Mismatch:
    scheme = trial.scheme
    received = scheme.signatures(trial.request)
    wanted = f"{_length(scheme)} characters ({scheme.algorithm} in {scheme.encoding})"
    if not received:
        return Mismatch(
            f"the header {scheme.header} holds nothing that begins with {scheme.prefix!r}",
            f"a signature is that and {wanted}; see what the sender puts there",
        )
    if all(len(one) != _length(scheme) for one in received):
        return Mismatch(
            f"the signature is {len(received[0])} characters long and should be {wanted}",
            "it was cut or padded on its way, or it is no signature: if the sender sends the "
            "secret itself, the scheme is `token`",
        )
    return Mismatch(
        f"the signature holds characters that are not {scheme.encoding}",
        "it was changed on its way, or it is no signature; see what the sender puts there",
    )


def _written_otherwise(trial: _Trial, looks: HmacScheme) -> Mismatch:
    words, mend = _differences(trial.scheme, looks)
    reason = f"the signature has {words}"
    if trial.matches(scheme=looks):
        return Mismatch(reason, f"it matches once {mend} is written in `auth`")
    return Mismatch(
        reason, f"with {mend} in `auth` it would still not match: look at the secret as well"
    )


def _out_of_time(trial: _Trial, mismatch: Mismatch) -> Mismatch:
    if trial.matches():
        hint = (
            "the signature itself is right: if this is no old request sent again, set the clocks "
            "of both machines, or a longer `tolerance`"
        )
    else:
        hint = "nor does the signature match"
    return next(_untimed(trial), Mismatch(mismatch.reason, hint))


def _untimed(trial: _Trial) -> Iterator[Mismatch]:
    if "{timestamp}" not in trial.scheme.signed:
        return
    untimed = replace(trial.scheme, signed="{body}", timestamp_header="", timestamp_prefix="")
    if trial.matches(scheme=untimed):
        yield Mismatch(
            "the sender signs the body alone, without the time",
            "have the sender sign the time too; if it cannot, leave out `timestamp_header` and "
            "`signed`, and know that old requests can then be sent again by anyone who has one",
        )


def _other_secret(trial: _Trial) -> Iterator[Mismatch]:
    for secret in trial.secrets:
        for meant, mismatch in secret_slips(secret):
            if trial.matches(secret=meant):
                yield mismatch


def _other_credential(trial: _Trial) -> Iterator[Mismatch]:
    """Another one of the vendor's, pasted in the place of the secret."""
    preset = PRESETS.get(trial.scheme.name)
    if preset is None:
        return
    for secret in trial.secrets:
        for beginning, kind in preset.lookalikes.items():
            if secret.reveal().strip().startswith(beginning):
                yield Mismatch(
                    f"the secret {secret.reference} begins with {beginning}: that is {kind}",
                    f"the secret that signs is under: {preset.setup}",
                )


def _other_key(trial: _Trial) -> Iterator[Mismatch]:
    scheme = trial.scheme
    for encoding, prefix in product(
        KeyEncoding, dict.fromkeys((scheme.key_prefix, *_KEY_PREFIXES))
    ):
        if trial.matches(scheme=replace(scheme, key_encoding=encoding, key_prefix=prefix)):
            after = f", without its {prefix}" if prefix != scheme.key_prefix and prefix else ""
            also = f', "key_prefix": "{prefix}"' if prefix != scheme.key_prefix else ""
            yield Mismatch(
                f"the sender reads the secret as {encoding}{after}, not as {scheme.key_encoding}",
                f'write "key_encoding": "{encoding}"{also} in `auth`',
            )


def _other_signed(trial: _Trial) -> Iterator[Mismatch]:
    if "{timestamp}" not in trial.scheme.signed:
        return
    yield from _untimed(trial)
    for signed in _SIGNED:
        if trial.matches(scheme=replace(trial.scheme, signed=signed)):
            yield Mismatch(
                f"the sender signs {signed}, not {trial.scheme.signed}",
                f'write "signed": "{signed}" in `auth`',
            )


def _time_elsewhere(trial: _Trial) -> Iterator[Mismatch]:
    """A time that the sender signs, and this trigger does not know of."""
    scheme, headers = trial.scheme, trial.request.headers
    if scheme.timed or scheme.signed != "{body}":
        return
    times = (name for name, value in headers.items() if _UNIX_TIME.fullmatch(value))
    for header, signed in product(islice(times, _TIMES_MAX), _SIGNED):
        if trial.matches(scheme=replace(scheme, signed=signed, timestamp_header=header)):
            yield Mismatch(
                f"the sender signs {signed}, with the time from the header {header}",
                f'write "timestamp_header": "{header}", "signed": "{signed}" in `auth`',
            )


def _other_body(trial: _Trial) -> Iterator[Mismatch]:
    for before, mismatch in body_slips(trial.request.body):
        if trial.matches(body=before):
            yield mismatch
