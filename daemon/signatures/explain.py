"""Why a sender was not believed, as far as can be told: for `dispatchd test` and the log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from daemon.secret import Secret
from daemon.signatures.credentials import BasicScheme, BearerScheme, TokenScheme, authorization
from daemon.signatures.ed25519 import StandardWebhooksScheme
from daemon.signatures.github_legacy import OLD_HEADER, GithubLegacyScheme
from daemon.signatures.hmac_hints import explain_hmac
from daemon.signatures.hmac_scheme import HmacScheme
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import Scheme, equals_any, is_blank, octets
from daemon.signatures.senders import describe, similar_header, what_to_do
from daemon.signatures.slips import secret_slips

_LEADING_WORD = re.compile(r"(bearer|token|basic|apikey)[ :=]+", re.IGNORECASE)


def explain(
    scheme: Scheme, request: Request, secrets: Sequence[Secret], now: datetime
) -> Mismatch | None:
    """What ``scheme.verify`` says, with the likely cause and how to mend it where one is found.

    Call it once the sender has its answer: its time depends on what it finds. It hashes the body
    some forty times, a body up to ``slips.REWRITE_LIMIT`` some fifteen times more.
    """
    mismatch = scheme.verify(request, secrets, now)
    if mismatch is None:
        return None
    match scheme:
        case HmacScheme():
            return explain_hmac(scheme, request, secrets, now, mismatch)
        case StandardWebhooksScheme():
            shared = scheme.shared(secrets)
            if mismatch != scheme.hmac.verify(request, shared, now):
                return mismatch
            return explain_hmac(scheme.hmac, request, shared, now, mismatch)
        case GithubLegacyScheme():
            return _explain_legacy(scheme, request, secrets, now, mismatch)
        case TokenScheme() if scheme.received(request) is None:
            return _without_token(scheme, request, mismatch)
        case TokenScheme():
            return _wrong_token(scheme.received(request) or "", secrets, mismatch)
        case BearerScheme() | BasicScheme():
            return _explain_authorization(scheme, request, secrets, mismatch)
    return mismatch


def _explain_legacy(
    scheme: GithubLegacyScheme,
    request: Request,
    secrets: Sequence[Secret],
    now: datetime,
    mismatch: Mismatch,
) -> Mismatch:
    if scheme.signature.header in request.headers or OLD_HEADER not in request.headers:
        return explain_hmac(scheme.signature, request, secrets, now, mismatch)
    if request.headers[OLD_HEADER].startswith(scheme.signature.prefix):
        signature = replace(scheme.signature, header=OLD_HEADER)
        return explain_hmac(signature, request, secrets, now, mismatch)
    return _wrong_token(request.headers[OLD_HEADER], secrets, mismatch)


def _without_token(scheme: TokenScheme, request: Request, mismatch: Mismatch) -> Mismatch:
    if mismatch.hint:
        return mismatch
    in_query = [name for name in request.query if name.lower() == scheme.header]
    in_header = scheme.query.lower()
    if in_query:
        hint = f'the query has it: use the scheme `token` with "query": "{in_query[0]}"'
    elif in_header in request.headers:
        hint = f'a header has it: use the scheme `token` with "header": "{in_header}"'
    elif "authorization" in request.headers:
        hint = "the request has an Authorization header: is `bearer` or `basic` the scheme?"
    else:
        return _without_header(scheme.header or scheme.query, request, mismatch)
    return Mismatch(mismatch.reason, hint)


def _without_header(wanted: str, request: Request, mismatch: Mismatch) -> Mismatch:
    similar = similar_header(wanted, request.headers)
    if similar is None:
        return Mismatch(mismatch.reason, "set the secret at the sender, so that it is sent along")
    return Mismatch(
        mismatch.reason,
        f"the request has {describe(similar)}: {what_to_do(similar)}",
    )


def _wrong_token(received: str, secrets: Sequence[Secret], mismatch: Mismatch) -> Mismatch:
    if mismatch.hint:
        return mismatch
    for secret in secrets:
        for meant, slip in secret_slips(secret):
            if _is_any(received, [meant]):
                return slip
    if _is_any(_LEADING_WORD.sub("", received, count=1), secrets):
        hint = "have the sender leave it out; in the header authorization, use the scheme `bearer`"
        return Mismatch("the sender puts a word such as Bearer before the secret", hint)
    if _is_any(received.strip().strip("\"'"), secrets):
        return Mismatch(
            "the sender puts quotation marks or white space around the secret",
            "set it anew at the sender, without",
        )
    references = ", ".join(secret.reference for secret in secrets)
    return Mismatch(mismatch.reason, f"the sender has another secret than {references}")


def _explain_authorization(
    scheme: BearerScheme | BasicScheme,
    request: Request,
    secrets: Sequence[Secret],
    mismatch: Mismatch,
) -> Mismatch:
    if mismatch.hint:
        return mismatch
    header = request.headers.get("authorization")
    if header is None:
        missing = Mismatch("the header authorization is missing")
        return _without_header("authorization", request, missing)
    kind = scheme.kind.title()
    credentials = authorization(request, scheme.kind)
    if credentials is None:
        others = [other for other in ("basic", "bearer") if authorization(request, other)]
        if _is_any(header, secrets):
            hint = f"the secret stands there without the word {kind} before it"
        elif others:
            hint = f"it is of the kind {others[0].title()}, for which the scheme is `{others[0]}`"
        else:
            hint = f"it should be the word {kind}, a space, and the credentials"
        return Mismatch(f"the header authorization is not of the kind {kind}", hint)
    if isinstance(scheme, BearerScheme):
        return _wrong_token(credentials, secrets, mismatch)
    return _wrong_pair(scheme, scheme.received(request), secrets)


def _wrong_pair(scheme: BasicScheme, received: bytes | None, secrets: Sequence[Secret]) -> Mismatch:
    if received is None:
        return Mismatch(
            "what follows Basic in the header authorization is not base64",
            "it should be username:password in base64",
        )
    username, _, password = received.partition(b":")
    text = password.decode("utf-8", "surrogateescape")
    if equals_any(username, [octets(scheme.username)]):
        return _wrong_token(text, secrets, Mismatch("the password does not match"))
    rest = "the password does" if _is_any(text, secrets) else "nor does the password"
    return Mismatch("the username does not match", rest)


def _is_any(received: str, secrets: Sequence[Secret]) -> bool:
    usable = [octets(secret.reveal()) for secret in secrets if not is_blank(secret)]
    return equals_any(octets(received), usable)
