"""Every scheme by the name the config uses, what each takes, and how an ``auth`` object becomes
a Scheme."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from daemon.signatures.alert_groups import alert_state
from daemon.signatures.credentials import BasicScheme, BearerScheme, NoScheme, TokenScheme
from daemon.signatures.ed25519 import StandardWebhooksScheme
from daemon.signatures.entry import Parameters, SchemeEntry
from daemon.signatures.github_legacy import GithubLegacyScheme
from daemon.signatures.hmac_scheme import HmacScheme
from daemon.signatures.keys import Algorithm, Encoding, KeyEncoding
from daemon.signatures.odd import ODD
from daemon.signatures.preset import Preset
from daemon.signatures.presets import PRESETS, TOKENS
from daemon.signatures.scheme import Scheme, SchemeError

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A field name, RFC 9110, 5.1."""

_CHOICES: Mapping[str, type[StrEnum]] = {
    "algorithm": Algorithm,
    "encoding": Encoding,
    "key_encoding": KeyEncoding,
}

_TIME_IN_HEADER = ("timestamp_header", "timestamp_prefix")
_TIMES = (*_TIME_IN_HEADER, "timestamp_field")
_IDS = ("delivery_header", "delivery_field")
_PLACES = (("header", "query"), _TIMES, _IDS)
"""Keys that each say where one thing is: whoever gives one leaves out the preset's other."""

_HMAC_PARAMETERS = (
    "header",
    "prefix",
    "algorithm",
    "encoding",
    "signed",
    *_TIMES,
    "tolerance",
    "key_encoding",
    "key_prefix",
    *_IDS,
)
_TOKEN_PARAMETERS = ("header", "query", *_IDS)


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


def _overridden(preset: Parameters, given: Parameters) -> dict[str, Any]:
    replaced = {key for places in _PLACES if given.keys() & set(places) for key in places}
    return {**{key: value for key, value in preset.items() if key not in replaced}, **given}


def _hmac_preset(name: str, preset: Preset) -> SchemeEntry:
    usual = {key: _checked(key, value) for key, value in preset.parameters.items()}

    def build(given: Parameters) -> Scheme:
        timed = preset.timed if given.keys() & {*_TIME_IN_HEADER} else {}
        own_id = bool(given.keys() & set(_IDS))
        scheme = HmacScheme(
            name=name,
            identify=None if own_id else preset.identify,
            told_by_body=preset.told_by_body and not own_id,
            learns_secret=preset.learns_secret,
            handshake=preset.handshake,
            acknowledgement=preset.acknowledgement,
            **_overridden({**usual, **timed}, given),
        )
        return StandardWebhooksScheme(name, scheme) if preset.public_keys else scheme

    return _preset_entry(preset, _HMAC_PARAMETERS, build)


def _token_preset(name: str, preset: Preset) -> SchemeEntry:
    return _preset_entry(
        preset,
        _TOKEN_PARAMETERS,
        lambda given: TokenScheme(name=name, **_overridden(preset.parameters, given)),
    )


def _preset_entry(
    preset: Preset, parameters: tuple[str, ...], build: Callable[[Parameters], Scheme]
) -> SchemeEntry:
    return SchemeEntry(
        preset.description,
        parameters,
        (),
        build,
        preset.setup,
        preset.dedupe,
        preset.sources,
        preset.issued,
        preset.lookalikes,
    )


def _alertmanager(given: Parameters) -> Scheme:
    credentials = BasicScheme if given else BearerScheme
    return credentials(name="alertmanager", identify=alert_state, **given)


_GENERAL: Mapping[str, SchemeEntry] = {
    "hmac": SchemeEntry(
        "an HMAC of the body in a header: the general shape of most signatures",
        _HMAC_PARAMETERS,
        ("header",),
        lambda given: HmacScheme(**given),
        "the key that you share with the sender",
    ),
    "token": SchemeEntry(
        "the secret itself, in a header or a query parameter",
        _TOKEN_PARAMETERS,
        (),
        lambda given: TokenScheme(**given),
        "text that you share with the sender",
    ),
    "api_key": SchemeEntry(
        "the secret itself, in the header x-api-key",
        ("header",),
        (),
        lambda given: TokenScheme(name="api_key", **{"header": "x-api-key", **given}),
        "text that you share with the sender",
    ),
    "bearer": SchemeEntry(
        "the secret as the token of an Authorization: Bearer header",
        (),
        (),
        lambda given: BearerScheme(),
        "text that you share with the sender",
        sources=("https://www.rfc-editor.org/rfc/rfc6750",),
    ),
    "basic": SchemeEntry(
        "a username with the secret as its password, in an Authorization: Basic header",
        ("username",),
        ("username",),
        lambda given: BasicScheme(**given),
        "the password that you share with the sender",
        sources=("https://www.rfc-editor.org/rfc/rfc7617",),
    ),
    # From general knowledge of the vendor's documentation, not confirmed.
    "alertmanager": SchemeEntry(
        "Prometheus Alertmanager, by a Bearer token or, with a username, by Basic",
        ("username",),
        (),
        _alertmanager,
        "under webhook_configs > http_config: authorization > credentials, or basic_auth > "
        "password with the same username as `username`",
        dedupe="the group of alerts and the state of each, so reminders are repetitions",
        sources=(
            "https://prometheus.io/docs/alerting/latest/configuration/#webhook_config",
            "https://prometheus.io/docs/alerting/latest/configuration/#http_config",
        ),
    ),
    "none": SchemeEntry(
        "nothing: anyone who reaches the route may send", (), (), lambda given: NoScheme()
    ),
}

SCHEMES: Mapping[str, SchemeEntry] = MappingProxyType(
    {
        **{name: _hmac_preset(name, preset) for name, preset in PRESETS.items()},
        **{name: _token_preset(name, preset) for name, preset in TOKENS.items()},
        **ODD,
        **_GENERAL,
    }
)


def _aliases() -> Iterator[tuple[str, str]]:
    yield from (
        ("aws_sns", "sns"),
        ("dockerhub", "docker_hub"),
        ("msgraph", "microsoft_graph"),
        ("standardwebhooks", "standard_webhooks"),
    )
    for name in SCHEMES:
        if "_" in name:
            yield name.replace("_", "-"), name


ALIASES: Mapping[str, str] = MappingProxyType(dict(_aliases()))
"""Other spellings that are understood, and the names they stand for."""

PARAMETERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **{name: entry.parameters for name, entry in SCHEMES.items()},
        **{alias: SCHEMES[name].parameters for alias, name in ALIASES.items()},
    }
)
"""The keys that each scheme takes beside ``scheme`` and ``secret``, by all its names."""

_LEGACY = SchemeEntry("", (), (), lambda given: GithubLegacyScheme(_github()))


def _github() -> HmacScheme:
    return HmacScheme(name="github", **PRESETS["github"].parameters)


def parse(auth: Mapping[str, Any]) -> Scheme:
    """The Scheme that an entry's ``auth`` describes: ``{"scheme": …, parameter: value}``, without
    its ``secret``; ``tolerance`` is a timedelta. ``github_legacy`` is understood too, though not
    offered in ``SCHEMES``.

    Raises SchemeError, naming the key at fault, for whatever cannot work.
    """
    name = resolved(auth.get("scheme", ""))
    entry = _LEGACY if name == GithubLegacyScheme.name else SCHEMES.get(name)
    if entry is None:
        hint = _close(name, SCHEMES) or "; `dispatchd schemes` lists them"
        raise SchemeError(f"there is no scheme {name!r}{hint}", "scheme")
    for key in auth:
        if key not in ("scheme", *entry.parameters):
            hint = _instead(str(key), entry.parameters)
            raise SchemeError(f"the scheme {name} takes no {key!r}{hint}", key)
    given = {key: _checked(key, value) for key, value in auth.items() if key != "scheme"}
    for key in entry.required:
        if not given.get(key):
            raise SchemeError(f"the scheme {name} needs `{key}`", key)
    scheme = entry.build(given)
    if "tolerance" in given and isinstance(scheme, HmacScheme) and not scheme.timed:
        raise SchemeError("`tolerance` does nothing without a `timestamp_header`", "tolerance")
    return scheme


def resolved(name: object) -> str:
    """The main name of the scheme that is called so, if it is any."""
    return ALIASES.get(str(name), str(name))


def _instead(key: str, known: tuple[str, ...]) -> str:
    return _close(key, known) or (f"; it may be {', '.join(known)}" if known else "")


def _close(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
