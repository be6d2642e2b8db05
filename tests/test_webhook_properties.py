"""Whatever is sent to a webhook of any scheme, signed or not, is answered, and never with a 5xx.

``test_any_bytes`` does this for the daemon's other routes and as a process; here all schemes share
a path, so that each request is looked at by every one of them."""

from __future__ import annotations

import gzip
import hashlib
import string
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from daemon.facts import Fact, Trouble
from daemon.secret import Secret
from daemon.signatures import SCHEMES, Scheme, SchemeError, parse
from tests.harness.raw_http import ask, request
from tests.inprocess import serving
from tests.specs import ENVIRON, trigger_entry
from tests.test_any_bytes import HEADER_VALUES
from tests.test_bodies_any_bytes import CONTENT_TYPES, PLAIN

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUBLIC_URL = "https://hooks.example.com"
PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "hmac": {"header": "x-signature"},
    "token": {"query": "token"},
    "basic": {"username": "sender"},
    "sns": {"topic_arn": "arn:aws:sns:eu-west-1:123456789012:alarms"},
}
"""Of the schemes that cannot do without."""
TEXT = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUBLIC_KEYS = {
    "discord": "5cf5c0995bea6824833e4a50f856653d57d844d4d5d0033243b4b7780298c4ef",
    "sendgrid": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpV"
    "KS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
}
"""The schemes whose secret is a public key have these, all others ``TEXT``."""


def auth(name: str) -> dict[str, str]:
    """The scheme's ``auth`` object, without its secret."""
    return {"scheme": name, **PARAMETERS.get(name, {})}


def entry(name: str, path: str) -> dict[str, Any]:
    scheme = parse(auth(name))
    secret = {"secret": f"env:{name.upper()}"} if scheme.needs_secret else {}
    token = {"verify_token": "env:TOKEN"} if handshake_takes_token(scheme) else {}
    return trigger_entry(
        f"{name}-at-{path.split('/')[1]}",
        path=path,
        methods=["GET", "POST"],
        auth={**auth(name), **secret, **token},
        when="!('skip' in query)",
        dispatch={"event_type": "seen", "client_payload": {"body": "{{ body }}", "all": "{{ ["
                  "headers, query, params.rest, event.cloudevent] }}"}},
    )  # fmt: skip


@dataclass(frozen=True)
class Served:
    """What a test needs of the daemon; a failure would show all that it has seen."""

    url: str
    seen: Sequence[Fact] = field(repr=False)


def handshake_takes_token(scheme: Scheme) -> bool:
    return scheme.handshake is not None and scheme.handshake.takes_token


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A daemon with two triggers for each scheme: at a path of its own, and at one for all."""
    entries = [
        entry(name, path) for name in SCHEMES for path in (f"/own/{name}/{{rest}}", "/all/{rest}")
    ]
    secrets = {name.upper(): PUBLIC_KEYS.get(name, TEXT) for name in SCHEMES}
    async with serving(
        tmp_path_factory.mktemp("daemon"),
        triggers=entries,
        environ={**ENVIRON, **secrets, "TOKEN": TEXT},
        settings={"public_url": PUBLIC_URL},
    ) as serving_:
        yield Served(serving_.url, serving_.seen)


def proof(name: str, body: bytes, method: str, target: str) -> dict[str, str]:
    """The headers of a sender that knows the secret; none where only the vendor can sign."""
    try:
        return parse(auth(name)).sign(
            body, Secret(TEXT, "env:X"), datetime.now(UTC), method=method, path=PUBLIC_URL + target
        )
    except SchemeError:
        return {}


def names_of(scheme: str) -> list[str]:
    """The headers that the scheme looks at, as far as it shows."""
    shown = proof(scheme, b"", "POST", "/").keys() | parse(auth(scheme)).credential_headers
    return sorted(shown)


PROOF_HEADERS = sorted({name for scheme in SCHEMES for name in names_of(scheme)})
HEADER_NAMES = st.sampled_from(
    [*PROOF_HEADERS, "x-twilio-signature", "x-webhook-signature", "x-signature-ed25519",
     "x-signature-timestamp", "x-amz-sns-message-type", "x-hook-secret", "x-github-event",
     "x-forwarded-for", "forwarded", "ce-id", "ce-source", "ce-type", "ce-specversion", "ce-time"]
)  # fmt: skip
PROOF_PARTS = st.lists(
    st.sampled_from(
        ["t=", "v1=", "v1,", "v0=", "sha256=", "sha1=", ",", " ", "=", ".", "1772366400",
         "Bearer ", "Basic ", "c2VuZGVyOg==", "eyJhbGciOiJIUzI1NiJ9", "9" * 40, "é", '"', "%", "\\"]
    )
    | st.text(string.hexdigits, max_size=70),
    max_size=60,
).map(lambda parts: "".join(parts).encode())  # fmt: skip
HEADERS = st.lists(st.tuples(HEADER_NAMES, PROOF_PARTS | HEADER_VALUES), max_size=8)
PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}
PACKED = st.sampled_from(["", "", "", "gzip", "deflate"])
HARMLESS = st.text(string.ascii_letters, min_size=1, max_size=8)
SEGMENTS = (
    HARMLESS
    | st.text("az09-._~!$&'()*+,;=:@", min_size=1, max_size=12)
    | st.binary(min_size=1, max_size=6).map(lambda raw: "".join(f"%{byte:02x}" for byte in raw))
)
QUERIES = st.dictionaries(
    st.sampled_from(["token", "hub.mode", "hub.challenge", "hub.verify_token", "validationToken",
                     "challenge", "bodySHA256", "skip"]) | st.text(max_size=4),
    st.sampled_from(["subscribe", TEXT, "0" * 64]) | st.text(max_size=20),
    max_size=4,
).map(urlencode)  # fmt: skip


CONTROLS = bytes(range(0x20)) + b"\x7f"
"""Characters for which the HTTP server itself refuses a header."""


def fair(status: int) -> bool:
    """Whether an answer says that the daemon is well, whatever it thinks of the request."""
    return 200 <= status < 500


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    scheme=st.sampled_from(sorted(SCHEMES)),
    shared=st.sampled_from([True, True, False]),
    signed=st.booleans(),
    method=st.sampled_from(["POST", "POST", "POST", "GET"]),
    rest=SEGMENTS,
    query=QUERIES,
    content_type=CONTENT_TYPES,
    packed=PACKED,
    headers=st.just([]) | HEADERS,
    body=PLAIN,
)
async def test_nothing_that_is_sent_to_any_scheme_is_a_fault_of_ours(
    daemon: Served,
    scheme: str,
    shared: bool,
    signed: bool,
    method: str,
    rest: str,
    query: str,
    content_type: str,
    packed: str,
    headers: list[tuple[str, bytes]],
    body: bytes,
) -> None:
    began = len(daemon.seen)
    target = f"{'/all' if shared else f'/own/{scheme}'}/{rest}?{query}"
    body = PACKERS[packed](body)
    content = [("Content-Type", content_type.encode("utf-8", "replace"))]
    content += [("Content-Encoding", packed.encode())] if packed else []
    sent = [(name, value.translate(None, CONTROLS)) for name, value in content + headers]
    if signed:
        proven = proof(scheme, body, method, target)
        sent = [each for each in sent if each[0] not in proven]
        sent += [(name, value.encode()) for name, value in proven.items()]
    answer = await ask(daemon.url, request(method, target, sent, body), method=method)
    assert answer is not None
    event(f"answered {answer.status}")
    assert fair(answer.status), answer
    assert not [fact for fact in daemon.seen[began:] if isinstance(fact, Trouble)]


SIGNABLE = sorted(name for name in SCHEMES if proof(name, b"", "POST", "/"))


@pytest.mark.parametrize("scheme", SIGNABLE)
async def test_what_is_rightly_signed_gets_past_the_scheme(daemon: Served, scheme: str) -> None:
    """Else the test above would try less than it says."""
    now = datetime.now(UTC)
    body = b'{"id": "1", "webhookTimestamp": %d}' % (now.timestamp() * 1000)
    target = f"/own/{scheme}/a?bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {"Content-Type": "application/json", **proof(scheme, body, "POST", target)}
    answer = await ask(daemon.url, request("POST", target, headers, body))
    assert answer is not None
    assert answer.status in (200, 202), daemon.seen[-1]
