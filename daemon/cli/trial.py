"""``dispatchd test``: what would become of this request, and what exactly would GitHub be sent."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from daemon import config
from daemon.cli.case import usual_method
from daemon.cli.explaining import answer_view, brief, condition_view, put_insight, variables_view
from daemon.cli.layout import Fields
from daemon.cli.offline import needed
from daemon.cli.signing import can_sign, signed, url_called, usual_type
from daemon.cli.tables import console, plain, put, say, warn, word
from daemon.cli.tryout import Tryout, opened, tried
from daemon.dispatch import Dispatch
from daemon.errors import DispatchdError, UsageError
from daemon.event import Delivery, Event, Outcome
from daemon.github import dispatch_request
from daemon.ids import IdSource
from daemon.judge import delivery_of
from daemon.routes import Match, Routes
from daemon.signatures import Mismatch, Request, SchemeError, explain
from daemon.signatures.credentials import NoScheme
from daemon.spec import Config, Settings, TriggerSpec

_LEARNED = (
    "{name}'s secret is handed over by the sender and is in the daemon's database, so `test` cannot"
)
_GOLDEN = "use a golden case (docs/testing.md), for which a secret is made up"


@dataclass(frozen=True, slots=True)
class Trial:
    """A request to try, as the options give it."""

    trigger: str
    payload: Path
    headers: Sequence[str]
    query: Sequence[str]
    path: str | None
    method: str | None
    sign: bool


def try_trigger(trial: Trial, config_dir: Path | None, *, secrets: bool, as_json: bool) -> None:
    """Prints the verdict of the trigger, and of those that share its path. Raises UsageError for
    options that make no request, and DispatchdError (exit 1) when it would not dispatch."""
    loaded = config.load(
        config.config_directory(config_dir, os.environ), os.environ, secrets=needed(secrets=secrets)
    )
    trigger = _named(loaded, trial.trigger)
    now = datetime.now(UTC)
    request = _request(trial, trigger, loaded.settings.public_url, now)
    match = _match(trial, loaded, trigger, request)
    delivery = delivery_of(request, match, "127.0.0.1", now)
    sharing = [other for other in match.route.triggers if other.name != trigger.name]
    tries = [_tried(each, request, delivery, loaded.settings) for each in [trigger, *sharing]]
    results = [result for result, _ in tries]
    own = results[0]
    if not trigger.enabled:
        own["warning"] = "the trigger is disabled: set `enabled` to true to have it served"
    if as_json:
        print(json.dumps({**own, "others": results[1:]}, ensure_ascii=False))
    else:
        for result, found in tries:
            _print(result, found)
    if not (own["verified"] and own["outcome"] == Outcome.DISPATCHED and not own["faults"]):
        words, reason = _why(own)
        # Who read what was printed knows the reason by now.
        why = f"{words}: {reason}" if as_json and reason else words
        raise DispatchdError(f"{trigger.name} would not dispatch this request: {why}")


def _named(loaded: Config, name: str) -> TriggerSpec:
    trigger = loaded.trigger(name)
    if trigger is None:
        known = ", ".join(each.name for each in loaded.triggers) or "none"
        raise UsageError(f"there is no trigger {name!r}; there are: {known}")
    return trigger


def _request(trial: Trial, trigger: TriggerSpec, public_url: str, now: datetime) -> Request:
    try:
        body = sys.stdin.buffer.read() if str(trial.payload) == "-" else trial.payload.read_bytes()
    except OSError as error:
        raise UsageError(f"--payload: {trial.payload}: {error.strerror}") from None
    # Repeated ones count as they do for the daemon: headers joined, of a parameter the first.
    given: dict[str, list[str]] = {}
    for text in trial.headers:
        name, value = _pair(text, ":", "--header")
        given.setdefault(name.lower(), []).append(value)
    request = Request(
        method=(trial.method or usual_method(trigger)).upper(),
        path=trial.path or trigger.path,
        headers={name: ", ".join(values) for name, values in given.items()},
        query=dict(_pair(text, "=", "--query") for text in reversed(trial.query)),
        body=body,
    )
    usual = usual_type(trigger.auth.scheme, request) if trial.sign else "application/json"
    request = replace(
        request,
        headers={"content-type": usual, **request.headers},
        url=url_called(public_url, request),
    )
    return _signed(trigger, request, now) if trial.sign else request


def _signed(trigger: TriggerSpec, request: Request, now: datetime) -> Request:
    """The request with the headers by which a sender that knows the secret would prove itself.
    Raises UsageError where no header can."""
    scheme = trigger.auth.scheme
    if isinstance(scheme, NoScheme):
        return request
    if not (can_sign(scheme) or scheme.credential_query):
        raise UsageError(
            f"--sign: no header that could be made here proves a request to {trigger.name}; leave "
            f"the option out to see what would become of it, {_GOLDEN}, or have the sender send a "
            "test event"
        )
    if _learned_elsewhere(trigger):
        raise UsageError(f"--sign: {_LEARNED.format(name=trigger.name)} sign: {_GOLDEN}")
    if scheme.needs_secret and not trigger.auth.secrets:
        raise UsageError(
            f"--sign: no secret of {trigger.name} resolves; `dispatchd validate --secrets` "
            "says which"
        )
    proven = request
    try:
        for secret in trigger.auth.secrets[:1]:
            proven = signed(scheme, request, secret, now)
    except SchemeError as error:
        raise UsageError(f"--sign: {error}") from None
    if scheme.credential_query and proven.headers == request.headers:
        name = min(scheme.credential_query)
        raise UsageError(
            f"--sign adds headers, and {trigger.name} takes its token in the query: give it with "
            f"--query {name}=TOKEN"
        )
    return proven


def _pair(text: str, separator: str, option: str) -> tuple[str, str]:
    name, found, value = text.partition(separator)
    if not found or not name.strip():
        raise UsageError(f"{option}: {text!r} is not NAME{separator}VALUE")
    return name.strip(), value.strip()


def _match(trial: Trial, loaded: Config, trigger: TriggerSpec, request: Request) -> Match:
    """The route on which the daemon would take the request, were the trigger enabled."""
    if "{" in trigger.path and trial.path is None:
        raise UsageError(f"its path is {trigger.path}; say with --path which one is called")
    served = [each for each in loaded.triggers if each.enabled or each is trigger]
    match = Routes(served).match(request.path)
    if match is None or match.route.path != trigger.path:
        where = f"leads to {match.route.path}" if match else "leads nowhere"
        raise UsageError(f"{request.path} {where}, and the trigger's path is {trigger.path}")
    return match


def _tried(
    trigger: TriggerSpec, request: Request, delivery: Delivery, settings: Settings
) -> tuple[dict[str, Any], Tryout]:
    now = delivery.received_at
    ids = IdSource()
    mismatch, found = None, opened(trigger, request)
    if found is None:
        mismatch = _mismatch(trigger, request, now)
        event = Event(ids.event(now), delivery)
        found = tried(trigger, event, delivery, request, lambda: ids.dispatch(now))
    return {
        "trigger": trigger.name,
        "verified": mismatch is None,
        "why_not": mismatch.reason if mismatch else None,
        "hint": (mismatch.hint or None) if mismatch else None,
        "matched": found.outcome is Outcome.DISPATCHED,
        "outcome": found.outcome.value if found.outcome else None,
        "reason": found.reason or None,
        "faults": found.faults,
        "requests": [_shown(each, settings) for each in found.dispatches if not each.reason],
        "response": answer_view(found.answer),
        "dedupe_keys": list(found.dedupe_keys),
        "parents": list(found.parents),
        **variables_view(found.variables),
        "condition": condition_view(found.condition),
    }, found


def _mismatch(trigger: TriggerSpec, request: Request, now: datetime) -> Mismatch | None:
    if _learned_elsewhere(trigger):
        reason = f"{_LEARNED.format(name=trigger.name)} check it"
        return Mismatch(reason, f"to see what it makes of a request, {_GOLDEN}")
    return explain(trigger.auth.scheme, request, trigger.auth.secrets, now)


def _learned_elsewhere(trigger: TriggerSpec) -> bool:
    """Whether its secret is none of the config's."""
    return trigger.auth.scheme.learns_secret and not trigger.auth.secrets


def _shown(dispatch: Dispatch, settings: Settings) -> Mapping[str, Any]:
    credential = settings.credential_for(dispatch.repository)
    api_url = credential.api_url if credential else settings.gh_api_url
    request = dispatch_request(dispatch, api_url, settings.api_version)
    return {
        "method": request.method,
        "url": request.url,
        "headers": {**request.headers, "Authorization": "Bearer ***"},
        "body": json.loads(request.body),
    }


def _why(result: Mapping[str, Any]) -> tuple[str, str]:
    """Why nothing would be dispatched: what becomes of the request, and the reason if there is
    one."""
    if not result["verified"]:
        return "refused (401)", result["why_not"]
    if result["faults"]:
        return "dead", "; ".join(result["faults"])
    return result["outcome"] or "refused", result["reason"] or ""


def _print(result: Mapping[str, Any], found: Tryout) -> None:
    if warning := result.get("warning"):
        warn(warning)
    say(result["trigger"])
    rows = Fields()
    if result["verified"]:
        rows.add("verified", "yes")
    else:
        rows.add("verdict", word("refused (401)"))
        rows.add("verified", plain(f"no: {result['why_not']}"))
        if result["hint"]:
            rows.add("", plain(result["hint"]))
        put(rows)
        say("if it were believed:")
        rows = Fields(least=len("verified"))
    rows.add("verdict", word(found.word))
    if result["reason"]:
        rows.add("", plain(result["reason"]))
    for fault in result["faults"]:
        rows.add("dead", plain(fault))
    for note in found.notes:
        rows.add("", plain(f"({note})"))
    if found.dedupe_keys:
        rows.add("dedupe", plain("\n".join(found.dedupe_keys)))
    if found.parents:
        rows.add("parent", plain("\n".join(found.parents)))
    if answer := found.answer:
        rows.add("answer", plain(f"{answer.status} {answer.content_type} {brief(answer.body)}"))
    put(rows)
    put_insight(found)
    for request in result["requests"]:
        say(f"{request['method']} {request['url']}")
        for name, value in request["headers"].items():
            say(f"{name}: {value}")
        console().print_json(json.dumps(request["body"], ensure_ascii=False))
