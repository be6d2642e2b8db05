"""``dispatchd test``: the same verdict and the same request as the daemon's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from tests.inprocess import serving
from tests.shell import Ran, Shell
from tests.specs import SIGNED, trigger_entry

PUSH = {"ref": "refs/heads/main", "after": "abc"}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def push_shell(shell: Shell) -> Shell:
    payload = {"sha": "{{ body.after }}", "team": "{{ params.team }}", "q": "{{ query.q }}"}
    shell.write(
        triggers=[
            trigger_entry(
                "push",
                path="/hooks/{team}",
                auth=SIGNED,
                when="body.ref == 'refs/heads/main'",
                dispatch={"event_type": "build", "client_payload": payload},
            ),
            trigger_entry("other", path="/hooks/{team}", when="false"),
        ]
    )
    return shell


async def try_push(
    shell: Shell, body: Mapping[str, Any], *args: str, name: str = "push", **environ: str
) -> Ran:
    return await shell.run(
        "test", name, "--payload", "-", "--path", "/hooks/core", "--query", "q=1", *args,
        stdin=json.dumps(body).encode(), **environ,
    )  # fmt: skip


async def test_test_shows_the_exact_request(push_shell: Shell) -> None:
    ran = await try_push(push_shell, PUSH, "--sign", "--json")
    assert ran.code == 0
    assert (ran.json["verified"], ran.json["matched"]) == (True, True)
    (request,) = ran.json["requests"]
    assert request["url"] == "https://api.github.com/repos/octo-org/octo-repo/dispatches"
    assert request["headers"]["Authorization"] == "Bearer ***"
    payload = request["body"]["client_payload"]
    assert payload.pop("dispatchd")["entry"] == "push"
    assert request["body"]["event_type"] == "build"
    assert payload == {"sha": "abc", "team": "core", "q": "1"}
    (other,) = ran.json["others"]
    assert (other["trigger"], other["outcome"]) == ("other", "unmatched")
    shown = (await try_push(push_shell, PUSH, "--sign")).out
    assert "POST https://api.github.com/repos/octo-org/octo-repo/dispatches" in shown
    assert '"sha": "abc"' in shown


async def test_test_says_why_not(push_shell: Shell) -> None:
    unsigned = await try_push(push_shell, PUSH, "--json")
    assert unsigned.code == 1
    assert unsigned.json["verified"] is False
    assert "x-hub-signature-256" in unsigned.json["why_not"].lower()
    assert unsigned.json["requests"]
    unmatched = await try_push(push_shell, {"ref": "x"}, "--sign", "--json")
    assert (unmatched.code, unmatched.json["outcome"]) == (1, "unmatched")
    failing = await try_push(push_shell, {}, "--sign")
    assert failing.code == 1
    assert "there is no key 'ref'" in failing.out
    dead = await try_push(push_shell, {"ref": "refs/heads/main"}, "--sign")
    assert (dead.code, "there is no key 'after'" in dead.out) == (1, True)
    assert (await try_push(push_shell, PUSH, name="psuh")).code == 2


async def test_test_says_that_no_repository_is_named(push_shell: Shell) -> None:
    ran = await try_push(push_shell, PUSH, "--sign", "--json", GH_OWNER="", GH_REPO="")
    assert ran.code == 1
    assert "GH_OWNER and GH_REPO" in ran.json["faults"][0]


async def test_test_needs_a_request_that_can_be_made(push_shell: Shell) -> None:
    for args in (
        ["--payload", "/nowhere"],
        ["--payload", "-", "--path", "/elsewhere"],
        ["--payload", "-"],
        ["--payload", "-", "--path", "/hooks/x", "--header", "no-colon"],
        ["--payload", "-", "--path", "/hooks/x", "--query", "no-equals"],
    ):
        assert (await push_shell.run("test", "push", *args)).code == 2, args
    unsigned = await push_shell.run(
        "test", "push", "--payload", "-", "--path", "/hooks/x", "--sign", GH_WEBHOOK_SECRET=""
    )
    assert (unsigned.code, "no secret of push resolves" in unsigned.err) == (2, True)


async def test_a_failing_dedupe_key_is_an_error_as_it_is_for_the_daemon(
    shell: Shell, tmp_path: Path
) -> None:
    entries = [trigger_entry("keyed", dedupe={"key": "body.id"})]
    shell.write(triggers=entries)
    ran = await shell.run("test", "keyed", "--payload", "-", "--json", stdin=b"{}")
    assert ran.code == 1
    assert (ran.json["outcome"], ran.json["requests"]) == ("error", [])
    async with serving(tmp_path, triggers=entries) as daemon:
        _, answer = await daemon.deliver("/hook", {})
        _, event = await daemon.call("GET", f"/api/v1/events/{answer['event_id']}")
        (verdict,) = event["verdicts"]
        assert (verdict["outcome"], verdict["reason"]) == ("error", ran.json["reason"])


async def test_credentials_are_withheld_as_the_daemon_withholds_them(
    shell: Shell, tmp_path: Path
) -> None:
    """Those of every trigger on the path, and those that are credentials whatever the scheme."""
    token = {"scheme": "token", "secret": "env:GH_WEBHOOK_SECRET"}
    seen = {
        "headers": "{{ ['authorization', 'x-token', 'x-other'].filter(name, name in headers) }}",
        "query": "{{ query }}",
    }
    entries = [
        trigger_entry("open", dispatch={"event_type": "x", "client_payload": seen}),
        trigger_entry("by-header", auth={**token, "header": "X-Token"}),
        trigger_entry("by-query", auth={**token, "query": "key"}),
    ]
    shell.write(triggers=entries)
    headers = {"Authorization": "a", "X-Token": "b", "X-Other": "c"}
    given = [part for name, value in headers.items() for part in ("--header", f"{name}:{value}")]
    ran = await shell.run(
        "test", "open", "--payload", "-", *given, "--query", "key=d", "--query", "page=1", "--json",
        stdin=b"{}",
    )  # fmt: skip
    tried = ran.json["requests"][0]["body"]["client_payload"]
    async with serving(tmp_path, triggers=entries) as daemon:
        await daemon.deliver("/hook?key=d&page=1", {}, headers=headers)
        await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        sent = daemon.simulator.received[0].client_payload
    for payload in (tried, sent):
        del payload["dispatchd"]
    assert tried == sent == {"headers": ["x-other"], "query": {"page": "1"}}


async def test_a_path_that_leads_to_another_trigger_is_told(shell: Shell) -> None:
    """A literal path goes before one with parameters, as it does in the daemon."""
    shell.write(
        triggers=[
            trigger_entry("any", path="/hooks/{team}"),
            trigger_entry("core", path="/hooks/core"),
            trigger_entry("off", path="/hooks/off", enabled=False),
        ]
    )
    told = await shell.run("test", "any", "--payload", "-", "--path", "/hooks/core", stdin=b"{}")
    assert (told.code, "leads to /hooks/core" in told.err) == (2, True)
    fine = await shell.run("test", "any", "--payload", "-", "--path", "/hooks/off", stdin=b"{}")
    assert fine.code == 0


async def test_what_is_repeated_counts_as_it_does_for_the_daemon(
    shell: Shell, tmp_path: Path
) -> None:
    seen = {"tag": "{{ headers['x-tag'] }}", "query": "{{ query.a }}"}
    entries = [trigger_entry("x", dispatch={"event_type": "x", "client_payload": seen})]
    shell.write(triggers=entries)
    ran = await shell.run(
        "test", "x", "--payload", "-", "--header", "X-Tag: b", "--header", "x-tag: a",
        "--query", "a=1", "--query", "a=2", "--json", stdin=b"{}",
    )  # fmt: skip
    tried = ran.json["requests"][0]["body"]["client_payload"]
    async with serving(tmp_path, triggers=entries) as daemon:
        repeated = CIMultiDict([("X-Tag", "b"), ("X-Tag", "a")])
        async with daemon.session.post(f"{daemon.url}/hook?a=1&a=2", json={}, headers=repeated):
            await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        sent = daemon.simulator.received[0].client_payload
    for payload in (tried, sent):
        del payload["dispatchd"]
    assert tried == sent == {"tag": "b, a", "query": "1"}


async def test_a_sender_who_is_not_believed_is_refused_before_all_else(push_shell: Shell) -> None:
    """What the trigger would do with the request stands apart from what becomes of it."""
    ran = await try_push(push_shell, PUSH)
    assert ran.out.startswith("push\nverdict    refused (401)\nverified   no: ")
    assert "\nif it were believed:\nverdict    dispatched\n" in ran.out
    assert ran.err == "dispatchd: push would not dispatch this request: refused (401)\n"


@pytest.mark.parametrize(
    ("body", "words", "reason"),
    [
        ({"ref": "x"}, "unmatched", "its `when` is false"),
        ({"ref": "refs/heads/main"}, "dead", "there is no key 'after'"),
        ({}, "error", "there is no key 'ref'"),
    ],
)
async def test_the_reason_is_told_once(
    push_shell: Shell, body: Mapping[str, Any], words: str, reason: str
) -> None:
    """By what is printed for people; the last line says it to who reads JSON with a program."""
    last = f"dispatchd: push would not dispatch this request: {words}"
    shown = await try_push(push_shell, body, "--sign")
    assert (shown.err, reason in shown.out) == (f"{last}\n", True)
    ran = await try_push(push_shell, body, "--sign", "--json")
    assert ran.err.startswith(f"{last}: ")
    assert reason in ran.err


async def test_a_form_is_named_where_a_key_is_missing_for_it(shell: Shell) -> None:
    """``curl -d`` sends one unless it is told otherwise."""
    shell.write(triggers=[trigger_entry("x", when="body.ref == 'x'")])
    args = ("test", "x", "--payload", "-")
    form = ("--header", "Content-Type: application/x-www-form-urlencoded; charset=utf-8")
    words = "(the body was read as a form, by its content type)"
    assert words in (await shell.run(*args, *form, stdin=b'{"ref": "x"}')).out
    assert words not in (await shell.run(*args, *form, stdin=b"ref=y")).out
    assert words not in (await shell.run(*args, stdin=b"{}")).out


@pytest.mark.parametrize(
    "keys",
    [
        {"when": "event.cloudevent.type == 'x'"},
        {"when": "event.cloudevent.?type.orValue('') == 'x'"},
        {"variables": {"type": "event.cloudevent.type"}},
        {"dispatch": {"event_type": "x", "client_payload": {"t": "{{ event.cloudevent.type }}"}}},
    ],
    ids=["when", "optional", "variable", "payload"],
)
async def test_what_is_no_cloud_event_is_called_so(shell: Shell, keys: Mapping[str, Any]) -> None:
    shell.write(triggers=[trigger_entry("x", **keys)])
    ran = await shell.run("test", "x", "--payload", "-", stdin=b"{}")
    words = "event.cloudevent is null: this is no CloudEvent (content type is application/json)"
    assert (ran.code, words in ran.out) == (1, True)
    event = ("ce-specversion: 1.0", "ce-id: 1", "ce-source: /a", "ce-type: y")
    given = [part for header in event for part in ("--header", header)]
    ran = await shell.run("test", "x", "--payload", "-", *given, stdin=b"{}")
    assert "is null" not in ran.out


@pytest.mark.parametrize("scheme", ["asana", "notion"])
async def test_a_secret_that_the_daemon_was_handed_is_not_looked_for(
    shell: Shell, scheme: str
) -> None:
    shell.write(triggers=[trigger_entry("x", auth={"scheme": scheme})])
    known = "x's secret is handed over by the sender and is in the daemon's database"
    ran = await shell.run("test", "x", "--payload", "-", "--sign", stdin=b"{}")
    assert ran.code == 2
    assert f"{known}, so `test` cannot sign: use a golden case" in ran.err
    ran = await shell.run("test", "x", "--payload", "-", stdin=b"{}")
    assert ran.code == 1
    assert f"no: {known}, so `test` cannot check it\n" in ran.out
    assert "use a golden case" in ran.out
    shell.write(triggers=[trigger_entry("x", auth={"scheme": scheme, "secret": "env:API_KEY"})])
    assert (await shell.run("test", "x", "--payload", "-", "--sign", stdin=b"{}")).code == 0


async def test_what_only_the_sender_can_sign_is_not_passed_over(shell: Shell) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:alarms"
    shell.write(triggers=[trigger_entry("x", auth={"scheme": "sns", "topic_arn": topic})])
    ran = await shell.run("test", "x", "--payload", "-", "--sign", stdin=b"{}")
    assert ran.code == 2
    assert "no header that could be made here proves a request to x" in ran.err
    assert "use a golden case" in ran.err
    shell.write(triggers=[trigger_entry("x")])
    assert (await shell.run("test", "x", "--payload", "-", "--sign", stdin=b"{}")).code == 0


async def test_a_token_in_the_query_cannot_be_signed(shell: Shell) -> None:
    auth = {"scheme": "token", "secret": "env:GH_WEBHOOK_SECRET", "query": "key"}
    shell.write(triggers=[trigger_entry("x", auth=auth)])
    ran = await shell.run("test", "x", "--payload", "-", "--sign", stdin=b"{}")
    assert (ran.code, "--query key=TOKEN" in ran.err) == (2, True)


async def test_the_values_of_variables_are_shown_with_their_types(shell: Shell) -> None:
    values = {
        "branch": "body.ref.replace('refs/heads/', '')",
        "many": "size(body.commits)",
        "long": "body.text + variables.branch",
        "at": "timestamp('2026-11-23T04:00:00Z')",
        "odd": "0.0 / 0.0",
    }
    shell.write(triggers=[trigger_entry("x", variables=values)])
    body = json.dumps({"ref": "refs/heads/main", "commits": [{}], "text": "y" * 500}).encode()
    ran = await shell.run("test", "x", "--payload", "-", "--json", stdin=body)
    assert ran.code == 0
    assert ran.json["failed_variable"] is None
    assert ran.json["condition"] is None
    assert ran.json["variables"] == {
        "branch": "main",
        "many": 1,
        "long": "y" * 500 + "main",
        "at": "2026-11-23T04:00:00Z",
        "odd": "nan",
    }
    shown = (await shell.run("test", "x", "--payload", "-", stdin=body)).out
    assert '  branch   "main" (string)\n  many     1 (int)\n  long     "yyy' in shown
    assert "y… (string)" in shown
    assert '  at       "2026-11-23T04:00:00Z" (timestamp)' in shown


async def test_a_variable_that_fails_is_named_with_its_expression(shell: Shell) -> None:
    values = {"first": "body.a", "second": "variables.first + body.b", "third": "body.a"}
    shell.write(triggers=[trigger_entry("x", variables=values, when="variables.third == 1")])
    ran = await shell.run("test", "x", "--payload", "-", "--json", stdin=b'{"a": 1}')
    assert (ran.code, ran.json["outcome"], ran.json["variables"]) == (1, "error", {"first": 1})
    failed = ran.json["failed_variable"]
    assert (failed["name"], failed["expression"]) == ("second", "variables.first + body.b")
    assert "there is no key 'b'" in failed["error"]
    shown = (await shell.run("test", "x", "--payload", "-", stdin=b'{"a": 1}')).out
    assert "  second   fails: there is no key 'b'" in shown
    assert "third" not in shown


async def test_a_condition_that_is_not_true_is_shown_part_by_part(shell: Shell) -> None:
    when = "body.a == 1 && (body.b == 2 || !(body.c && body.d)) && method == 'POST'"
    shell.write(triggers=[trigger_entry("x", when=when)])
    body = b'{"a": 1, "b": 3, "c": true, "d": true}'
    ran = await shell.run("test", "x", "--payload", "-", "--json", stdin=body)
    condition = ran.json["condition"]
    assert (condition["value"], condition["join"], condition["error"]) == (False, "all", None)
    first, second, third = condition["parts"]
    assert first == {
        "expression": "body.a == 1",
        "value": True,
        "error": None,
        "join": None,
        "parts": [],
        "operands": [{"path": "body.a", "value": 1}],
    }
    assert (second["join"], second["value"], third["value"]) == ("any", False, True)
    assert second["parts"][1]["join"] == "not"
    shown = (await shell.run("test", "x", "--payload", "-", stdin=body)).out
    assert shown.endswith(
        """when:
  false   all of
    true    body.a == 1
            body.a = 1
    false   any of
      false   body.b == 2
              body.b = 3
      false   not
        true    all of
          true    body.c
          true    body.d
    true    method == 'POST'
            method = "POST"
"""
    )
    failing = (await shell.run("test", "x", "--payload", "-", stdin=b'{"a": 1}')).out
    assert "      error   body.b == 2\n              there is no key 'b'" in failing
    assert "              body.b = (not there)\n" in failing


async def test_what_tells_a_delivery_from_others_is_shown(push_shell: Shell) -> None:
    delivered = ("--sign", "--header", "X-GitHub-Delivery: 72d3162e")
    ran = await try_push(push_shell, PUSH, *delivered, "--json")
    assert ran.json["dedupe_keys"][0] == "72d3162e"
    assert "\ndedupe     72d3162e\n" in (await try_push(push_shell, PUSH, *delivered)).out
    (body,) = (await try_push(push_shell, PUSH, "--sign", "--json")).json["dedupe_keys"]
    assert body.startswith("sha256:")


async def test_what_a_delivery_descends_from_is_shown(shell: Shell) -> None:
    one, other = ("dsp_" + letter * 26 for letter in "ab")
    shell.write(triggers=[trigger_entry("x", auth=SIGNED, parent="body.?parent.orValue('job/7')")])
    run = {"id": 7, "event": "push", "display_title": other, "head_branch": f"job/{other}"}
    body = {"parent": one, "workflow_run": run, "repository": {"full_name": "acme/Shop"}}
    words = ("test", "x", "--payload", "-", "--header", "X-GitHub-Event: workflow_run", "--sign")
    ran = await shell.run(*words, "--json", stdin=json.dumps(body).encode())
    assert ran.json["parents"] == [one, other, "run 7 of acme/shop"]
    ran = await shell.run(*words, stdin=json.dumps(body).encode())
    assert f"\nparent     {one}\n" in ran.out
    ran = await shell.run(*words, stdin=b"{}")
    assert "(its `parent` holds no id of a dispatch: 'job/7')" in ran.out


async def test_a_handshake_shows_its_answer(shell: Shell) -> None:
    shell.write(
        triggers=[
            trigger_entry("slack", auth={"scheme": "slack", "secret": "env:GH_WEBHOOK_SECRET"}),
            trigger_entry(
                "dropbox", path="/d", auth={"scheme": "dropbox", "secret": "env:API_KEY"}
            ),
        ]
    )
    challenge = json.dumps({"type": "url_verification", "challenge": "c1"}).encode()
    ran = await shell.run("test", "slack", "--payload", "-", "--sign", "--json", stdin=challenge)
    assert (ran.json["verified"], ran.json["outcome"]) == (True, "handshake")
    assert ran.json["response"]["status"] == 200
    assert "c1" in str(ran.json["response"]["body"])
    asked = await shell.run(
        "test", "dropbox", "--payload", "-", "--method", "GET", "--query", "challenge=c2"
    )
    assert 'handshake\nanswer     200 text/plain; charset=utf-8 "c2"' in asked.out


async def test_where_the_called_url_is_signed_it_is_made_of_the_public_url(shell: Shell) -> None:
    auth = {"scheme": "twilio", "secret": "env:GH_WEBHOOK_SECRET"}
    shell.write(triggers=[trigger_entry("sms", auth=auth)])
    form = ("--header", "Content-Type: application/x-www-form-urlencoded", "--query", "a=b c")
    args = ("test", "sms", "--payload", "-", *form, "--sign", "--json")
    without = await shell.run(*args, stdin=b"Body=hi")
    assert (without.code, "public_url" in without.json["hint"]) == (1, True)
    (shell.config / "DAEMON.yaml").write_text("public_url: https://hooks.example.com\n")
    assert (await shell.run(*args, stdin=b"Body=hi")).code == 0


async def test_twilio_sends_forms_unless_a_header_says_otherwise(shell: Shell) -> None:
    auth = {"scheme": "twilio", "secret": "env:GH_WEBHOOK_SECRET"}
    shell.write(triggers=[trigger_entry("sms", auth=auth, when="body.Body == 'hi'")])
    (shell.config / "DAEMON.yaml").write_text("public_url: https://hooks.example.com\n")
    args = ("test", "sms", "--payload", "-", "--sign")
    assert (await shell.run(*args, stdin=b"Body=hi")).code == 0
    ran = await shell.run(*args, "--header", "Content-Type: text/plain", stdin=b"Body=hi")
    assert ran.code == 1
    assert "a form's content type is application/x-www-form-urlencoded" in ran.out
    body = b'{"Body": "hi"}'
    named = ("--query", f"bodySHA256={hashlib.sha256(body).hexdigest()}")
    assert (await shell.run(*args, *named, stdin=body)).code == 0
