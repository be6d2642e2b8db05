"""``dispatchd schemes``: the ways of proving a sender, and all that is to know of one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from daemon.cli.layout import Fields, Listing
from daemon.cli.tables import put, say
from daemon.errors import UsageError
from daemon.signatures import ALIASES, SCHEMES, Scheme, SchemeError, handshakes, parse
from daemon.signatures.ed25519 import StandardWebhooksScheme
from daemon.starter import trigger_starter

_HANDSHAKES: Mapping[type, str] = {
    handshakes.AsanaHandshake: "the first request hands the secret over: it is answered, and the "
    "secret kept, while the trigger is armed (`dispatchd arm`)",
    handshakes.CloudEventsValidation: "CloudEvents' OPTIONS, by which a sender asks whether it may",
    handshakes.DiscordPing: "pings are answered",
    handshakes.DropboxChallenge: "a GET with a challenge, which is repeated",
    handshakes.GithubPing: "the ping event is taken, and nothing dispatched",
    handshakes.GraphValidation: "a request with a validationToken, which is repeated",
    handshakes.MetaVerification: "a GET with hub.challenge, which is repeated to whoever knows the "
    "`verify_token`",
    handshakes.NotionToken: "the first request hands the secret over: it is kept while the trigger "
    "is armed (`dispatchd arm`)",
    handshakes.SlackChallenge: "the challenge of url_verification is repeated",
    handshakes.SnsConfirmation: "the subscription is confirmed, once its message proved itself",
    handshakes.ZoomValidation: "endpoint.url_validation is answered with the token's HMAC",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One scheme in full. ``parameters`` has each with its value unless said otherwise, an empty
    one where it has none; ``example`` is a whole trigger."""

    name: str
    also: tuple[str, ...]
    description: str
    secret: str
    parameters: Mapping[str, str]
    required: tuple[str, ...]
    dedupe: str
    handshake: str
    success_status: int
    example: Mapping[str, Any]
    sources: tuple[str, ...]


def show_schemes(name: str | None, *, as_json: bool) -> None:
    """All, or the one of that name. Raises UsageError for one that there is not."""
    if name is not None:
        _show(explanation(name), as_json=as_json)
        return
    if as_json:
        listed = [{"name": name, "description": SCHEMES[name].description} for name in SCHEMES]
        print(json.dumps({"schemes": listed}, ensure_ascii=False))
        return
    rows = Listing(("scheme", "checks"))
    for each, entry in SCHEMES.items():
        rows.add(each, entry.description)
    put(rows)
    say("\nOne in full, with an entry to paste: dispatchd schemes NAME")


def explanation(name: str) -> Explanation:
    """All that is to know of the scheme, by any of its names. Raises UsageError."""
    name = ALIASES.get(name, name)
    if name not in SCHEMES:
        try:
            parse({"scheme": name})
        except SchemeError as error:
            raise UsageError(error.message) from None
    entry = SCHEMES[name]
    example: Mapping[str, Any] = trigger_starter(name).entry
    auth: Mapping[str, Any] = example["auth"]
    scheme = parse({key: auth[key] for key in auth if key not in ("secret", "verify_token")})
    shown = scheme.hmac if isinstance(scheme, StandardWebhooksScheme) else scheme
    given = {key: "" for key in auth if key in entry.required}
    return Explanation(
        name=name,
        also=tuple(alias for alias, meant in ALIASES.items() if meant == name),
        description=entry.description,
        secret=_secret(scheme, entry.setup),
        parameters={
            key: given.get(key, _text(getattr(shown, key, ""))) for key in entry.parameters
        },
        required=entry.required,
        dedupe=entry.dedupe or ", and ".join(_dedupe(shown)) or "nothing: it names no id",
        handshake=_HANDSHAKES[type(scheme.handshake)] if scheme.handshake else "",
        success_status=scheme.acknowledgement.status,
        example=example,
        sources=entry.sources,
    )


def _secret(scheme: Scheme, where: str) -> str:
    return where if scheme.needs_secret else "none is needed"


def _dedupe(scheme: Scheme) -> Iterator[str]:
    """By what a delivery that comes again is known."""
    if header := getattr(scheme, "delivery_header", ""):
        yield f"the header {header}"
    if field := getattr(scheme, "delivery_field", ""):
        yield f"the body's {field}"
    if scheme.replayable:
        yield "the body's hash, since no id is signed"


def _text(value: object) -> str:
    if not isinstance(value, timedelta):
        return str(value)
    seconds = int(value.total_seconds())
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"


def _show(one: Explanation, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(one), ensure_ascii=False, default=dict))
        return
    fields = Fields()
    fields.add("scheme", " or ".join((one.name, *one.also)))
    fields.add("checks", one.description)
    fields.add("secret", one.secret or "-")
    fields.add("known again by", one.dedupe)
    fields.add("handshake", one.handshake or "none")
    fields.add("success is", str(one.success_status))
    fields.add("sources", "\n".join(one.sources) or "-")
    parameters = [
        f"{key}: {json.dumps(value)}" if value else f"{key}: {_absent(key, one)}"
        for key, value in one.parameters.items()
    ]
    fields.add("parameters", "\n".join(parameters) or "none")
    put(fields)
    say("\nAn entry of TRIGGERS.json:\n")
    say(json.dumps(one.example, indent=2, ensure_ascii=False))


def _absent(key: str, one: Explanation) -> str:
    return "required" if key in one.required else "none"
