"""Golden cases: requests beside the config, each with what is to become of it."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from daemon.cli.case import SECRET as MADE_UP
from daemon.cli.case import Result
from daemon.cli.differences import differences
from daemon.schemas import schema
from tests.console import Terminal, steps
from tests.examples import examples
from tests.inprocess import serving
from tests.shell import Ran, Shell
from tests.specs import SECRET, SIGNED, cron_entry, trigger_entry

SHIPPED = Path(__file__).parent.parent / "config"
DOCS = SHIPPED.with_name("docs")
PAYLOAD = {"sha": "{{ body.after }}", "job": "{{ dispatch_id }}"}
PUSH = trigger_entry(
    "push",
    auth=SIGNED,
    when="body.ref == 'refs/heads/main'",
    dispatch={"event_type": "build", "client_payload": PAYLOAD},
)
FIRST = f"dsp_{'0' * 26}"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.write(triggers=[PUSH])
    return shell


def write(shell: Shell, name: str, case: Any, trigger: str = "push") -> Path:
    path = shell.config / "cases" / trigger / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(case if isinstance(case, str) else json.dumps(case, indent=2))
    return path


def case(
    outcome: str = "dispatched", ref: str = "refs/heads/main", **expect: Any
) -> dict[str, Any]:
    body = {"ref": ref, "after": "abc"}
    return {"request": {"body": body}, "expect": {"outcome": outcome, **expect}}


def read(path: str) -> Any:
    return json.loads(Path(path).read_text())


async def run_one(shell: Shell, given: Any, trigger: str = "push") -> Any:
    """The one case, run: its JSON."""
    write(shell, "one", given, trigger)
    ran = await shell.run("test", "--cases", "--json")
    (found,) = ran.json["cases"]
    assert ran.code == (0 if found["agrees"] else 1)
    return found


async def test_the_cases_of_the_shipped_triggers_agree_wherever_they_run(tmp_path: Path) -> None:
    """Neither a secret nor a repository is set, as in a CI; and every trigger has cases."""
    ran = await Shell(tmp_path).run(
        "test", "--cases", "--config-dir", str(SHIPPED), "--json",
        GH_WEBHOOK_SECRET="", API_KEY="", GH_OWNER="", GH_REPO="", GH_TOKEN="",
    )  # fmt: skip
    assert (ran.code, ran.json["without_cases"], ran.err) == (0, [], "")
    outcomes = {(each["trigger"], each["outcome"]) for each in ran.json["cases"]}
    for trigger in ("github-push", "create-job", "auto-chain"):
        assert {
            (trigger, "dispatched"),
            (trigger, "unmatched"),
            (trigger, "unauthorized"),
        } <= outcomes


def test_editors_find_the_schema_of_the_shipped_cases() -> None:
    for path in SHIPPED.glob("cases/*/*.json"):
        shown = json.loads(path.read_text())
        assert (path.parent / shown["$schema"]).resolve().name == "case.json"
        assert shown["description"]


def described(part: Any) -> Iterator[dict[str, Any]]:
    for child in part.get("properties", {}).values():
        yield child
        yield from described(child)
        yield from described(child.get("items", {}))


def test_every_key_of_a_case_is_explained_with_examples_that_are_valid() -> None:
    whole = Draft202012Validator(schema("case"))
    Draft202012Validator.check_schema(schema("case"))
    for key in described(schema("case")):
        assert key["description"].endswith(".")
        for example in key["examples"]:
            assert list(whole.evolve(schema=key).iter_errors(example)) == []


async def test_a_difference_is_told_path_by_path_with_its_place(shell: Shell) -> None:
    expected = {"event_type": "build", "client_payload": {"sha": "abd", "gone": [1]}}
    path = write(shell, "wrong", case(dispatches=[expected]))
    write(shell, "right", case(dispatches=[{"event_type": "build"}]))
    ran = await shell.run("test", "--cases")
    assert (ran.code, ran.err) == (1, "dispatchd: 1 of 2 cases differ\n")
    lines = path.read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if '"abd"' in line)
    column = lines[number - 1].index('"abd"') + 1
    payload = "dispatches[0].client_payload"
    assert f'{path}:{number}:{column}: {payload}.sha: expected "abd", got "abc"' in ran.out
    assert f"{payload}.gone: missing, expected [1]" in ran.out
    assert f'{payload}.job: not expected: "{FIRST}"' in ran.out
    assert "push/right:" not in ran.out


async def test_another_outcome_is_explained_as_for_one_request(shell: Shell) -> None:
    write(shell, "wrong", case("dispatched", ref="refs/heads/dev"))
    ran = await shell.run("test", "--cases", "push")
    assert ran.code == 1
    assert 'outcome: expected "dispatched", got "unmatched" (its `when` is false)' in ran.out
    assert 'body.ref = "refs/heads/dev"' in ran.out


async def test_the_daemons_own_key_is_compared_only_where_it_is_named(shell: Shell) -> None:
    payload = {"sha": "abc", "job": FIRST}
    sent = {"event_type": "build", "client_payload": payload, "repository": "octo-org/octo-repo"}
    assert (await run_one(shell, case(dispatches=[sent])))["agrees"]
    named = payload | {"dispatchd": {"id": FIRST, "entry": "push", "depth": 1}}
    found = await run_one(shell, case(dispatches=[sent | {"client_payload": named}]))
    (difference,) = found["differences"]
    assert difference["path"] == "dispatches[0].client_payload.dispatchd.depth"


async def test_ids_and_the_time_are_always_the_same(shell: Shell) -> None:
    payload = {"e": "{{ event.id }}", "at": "{{ event.received_at }}", "d": "{{ dispatch_id }}"}
    dispatch = {"event_type": "x", "client_payload": payload}
    answer = {"body": {"first": "{{ dispatch_id }}"}}
    shell.write(triggers=[trigger_entry("twice", dispatch=[dispatch, dispatch], response=answer)])
    seen = {"e": f"evt_{'0' * 26}", "at": "2026-11-23T04:00:00Z", "d": FIRST}
    second = seen | {"d": FIRST[:-1] + "1"}
    found = await run_one(
        shell,
        {
            "request": {},
            "now": "2026-11-23T05:00:00+01:00",
            "expect": {
                "outcome": "dispatched",
                "dispatches": [
                    {"event_type": "x", "client_payload": seen},
                    {"event_type": "x", "client_payload": second},
                ],
                "response": {"status": 200, "body": {"first": FIRST}},
            },
        },
        "twice",
    )
    assert found["differences"] == []


@pytest.mark.parametrize(
    "auth",
    [
        {"scheme": "none"},
        {"scheme": "github"},
        {"scheme": "api_key"},
        {"scheme": "bearer"},
        {"scheme": "basic", "username": "ada"},
        {"scheme": "token", "query": "key"},
        {"scheme": "hmac", "header": "X-Sig", "key_encoding": "base64"},
        {"scheme": "hmac", "header": "X-Sig", "key_encoding": "hex", "timestamp_header": "X-At",
         "signed": "{timestamp}.{body}"},
    ],
)  # fmt: skip
async def test_a_sender_is_believed_unless_the_case_says_otherwise(
    shell: Shell, auth: Mapping[str, Any]
) -> None:
    secret = {} if auth["scheme"] == "none" else {"secret": "env:NOT_SET"}
    shell.write(triggers=[trigger_entry("x", auth={**auth, **secret}, enabled=False)])
    believed = {"request": {"body": {}}, "expect": {"outcome": "dispatched"}}
    assert (await run_one(shell, believed, "x"))["agrees"]
    outcome = "dispatched" if auth["scheme"] == "none" else "unauthorized"
    bare = {**believed, "sign": False, "expect": {"outcome": outcome}}
    assert (await run_one(shell, bare, "x"))["agrees"]


async def test_what_cannot_be_sent_is_a_difference_unless_it_is_expected(shell: Shell) -> None:
    dead: dict[str, Any] = case()
    del dead["request"]["body"]["after"]
    found = await run_one(shell, dead)
    assert [each["path"] for each in found["differences"]] == ["dispatches[0]"]
    for wanted, agrees in (("no key 'after'", True), ("too large", False)):
        dead["expect"]["dispatches"] = [{"event_type": "build", "dead": wanted}]
        assert (await run_one(shell, dead))["agrees"] is agrees
    dead["expect"]["dispatches"] = [{"event_type": "build"}]
    assert not (await run_one(shell, dead))["agrees"]
    alive = case(dispatches=[{"event_type": "build", "dead": "no key"}])
    assert not (await run_one(shell, alive))["agrees"]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"body_text": "{"}, "400: malformed JSON"),
        ({"method": "PUT"}, "405: "),
        ({"path": "/elsewhere"}, "404: /elsewhere leads nowhere"),
        ({"headers": {"Content-Type": "image/png"}, "body_base64": "AA=="}, "415: "),
    ],
)
async def test_what_is_refused_before_it_is_judged_can_be_expected(
    shell: Shell, request_: Mapping[str, Any], reason: str
) -> None:
    expect = {"outcome": "refused", "reason": reason}
    assert (await run_one(shell, {"request": request_, "expect": expect}))["agrees"]
    other = await run_one(shell, {"request": request_, "expect": {**expect, "reason": "418"}})
    assert [each["path"] for each in other["differences"]] == ["reason"]


async def test_malformed_files_are_told_all_at_once(shell: Shell) -> None:
    expect = '"expect": {"outcome": "error"}'
    faults = {
        "unknown": (
            f'{{"request": {{"bdy": 1}}, {expect}}}',
            ':1:14: request.bdy: unknown key "bdy" (did you mean "body"?)',
        ),
        "outcome": (
            '{"request": {}, "expect": {"outcome": "sent"}}',
            ":1:39: expect.outcome: must be",
        ),
        "missing": (f"{{{expect}}}", ':1:1: missing key "request"'),
        "bodies": (
            f'{{"request": {{"body": 1, "body_text": ""}}, {expect}}}',
            ':1:38: request.body_text: "body" and "body_text" exclude each other',
        ),
        "base64": (
            f'{{"request": {{"body_base64": "?"}}, {expect}}}',
            ":1:29: request.body_base64: is not base64",
        ),
        "headers": (
            f'{{"request": {{"headers": {{"A": "", "a": ""}}}}, {expect}}}',
            ":1:40: request.headers.a: stands there twice",
        ),
        "now": (
            f'{{"request": {{}}, "now": "2026-13-01T00:00:00Z", {expect}}}',
            ":1:24: now: there is no such instant",
        ),
        "text": ('{"request": ', "the text ends before"),
    }
    for name, (text, _) in faults.items():
        write(shell, name, text)
    write(shell, "stray", case(), "psuh")
    stray = write(shell, "stray", case(), ".")
    ran = await shell.run("test", "--cases", "push")
    assert (ran.code, ran.out) == (2, "")
    for name, (_, told) in faults.items():
        assert f"push/{name}.json" in ran.err
        assert told in ran.err
    assert "there is no trigger 'psuh' in TRIGGERS.json (did you mean 'push'?)" in ran.err
    assert f"{stray}: is not in a directory of its trigger" in ran.err


async def test_a_trigger_without_a_case_is_warned_of(shell: Shell) -> None:
    shell.write(triggers=[PUSH, trigger_entry("bare")])
    nothing = await shell.run("test", "--cases")
    assert (nothing.code, nothing.out) == (0, "no cases\n")
    write(shell, "one", case())
    ran = await shell.run("test", "--cases")
    assert ran.code == 0
    assert ran.err == f"warning: bare has no case in {shell.config}/cases/bare\n"
    assert (await shell.run("test", "--cases", "push")).err == ""
    assert (await shell.run("test", "--cases", "psuh")).code == 2


async def test_one_thing_is_asked_at_a_time(shell: Shell) -> None:
    for args in (
        ["push"],
        ["--cases", "--record", "evt_1"],
        ["push", "--cases", "--sign"],
        ["--payload", "-"],
        ["push", "push", "--payload", "-"],
        ["--cases", "--name", "x"],
        ["--record", "dsp_1"],
        ["--record", "evt_1", "--name", "../x"],
    ):
        assert (await shell.run("test", *args)).code == 2, args


@pytest.mark.parametrize(
    ("expected", "actual", "differs"),
    [(1, 1.0, False), (1, True, True), (0, False, True), (None, 0, True), ([1], [1, 2], True)],
)
def test_values_are_compared_as_json_has_them(expected: Any, actual: Any, differs: bool) -> None:
    result = Result("dispatched", "", response={"status": 200, "body": {"v": actual}})
    expect = {"outcome": "dispatched", "response": {"body": {"v": expected}}}
    assert bool(differences(expect, result)) is differs


BODY = {"ref": "refs/heads/main", "after": "ä", "n": 2**70, "f": 1.0}


class TestRecording:
    """A stored event becomes a case that agrees at once."""

    async def recorded(self, shell: Shell, event: str, *args: str) -> Ran:
        return await shell.run("test", "--record", event, *args)

    async def test_from_the_running_daemon(self, shell: Shell, tmp_path: Path) -> None:
        async with serving(tmp_path, triggers=[PUSH]) as daemon:
            headers = {"x-hub-signature": "sha1=abc", "authorization": "Bearer x"}
            _, answer = await daemon.deliver("/hook?page=2", BODY, headers=headers)
            event = answer["event_id"]
            ran = await self.recorded(shell, event, "--name", "main", "--url", daemon.url)
            other = await self.recorded(shell, "evt_nope", "--url", daemon.url)
        path = shell.config / "cases" / "push" / "main.json"
        assert (ran.code, ran.out, ran.err) == (0, f"{path}\n", "")
        assert (other.code, "there is no event" in other.err) == (1, True)
        text = path.read_text()
        written = json.loads(text)
        assert written["request"]["query"] == {"page": "2"}
        assert written["request"]["headers"]["x-github-event"] == "push"
        assert written["expect"]["dispatches"] == [
            {"event_type": "build", "client_payload": {"sha": "ä", "job": FIRST}}
        ]
        assert SECRET not in text
        assert "signature" not in text
        assert "authorization" not in text.lower()
        assert (await shell.run("test", "--cases")).code == 0
        shell.write(triggers=[PUSH | {"when": "false"}])
        assert (await shell.run("test", "--cases")).code == 1

    async def test_a_failing_expression_is_expected_to_fail_likewise(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        async with serving(tmp_path, triggers=[PUSH]) as daemon:
            _, answer = await daemon.deliver("/hook", {})
        (path,) = (await self.recorded(shell, answer["event_id"], "--json")).json["written"]
        expected = read(path)["expect"]
        assert expected["outcome"] == "error"
        assert expected["reason"].startswith("when: there is no key 'ref'")
        shell.write(triggers=[PUSH | {"when": "'refs/heads/main' == body.ref"}])
        assert (await shell.run("test", "--cases")).code == 0

    async def test_from_the_database_when_no_daemon_runs(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        async with serving(tmp_path, triggers=[PUSH]) as daemon:
            _, answer = await daemon.deliver("/hook", {"ref": "x"})
            event = answer["event_id"]
        ran = await self.recorded(shell, event, "push", "--json")
        (path,) = ran.json["written"]
        assert Path(path).name == f"{event}.json"
        assert read(path)["expect"] == {"outcome": "unmatched"}
        assert (await shell.run("test", "--cases")).code == 0

    async def test_no_proof_for_a_neighbour_on_the_path_is_written(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        """Whoever reads the case could send it again, and the neighbour would believe it."""
        shop = trigger_entry("shop", auth={"scheme": "shopify", "secret": "env:GH_WEBHOOK_SECRET"})
        entries = [trigger_entry("open"), shop]
        shell.write(triggers=entries)
        body = b'{"n": 1}'
        proof = base64.b64encode(hmac.digest(SECRET.encode(), body, "sha256")).decode()
        headers = {"x-shopify-hmac-sha256": proof, "content-type": "application/json"}
        async with serving(tmp_path, triggers=entries) as daemon:
            _, answer = await daemon.call("POST", "/hook", key=None, data=body, headers=headers)
        ran = await self.recorded(shell, answer["event_id"], "open", "--json")
        (path,) = ran.json["written"]
        assert answer["matched"] == ["open", "shop"]
        assert proof not in json.dumps(read(path))

    async def test_nothing_is_overwritten(self, shell: Shell, tmp_path: Path) -> None:
        path = write(shell, "mine", case())
        before = path.read_bytes()
        async with serving(tmp_path, triggers=[PUSH]) as daemon:
            _, answer = await daemon.deliver("/hook", BODY)
        ran = await self.recorded(shell, answer["event_id"], "--name", "mine")
        assert (ran.code, f"{path} is there already" in ran.err) == (1, True)
        assert path.read_bytes() == before

    @pytest.mark.parametrize(
        ("body", "content_type", "form"),
        [
            (b'{"a": 1, "a": 2}', "application/json", "body"),
            (b'{"a": 1180591620717411303424}', "application/json", "body"),
            (b'{"a": 1.5e3}', "application/json", "body"),
            (b"payload=%7B%7D&x=%E4", "application/x-www-form-urlencoded", "body_text"),
            ("grüß".encode("latin-1"), "text/plain; charset=latin-1", "body_base64"),
            (b'{"a": "\\ud800"}', "application/json", "body_text"),
            (b"", "application/json", None),
        ],
    )
    async def test_any_body_comes_to_the_same(
        self, shell: Shell, tmp_path: Path, body: bytes, content_type: str, form: str | None
    ) -> None:
        """In the most readable form in which expressions see what they saw."""
        entry = trigger_entry(
            "any", dispatch={"event_type": "x", "client_payload": {"b": "{{ json.encode(body) }}"}}
        )
        shell.write(triggers=[entry])
        async with serving(tmp_path, triggers=[entry]) as daemon:
            headers = {"content-type": content_type}
            _, answer = await daemon.deliver("/hook", body, headers=headers)
            (dispatch,) = answer["dispatches"]
            _, owed = await daemon.call("GET", f"/api/v1/dispatches/{dispatch}")
            ran = await self.recorded(shell, answer["event_id"], "--url", daemon.url, "--json")
        written = read(ran.json["written"][0])
        (expected,) = written["expect"]["dispatches"]
        assert expected["client_payload"]["b"] == json.loads(owed["client_payload"])["b"]
        assert [key for key in written["request"] if key.startswith("body")] == [form] * bool(form)
        assert (await shell.run("test", "--cases")).code == 0

    async def test_each_trigger_that_judged_it_gets_a_case(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        other = trigger_entry(
            "other", path="/hook", auth={"scheme": "api_key", "secret": "env:API_KEY"}
        )
        entries = [PUSH, trigger_entry("open", when="false"), other]
        shell.write(triggers=entries)
        async with serving(tmp_path, triggers=entries) as daemon:
            _, answer = await daemon.deliver("/hook", BODY)
        event = answer["event_id"]
        ran = await self.recorded(shell, event, "--json")
        assert {Path(path).parent.name for path in ran.json["written"]} == {"push", "open"}
        unbelieving = await self.recorded(shell, event, "other", "--name", "x")
        assert (unbelieving.code, "'other' did not judge" in unbelieving.err) == (2, True)
        shell.write(triggers=[other])
        gone = await self.recorded(shell, event, "--name", "x")
        assert (gone.code, "no trigger of today's config" in gone.err) == (2, True)

    async def test_a_secret_that_the_sender_repeats_in_the_body_is_left_out(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        graph = {"scheme": "microsoft_graph", "secret": "env:GH_WEBHOOK_SECRET"}
        entry = trigger_entry("graph", auth=graph)
        shell.write(triggers=[entry])
        notification = {"clientState": SECRET, "subscriptionId": "s", "changeType": "updated"}
        body = json.dumps({"value": [notification]})
        async with serving(tmp_path, triggers=[entry]) as daemon:
            _, answer = await daemon.deliver("/hook", body.encode())
        ran = await self.recorded(shell, answer["event_id"], "--json")
        assert SECRET not in Path(ran.json["written"][0]).read_text()  # noqa: ASYNC240
        assert (await shell.run("test", "--cases")).code == 0

    async def test_a_secret_in_other_letters_is_not_written(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        async with serving(tmp_path, triggers=[PUSH]) as daemon:
            escaped = json.dumps({**BODY, "key": SECRET}).replace(SECRET, "\\u0061" + SECRET[1:])
            _, odd = await daemon.deliver("/hook", escaped.encode())
        refused = await self.recorded(shell, odd["event_id"])
        assert (refused.code, "repeats the secret of push" in refused.err) == (1, True)

    async def test_a_handshake_is_written_by_hand(self, shell: Shell, tmp_path: Path) -> None:
        async with serving(tmp_path, triggers=[PUSH]) as daemon:
            _, answer = await daemon.deliver("/hook", {}, headers={"x-github-event": "ping"})
        for wanted in ([], ["push"]):
            ran = await self.recorded(shell, answer["event_id"], *wanted)
            assert ran.code == 2
            assert "a handshake is not recorded as a case; write one by hand with" in ran.err
            assert '`"outcome": "handshake"` (docs/testing.md)' in ran.err

    async def test_a_verdict_that_cases_do_not_know_is_told(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        limited = PUSH | {"rate_limit": {"max": 1, "per": "1h"}}
        shell.write(triggers=[limited])
        async with serving(tmp_path, triggers=[limited]) as daemon:
            for number, delivery in enumerate(("one", "one", "two")):
                body = {**BODY, "n": number // 2}
                await daemon.deliver("/hook", body, headers={"x-github-delivery": delivery})
            _, listed = await daemon.call("GET", "/api/v1/events")
        events = {event["verdicts"][0]["outcome"]: event["id"] for event in listed["events"]}
        assert set(events) == {"dispatched", "duplicate", "limited"}
        for verdict, event in events.items():
            warned = verdict != "dispatched"
            ran = await self.recorded(shell, event, "--name", verdict)
            told = f"push: its verdict was `{verdict}`, which depends on more than the request"
            assert (ran.code, told in ran.err) == (0, warned)
            assert ("this one expects `dispatched`" in ran.err) is warned
        assert (await shell.run("test", "--cases")).code == 0

    async def test_what_no_webhook_brought_is_no_case(self, shell: Shell, tmp_path: Path) -> None:
        async with serving(tmp_path, crons=[cron_entry("nightly")]) as daemon:
            _, fired = await daemon.call("POST", "/api/v1/crons/nightly/fire")
            _, sent = await daemon.call("POST", "/dispatch", json={"event_type": "x"})
            _, called = await daemon.call("GET", f"/api/v1/dispatches/{sent['dispatch_id']}")
        for event in (fired["event_id"], called["event_id"]):
            ran = await self.recorded(shell, event)
            assert (ran.code, "no webhook delivery" in ran.err) == (2, True)


async def test_a_handshake_is_a_case_too(shell: Shell) -> None:
    entry = trigger_entry("slack", auth={"scheme": "slack", "secret": "env:NOT_SET"})
    shell.write(triggers=[entry])
    body = {"type": "url_verification", "challenge": "c1"}
    expect = {"outcome": "handshake", "response": {"status": 200}}
    assert (await run_one(shell, {"request": {"body": body}, "expect": expect}, "slack"))["agrees"]
    stranger = {"request": {"body": body}, "sign": False, "expect": {"outcome": "unauthorized"}}
    assert (await run_one(shell, stranger, "slack"))["agrees"]


async def test_a_handshake_by_a_token_knows_the_made_up_one(shell: Shell) -> None:
    auth = {"scheme": "meta", "secret": "env:NOT_SET", "verify_token": "env:NOT_SET_EITHER"}
    shell.write(triggers=[trigger_entry("meta", auth=auth)])
    query = {"hub.mode": "subscribe", "hub.challenge": "77", "hub.verify_token": MADE_UP.reveal()}
    answer = {"status": 200, "body": "77"}
    asked = {
        "request": {"method": "GET", "query": query},
        "sign": False,
        "expect": {"outcome": "handshake", "response": answer},
    }
    assert (await run_one(shell, asked, "meta"))["differences"] == []
    query["hub.verify_token"] = "a guess"
    asked["expect"] = {"outcome": "unauthorized"}
    assert (await run_one(shell, asked, "meta"))["agrees"]


async def test_the_page_can_be_followed(tmp_path: Path) -> None:
    async with Terminal(tmp_path, {"COLUMNS": "200", "GH_REPO": "acme/shop"}, {}) as terminal:
        for example in examples(DOCS / "testing.md"):
            if "file" in example.directives:
                path = tmp_path / example.directives["file"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(example.text)
            elif example.language == "console":
                for step in steps(example):
                    await terminal.type(step)


def test_the_page_explains_every_key() -> None:
    text = (DOCS / "testing.md").read_text()
    properties = schema("case")["properties"]
    for outer in ("request", "expect"):
        for key in properties[outer]["properties"]:
            assert f"`{outer}.{key}`" in text
    for key in {*properties} - {"request", "expect"}:
        assert f"`{key}`" in text or f'`"{key}"`' in text
    for outcome in properties["expect"]["properties"]["outcome"]["enum"]:
        assert f"`{outcome}`" in text
