"""Beside dispatchd, where it is installed: Debian's ``webhook`` (github.com/adnanh/webhook), with
the same signature and a curl command to the same stand-in for GitHub.

By itself it answers at once, starts a command for each delivery and forgets both. What it accepts
is therefore taken with a command that does nothing; what it dispatches with curl, answering when
the command is done, so that it starts no more of them than there are connections.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bench.github import github
from bench.home import GH_TOKEN, UNPACED, WEBHOOK_SECRET, Home, github_away
from bench.load import send_all
from bench.past import owe
from bench.plan import Plan, say
from bench.process import Server, served
from bench.row import Row
from bench.rows.end_to_end import DRAIN_DEADLINE, NAMED, middle
from bench.rows.intake import PATH, PUSH, push_request
from bench.turns import in_turns

WEBHOOK = shutil.which("webhook")
CURL = shutil.which("curl")

SEND = """#!/bin/sh
exec curl --silent --show-error --fail \\
  --header 'Authorization: Bearer {token}' --header 'Accept: application/vnd.github+json' \\
  --data '{{"event_type": "push-received", "client_payload":
    {{"repository": "'"$1"'", "sha": "'"$2"'", "pusher": "'"$3"'"}}}}' \\
  {github}/repos/acme/shop/dispatches
"""

FIELDS = ("repository.full_name", "after", "pusher.name")


def webhook(plan: Plan) -> Iterator[Row]:
    """No row where it is not installed."""
    if WEBHOOK is None or CURL is None:
        say("webhook: `webhook` or `curl` is not installed; nothing to measure beside us")
        return
    yield _accepted(plan)
    yield _dispatched(plan)


def _accepted(plan: Plan) -> Row:
    name = "webhook-accepted"
    place = plan.directory(name)
    request, seconds = push_request(), plan.sized(5, 0.2)
    nothing = shutil.which("true") or "/bin/true"

    def rate(server: Server) -> float:
        return plan.generator.load(server.url, request, place, seconds).rate

    home = Home(place, triggers=(PUSH,))
    with (
        github_away() as url,
        home.daemon(url) as ours,
        _webhook(place, _hook(nothing)) as theirs,
    ):
        for server in (ours, theirs):
            send_all(server.url, request, place, plan.count(1000, 50))  # to warm up
        turns = in_turns(plan, name, lambda: rate(ours), lambda: rate(theirs))
    what = "deliveries accepted, dispatchd against webhook (which keeps none)"
    return Row.of(name, what, turns.ratios, beside=turns.beside("dispatchd", "webhook"))


def _dispatched(plan: Plan) -> Row:
    name = "webhook-dispatched"
    owed, sent = plan.count(4000, 50), plan.count(500, 20)

    def our_rate() -> float:
        place = plan.directory(name)
        home = Home(place, triggers=(NAMED,))
        owe(home, owed)
        with github(place) as stand_in:
            with home.daemon(stand_in.url, UNPACED):
                stand_in.until(owed, DRAIN_DEADLINE)
            return stand_in.rate(*middle(owed))

    def their_rate() -> float:
        place = plan.directory(name)
        with github(place) as stand_in:
            command = place / "send"
            command.write_text(SEND.format(token=GH_TOKEN, github=stand_in.url))
            command.chmod(0o700)
            hook = _hook(str(command)) | {"include-command-output-in-response": True}
            with _webhook(place, hook) as theirs:
                send_all(theirs.url, push_request(), place, sent)
                stand_in.until(sent, DRAIN_DEADLINE)
            return stand_in.rate(*middle(sent))

    turns = in_turns(plan, name, our_rate, their_rate)
    what = "dispatches sent, dispatchd from its backlog against webhook with curl"
    return Row.of(name, what, turns.ratios, beside=turns.beside("dispatchd", "webhook"))


def _hook(command: str) -> dict[str, Any]:
    """The trigger ``PUSH`` in the terms of webhook."""
    return {
        "id": "github",
        "execute-command": command,
        "http-methods": ["POST"],
        "success-http-response-code": 202,
        "trigger-rule-mismatch-http-response-code": 401,
        "pass-arguments-to-command": [{"source": "payload", "name": name} for name in FIELDS],
        "trigger-rule": {
            "and": [
                {
                    "match": {
                        "type": "payload-hmac-sha256",
                        "secret": WEBHOOK_SECRET,
                        "parameter": {"source": "header", "name": "X-Hub-Signature-256"},
                    }
                },
                _equals("header", "X-GitHub-Event", "push"),
                _equals("payload", "ref", "refs/heads/main"),
            ]
        },
    }


def _equals(source: str, name: str, value: str) -> Mapping[str, Any]:
    parameter = {"source": source, "name": name}
    return {"match": {"type": "value", "value": value, "parameter": parameter}}


def _webhook(place: Path, hook: Mapping[str, Any]) -> AbstractContextManager[Server]:
    hooks = place / "hooks.json"
    hooks.write_text(json.dumps([hook]))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    prefix = PATH.strip("/").partition("/")[0]
    options = ("-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port), "-urlprefix", prefix)
    url = f"http://127.0.0.1:{port}"
    return served((str(WEBHOOK), *options), place / "webhook.log", url=url)
