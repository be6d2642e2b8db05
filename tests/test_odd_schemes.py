"""What holds for every scheme with code of its own: it takes what the sender sent, nothing that was
changed since, and no bytes whatever upset it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from daemon.secret import Secret
from daemon.signatures.odd import ODD
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import SchemeError
from tests.odd_senders import (
    NOW,
    TOPIC,
    genuine,
)

KINDS = list(genuine())
SIGNED = [kind for kind in KINDS if kind not in ("microsoft graph", "sns")]
TIMED = [kind for kind, sent in genuine().items() if sent.tolerance]
SECRET = [kind for kind, sent in genuine().items() if sent.secrets]


def refusal(answer: object) -> Mismatch:
    assert isinstance(answer, Mismatch)
    return answer


@pytest.mark.parametrize("kind", KINDS)
def test_a_genuine_request_is_believed(kind: str) -> None:
    assert genuine()[kind].verify() is None


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "microsoft graph"])
def test_a_changed_body_is_refused(kind: str) -> None:
    """Wherever it was changed; Graph signs nothing."""
    sent = genuine()[kind]
    body = sent.request.body
    at = body.index(b"Hello") if kind == "sns" else len(body) // 2
    for changed in (
        body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :],
        b"" if kind != "sns" else b"{}",
        body + b"&a=b"
        if kind == "twilio form"
        else b" " + body[:-1]
        if kind == "sns"
        else body[1:],
    ):
        assert refusal(sent.verify(body=changed)).reason


@pytest.mark.parametrize("kind", SIGNED)
def test_a_signature_with_one_character_changed_is_refused(kind: str) -> None:
    """At every place, the bits that base64 leaves unused included."""
    sent = genuine()[kind]
    signature = sent.request.headers[sent.proof]
    for at, character in enumerate(signature):
        for other in (chr(ord(character) ^ 1), chr(ord(character) + 1)):
            changed = signature[:at] + other + signature[at + 1 :]
            answer = sent.verify(headers=sent.with_header(sent.proof, changed))
            assert refusal(answer).reason, (at, changed)


@pytest.mark.parametrize("kind", SIGNED)
def test_a_signature_that_is_missing_empty_or_doubled_is_refused(kind: str) -> None:
    sent = genuine()[kind]
    headers = dict(sent.request.headers)
    signature = headers.pop(sent.proof)
    missing = refusal(sent.verify(headers=headers))
    assert sent.proof in missing.reason
    for text in ("", signature * 2, signature[:-1], f" {signature[1:]}"):
        assert refusal(sent.verify(headers=sent.with_header(sent.proof, text))).reason


@pytest.mark.parametrize("kind", TIMED)
def test_an_old_request_is_refused_and_so_is_one_from_the_future(kind: str) -> None:
    """Within the tolerance both are believed."""
    sent = genuine()[kind]
    assert sent.tolerance is not None
    ages = (sent.tolerance, -sent.tolerance)
    slack = timedelta(seconds=4) if kind == "sns" else timedelta(seconds=1)
    for age in ages:
        inside, outside = age * 0.99, age + (slack if age > timedelta(0) else -slack)
        assert sent.scheme.verify(sent.request, sent.secrets, NOW + inside) is None
        answer = refusal(sent.scheme.verify(sent.request, sent.secrets, NOW + outside))
        assert ("old" if age > timedelta(0) else "in the future") in answer.reason


@pytest.mark.parametrize("kind", SECRET)
def test_another_secret_is_refused(kind: str) -> None:
    """Of several secrets each one will do, whatever the others are."""
    sent = genuine()[kind]
    value = sent.secrets[0].reveal()
    at = len(value) // 2
    changed = value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
    other = Secret(changed, "env:OTHER")
    unusable = Secret("\N{SNOWMAN}", "env:UNUSABLE")
    assert refusal(sent.scheme.verify(sent.request, [other], NOW)).reason
    assert sent.scheme.verify(sent.request, [unusable, other, *sent.secrets], NOW) is None


@pytest.mark.parametrize("kind", SECRET)
@pytest.mark.parametrize("value", [None, "", " \n"])
def test_without_a_secret_nothing_is_believed(kind: str, value: str | None) -> None:
    """And the refusal names the reference that gave none."""
    sent = genuine()[kind]
    secrets = [] if value is None else [Secret(value, "env:BLANK")]
    answer = refusal(sent.scheme.verify(sent.request, secrets, NOW))
    assert answer.hint
    assert ("env:BLANK" in answer.reason) == bool(secrets)


@pytest.mark.parametrize("kind", [*SIGNED, "microsoft graph"])
def test_no_refusal_tells_the_secret_or_the_signature(kind: str) -> None:
    sent = genuine()[kind]
    for changed in (sent.verify(body=b"{}"), sent.verify(headers={}), sent.verify(url="")):
        for hidden in (sent.secrets[0].reveal(), sent.request.headers.get(sent.proof, "-" * 9)):
            assert hidden not in str(changed)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_schemes_are_one(kind: str) -> None:
    """Each is asked once per request, so they are keys of a mapping."""
    scheme = genuine()[kind].scheme
    assert {replace(scheme), scheme} == {scheme}  # type: ignore[type-var]


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_scheme_signs_it_believes(kind: str) -> None:
    """Where the proof is not another's to make, or in the body."""
    sent = genuine()[kind]
    request, secret = sent.request, next(iter(sent.secrets), Secret("", "none"))
    if kind in ("discord", "standard webhooks v1a", "sendgrid", "sns"):
        with pytest.raises(SchemeError, match=r"only .* can sign"):
            sent.scheme.sign(request.body, secret, NOW)
        return
    proof = sent.scheme.sign(request.body, secret, NOW, path=request.url)
    assert sent.verify(headers={**request.headers, **proof}) is None
    assert bool(proof) == bool(sent.proof)


@pytest.mark.parametrize("kind", ["twilio form", "hubspot", "netlify"])
def test_nothing_is_signed_with_a_blank_secret(kind: str) -> None:
    sent = genuine()[kind]
    with pytest.raises(SchemeError) as caught:
        sent.scheme.sign(b"", Secret(" ", "env:BLANK"), NOW, path=sent.request.url)
    assert caught.value.key == "secret"


any_text = st.text(max_size=40) | st.sampled_from(
    ["v1a,", "a.b.c", "e30.e30.e30", "9" * 10, "=" * 8]
)
any_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=8), part, max_size=3)
    ),
    max_leaves=8,
)


@given(kind=st.sampled_from(KINDS), data=st.data())
def test_whatever_a_request_holds_it_is_judged(kind: str, data: st.DataObject) -> None:
    """Nothing raises; and what is no proof is never taken for one."""
    sent = genuine()[kind]
    headers: dict[str, str] = dict(sent.request.headers)
    for name in data.draw(st.sets(st.sampled_from(sorted(headers)))):
        headers[name] = data.draw(any_text)
    body = sent.request.body
    fields: Any = json.loads(body) if kind in ("sns", "microsoft graph") else None
    if fields and data.draw(st.booleans()):
        for name in data.draw(st.sets(st.sampled_from(sorted(fields)))):
            fields[name] = data.draw(any_json | any_text)
        body = json.dumps(fields).encode()
    elif data.draw(st.booleans()):
        body = data.draw(st.binary(max_size=60))
    request = Request(
        data.draw(st.sampled_from(["POST", "GET", "\udcff"])),
        "/hook",
        headers,
        {},
        body,
        data.draw(st.sampled_from([sent.request.url, ""]) | any_text),
        {url: data.draw(st.binary(max_size=60)) for url in sent.request.fetched},
    )
    secrets = [*sent.secrets, Secret(data.draw(any_text), "env:ANY")]
    answer = sent.scheme.verify(request, secrets, NOW)
    if sent.proof and headers[sent.proof] != sent.request.headers[sent.proof]:
        assert refusal(answer).reason
    assert answer is None or refusal(answer).reason
    url = sent.scheme.needs(request)
    assert url is None or url.startswith("https://sns.")


@given(kind=st.sampled_from(KINDS), body=any_json, text=any_text)
def test_whatever_a_body_holds_its_id_is_text_or_none(kind: str, body: object, text: str) -> None:
    sent = genuine()[kind]
    for value in (body, {"id": body}, {"value": [body]}, {"MessageId": text}, [{"id": text}]):
        id_ = sent.scheme.delivery_id(structs.replace(sent.request, headers={}), value)
        assert id_ is None or (isinstance(id_, str) and id_.strip())


def test_every_entry_builds_the_scheme_of_its_name() -> None:
    for name, entry in ODD.items():
        given = {"topic_arn": TOPIC} if "topic_arn" in entry.required else {}
        scheme = entry.build(given)
        assert scheme.name == name
        assert scheme.needs_secret == (name != "sns")
        assert entry.description
        if "tolerance" in entry.parameters:
            with pytest.raises(SchemeError) as caught:
                entry.build({**given, "tolerance": timedelta(0)})
            assert caught.value.key == "tolerance"
            longer = entry.build({**given, "tolerance": timedelta(days=9)})
            assert longer != scheme


def test_the_library_for_public_keys_is_not_loaded_until_it_is_needed() -> None:
    """It takes as long to import as all the schemes, and few configs have a use for it."""
    program = (
        "import sys\n"
        "from daemon.signatures.odd import ODD\n"
        f"schemes = [entry.build({{'topic_arn': {TOPIC!r}}} if entry.required else {{}})"
        " for entry in ODD.values()]\n"
        "print(len(schemes), 'cryptography' in sys.modules)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == f"{len(ODD)} False\n"
