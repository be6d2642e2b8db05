"""Secrets with which nobody could ever prove a delivery are told when the config is read, as are
those that are probably another thing than their scheme needs."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import Secrets, load
from daemon.errors import ConfigError
from daemon.secret import Secret
from daemon.signatures import SCHEMES, Request, Scheme, parse
from daemon.spec import Config
from tests.odd_senders import DISCORD_PUBLIC_KEY, STANDARD_PUBLIC_KEY, sendgrid
from tests.specs import ENVIRON, trigger_entry
from tests.vendors import WHSEC

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOTHING = Request("POST", "/", {}, {}, b"", "https://hooks.example.com/")
LEAST: dict[str, dict[str, Any]] = {
    "hmac": {"header": "x-signature"},
    "token": {"header": "x-token"},
    "basic": {"username": "ci"},
    "sns": {"topic_arn": "arn:aws:sns:eu-central-1:123456789012:builds"},
}
ALL = [parse({"scheme": name, **LEAST.get(name, {})}) for name in SCHEMES]
HEX = parse({"scheme": "hmac", "header": "x-signature", "key_encoding": "hex"})
BASE64 = parse({"scheme": "hmac", "header": "x-signature", "key_encoding": "base64"})
SECRETIVE = [*(scheme for scheme in ALL if scheme.needs_secret), HEX, BASE64]

LIKELY = st.one_of(
    # An environment holds no NUL, and a file of nothing else is nobody's.
    st.text(st.characters(exclude_characters="\0"), max_size=60),
    st.sampled_from(["whsec_", "whpk_", "nothex", " ", WHSEC, f" {WHSEC}", "not base64 at all!"]),
    st.sampled_from([DISCORD_PUBLIC_KEY, STANDARD_PUBLIC_KEY, sendgrid().secrets[0]]).map(
        Secret.reveal
    ),
    st.binary(max_size=40).map(lambda key: base64.b64encode(key).decode()),
    st.binary(max_size=40).map(bytes.hex),
)


@given(scheme=st.sampled_from(SECRETIVE), text=LIKELY)
def test_a_secret_has_a_fault_exactly_where_every_delivery_would_be_refused_for_it(
    scheme: Scheme, text: str
) -> None:
    secret = Secret(text, "env:HOOK")
    mismatch = scheme.verify(NOTHING, [secret], NOW)
    assert mismatch is not None
    assert bool(scheme.secret_fault(secret)) == ("be used" in mismatch.reason), mismatch


def read(scheme: str, texts: Sequence[str], secrets: Secrets, **auth: str) -> Config:
    """A config with one trigger, whose secrets are in the variables HOOK0, HOOK1, …"""
    environ = {f"HOOK{index}": text for index, text in enumerate(texts)}
    references = [f"env:{name}" for name in environ]
    auth = {"scheme": scheme, **LEAST.get(scheme, {}), **auth}
    entry = trigger_entry(auth={**auth, "secret": references})
    with TemporaryDirectory() as directory:
        Path(directory, "TRIGGERS.json").write_text(json.dumps([entry]))
        return load(Path(directory), ENVIRON | environ, secrets=secrets)


def told(scheme: str, *texts: str, **auth: str) -> tuple[str, ...]:
    """What is warned of where nothing but the files must be right."""
    return read(scheme, texts, Secrets.OPTIONAL, **auth).warnings


@pytest.mark.parametrize(
    ("scheme", "secret", "form"),
    [
        ("standard_webhooks", "not base64 at all!", "it should be base64, after whsec_"),
        ("standard_webhooks", "whpk_short", "it should be whpk_ and the base64 of 32 bytes"),
        ("airtable", "not base64 at all!", "it should be base64"),
        ("discord", "nothex", "it should be the application's public key, 64 hex digits"),
        ("sendgrid", "SG.key", "it should be the verification key as SendGrid shows it, in base64"),
    ],
)
def test_a_secret_that_cannot_be_used_is_unready_and_its_form_is_said(
    scheme: str, secret: str, form: str
) -> None:
    """As one that is not set: a fault where the config must be ready to run."""
    said = (
        f"triggers[0].auth.secret[0]: the secret at env:HOOK0 cannot be used with {scheme} ({form})"
    )
    (warning,) = told(scheme, secret)
    assert warning.endswith(said)
    with pytest.raises(ConfigError) as caught:
        read(scheme, [secret], Secrets.REQUIRED)
    assert str(caught.value).endswith(said)
    assert len(caught.value.faults) == 1


def test_of_several_secrets_the_one_that_cannot_be_used_is_told_in_its_place() -> None:
    (warning,) = told("discord", "0" * 64, DISCORD_PUBLIC_KEY.reveal())
    assert "triggers[0].auth.secret[0]: the secret at env:HOOK0 cannot be used" in warning


def test_white_space_that_spoils_a_key_is_told_with_the_form() -> None:
    assert any(
        "it should be base64, after whsec_, with no white space around it" in warning
        for warning in told("standard_webhooks", f"{WHSEC}\n")
    )


@pytest.mark.parametrize(
    ("around", "said"), [("{}\n", "ends in a newline"), (" {}", "has white space around it")]
)
def test_white_space_around_a_secret_is_warned_of(around: str, said: str) -> None:
    (warning,) = told("stripe", around.format("a secret that is long enough"))
    assert f"the secret at env:HOOK0 {said}" in warning


@pytest.mark.parametrize("scheme", ["github", "gitlab", "hmac", "token", "api_key", "basic"])
def test_a_short_secret_that_was_made_up_can_be_guessed(scheme: str) -> None:
    (warning,) = told(scheme, "hunter2")
    assert "shorter than 16 characters" in warning


@pytest.mark.parametrize("scheme", ["stripe", "slack", "twilio", "sentry", "meta"])
def test_the_length_of_a_secret_that_the_vendor_made_is_the_vendors_business(scheme: str) -> None:
    more = {"verify_token": "env:GH_TOKEN"} if scheme == "meta" else {}
    assert not any("shorter" in warning for warning in told(scheme, "hunter2", **more))


@pytest.mark.parametrize(
    ("scheme", "beginning", "kind"),
    [
        ("stripe", "sk_live_", "an API key"),
        ("stripe", "sk_test_", "an API key"),
        ("stripe", "rk_live_", "an API key"),
        ("slack", "xoxb-", "an app's token"),
        ("github", "ghp_", "a personal access token"),
    ],
)
def test_another_credential_of_the_vendors_is_no_secret_to_sign_with(
    scheme: str, beginning: str, kind: str
) -> None:
    (warning,) = told(scheme, f"{beginning}51ABCDEFGHIJKLMNOP")
    assert f"begins with {beginning}, as {kind} does" in warning
    assert "51ABC" not in warning


def test_the_secret_that_the_vendor_signs_with_is_not_warned_of() -> None:
    assert told("stripe", "whsec_51ABCDEFGHIJKLMNOPQRSTUV") == ()
