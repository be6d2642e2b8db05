"""Every scheme by the name the config uses, what each takes, and how an ``auth`` object becomes
a Scheme."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from daemon.signatures.credentials import BasicScheme, BearerScheme, NoScheme, TokenScheme
from daemon.signatures.entry import Parameters, SchemeEntry
from daemon.signatures.github_legacy import GithubLegacyScheme
from daemon.signatures.hmac_scheme import Algorithm, Encoding, HmacScheme, KeyEncoding
from daemon.signatures.presets import PRESETS
from daemon.signatures.scheme import Scheme, SchemeError

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A field name, RFC 9110, 5.1."""

_CHOICES: Mapping[str, type[StrEnum]] = {
    "algorithm": Algorithm,
    "encoding": Encoding,
    "key_encoding": KeyEncoding,
}

_HMAC_PARAMETERS = (
    "header",
    "prefix",
    "algorithm",
    "encoding",
    "signed",
    "timestamp_header",
    "tolerance",
    "key_encoding",
    "delivery_header",
)


def _checked(key: str, value: Any) -> Any:
    if key == "tolerance":
        if not isinstance(value, timedelta):
            raise SchemeError("`tolerance` must be a duration", key)
        return value
    if not isinstance(value, str):
        raise SchemeError(f"`{key}` must be text", key)
    if key in _CHOICES:
        try:
            return _CHOICES[key](value)
        except ValueError:
            allowed = ", ".join(_CHOICES[key])
            raise SchemeError(f"`{key}` must be one of {allowed}, not {value!r}", key) from None
    if key == "header" or key.endswith("_header"):
        if not _HEADER_NAME.fullmatch(value):
            raise SchemeError(f"`{key}` is not the name of a header: {value!r}", key)
        return value.lower()
    return value


def _preset(name: str) -> Callable[[Parameters], HmacScheme]:
    preset = {key: _checked(key, value) for key, value in PRESETS[name].parameters.items()}
    return lambda given: HmacScheme(name=name, **{**preset, **given})


SCHEMES: Mapping[str, SchemeEntry] = MappingProxyType(
    {
        **{
            name: SchemeEntry(preset.description, _HMAC_PARAMETERS, (), _preset(name))
            for name, preset in PRESETS.items()
        },
        "hmac": SchemeEntry(
            "an HMAC of the body in a header: the general shape of most signatures",
            _HMAC_PARAMETERS,
            ("header",),
            lambda given: HmacScheme(**given),
        ),
        "token": SchemeEntry(
            "the secret itself, in a header or a query parameter",
            ("header", "query"),
            (),
            lambda given: TokenScheme(**given),
        ),
        "api_key": SchemeEntry(
            "the secret itself, in the header x-api-key",
            ("header",),
            (),
            lambda given: TokenScheme(name="api_key", **{"header": "x-api-key", **given}),
        ),
        "bearer": SchemeEntry(
            "the secret as the token of an Authorization: Bearer header",
            (),
            (),
            lambda given: BearerScheme(),
        ),
        "basic": SchemeEntry(
            "a username with the secret as its password, in an Authorization: Basic header",
            ("username",),
            ("username",),
            lambda given: BasicScheme(**given),
        ),
        "none": SchemeEntry(
            "nothing: anyone who reaches the route may send", (), (), lambda given: NoScheme()
        ),
    }
)

PARAMETERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: entry.parameters for name, entry in SCHEMES.items()}
)
"""The keys that each scheme takes beside ``scheme`` and ``secret``."""

_LEGACY = SchemeEntry("", (), (), lambda given: GithubLegacyScheme(_preset("github")({})))


def parse(auth: Mapping[str, Any]) -> Scheme:
    """The Scheme that an entry's ``auth`` describes: ``{"scheme": …, parameter: value}``, without
    its ``secret``; ``tolerance`` is a timedelta. ``github_legacy`` is understood too, though not
    offered in ``SCHEMES``.

    Raises SchemeError, naming the key at fault, for whatever cannot work.
    """
    name = auth.get("scheme")
    entry = _LEGACY if name == GithubLegacyScheme.name else SCHEMES.get(str(name))
    if entry is None:
        raise SchemeError(f"there is no scheme {name!r}{_instead(name, SCHEMES)}", "scheme")
    for key in auth:
        if key not in ("scheme", *entry.parameters):
            hint = _instead(key, entry.parameters)
            raise SchemeError(f"the scheme {name} takes no {key!r}{hint}", key)
    given = {key: _checked(key, value) for key, value in auth.items() if key != "scheme"}
    for key in entry.required:
        if not given.get(key):
            raise SchemeError(f"the scheme {name} needs `{key}`", key)
    scheme = entry.build(given)
    if "tolerance" in given and isinstance(scheme, HmacScheme) and not scheme.timestamp_header:
        raise SchemeError("`tolerance` does nothing without a `timestamp_header`", "tolerance")
    return scheme


def _instead(word: object, known: Mapping[str, object] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(str(word), list(known), n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; it may be {', '.join(known)}" if known else ""
