"""``dispatchd key create``: a key for the one who calls, its hash for the config."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
import typer

from daemon.api_keys import RANDOM_BYTES, Scope, hash_of, made_of
from daemon.durations import duration
from daemon.errors import UsageError
from daemon.expressions import rfc3339
from daemon.instants import instant
from daemon.schemas import schema


def make_key(name: str, scopes: Sequence[Scope], expires: str | None, *, as_json: bool) -> None:
    """The key alone goes to standard output, so that it can be piped to where it is kept; what is
    said of it goes beside. Raises UsageError."""
    keys = schema("daemon")["properties"]["api_keys"]["items"]["properties"]
    if not re.search(keys["name"]["pattern"], name):
        raise UsageError(f"{name!r:.80} is not {keys['name']['x-form']}")
    wanted = list(dict.fromkeys(scopes))
    until = _until(expires, datetime.now(UTC)) if expires else None
    key = made_of(secrets.token_bytes(RANDOM_BYTES))
    if as_json:
        shown = {
            "name": name,
            "scopes": wanted,
            "key": key,
            "hash": hash_of(key),
            "expires_at": until,
        }
        typer.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2))
        return
    entry = [
        "api_keys:",
        f"  - name: {name}",
        f"    scopes: [{', '.join(wanted)}]",
        f"    hash: {hash_of(key)}",
        *([f"    expires_at: {until}"] if until else []),
    ]
    typer.echo(
        f"The key of {name} is shown this once; only its hash is kept. In DAEMON.yaml:\n\n"
        + "\n".join(entry)
        + "\n\nWhere another key is to go on for a while, `hash` takes a list of both. Its holder "
        "sends the key as x-api-key:\n",
        err=True,
    )
    typer.echo(key)


def _until(text: str, now: datetime) -> str:
    try:
        until = instant(text) if "T" in text.upper() else now + duration(text)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--expires {text!r:.60} is neither a duration, as 90d, nor an instant, as "
            "2030-01-01T00:00:00Z"
        ) from None
    if until <= now:
        raise UsageError(f"--expires {text!r:.60} has passed")
    return rfc3339(until.replace(microsecond=0))
