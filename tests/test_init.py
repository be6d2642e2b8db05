"""``dispatchd init``: what it adds to the config works, or says what it lacks, and nothing else in
the files changes."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.body import parse_body
from daemon.cli.config_files import put_in_place
from daemon.config import Secrets, load
from daemon.event import Delivery, Event, Outcome
from daemon.judge import judge_delivery
from daemon.signatures import ALIASES, SCHEMES
from daemon.spec import TriggerSpec
from daemon.starter import VENDORS, new_file, trigger_starter, with_entry
from tests.console import Terminal, steps
from tests.examples import examples
from tests.odd_senders import DISCORD_PUBLIC_KEY, as_verification_key, sendgrid_key
from tests.shell import Shell
from tests.specs import ENVIRON, OPEN, config, cron_entry, trigger_entry

ROOT = Path(__file__).parents[1]
SECRET = "a secret that is long enough"
KEY = "0123456789abcdef0123456789abcdef"
"""A key in every encoding."""
KEYS = {
    "discord": DISCORD_PUBLIC_KEY.reveal(),
    "sendgrid": as_verification_key(sendgrid_key().public_key()).reveal(),
}
"""Where it must be a public key."""
ENTRY: Mapping[str, Any] = trigger_starter("github").entry


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def entries(shell: Shell, file: str, key: str) -> list[dict[str, Any]]:
    data = json.loads((shell.config / file).read_bytes())
    found: list[dict[str, Any]] = data if isinstance(data, list) else data[key]
    return found


def triggers(shell: Shell) -> list[dict[str, Any]]:
    return entries(shell, "TRIGGERS.json", "triggers")


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def contents(shell: Shell) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in shell.config.iterdir()}


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_for_every_scheme_the_entry_loads_and_runs_once_its_secrets_are_set(
    shell: Shell, scheme: str
) -> None:
    """Of what an entry says that it lacks, a secret is all that keeps it from running."""
    ran = await shell.run("init", "trigger", scheme, GH_WEBHOOK_SECRET="")
    assert ran.code == 0, ran.err
    (entry,) = triggers(shell)
    lacking = [entry["auth"][key] for key in ("secret", "verify_token") if key in entry["auth"]]
    variables = [reference.removeprefix("env:") for reference in lacking]
    assert all(f"the variable {variable}" in entry["description"] for variable in variables)
    assert all(f"Set {variable}" in ran.out for variable in variables)
    assert entry["enabled"] is ("Set `enabled` to true" not in ran.out)
    assert not (entry["enabled"] and "It needs" in entry["description"])
    assert entry["path"] == f"/hooks/{scheme}"
    assert len(entry["dispatch"]["client_payload"]) == 3
    entry["enabled"] = True
    shell.write(triggers=[entry])
    environ = {**ENVIRON, **dict.fromkeys(variables, KEYS.get(scheme, KEY))}
    (spec,) = load(shell.config, environ, secrets=Secrets.REQUIRED).triggers
    assert len(spec.auth.secrets) == ("secret" in entry["auth"])


async def test_an_entry_whose_secret_is_set_is_enabled(shell: Shell) -> None:
    shell.environ["STRIPE_WEBHOOK_SECRET"] = SECRET
    ran = await shell.run("init", "trigger", "stripe")
    (entry,) = triggers(shell)
    assert entry["enabled"] is True
    assert "It needs" not in entry["description"]
    assert "added stripe, enabled" in ran.out
    assert (await shell.run("validate", "--secrets")).code == 0


async def test_what_an_entry_lacks_is_said_in_words_that_stay_true(shell: Shell) -> None:
    """Also once it has that and is enabled, since nobody edits a description."""
    await shell.run("init", "trigger", "basic", GH_OWNER="", GH_REPO="")
    (entry,) = triggers(shell)
    assert entry["description"].endswith(
        " It needs the variable BASIC_WEBHOOK_SECRET, your own value in `auth.username` and a "
        "repository to dispatch to."
    )


async def test_an_open_route_is_left_to_who_wants_it_to_enable(shell: Shell) -> None:
    ran = await shell.run("init", "trigger", "none")
    (entry,) = triggers(shell)
    assert entry["enabled"] is False
    assert "added none, disabled\n" in ran.out
    assert "1. Be sure that anybody who reaches /hooks/none may start it" in ran.out


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_the_public_address_is_asked_for_where_the_sender_signs_it(
    shell: Shell, scheme: str
) -> None:
    ran = await shell.run("init", "trigger", scheme)
    (entry,) = triggers(shell)
    assert ("public_url" in ran.out) is (scheme in ("twilio", "hubspot"))
    assert ("`public_url` in DAEMON.yaml" in entry["description"]) is ("public_url" in ran.out)
    (shell.config / "DAEMON.yaml").write_text("public_url: https://hooks.example.org\n")
    ran = await shell.run("init", "trigger", scheme, "--name", "again")
    assert "public_url" not in ran.out


@pytest.mark.parametrize(
    ("scheme", "variable"),
    [
        ("twilio", "TWILIO_AUTH_TOKEN"),
        ("discord", "DISCORD_PUBLIC_KEY"),
        ("standard_webhooks", "STANDARD_WEBHOOKS_SECRET"),
        ("sendgrid", "SENDGRID_PUBLIC_KEY"),
        ("hubspot", "HUBSPOT_CLIENT_SECRET"),
        ("stripe", "STRIPE_WEBHOOK_SECRET"),
    ],
)
def test_a_variable_is_called_what_its_value_is_called(scheme: str, variable: str) -> None:
    assert trigger_starter(scheme).references == (f"env:{variable}",)


async def test_cloud_events_are_no_scheme(shell: Shell) -> None:
    for name in ("cloudevents", "cdevents"):
        ran = await shell.run("init", "trigger", name)
        assert ran.code == 2
        assert "CloudEvents come with any scheme: see docs/bodies.md" in ran.err
        assert "`dispatchd init trigger bearer`" in ran.err


UNSIGNABLE = {"sns", "discord", "sendgrid", "microsoft_graph"}
LEARNED = {"asana", "notion"}


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_the_way_to_try_an_entry_that_is_told_can_work(shell: Shell, scheme: str) -> None:
    """Once all that is before it was done, what is typed as it stands is not refused for want of a
    proof; where nothing that could be typed would be believed, another way is told."""
    (shell.config / "DAEMON.yaml").write_text("public_url: https://hooks.example.org\n")
    ran = await shell.run("init", "trigger", scheme)
    (step,) = (line for line in ran.out.splitlines() if " Try it" in line)
    (entry,) = triggers(shell)
    references = [entry["auth"][key] for key in ("secret", "verify_token") if key in entry["auth"]]
    variables = dict.fromkeys((one.removeprefix("env:") for one in references), KEY)
    shell.write(triggers=[{**entry, "enabled": True}])
    if scheme in UNSIGNABLE | LEARNED:
        assert "--sign" not in step
        assert f"a golden case, which needs no secret (docs/testing.md): {CASES} {scheme}" in step
        assert ("have a test event sent from there" in step) is (scheme in UNSIGNABLE)
        return
    command = step.partition("Try it: dispatchd ")[2].partition(",")[0]
    command = command.replace('"$', "").replace('"', "")
    for variable, value in variables.items():
        command = command.replace(variable, value)
    words = ["-" if word == "FILE" else word for word in command.split()]
    body = f'{{"webhookTimestamp": {int(time.time() * 1000)}}}'.encode()
    ran = await shell.run(*words, "--json", stdin=body, **variables)
    assert ran.json["verified"] is True, ran.out


CASES = "dispatchd test --cases"


async def test_a_path_with_parameters_is_named_where_the_entry_is_tried(shell: Shell) -> None:
    ran = await shell.run("init", "trigger", "stripe", "--path", "/in/{shop}")
    assert "dispatchd test stripe --payload FILE --path PATH --sign\n" in ran.out


async def test_an_entry_with_an_example_in_it_is_not_enabled(shell: Shell) -> None:
    shell.environ["BASIC_WEBHOOK_SECRET"] = SECRET
    ran = await shell.run("init", "trigger", "basic")
    assert triggers(shell)[0]["enabled"] is False
    assert "`auth.username`" in ran.out


async def test_an_entry_that_no_repository_is_known_for_is_not_enabled(shell: Shell) -> None:
    ran = await shell.run("init", "cron", GH_OWNER="", GH_REPO="")
    (entry,) = entries(shell, "CRONS.json", "crons")
    assert entry["enabled"] is False
    assert "GH_OWNER and GH_REPO" in ran.out
    assert (await shell.run("validate", "--secrets", GH_OWNER="", GH_REPO="")).code == 0


async def test_the_options_of_a_trigger_are_used(shell: Shell) -> None:
    options = ["--name", "paid", "--path", "/in/{shop}", "--event-type", "invoice"]
    ran = await shell.run("init", "trigger", "stripe", *options)
    (entry,) = triggers(shell)
    assert (entry["name"], entry["path"]) == ("paid", "/in/{shop}")
    assert entry["dispatch"]["event_type"] == "invoice"
    assert "dispatchd workflow paid" in ran.out
    assert "https://YOUR-HOST/in/{shop}" in ran.out


async def test_the_options_of_a_cron_are_used(shell: Shell) -> None:
    options = ["--name", "hourly", "--schedule", "5 * * * *", "--timezone", "Europe/Berlin"]
    assert (await shell.run("init", "cron", *options)).code == 0
    (entry,) = entries(shell, "CRONS.json", "crons")
    assert (entry["name"], entry["schedule"]) == ("hourly", "5 * * * *")
    assert (entry["timezone"], entry["enabled"]) == ("Europe/Berlin", True)
    fired = await shell.run("next", "--after", "2026-11-23T00:00:00Z", "-n", "1", "--json")
    assert fired.json == {"hourly": ["2026-11-23T00:05:00Z"]}


async def test_the_address_that_is_given_away_is_the_public_one(shell: Shell) -> None:
    (shell.config / "DAEMON.yaml").write_text("public_url: https://hooks.example.org/in\n")
    ran = await shell.run("init", "trigger", "slack")
    assert "Give Slack the address https://hooks.example.org/in/hooks/slack" in ran.out


async def test_print_shows_the_entry_and_changes_nothing(shell: Shell) -> None:
    before = contents(shell)
    for arguments in (["trigger", "stripe"], ["cron"]):
        ran = await shell.run("init", *arguments, "--print")
        assert set(ran.json) > {"name", "description", "enabled", "dispatch"}
    assert contents(shell) == before


async def test_without_a_scheme_all_of_them_are_listed(shell: Shell) -> None:
    ran = await shell.run("init", "trigger")
    assert {line.split()[0] for line in ran.out.splitlines()[1:]} == set(SCHEMES)


async def test_another_name_of_a_scheme_gives_the_same_entry(shell: Shell) -> None:
    for alias, name in ALIASES.items():
        first, second = [await shell.run("init", "trigger", x, "--print") for x in (alias, name)]
        assert first.json == second.json


async def test_a_scheme_that_there_is_not_is_answered_with_the_one_that_was_meant(
    shell: Shell,
) -> None:
    ran = await shell.run("init", "trigger", "strpe")
    assert ran.code == 2
    assert "did you mean 'stripe'?" in ran.err


async def test_init_alone_creates_the_files_that_are_not_there(shell: Shell) -> None:
    directory = shell.config / "new"
    ran = await shell.run("init", "--config-dir", str(directory))
    assert ran.code == 0
    assert names_in(directory) == {"CRONS.json", "TRIGGERS.json", "DAEMON.yaml"}
    assert (await shell.run("validate", str(directory))).code == 0
    (directory / "CRONS.json").write_text("[]")
    (directory / "DAEMON.yaml").unlink()
    await shell.run("init", "--config-dir", str(directory))
    assert (directory / "CRONS.json").read_text() == "[]"
    assert (directory / "DAEMON.yaml").exists()


def test_the_settings_that_are_created_are_those_that_are_shipped() -> None:
    created = ROOT / "daemon" / "starter" / "DAEMON.yaml"
    assert created.read_text() == (ROOT / "config" / "DAEMON.yaml").read_text()


@pytest.mark.parametrize("text", [None, "", " \n"])
async def test_a_file_that_is_not_there_or_empty_is_created_with_its_schema(
    shell: Shell, text: str | None
) -> None:
    file = shell.config / "TRIGGERS.json"
    file.unlink()
    if text is not None:
        file.write_text(text)
    assert (await shell.run("init", "trigger", "github")).code == 0
    assert schema_of(file)["title"] == "TRIGGERS.json"
    (shell.config / "other").touch()
    assert file.stat().st_mode == (shell.config / "other").stat().st_mode


def schema_of(file: Path) -> dict[str, Any]:
    """What its ``$schema`` leads to."""
    place = json.loads(file.read_text())["$schema"]
    schema: dict[str, Any] = json.loads(Path(place.removeprefix("file://")).read_text())
    return schema


@pytest.mark.parametrize("file", ["triggers", "crons"])
async def test_a_name_that_is_taken_in_either_file_is_refused(shell: Shell, file: str) -> None:
    """Also that of an entry that is disabled: it may be enabled again."""
    make = trigger_entry if file == "triggers" else cron_entry
    shell.write(**{file: [make("github", enabled=False)]})
    before = contents(shell)
    ran = await shell.run("init", "trigger", "github")
    assert ran.code == 2
    assert f"{file.upper()}.json:1:11" in ran.err
    assert "--name" in ran.err
    assert contents(shell) == before


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["trigger", "github", "--path", "hooks"], "path"),
        (["trigger", "github", "--path", "/dispatch"], "daemon's own routes"),
        (["trigger", "github", "--name", "Push!"], "is not a name"),
        (["trigger", "github", "--event-type", "x" * 101], "event_type"),
        (["trigger", "github", "--event-type", "{{ body.x }}"], "event_types"),
        (["cron", "--schedule", "61 * * * *"], "is not a minute"),
        (["cron", "--timezone", "Europe/Berlni"], "Europe/Berlin"),
    ],
)
async def test_an_entry_that_would_not_load_is_not_written(
    shell: Shell, arguments: list[str], fault: str
) -> None:
    before = contents(shell)
    ran = await shell.run("init", *arguments)
    assert ran.code == 2
    assert fault in ran.err
    assert str(shell.config / f"{arguments[0].upper()}S.json") in ran.err
    assert "stays as it is" in ran.err
    assert contents(shell) == before


@pytest.mark.parametrize(
    "text", ['[{"name": "a"}]', '{"trigers": []}', '{"triggers": 1}', "[", "7"]
)
async def test_a_file_with_faults_of_its_own_is_not_added_to(shell: Shell, text: str) -> None:
    file = shell.config / "TRIGGERS.json"
    file.write_text(text)
    ran = await shell.run("init", "trigger", "github")
    assert ran.code == 2
    assert f"{file}:1:" in ran.err
    assert file.read_text() == text


async def test_a_file_keeps_its_mode_and_a_link_stays_a_link(shell: Shell, tmp_path: Path) -> None:
    elsewhere, file = tmp_path / "elsewhere.json", shell.config / "TRIGGERS.json"
    file.rename(elsewhere)
    elsewhere.chmod(0o640)
    file.symlink_to(elsewhere)
    assert (await shell.run("init", "trigger", "github")).code == 0
    assert file.is_symlink()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o640
    assert names_in(tmp_path) == {"config", "elsewhere.json"}
    assert [entry["name"] for entry in triggers(shell)] == ["github"]


def test_a_file_that_cannot_be_replaced_is_whole_and_alone(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="file"):
        put_in_place(tmp_path / "file", "text")
    assert names_in(tmp_path) == {"file"}


async def test_a_byte_order_mark_and_windows_line_ends_stay(shell: Shell) -> None:
    file = shell.config / "TRIGGERS.json"
    old = b'\xef\xbb\xbf{\r\n  "triggers": [\r\n  ]\r\n}\r\n'
    file.write_bytes(old)
    assert (await shell.run("init", "trigger", "github")).code == 0
    new = file.read_bytes()
    assert new.startswith(old[:20])
    assert new.endswith(b"\r\n  ]\r\n}\r\n")
    assert new.count(b"\n") == new.count(b"\r\n") > 10


SMALL: Mapping[str, Any] = {"name": "new", "auth": {"scheme": "none"}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[]", '[\n  {\n    "name": "new",\n    "auth": {"scheme": "none"}\n  }\n]'),
        (
            '[\n\t{\n\t\t"name": "a"\n\t}\n]\n',
            '[\n\t{\n\t\t"name": "a"\n\t},\n\t{\n\t\t"name": "new",\n'
            '\t\t"auth": {"scheme": "none"}\n\t}\n]\n',
        ),
        (
            '{"triggers": [{"name": "a"}], "defaults": {}}',
            '{"triggers": [{"name": "a"},\n  {\n    "name": "new",\n'
            '    "auth": {"scheme": "none"}\n  }\n], "defaults": {}}',
        ),
        (
            '{\n    "triggers": [{\n        "name": "a"\n    }]\n}',
            '{\n    "triggers": [{\n        "name": "a"\n    },\n'
            '        {\n            "name": "new",\n'
            '            "auth": {"scheme": "none"}\n        }\n    ]\n}',
        ),
    ],
)
def test_an_entry_is_written_in_the_files_own_style(before: str, after: str) -> None:
    assert with_entry(before, "triggers", SMALL) == after


NAMES = st.text("abc [{,]}\"\\'/é€😀\u2028", max_size=5)
MEMBERS = st.dictionaries(NAMES, st.one_of(NAMES, st.integers(), st.lists(NAMES)), max_size=3)


@given(
    old=st.lists(MEMBERS, max_size=3),
    wrapped=st.booleans(),
    indent=st.sampled_from([None, 1, 2, 4, "\t"]),
    ascii_only=st.booleans(),
    break_=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_nothing_of_a_file_changes_but_that_it_has_one_entry_more(
    old: list[Any], wrapped: bool, indent: int | str | None, ascii_only: bool, break_: str
) -> None:
    """Whatever comes before the place of insertion, and after it, is the same text."""
    data = {"defaults": {"triggers": []}, "triggers": old, "$schema": "x"} if wrapped else old
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only).replace("\n", break_)
    new = with_entry(text, "triggers", ENTRY)
    read = json.loads(new)
    assert (read["triggers"] if wrapped else read) == [*old, ENTRY]
    if wrapped:
        assert list(read) == list(data)
    before, after = alike(text, new), alike(text[::-1], new[::-1])
    assert before + after >= len(text)
    if break_ in text:
        assert set(new[before : len(new) - after]) & {"\n", "\r"} <= set(break_)


def alike(one: str, other: str) -> int:
    """How many characters they have in common at the beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def test_a_new_file_holds_its_entry_and_names_its_schema() -> None:
    assert json.loads(new_file("triggers", "s.json", ENTRY)) == {
        "$schema": "s.json",
        "triggers": [ENTRY],
    }


PUSH = {
    "ref": "refs/heads/main",
    "after": "7d1f0d0e",
    "repository": {"full_name": "acme/shop", "default_branch": "main"},
}
GITLAB = {"ref": "refs/heads/main", "after": "7d1f", "project": {"path_with_namespace": "a/b"}}
CHANGES = [{"new": None}, {"new": {"name": "main", "target": {"hash": "7d1f"}}}]
ISSUE = {"id": "1", "title": "Falls over", "project": {"slug": "shop"}}
FIELDS = {"summary": "It falls over", "project": {"key": "SHOP"}}

EVENTS: Mapping[str, tuple[Mapping[str, str], Mapping[str, Any]]] = {
    "github": ({"x-github-event": "push"}, PUSH),
    "gitlab": ({"x-gitlab-event": "Push Hook"}, GITLAB),
    "gitlab_signed": ({"x-gitlab-event": "Push Hook"}, GITLAB),
    "bitbucket": (
        {"x-event-key": "repo:push"},
        {"repository": {"full_name": "acme/shop"}, "push": {"changes": CHANGES}},
    ),
    "gitea": ({"x-gitea-event": "push"}, PUSH),
    "forgejo": ({"x-forgejo-event": "push"}, PUSH),
    "stripe": (
        {},
        {
            "type": "invoice.paid",
            "data": {"object": {"id": "in_1", "customer": "cus_1", "amount_paid": 900}},
        },
    ),
    "slack": (
        {},
        {"type": "event_callback", "event": {"type": "message", "channel": "C1", "text": "hi"}},
    ),
    "shopify": (
        {"x-shopify-topic": "orders/paid", "x-shopify-shop-domain": "a.myshopify.com"},
        {"id": 820982911946154500, "total_price": "9.00"},
    ),
    "linear": (
        {},
        {
            "type": "Issue",
            "action": "create",
            "url": "https://linear.app/1",
            "data": {"identifier": "SHOP-1", "title": "Falls over"},
        },
    ),
    "sentry": (
        {"sentry-hook-resource": "issue"},
        {"action": "created", "data": {"issue": ISSUE}},
    ),
    "pagerduty": (
        {},
        {
            "event": {
                "event_type": "incident.triggered",
                "data": {"id": "P1", "title": "Down", "html_url": "https://a.pagerduty.com/P1"},
            }
        },
    ),
    "jira": (
        {},
        {"webhookEvent": "jira:issue_created", "issue": {"key": "SHOP-1", "fields": FIELDS}},
    ),
    "twilio": ({}, {"MessageSid": "SM1", "From": "+4930", "Body": "hi"}),
    "telegram": (
        {},
        {"message": {"chat": {"id": 7}, "from": {"username": "eve"}, "text": "/deploy"}},
    ),
    "vercel": (
        {},
        {
            "type": "deployment.succeeded",
            "payload": {"deployment": {"id": "dpl_1", "url": "a.app"}, "project": {"id": "prj"}},
        },
    ),
    "circleci": (
        {},
        {
            "type": "workflow-completed",
            "workflow": {"status": "failed", "name": "build", "url": "https://circleci.com/1"},
            "project": {"slug": "gh/acme/shop"},
        },
    ),
    "grafana": (
        {},
        {"status": "firing", "title": "Disk", "alerts": [{}], "externalURL": "https://g.example"},
    ),
    "typeform": (
        {},
        {
            "event_type": "form_response",
            "form_response": {"form_id": "f", "token": "t", "submitted_at": "2026-11-23T00:00:00Z"},
        },
    ),
    "zoom": (
        {},
        {
            "event": "meeting.ended",
            "payload": {"object": {"id": "1", "topic": "Standup", "host_id": "h"}},
        },
    ),
    "sns": (
        {},
        {"Type": "Notification", "TopicArn": "arn:aws:sns:…", "Subject": "s", "Message": "m"},
    ),
}
"""For each sender the event that its starter is for, as the sender's documentation shows it, with
only those fields that matter."""


def test_every_sender_that_is_known_has_a_scheme_and_is_tried() -> None:
    assert set(VENDORS) == set(EVENTS)
    assert set(VENDORS) <= set(SCHEMES)


@pytest.mark.parametrize("sender", EVENTS)
async def test_a_senders_starter_dispatches_its_event_and_not_another(
    shell: Shell, sender: str
) -> None:
    """Nothing of its payload is empty then. Another event is merely unmatched where the sender's
    events differ by a header or a field that each of them has."""
    shell.write(triggers=[{**trigger_starter(sender).entry, "auth": OPEN}])
    headers, body = EVENTS[sender]
    options = [word for name, value in headers.items() for word in ("--header", f"{name}:{value}")]
    tried = ["test", sender, "--payload", "-", "--json"]
    ran = await shell.run(*tried, *options, stdin=json.dumps(body).encode())
    assert ran.code == 0, ran.err
    (request,) = ran.json["requests"]
    payload = request["body"]["client_payload"]
    assert set(payload) == {*VENDORS[sender].payload, "dispatchd"}
    assert all(payload.values())
    names = [word.replace(value, "other") for word in options for value in [*headers.values()][:1]]
    other = {key: "other" if isinstance(body[key], str) else body[key] for key in body}
    ran = await shell.run(*tried, *names, stdin=json.dumps(other).encode())
    if sender not in ("pagerduty", "telegram", "twilio"):  # told by what the body holds
        assert (ran.code, ran.json["outcome"]) == (1, "unmatched"), ran.out


BODIES = {
    "an empty object": ("application/json", b"{}"),
    "another object": ("application/json", b'{"type": "x", "event": {"event_type": "x"}}'),
    "an empty list": ("application/json", b"[]"),
    "a list": ("application/json", b'[{"type": "x"}]'),
    "a JSON string": ("application/json", b'"x"'),
    "a number": ("application/json", b"1"),
    "null": ("application/json", b"null"),
    "nothing": ("application/json", b""),
    "a form": ("application/x-www-form-urlencoded", b"a=1&type=x"),
    "text": ("text/plain", b"x"),
}


@pytest.mark.parametrize(("content_type", "body"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("sender", VENDORS)
def test_of_whatever_else_comes_a_starter_sends_nothing_and_fails_at_nothing(
    sender: str, content_type: str, body: bytes
) -> None:
    """That is what its description promises. Even under the header of its event it never fails."""
    (spec,) = (each for each in STARTERS if each.name == sender)
    headers, _ = EVENTS[sender]
    plain = {"content-type": content_type}
    assert outcome(spec, plain, body) is Outcome.UNMATCHED
    other = dict.fromkeys(headers, "other")
    assert outcome(spec, {**plain, **other}, body) is Outcome.UNMATCHED
    assert outcome(spec, {**plain, **headers}, body) is not Outcome.ERROR


STARTERS = config([{**trigger_starter(sender).entry, "auth": OPEN} for sender in VENDORS]).triggers


def outcome(spec: TriggerSpec, headers: Mapping[str, str], body: bytes) -> Outcome:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    delivery = Delivery(spec.path, "POST", spec.path, headers, {}, {}, body, "192.0.2.1", at)
    event = Event("evt_1", delivery)
    value = parse_body(headers, body)
    (judgement,) = judge_delivery(event, delivery, value, [spec], lambda: "dsp_1")
    return judgement.verdict.outcome


async def test_a_starter_is_believed_when_its_sender_signs(shell: Shell) -> None:
    shell.environ["STRIPE_WEBHOOK_SECRET"] = SECRET
    await shell.run("init", "trigger", "stripe")
    body = json.dumps(EVENTS["stripe"][1]).encode()
    tried = ["test", "stripe", "--payload", "-", "--json"]
    assert (await shell.run(*tried, "--sign", stdin=body)).json["verified"] is True
    assert (await shell.run(*tried, stdin=body)).json["verified"] is False


async def test_the_page_can_be_followed_from_the_top_to_the_bottom(
    tmp_path: Path,
) -> None:
    """Its commands are typed in order, and print what it shows."""
    async with Terminal(tmp_path, {"COLUMNS": "200"}, {}) as terminal:
        for example in examples(ROOT / "docs" / "starting.md"):
            for step in steps(example):
                await terminal.type(step)
