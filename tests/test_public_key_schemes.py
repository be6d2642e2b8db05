"""Discord, Standard Webhooks by ed25519 and SendGrid, of whom the config holds a public key."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta

import discord_interactions  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from msgspec import structs
from sendgrid.helpers.eventwebhook import EventWebhook  # type: ignore[import-untyped]

from daemon.secret import Secret
from daemon.signatures.ed25519 import DiscordScheme
from daemon.signatures.handshakes import DiscordPing
from daemon.signatures.hmac_scheme import SIGNATURES_MAX
from daemon.signatures.request import Mismatch
from tests.odd_senders import (
    DISCORD_PUBLIC_KEY,
    NOW,
    SECONDS,
    SHARED_KEY,
    STANDARD,
    STANDARD_PUBLIC_KEY,
    as_verification_key,
    by_public_key,
    discord,
    sendgrid,
    sendgrid_key,
    standard,
    standard_hmac,
)


def refusal(answer: object) -> Mismatch:
    assert isinstance(answer, Mismatch)
    return answer


def test_what_discords_own_check_takes_is_believed() -> None:
    sent = discord()
    headers = sent.request.headers
    assert discord_interactions.verify_key(
        sent.request.body,
        headers["x-signature-ed25519"],
        headers["x-signature-timestamp"],
        DISCORD_PUBLIC_KEY.reveal(),
    )
    assert sent.verify() is None


@pytest.mark.parametrize("text", ["", "zz" * 64, "0" * 126, "0" * 130, "\udcff", " " * 128])
def test_a_signature_of_discord_is_128_hex_digits(text: str) -> None:
    sent = discord()
    answer = refusal(sent.verify(headers=sent.with_header("x-signature-ed25519", text)))
    assert "128 hex digits" in answer.hint


def test_discords_time_cannot_take_digits_from_the_body() -> None:
    """What is signed is the same text, cut elsewhere: 13 digits would be milliseconds."""
    sent = discord(body=b"000")
    headers = sent.with_header("x-signature-timestamp", SECONDS + "000")
    assert "not a Unix time" in refusal(sent.verify(body=b"", headers=headers)).reason


@pytest.mark.parametrize(
    "text",
    [
        "my-bot-token",
        DISCORD_PUBLIC_KEY.reveal()[:-2],
        DISCORD_PUBLIC_KEY.reveal() + "00",
        "whpk_" + DISCORD_PUBLIC_KEY.reveal(),
    ],
)
def test_a_key_of_another_form_is_refused_with_the_form_that_is_expected(text: str) -> None:
    sent = discord()
    answer = refusal(sent.scheme.verify(sent.request, [Secret(text, "env:KEY")], NOW))
    assert "env:KEY" in answer.reason
    assert "64 hex digits" in answer.hint
    answer = refusal(STANDARD.verify(standard().request, [Secret("whpk_" + text, "env:KEY")], NOW))
    assert "base64 of 32 bytes" in answer.hint


@pytest.mark.parametrize("key", ["00" * 32, "01" + "00" * 31, "01" + "00" * 30 + "80"])
def test_a_key_for_which_anybody_can_sign_is_refused(key: str) -> None:
    """The neutral point and its like: the same signature is right for every message."""
    forged = bytes([1] + [0] * 63)
    public = ed25519.Ed25519PublicKey.from_public_bytes(bytes([1] + [0] * 31))
    public.verify(forged, b"whatever")
    sent = discord()
    headers = sent.with_header("x-signature-ed25519", forged.hex())
    request = structs.replace(sent.request, headers=headers)
    answer = refusal(sent.scheme.verify(request, [Secret(key, "env:KEY")], NOW))
    assert "not a public key" in answer.reason


def test_white_space_around_a_public_key_does_no_harm() -> None:
    """A file ends in a newline."""
    for sent in (discord(), sendgrid(), standard()):
        padded = Secret(f" {sent.secrets[0].reveal()}\n", "file:/key")
        assert sent.scheme.verify(sent.request, [padded], NOW) is None


def test_an_interaction_is_told_by_its_id_and_a_webhook_event_is_not() -> None:
    sent = discord()
    assert sent.scheme.delivery_id(sent.request, {"id": "1290", "type": 2}) == "1290"
    assert sent.scheme.delivery_id(sent.request, {"type": 1, "event": {}}) is None


def test_discord_is_answered_without_a_body_and_pings_first() -> None:
    scheme = DiscordScheme()
    assert (scheme.acknowledgement.status, scheme.acknowledgement.body) == (204, "")
    assert scheme.handshake == DiscordPing()


def test_either_kind_of_signature_is_believed_with_its_kind_of_secret() -> None:
    """In one header and with one list of secrets: a sender may go from the one to the other."""
    both_secrets = [SHARED_KEY, STANDARD_PUBLIC_KEY]
    by_hmac, by_key = standard_hmac(), standard()
    hmac_signature = by_hmac.request.headers["webhook-signature"]
    key_signature = by_key.request.headers["webhook-signature"]
    for secrets, signature, believed in (
        (both_secrets, hmac_signature, True),
        (both_secrets, key_signature, True),
        ([SHARED_KEY], f"{key_signature} {hmac_signature}", True),
        ([STANDARD_PUBLIC_KEY], f"{hmac_signature} {key_signature}", True),
        ([STANDARD_PUBLIC_KEY], f"v1a,{'A' * 86}==, {key_signature}", True),
        ([STANDARD_PUBLIC_KEY], hmac_signature, False),
        ([SHARED_KEY], key_signature, False),
        (both_secrets, key_signature.replace("v1a,", "v1,"), False),
        (both_secrets, hmac_signature.replace("v1,", "v1a,"), False),
    ):
        assert (standard(signature, secrets).verify() is None) == believed


def test_a_public_key_is_never_the_key_of_an_hmac() -> None:
    """Everybody knows it: who signs with it, as text or decoded, is not believed."""
    known = STANDARD_PUBLIC_KEY.reveal()
    for text in (known, known.removeprefix("whpk_")):
        for key in (text.encode(), base64.b64decode(text.removeprefix("whpk_"))):
            forged = STANDARD.hmac.sign(
                standard().request.body,
                Secret("whsec_" + base64.b64encode(key).decode(), "env:FORGED"),
                NOW,
            )
            request = structs.replace(standard().request, headers=forged)
            assert refusal(STANDARD.verify(request, [STANDARD_PUBLIC_KEY], NOW)).reason


def test_of_two_refusals_the_one_for_the_kind_of_signature_is_given() -> None:
    both = [SHARED_KEY, STANDARD_PUBLIC_KEY]
    wrong_key = refusal(standard(f"v1a,{'A' * 86}==", both).verify())
    assert STANDARD_PUBLIC_KEY.reference in wrong_key.hint
    assert "whsec_" in refusal(standard("v1,x").verify()).hint
    assert refusal(standard("v1,x", both).verify()).reason == "the signature does not match"


def test_an_id_with_a_dot_or_none_is_refused() -> None:
    """A dot parts it from the time: the same text could be cut elsewhere."""
    assert "'.'" in refusal(standard(id_="msg.1").verify()).reason
    assert "webhook-id" in refusal(standard(id_="").verify()).reason


def test_no_more_signatures_are_looked_at_than_a_sender_has_secrets() -> None:
    junk = " ".join([f"v1a,{'A' * 86}=="] * SIGNATURES_MAX)
    genuine = by_public_key("msg_2KW", standard().request.body)
    assert standard(f"{genuine} {junk}").verify() is None
    assert refusal(standard(f"{junk} {genuine}").verify()).reason


def test_standard_webhooks_has_the_id_and_the_tolerance_of_its_hmac() -> None:
    sent = standard()
    assert STANDARD.delivery_id(sent.request, {}) == "msg_2KW"
    assert not STANDARD.replayable
    assert STANDARD.handshake is None
    assert STANDARD.acknowledgement == STANDARD.hmac.acknowledgement
    longer = replace(STANDARD, hmac=replace(STANDARD.hmac, tolerance=timedelta(hours=1)))
    late = NOW + timedelta(minutes=59)
    assert refusal(STANDARD.verify(sent.request, sent.secrets, late)).reason
    assert longer.verify(sent.request, sent.secrets, late) is None


def test_what_sendgrids_own_check_takes_is_believed() -> None:
    sent = sendgrid()
    headers = sent.request.headers
    assert EventWebhook(sent.secrets[0].reveal()).verify_signature(
        sent.request.body.decode(),
        headers["x-twilio-email-event-webhook-signature"],
        headers["x-twilio-email-event-webhook-timestamp"],
    )
    assert sent.verify() is None


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
        rsa.generate_private_key(65537, 2048).public_key(),
        sendgrid_key(),
    ],
)
def test_a_key_that_is_not_on_p256_is_no_verification_key(key: object) -> None:
    """Nor is the private one."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        secret = Secret("SG.an-api-key", "env:KEY")
    else:
        secret = as_verification_key(key)
    sent = sendgrid()
    answer = refusal(sent.scheme.verify(sent.request, [secret], NOW))
    assert "verification key" in answer.hint


def test_a_signature_of_another_hash_or_of_any_length_is_refused() -> None:
    sent = sendgrid()
    signed = SECONDS.encode() + sent.request.body
    by_sha512 = sendgrid_key().sign(signed, ec.ECDSA(SHA512()))
    for signature in (by_sha512, b"", b"\x30\x06\x02\x01\x01\x02\x01\x01", b"\x30" * 4000):
        text = base64.b64encode(signature).decode()
        assert refusal(sent.verify(headers=sent.with_header(sent.proof, text))).hint
    again = base64.b64encode(sendgrid_key().sign(signed, ec.ECDSA(SHA256()))).decode()
    assert sent.verify(headers=sent.with_header(sent.proof, again)) is None


def test_a_batch_of_sendgrid_is_told_by_the_ids_of_all_its_events() -> None:
    sent = sendgrid()
    batches = [[{"sg_event_id": "a"}, {"sg_event_id": "b"}], [{"sg_event_id": "a"}]]
    found = {sent.scheme.delivery_id(sent.request, batch) for batch in batches}
    assert None not in found
    assert len(found) == 2
    others: list[object] = [[], [{}], [{"sg_event_id": ""}], "ab", {"sg_event_id": "a"}]
    for batch in others:
        assert sent.scheme.delivery_id(sent.request, batch) is None


def test_a_body_is_signed_as_bytes() -> None:
    """UTF-8 or not."""
    sent = discord(body=b"\xff\xfe\x00")
    assert sent.verify() is None
    assert refusal(sent.verify(body="\N{REPLACEMENT CHARACTER}".encode())).reason
