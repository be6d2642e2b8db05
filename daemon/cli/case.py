"""A golden case: a request to a trigger, and what is to become of it. Whatever would differ from
one run or machine to the next (ids, secrets, the time) is made up, and always the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from daemon.cli.explaining import answer_view
from daemon.cli.signing import signed, url_called
from daemon.cli.tryout import Tryout, opened, tried
from daemon.dispatch import Dispatch
from daemon.event import Event
from daemon.expressions import JSON
from daemon.ids import encode
from daemon.judge import delivery_of
from daemon.render import METADATA_KEY
from daemon.routes import Routes
from daemon.secret import Secret
from daemon.signatures import Request, SchemeError
from daemon.spec import Config, TriggerSpec

# It does as text, as hex and as base64, whichever the scheme wants.
SECRET = Secret("0123456789abcdef0123456789abcdef", "made up for the case")
_OTHER_SECRET = replace(SECRET, value=SECRET.value[::-1])
EVENT_ID = f"evt_{encode(0)}"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLIENT_IP = "127.0.0.1"
PUBLIC_URL = "https://dispatchd.example"
REPOSITORY = "owner/repository"
"""Where dispatches go that name no repository, on a machine that has no default either."""

_BEFORE_PROOF = frozenset({405, 413})
"""Refusals that come before anybody looks at the proof."""


@dataclass(frozen=True, slots=True)
class Case:
    """``method`` and ``path`` are the trigger's unless given; ``headers`` have lower-case names.
    ``sign`` says that the sender is believed. ``expect`` is as the file has it."""

    trigger: str
    name: str
    body: bytes = field(repr=False)
    method: str | None = None
    path: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    sign: bool = True
    now: datetime = NOW
    expect: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case, in the form in which it is expected; ``reason`` may be empty.
    ``tryout`` tells more, where the request got that far."""

    outcome: str
    reason: str
    dispatches: tuple[dict[str, JSON], ...] = ()
    response: dict[str, JSON] | None = None
    tryout: Tryout | None = None


def usual_method(trigger: TriggerSpec) -> str:
    return min(trigger.methods, key=lambda method: (method != "POST", method))


def play(case: Case, trigger: TriggerSpec, config: Config) -> Result:
    """What today's config makes of the case; ``trigger`` is one of its triggers, enabled or not."""
    request = Request(
        method=case.method or usual_method(trigger),
        path=case.path or trigger.path,
        headers={"content-type": "application/json", **case.headers},
        query=case.query,
        body=case.body,
    )
    served = [each for each in config.triggers if each.enabled or each is trigger]
    match = Routes(served).match(request.path)
    if match is None or match.route.path != trigger.path:
        where = f"leads to {match.route.path}" if match else "leads nowhere"
        return Result("refused", f"404: {request.path} {where}, and not to {trigger.path}")
    known = _with_made_up(trigger)
    request = structs.replace(request, url=url_called(PUBLIC_URL, request))
    if case.sign:
        proof = _proof(known, request, SECRET, case.now)
        request = structs.replace(request, headers={**proof, **request.headers})
    opening = opened(known, request)
    delivery = delivery_of(request, match, CLIENT_IP, case.now)
    ids = _dispatch_ids()
    event = Event(EVENT_ID, delivery)
    found = opening or tried(known, event, delivery, request, lambda: next(ids))
    if found.status == 401:
        return Result("unauthorized", found.reason)
    if not opening and not case.sign and found.status not in _BEFORE_PROOF:
        mismatch = known.auth.scheme.verify(request, known.auth.secrets, case.now)
        if mismatch is not None:
            return Result("unauthorized", mismatch.reason)
    return Result(
        outcome=found.word,
        reason=found.reason,
        dispatches=tuple(_dispatched(each) for each in found.dispatches),
        response=answer_view(found.answer),
        tryout=found,
    )


def proof_headers(trigger: TriggerSpec) -> frozenset[str]:
    """Names of the headers by which this trigger's senders prove that they know its secret, as far
    as a case makes them itself: those that another secret would change."""
    request = Request(usual_method(trigger), trigger.path, {}, {}, b"", f"{PUBLIC_URL}/")
    one, other = (_proof(trigger, request, secret, NOW) for secret in (SECRET, _OTHER_SECRET))
    return frozenset(name for name in one if one[name] != other.get(name))


def _with_made_up(trigger: TriggerSpec) -> TriggerSpec:
    return replace(
        trigger,
        auth=replace(trigger.auth, secrets=(SECRET,), verify_tokens=(SECRET,)),
        dispatches=tuple(
            replace(each, repository=each.repository or REPOSITORY) for each in trigger.dispatches
        ),
    )


def _proof(trigger: TriggerSpec, request: Request, secret: Secret, now: datetime) -> dict[str, str]:
    try:
        proven = signed(trigger.auth.scheme, request, secret, now)
    except SchemeError:  # only the sender itself can sign
        return {}
    return {name: value for name, value in proven.headers.items() if name not in request.headers}


def _dispatch_ids() -> Iterator[str]:
    number = 0
    while True:
        yield f"dsp_{encode(number)}"
        number += 1


def _dispatched(dispatch: Dispatch) -> dict[str, JSON]:
    kind: dict[str, JSON] = {"event_type": dispatch.event_type}
    if dispatch.workflow:
        kind = {"workflow": dispatch.workflow, "ref": dispatch.ref}
    shown = kind | {"repository": dispatch.repository}
    if dispatch.reason:
        return shown | {"dead": dispatch.reason}
    carried = "inputs" if dispatch.workflow else "client_payload"
    return shown | {carried: json.loads(dispatch.client_payload)}


def without_metadata(payload: Mapping[str, JSON]) -> dict[str, JSON]:
    return {key: value for key, value in payload.items() if key != METADATA_KEY}
