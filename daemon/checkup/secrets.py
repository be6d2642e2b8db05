"""Whether secrets are strong, as far as can be told from a secret itself. No text of this ever
holds a value."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from daemon.api_keys import ApiKey
from daemon.checkup.finding import Finding, fail, ok, warn
from daemon.expressions import rfc3339
from daemon.github_app import AppKey
from daemon.secret import SHORTEST, Secret
from daemon.signatures import SCHEMES
from daemon.spec import Config

CHECK = "secret"
FEWEST_BITS = 48
"""What the characters of a secret must come to, taken each by itself."""
EXPIRES_SOON = timedelta(days=14)
MAKE_ONE = "make one with `openssl rand -hex 32`, and set it here and at the sender"

_KNOWN = frozenset(
    {
        "admin", "adminadmin", "apikey", "changeit", "changeme", "changemeplease", "changethis",
        "default", "demo", "dummy", "example", "foobar", "guest", "hello", "helloworld", "iloveyou",
        "itsasecret", "itsasecrettoeverybody", "letmein", "master", "monkey", "mysecret",
        "mysecretkey", "mysecrettoken", "mytoken", "none", "pass", "passw", "passwd", "password",
        "placeholder", "qwerty", "qwertyuiop", "replaceme", "root", "s3cr3t", "secret",
        "secretkey", "secrettoken", "supersecret", "supersecretkey", "test", "testing",
        "testsecret", "thisisasecret", "todo", "token", "topsecret", "unset", "webhook",
        "webhooksecret", "welcome", "xxx", "xxxx", "yourapikey", "yourapikeyhere", "yoursecret",
        "yoursecrethere", "yoursecretkey", "yourtoken", "yourtokenhere", "yourwebhooksecret",
        "yourwebhooksecrethere",
    }
)  # fmt: skip
"""Words that stand in examples and in lists of passwords, without what is put around them."""
_RUNS = "0123456789abcdefghijklmnopqrstuvwxyz" * 2 + "qwertyuiopasdfghjklzxcvbnm"


def examined(config: Config, now: datetime) -> Iterator[Finding]:
    """One finding for each secret of the config that somebody made up, and those for what several
    of them share."""
    by_value: dict[str, list[str]] = {}
    for subject, secret in _made_up(config):
        by_value.setdefault(secret.reveal(), []).append(subject)
        yield _finding(subject, secret)
    yield from _expiring(config.settings.api_keys, now)
    if not config.settings.every_api_key:
        yield ok(
            CHECK,
            "API_KEY",
            "is not set: POST /dispatch and the API answer 401 over HTTP, and the commands go over "
            "the Unix socket",
        )
    for subject, secret in _tokens(config):
        by_value.setdefault(secret.reveal(), []).append(subject)
    for subjects in by_value.values():
        if len(shared := list(dict.fromkeys(subjects))) > 1 and "API_KEY" in shared:
            others = ", ".join(each for each in shared if each != "API_KEY")
            text = f"has the same value as {others}: who knows one of them can do what both allow"
            yield warn(CHECK, "API_KEY", text, "make one of its own with `openssl rand -hex 32`")


def _expiring(keys: Iterable[ApiKey], now: datetime) -> Iterator[Finding]:
    for key in keys:
        if key.expires_at is None or key.expires_at - now > EXPIRES_SOON:
            continue
        ended = key.expired(now)
        text = f"{'expired' if ended else 'expires'} at {rfc3339(key.expires_at)}"
        remedy = f"make another with `dispatchd key create {key.name}`, or take the entry out"
        yield (fail if ended else warn)(CHECK, f"api_keys {key.name}", text, remedy)


def weakness(value: str) -> tuple[bool, str]:
    """Why a secret can be guessed, as what it is or has, or nothing; and whether that is so plain
    that whoever tries will."""
    core = re.sub(r"[^a-z]", "", value.lower())
    bare = re.sub(r"[^a-z0-9]", "", value.lower())
    if core in _KNOWN or bare in _KNOWN:
        return True, "is one of those that stand in examples and in lists of passwords"
    if len(value) < SHORTEST // 2:
        return True, f"has {len(value)} characters"
    if _period(value) * 3 <= len(value):
        return True, "is a few characters over and over"
    if bare and (bare in _RUNS or bare[::-1] in _RUNS):
        return True, "is a row of the alphabet or of the keyboard"
    if len(value) < SHORTEST:
        return False, f"has {len(value)} characters, fewer than {SHORTEST}"
    if _bits(value) < FEWEST_BITS:
        return False, f"has only {len(set(value))} different characters"
    return False, ""


def _finding(subject: str, secret: Secret) -> Finding:
    plain, why = weakness(secret.reveal().strip())
    if not why:
        return ok(CHECK, subject, f"{secret.reference}: is there, and nothing speaks against it")
    grade = fail if plain else warn
    return grade(CHECK, subject, f"{secret.reference}: {why}, and can be guessed", MAKE_ONE)


def _made_up(config: Config) -> Iterator[tuple[str, Secret]]:
    """Those that a person chose, each with what it is for. What a sender issues, such as a public
    key, is as it is."""
    if config.settings.api_key is not None:
        yield "API_KEY", config.settings.api_key
    told: set[tuple[str, str]] = set()
    for trigger in config.triggers:
        scheme = SCHEMES.get(trigger.auth.scheme.name)
        issued = scheme is not None and scheme.issued
        secrets: Iterable[Secret] = () if issued else trigger.auth.secrets
        for secret in (*secrets, *trigger.auth.verify_tokens) if trigger.enabled else ():
            if (trigger.name, secret.reference) not in told:
                told.add((trigger.name, secret.reference))
                yield trigger.name, secret


def _tokens(config: Config) -> Iterator[tuple[str, Secret]]:
    for credential in config.settings.all_credentials:
        if not isinstance(credential.key, AppKey):
            yield credential.name, credential.key


def _period(value: str) -> int:
    """The length of what the value repeats; its own where it repeats nothing."""
    return (value + value).find(value, 1) if value else 0


def _bits(value: str) -> float:
    counts = Counter(value)
    each = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    return each * len(value)
