"""``dispatchd test --record``: a golden case of a stored event, which expects what today's config
makes of it."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon import config, json_text
from daemon.body import parse_body
from daemon.cli import names
from daemon.cli.answers import Shape, misfit
from daemon.cli.case import (
    REPOSITORY,
    SECRET,
    Case,
    Result,
    play,
    proof_headers,
    usual_method,
    without_metadata,
)
from daemon.cli.case_file import case_path, parsed_case
from daemon.cli.connection import Connection
from daemon.cli.differences import differences
from daemon.cli.showing import look
from daemon.cli.tables import say, warn
from daemon.cli.target import Target
from daemon.document import Document
from daemon.errors import ConfigError, DispatchdError, Refused, UsageError
from daemon.event import API_ENTRY, Outcome
from daemon.expressions import JSON
from daemon.signatures.scheme import octets
from daemon.spec import Config, TriggerSpec
from daemon.store import Store
from daemon.views import event_details

STORED: Shape = {
    "kind": str, "at": str, "source": str, "verdicts": [{"entry": str, "outcome": str}],
}  # fmt: skip
DELIVERED: Shape = {"method": str, "path": str, "headers": {}, "query": {}, "body": str}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

SECRET_MIN = 8
"""Characters of a secret that is looked for in the body."""

_BY_MORE = (Outcome.DUPLICATE, Outcome.LIMITED, Outcome.HELD)
"""Verdicts that cases do not know."""

_OF_THE_CONNECTION = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that say how the request came, and nothing of what was sent."""


def record_case(
    target: Target, event_id: str, trigger_names: Sequence[str], name: str | None, *, as_json: bool
) -> None:
    """Writes a case for each of these triggers, or for each that judged the event, and prints the
    paths. Raises UsageError for what cannot be a case, DispatchdError where a file is there
    already or the event is not."""
    names.event_id(event_id)
    if name is not None and _NAME.fullmatch(name) is None:
        raise UsageError(
            f"--name: {name!r} is no name of a file: letters, digits, dots, dashes, underscores"
        )
    directory = config.config_directory(target.config_dir, os.environ)
    loaded = config.load(directory, os.environ, secrets=config.Secrets.OPTIONAL)
    event = _stored(target, event_id)
    written: list[Path] = []
    cases = [
        (case_path(directory, trigger.name, name or event_id), trigger)
        for trigger in _judging(event, loaded, trigger_names)
    ]
    for path, _ in cases:
        if path.exists():
            raise DispatchdError(f"{path} is there already; give another --name, or remove it")
    for path, trigger in cases:
        text = _recorded(event, trigger, loaded, path.stem)
        _warn_of_other_verdict(event, trigger, json.loads(text)["expect"]["outcome"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        written.append(path)
        if not as_json:
            say(str(path))
    if as_json:
        print(json.dumps({"written": [str(path) for path in written]}))


def _stored(target: Target, event_id: str) -> Mapping[str, Any]:
    async def from_daemon(daemon: Connection) -> dict[str, Any]:
        return await daemon.get(f"/api/v1/events/{names.segment(event_id)}", STORED)

    async def from_store(store: Store) -> dict[str, Any]:
        event = await store.event(event_id)
        if event is None:
            raise DispatchdError(f"there is no event {event_id!r}; it may have aged out")
        return event_details(event, (await store.verdicts([event_id]))[event_id])

    event = look(target, from_daemon, from_store)
    hooked = event["kind"] == "delivery" and event["source"] != API_ENTRY
    if not hooked or misfit(event, DELIVERED):
        raise UsageError(f"{event_id} is no webhook delivery, and only such can be a case")
    return event


def _judging(event: Mapping[str, Any], loaded: Config, wanted: Sequence[str]) -> list[TriggerSpec]:
    """The triggers whose case it is: they judged it, and are in today's config."""
    believing = [
        verdict["entry"]
        for verdict in event["verdicts"]
        # Of a handshake not everything is stored: it may hold a secret.
        if verdict["outcome"] not in (Outcome.UNAUTHORIZED, Outcome.HANDSHAKE)
    ]
    greeting = [
        verdict["entry"] for verdict in event["verdicts"] if verdict["outcome"] == Outcome.HANDSHAKE
    ]
    if greeting and not set(wanted or believing) - set(greeting):
        raise UsageError(
            f"{event['id']}: a handshake is not recorded as a case; write one by hand with "
            '`"outcome": "handshake"` (docs/testing.md)'
        )
    for name in wanted:
        if name not in believing:
            judged = ", ".join(believing) or "none"
            raise UsageError(f"{name!r} did not judge {event['id']}; these did: {judged}")
    found: list[TriggerSpec] = []
    for name in dict.fromkeys(wanted or believing):
        trigger = loaded.trigger(name)
        if trigger is not None:
            found.append(trigger)
        elif wanted:
            raise UsageError(f"there is no trigger {name!r} in today's config")
        else:
            warn(f"{name} judged it, and is not in today's config any more")
    if not found:
        raise UsageError(f"no trigger of today's config judged {event['id']}")
    return found


def _warn_of_other_verdict(event: Mapping[str, Any], trigger: TriggerSpec, expected: str) -> None:
    for verdict in event["verdicts"]:
        if verdict["entry"] == trigger.name and verdict["outcome"] in _BY_MORE:
            warn(
                f"{trigger.name}: its verdict was `{verdict['outcome']}`, which depends on more "
                f"than the request; a case stands alone, and this one expects `{expected}`"
            )


def _recorded(event: Mapping[str, Any], trigger: TriggerSpec, loaded: Config, name: str) -> str:
    """The text of the case: the most readable form of the body that comes to the same. Raises
    DispatchdError where no form does."""
    case = _case(event, trigger, loaded, name)
    request = _request(case, trigger)
    expect = _expectation(play(case, trigger, loaded), loaded.settings.default_repository)
    for body in _forms(case.body):
        data = {
            "description": f"Recorded from {event['id']}",
            "request": {**request, **body},
            "now": event["at"],
            "expect": expect,
        }
        text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
        if any(_written(secret) in text for secret in _secrets(trigger)):
            raise DispatchdError(f"{event['id']} repeats the secret of {trigger.name} in its body")
        if _comes_to_the_same(text, case, trigger, loaded):
            return text
    raise DispatchdError(f"{event['id']} cannot be written as a case")


def _case(event: Mapping[str, Any], trigger: TriggerSpec, loaded: Config, name: str) -> Case:
    proof = proof_headers(trigger)
    if trigger.auth.scheme.needs_secret and not (proof or trigger.auth.secrets):
        warn(f"no secret of {trigger.name} resolves here: see that the body does not repeat it")
    # Its neighbours on the path believe the same request, perhaps by another header.
    sharing = (each for each in loaded.triggers if each.path == trigger.path)
    left_out = _OF_THE_CONNECTION.union(*map(proof_headers, sharing))
    return Case(
        trigger=trigger.name,
        name=name,
        body=_body(event, trigger),
        method=event["method"],
        path=event["path"],
        headers={
            header: value
            for header, value in event["headers"].items()
            # With a genuine signature, whoever reads the case could send the request again.
            if header not in left_out and "signature" not in header
        },
        query=event["query"],
        now=datetime.fromisoformat(event["at"]),
    )


def _request(case: Case, trigger: TriggerSpec) -> dict[str, JSON]:
    """What the case says of its request beside the body; not what goes without saying."""
    given: dict[str, JSON] = {
        "method": case.method,
        "path": case.path,
        "headers": dict(case.headers),
        "query": dict(case.query),
    }
    usual = {"method": usual_method(trigger), "path": trigger.path, "headers": {}, "query": {}}
    return {key: value for key, value in given.items() if value != usual[key]}


def _body(event: Mapping[str, Any], trigger: TriggerSpec) -> bytes:
    """The body, in which a secret that its sender repeats there (Microsoft Graph does) is the one
    that cases make up."""
    if "body_base64" in event:
        raw = base64.b64decode(event["body_base64"])
    else:
        raw = str(event["body"]).encode()
    for secret in _secrets(trigger):
        raw = raw.replace(octets(secret), octets(SECRET.reveal()))
    return raw


def _secrets(trigger: TriggerSpec) -> list[str]:
    """Those long enough not to be in a body by chance."""
    known = (*trigger.auth.secrets, *trigger.auth.verify_tokens)
    return [secret.reveal() for secret in known if len(secret.reveal()) >= SECRET_MIN]


def _written(secret: str) -> str:
    return json.dumps(secret, ensure_ascii=False)[1:-1]


def _forms(raw: bytes) -> Iterator[dict[str, JSON]]:
    if not raw:
        yield {}
        return
    with suppress(ValueError, RecursionError):
        yield {"body": json.loads(raw.decode())}
    with suppress(ValueError):
        yield {"body_text": raw.decode()}
    yield {"body_base64": base64.b64encode(raw).decode()}


def _comes_to_the_same(text: str, case: Case, trigger: TriggerSpec, loaded: Config) -> bool:
    """Whether the text reads as a case whose body expressions see alike, and that agrees."""
    if json_text.scan(text)[1]:
        return False
    try:
        read = parsed_case(Document(case.name, text, json.loads(text)), case.trigger, case.name)
    except ConfigError:
        return False
    if read.body != case.body and not _same_body(read, case):
        return False
    return not differences(read.expect, play(read, trigger, loaded))


def _same_body(one: Case, other: Case) -> bool:
    headers = {"content-type": "application/json", **other.headers}
    try:
        return parse_body(headers, one.body) == parse_body(headers, other.body)
    except Refused:
        return False


def _expectation(result: Result, default_repository: str) -> dict[str, JSON]:
    expect: dict[str, JSON] = {"outcome": result.outcome}
    if result.outcome in ("error", "refused"):
        # Without the expression, which may be written in another way one day.
        expect["reason"] = result.reason.partition(" — in: ")[0]
    if result.dispatches:
        expect["dispatches"] = [_expected(each, default_repository) for each in result.dispatches]
    if result.response is not None:
        expect["response"] = result.response
    return expect


def _expected(dispatch: Mapping[str, Any], default_repository: str) -> dict[str, JSON]:
    expected = dict(dispatch)
    if expected["repository"] in (default_repository, REPOSITORY):
        del expected["repository"]  # whatever the default is elsewhere
    for key in ("client_payload", "inputs"):
        if key in expected:
            expected[key] = without_metadata(expected[key])
    return expected
